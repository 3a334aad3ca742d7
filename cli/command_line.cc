#include "cli/command_line.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/text.h"
#include "cli/verbs.h"

namespace drawbridge::cli {
namespace {

constexpr const char* kFooter =
    R"help(The context file says where the server is, by which CA to know it, and the token to
call it with. The server writes one when it starts for the first time (admin.context in its state
folder):
  server: drawbridge.example.com:7070
  ca: |
    -----BEGIN CERTIFICATE-----
    ...
  token: drawbridge_...

Exit codes:
  0  done
  1  the server refused, or a check that was asked for failed
  2  the command line, or a file that it names, is wrong; nothing was sent
  3  the server was not reached, did not answer in time, or does not know the token

Errors go to standard error: "error: REASON: what to do (field)", or with -o json
{"errors": [{"reason", "message", "field", "file", "line", "column"}]}. Reasons never change.

Examples:
  drawbridge apply -f bridges.yaml --dry-run
  drawbridge status --follow
  drawbridge describe bridge oci-logs
  drawbridge get streams -o json)help";

constexpr const char* kEveryVerb = R"(
Every verb takes these as well, see drawbridge --help: -o, --context, --timeout, --server, --ca,
--token-file.
)";

void AddGlobalOptions(CLI::App& app, GlobalOptions& options) {
  app.add_option("--context", options.context.file,
                 "The context file (default: ~/.config/drawbridge/context.yaml)")
      ->envname("DRAWBRIDGE_CONTEXT")
      ->type_name("FILE");
  app.add_option("--server", options.context.server, "Call this server instead")
      ->type_name("HOST:PORT");
  app.add_option("--ca", options.context.ca_file, "Know the server by this CA instead, PEM")
      ->type_name("FILE");
  app.add_option("--token-file", options.context.token_file, "Call with the token in this file")
      ->type_name("FILE");
  AddDuration(app, "--timeout", options.timeout, "The longest wait for an answer (default: 20s)");
  app.add_option_function<std::string>(
         "-o,--output",
         [&options](const std::string& format) {
           options.output = format == "json" ? OutputFormat::kJson : OutputFormat::kTable;
         },
         "table or json (default: table)")
      ->check(OneOf({"table", "json"}))
      ->type_name("FORMAT");
}

void AddVerbs(CLI::App& app, Verb& chosen) {
  AddApply(app, chosen);
  AddStatus(app, chosen);
  AddGet(app, chosen);
  AddDescribe(app, chosen);
  AddPauseAndResume(app, chosen);
  AddDelete(app, chosen);
  AddEndpoint(app, chosen);
  AddCheckpointsAndGaps(app, chosen);
  AddDeadLetters(app, chosen);
  AddRelay(app, chosen);
  AddCredential(app, chosen);
  AddVersion(app, chosen);
}

// A line that does not parse says nothing about the format; what is written there still does.
OutputFormat WantedFormat(const std::vector<std::string>& arguments) {
  for (size_t index = 0; index < arguments.size(); ++index) {
    const std::string& argument = arguments[index];
    const bool is_name = argument == "-o" || argument == "--output";
    const std::string value = is_name && index + 1 < arguments.size() ? arguments[index + 1] : "";
    if (value == "json" || argument == "-ojson" || argument == "--output=json") {
      return OutputFormat::kJson;
    }
  }
  return OutputFormat::kTable;
}

// The deepest verb that was named, as one types it: "drawbridge relay token create".
std::string NamedVerb(const CLI::App& app) {
  std::string name = app.get_name();
  for (const CLI::App* verb = &app; !verb->get_subcommands().empty();) {
    verb = verb->get_subcommands().back();
    name += " " + verb->get_name();
  }
  return name;
}

const CLI::App& DeepestVerb(const CLI::App& app) {
  const CLI::App* verb = &app;
  while (!verb->get_subcommands().empty()) verb = verb->get_subcommands().back();
  return *verb;
}

// "; did you mean pause?", if one of the verbs or options there is near to what was typed.
std::string Hint(const CLI::App& app, const std::vector<std::string>& arguments) {
  std::vector<std::string> known;
  const CLI::App& verb = DeepestVerb(app);
  for (const CLI::App* child : verb.get_subcommands({})) known.push_back(child->get_name());
  for (const CLI::App* level : {&verb, &app}) {
    for (const CLI::Option* option : level->get_options()) known.push_back(option->get_name());
  }
  const std::vector<std::string_view> names(known.begin(), known.end());
  for (const std::string& argument : arguments) {
    const std::string_view nearest = Nearest(argument, names);
    if (!nearest.empty() && nearest != argument) return fmt::format("; did you mean {}?", nearest);
  }
  return "";
}

// CLI11 says that a verb is missing, even where one stands there that it does not know.
std::string Complaint(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> left = app.remaining(true);
  const bool wants_verb = !DeepestVerb(app).get_subcommands({}).empty();
  if (!wants_verb) return error.what();
  if (left.empty()) return fmt::format("{} needs a verb behind it", NamedVerb(app));
  return fmt::format("{} has no verb {}", NamedVerb(app), left.front());
}

Failure NotUnderstood(const CLI::App& app, const CLI::ParseError& error,
                      const std::vector<std::string>& arguments) {
  const bool is_extra = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
  const bool is_missing = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr;
  const std::string hint = is_extra || is_missing ? Hint(app, arguments) : "";
  return UsageFailure(
      is_extra ? Reason::kFieldUnknown : Reason::kFieldInvalid,
      fmt::format("{}{}; see {} --help", Complaint(app, error), hint, NamedVerb(app)));
}

}  // namespace

void AddReason(CLI::App& verb, std::string& reason) {
  verb.add_option("--reason", reason, "Why, for the audit")->type_name("TEXT");
}

CLI::Validator OneOf(std::vector<std::string> words) {
  return {[words = std::move(words)](std::string& word) {
            if (std::ranges::find(words, word) != words.end()) return std::string();
            const std::vector<std::string_view> known(words.begin(), words.end());
            const std::string_view nearest = Nearest(word, known);
            const std::string hint =
                nearest.empty() ? "" : fmt::format("; did you mean {}?", nearest);
            return fmt::format("{} is none of {}{}", word, fmt::join(words, ", "), hint);
          },
          ""};
}

CLI::Option* AddDuration(CLI::App& app, const std::string& name, Duration& value,
                         const std::string& help) {
  const auto parse = [&value](const std::string& text) {
    const std::optional<Duration> duration = ParseDuration(text);
    if (!duration || *duration < std::chrono::milliseconds{1}) return false;
    value = *duration;
    return true;
  };
  const CLI::Validator is_duration(
      [](std::string& text) {
        const std::optional<Duration> duration = ParseDuration(text);
        const bool is_valid = duration && *duration >= std::chrono::milliseconds{1};
        return is_valid ? "" : text + " is no duration: write 10s, 5m, 24h";
      },
      "");
  return app
      .add_option(
          name, [parse](const CLI::results_t& texts) { return parse(texts.front()); }, help)
      ->type_name("DURATION")
      ->check(is_duration);
}

ExitCode Run(std::vector<std::string> arguments, Terminal& terminal) {
  GlobalOptions options;
  Verb chosen;
  CLI::App app("Carries log streams between clouds, and shows whether anything is being lost.",
               "drawbridge");
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(kFooter);
  AddGlobalOptions(app, options);
  AddVerbs(app, chosen);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // CLI11's order
  } catch (const CLI::CallForHelp&) {
    terminal.out << app.help();
    if (!app.get_subcommands().empty()) terminal.out << kEveryVerb;
    return ExitCode::kOk;
  } catch (const CLI::ParseError& error) {
    const Failure failure = NotUnderstood(app, error, arguments);
    PrintFailure(failure, WantedFormat(arguments), terminal.err);
    return failure.exit;
  }
  Session session(options, terminal);
  const ExitCode exit = chosen(session);
  terminal.out.flush();
  return exit;
}

}  // namespace drawbridge::cli
