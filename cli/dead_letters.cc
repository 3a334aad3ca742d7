#include <memory>

#include <fmt/format.h>

#include "cli/listing.h"
#include "cli/tables.h"
#include "cli/text.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "drawbridge/v1/stream.grpc.pb.h"

namespace drawbridge::cli {
namespace {

struct DeadLetterOptions {
  std::string stream;
  std::string reason;
  int limit = 10;
};

ExitCode List(Session& session, const DeadLetterOptions& options) {
  const auto groups = AllDeadLetters(session, ParseStreamName(options.stream));
  if (!groups.ok()) return session.Fail(groups.failure());
  if (session.wants_json()) {
    Json json = ToJson(*groups);
    json.erase("next_page_token");
    session.Print(json);
  } else {
    session.Print(DeadLetterTable(*groups), "no dead letters: no target has refused a record");
  }
  return ExitCode::kOk;
}

ExitCode Show(Session& session, const DeadLetterOptions& options) {
  const StreamName stream = ParseStreamName(options.stream);
  v1::ReadDeadLettersRequest request;
  request.set_bridge(stream.bridge);
  request.set_topic(stream.topic);
  request.set_error(options.reason);
  request.set_limit(options.limit);
  const auto page = session.Call(&v1::StreamService::Stub::ReadDeadLetters, request);
  if (!page.ok()) return session.Fail(page.failure());
  if (session.wants_json()) {
    session.Print(ToJson(*page));
    return ExitCode::kOk;
  }
  session.Print(LetterTable(*page), "no such dead letters");
  if (page->letters_size() < page->total()) {
    session.Print(
        fmt::format("the last {} of {}", page->letters_size(), WithSeparators(page->total())));
  }
  return ExitCode::kOk;
}

ExitCode Retry(Session& session, const DeadLetterOptions& options) {
  const StreamName stream = ParseStreamName(options.stream);
  v1::RetryDeadLettersRequest request;
  request.set_bridge(stream.bridge);
  request.set_topic(stream.topic);
  request.set_error(options.reason);
  request.set_reason(options.reason.empty() ? "" : fmt::format("those of: {}", options.reason));
  v1::RetryDeadLettersResponse done;
  const auto tell = [&] {
    if (session.wants_json()) {
      session.Print(
          Json{{"retried", done.retried()}, {"refused", done.refused()}, {"left", done.left()}});
      return;
    }
    std::string text = fmt::format("{} brought in", WithSeparators(done.retried()));
    if (done.refused() > 0) {
      text += fmt::format(", {} refused again: drawbridge dead-letters show {} says why",
                          WithSeparators(done.refused()), options.stream);
    }
    if (done.left() > 0) text += fmt::format(", {} still to be tried", WithSeparators(done.left()));
    session.Print(text);
  };
  do {
    const auto answer = session.Mutate(&v1::StreamService::Stub::RetryDeadLetters, request);
    if (!answer.ok()) {
      if (done.retried() + done.refused() > 0) tell();
      return session.Fail(answer.failure());
    }
    done.set_retried(done.retried() + answer->retried());
    done.set_refused(done.refused() + answer->refused());
    done.set_left(answer->left());
    request.set_token(answer->next_token());
    const bool is_watched = session.terminal().is_interactive && !session.wants_json();
    if (is_watched && !request.token().empty()) tell();
  } while (!request.token().empty());
  tell();
  return done.refused() == 0 ? ExitCode::kOk : ExitCode::kRefused;
}

// A script's variable may be empty, and what is empty would be taken for all bridges.
CLI::Validator NamesABridge() {
  return {[](std::string& name) {
            return ParseStreamName(name).bridge.empty()
                       ? fmt::format("\"{}\" names no bridge: write BRIDGE or BRIDGE/TOPIC", name)
                       : std::string();
          },
          ""};
}

CLI::App& AddVerb(CLI::App& letters, Verb& chosen, const std::string& name, const std::string& help,
                  const std::shared_ptr<DeadLetterOptions>& options,
                  ExitCode (*act)(Session&, const DeadLetterOptions&)) {
  CLI::App& verb = *letters.add_subcommand(name, help);
  CLI::Option* const stream =
      verb.add_option("STREAM", options->stream, "Only these: BRIDGE or BRIDGE/TOPIC")
          ->type_name("")
          ->check(NamesABridge());
  if (name != "list") {
    stream->required()->description("Which: BRIDGE or BRIDGE/TOPIC");
    verb.add_option("--reason", options->reason,
                    "Only those of this REASON, as `dead-letters list` has it")
        ->type_name("TEXT");
  }
  Bind(verb, chosen, options, act);
  return verb;
}

}  // namespace

void AddDeadLetters(CLI::App& app, Verb& chosen) {
  CLI::App& letters = *app.add_subcommand(
      "dead-letters", "Show and retry the records that targets refused for good");
  letters.require_subcommand(1);
  AddVerb(letters, chosen, "list", "Show how many there are, by what for",
          std::make_shared<DeadLetterOptions>(), List)
      .footer(
          "WAITING are in the bridge's index or topic of dead letters, byte for byte, but for\n"
          "those of failure_store (the engine has them) and dropped (nobody has);\n"
          "RETRIED have been brought into the target since.\n\n"
          "Examples:\n  drawbridge dead-letters list\n"
          "  drawbridge dead-letters list oci-search/audit -o json");
  const auto options = std::make_shared<DeadLetterOptions>();
  CLI::App& show =
      AddVerb(letters, chosen, "show", "Show the records that were refused last", options, Show);
  show.add_option("--limit", options->limit, "At most this many")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  show.footer(
      "A relay of the bridge reads them where they are kept. With -o json they are in base64:\n"
      "keys up to 1 KiB, values up to 16 KiB, headers where they have up to 4 KiB.\n\n"
      "Examples:\n  drawbridge dead-letters show oci-search\n"
      "  drawbridge dead-letters show oci-search/audit --limit 1 -o json |\n"
      "    jq -r '.letters[].value | @base64d'");
  AddVerb(letters, chosen, "retry", "Send them again, after what refused them was mended",
          std::make_shared<DeadLetterOptions>(), Retry)
      .footer(
          "They go to the bridge's index under the ids that they have always had, so that none is\n"
          "there twice. What is taken leaves the dead letters; what is refused again stays. It "
          "may\n"
          "be stopped and repeated at any time. Exit code 1: some were refused again.\n\n"
          "Examples:\n  drawbridge dead-letters retry oci-search\n"
          "  drawbridge dead-letters retry oci-search/audit \\\n"
          "    --reason 'mapper_parsing_exception: failed to parse field [n] of type [long] "
          "(illegal_argument_exception)'");
}

}  // namespace drawbridge::cli
