#include <algorithm>
#include <filesystem>
#include <memory>

#include <fmt/format.h>

#include "cli/definition_file.h"
#include "cli/input.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "drawbridge/v1/bridge.grpc.pb.h"

namespace drawbridge::cli {
namespace {

using Action = v1::DefinitionChange;

struct ApplyOptions {
  std::string file;
  bool dry_run = false;
  bool prune = false;
  std::string reason;
};

Result<Definitions> ReadFile(Session& session, const std::string& file) {
  const bool is_stdin = file == "-";
  const std::string name = is_stdin ? "<standard input>" : file;
  const StatusOr<std::string> text =
      is_stdin ? ReadInput(session.terminal().in, name) : ReadInput(file);
  if (!text.ok()) return UsageFailure(Reason::kFieldInvalid, text.status().message(), "file");
  return ReadDefinitions(*text, name, std::filesystem::path(file).parent_path());
}

// A value of a diff in one short line: a certificate is many.
std::string Shortened(const std::string& value) {
  constexpr size_t kWidthMax = 60;
  if (value.empty()) return "(not set)";
  const size_t line_end = value.find('\n');
  if (line_end == value.npos) return CutToWidth(Printable(value), kWidthMax);
  return Printable(value.substr(0, std::min(line_end, kWidthMax))) + "…";
}

std::string ChangeText(const v1::FieldChange& field) {
  return fmt::format("{}: {} -> {}", Printable(field.path()), Shortened(field.before()),
                     Shortened(field.after()));
}

void PrintUpdate(Session& session, const v1::DefinitionChange& change) {
  const std::string head = fmt::format("~ {} {}", change.kind(), change.name());
  std::string lead = Printable(head) + "  ";
  if (change.fields().empty()) session.Print(session.Toned(lead, Tone::kWarning));
  for (const v1::FieldChange& field : change.fields()) {
    session.Print(session.Toned(lead + ChangeText(field), Tone::kWarning));
    lead.assign(lead.size(), ' ');
  }
}

void PrintChange(Session& session, const v1::DefinitionChange& change) {
  const std::string what = Printable(fmt::format("{} {}", change.kind(), change.name()));
  switch (change.action()) {
    case Action::ACTION_CREATED:
      return session.Print(session.Toned("+ " + what, Tone::kGood));
    case Action::ACTION_DELETED:
      return session.Print(session.Toned("- " + what, Tone::kBad));
    case Action::ACTION_UPDATED:
      return PrintUpdate(session, change);
    case Action::ACTION_UNCHANGED:
      return;
    default:
      return session.Print("? " + what);
  }
}

std::string Summary(const v1::ApplyResponse& response, bool dry_run) {
  const auto count = [&](Action::Action action) {
    return std::ranges::count_if(response.changes(), [&](const v1::DefinitionChange& change) {
      return change.action() == action;
    });
  };
  return fmt::format("{} created, {} changed, {} deleted, {} as they were{}",
                     count(Action::ACTION_CREATED), count(Action::ACTION_UPDATED),
                     count(Action::ACTION_DELETED), count(Action::ACTION_UNCHANGED),
                     dry_run ? " (dry run: nothing was done)" : "");
}

void PrintDiff(Session& session, const v1::ApplyResponse& response, bool dry_run) {
  for (const v1::DefinitionChange& change : response.changes()) PrintChange(session, change);
  for (const std::string& warning : response.warnings()) {
    session.Print(session.Toned("warning: " + Printable(warning), Tone::kWarning));
  }
  session.Print(Summary(response, dry_run));
}

ExitCode Apply(Session& session, const ApplyOptions& options) {
  Result<Definitions> definitions = ReadFile(session, options.file);
  if (!definitions.ok()) return session.Fail(definitions.failure());
  v1::ApplyRequest& request = definitions->request;
  request.set_dry_run(options.dry_run);
  request.set_prune(options.prune);
  request.set_reason(options.reason);

  constexpr auto kApply = &v1::DefinitionService::Stub::Apply;
  const Result<v1::ApplyResponse> response =
      options.dry_run ? session.Call(kApply, request) : session.Mutate(kApply, request);
  if (!response.ok()) {
    Failure failure = response.failure();
    for (Problem& problem : failure.problems) Locate(*definitions, problem);
    return session.Fail(failure);
  }
  if (session.wants_json()) {
    session.Print(ToJson(*response));
  } else {
    PrintDiff(session, *response, options.dry_run);
  }
  return ExitCode::kOk;
}

constexpr const char* kExamples = R"(The file:
  endpoints:
    oci-fra: { kafka: { bootstrap: ["broker:9092"], profile: oci-streaming, ca: oci-ca.pem,
                        credential: oci-user } }
    aws-iad: { kafka: { bootstrap: ["broker:9094"], profile: kafka, ca: aws-ca.pem,
                        credential: aws-client } }
    search:  { opensearch: { addresses: ["https://search:9200"], ca: search-ca.pem,
                             credential: search-user } }
  bridges:
    oci-logs:
      source: { endpoint: oci-fra, topics: [audit, "/vcn-.*/"], start: earliest }
      target: { endpoint: aws-iad, topic: "oci.{topic}" }
      placement: { cloud: oci }
      lanes: 2
    oci-search:
      source: { endpoint: oci-fra, topics: [audit] }
      target: { endpoint: search, index: "logs-{topic}-{+yyyy.MM.dd}" }
An endpoint's kafka also takes: ca_pem (the certificate itself), tls: false, cluster_key,
source_retention: 24h. An endpoint's opensearch also takes: ca_pem, product (opensearch,
elasticsearch). A source's start: earliest, latest, or a time like 2026-03-14T09:00:00Z. A target
topic also takes: compression (none, gzip, snappy, lz4, zstd), replication_factor,
provenance: false, require_idempotence: true. A target index also takes: dead_letter_index or
dead_letter_topic, dead_letter_max_percent. File names count from the folder of the YAML file.

Examples:
  drawbridge apply -f bridges.yaml --dry-run      what would change
  drawbridge apply -f bridges.yaml                change it, all or nothing; safe to repeat
  drawbridge apply -f all.yaml --prune            and delete what the file does not name
  generate | drawbridge apply -f - -o json)";

}  // namespace

void AddApply(CLI::App& app, Verb& chosen) {
  auto options = std::make_shared<ApplyOptions>();
  CLI::App& apply =
      *app.add_subcommand("apply", "Make the endpoints and bridges of a YAML file true");
  apply.add_option("-f,--file", options->file, "The file; - for standard input")
      ->type_name("FILE")
      ->required();
  apply.add_flag("--dry-run", options->dry_run, "Only show what would change");
  apply.add_flag("--prune", options->prune,
                 "Delete the endpoints and bridges that the file does not name");
  AddReason(apply, options->reason);
  apply.footer(kExamples);
  Bind(apply, chosen, std::move(options), Apply);
}

}  // namespace drawbridge::cli
