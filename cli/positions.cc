#include <memory>

#include "cli/listing.h"
#include "cli/tables.h"
#include "cli/values.h"
#include "cli/verbs.h"

namespace drawbridge::cli {
namespace {

struct PositionOptions {
  std::string stream;
};

// What a checkpoint is made of: the rest of a partition is `get partitions`.
ExitCode Checkpoints(Session& session, const PositionOptions& options) {
  const auto partitions = AllPartitions(session, ParseStreamName(options.stream));
  if (!partitions.ok()) return session.Fail(partitions.failure());
  if (session.wants_json()) {
    session.Print(Json{{"checkpoints", ToJson(*partitions)["partitions"]}});
  } else {
    session.Print(CheckpointTable(*partitions, session.terminal().clock.WallNow()),
                  "no checkpoints");
  }
  return ExitCode::kOk;
}

ExitCode Gaps(Session& session, const PositionOptions& options) {
  const auto gaps = AllGaps(session, ParseStreamName(options.stream));
  if (!gaps.ok()) return session.Fail(gaps.failure());
  if (session.wants_json()) {
    Json json = ToJson(*gaps);
    json.erase("next_page_token");
    session.Print(json);
  } else {
    session.Print(GapTable(*gaps), "no gaps: no record is known to be lost");
  }
  return ExitCode::kOk;
}

std::shared_ptr<PositionOptions> AddOptions(CLI::App& verb) {
  auto options = std::make_shared<PositionOptions>();
  verb.add_option("STREAM", options->stream, "Only these: BRIDGE or BRIDGE/TOPIC")->type_name("");
  return options;
}

}  // namespace

void AddCheckpointsAndGaps(CLI::App& app, Verb& chosen) {
  CLI::App& checkpoints =
      *app.add_subcommand("checkpoints", "Show how far each partition is confirmed");
  checkpoints.footer(
      "A checkpoint is the next offset to read: all below it has arrived, or is in a gap.\n\n"
      "Examples:\n  drawbridge checkpoints\n  drawbridge checkpoints oci-logs/audit -o json");
  Bind(checkpoints, chosen, AddOptions(checkpoints), Checkpoints);
  CLI::App& gaps = *app.add_subcommand("gaps", "Show the offsets that will never be delivered");
  gaps.footer(
      "FROM is the first offset missing, TO the first after it that is not.\n\n"
      "Examples:\n  drawbridge gaps\n  drawbridge gaps oci-logs -o json | jq '.gaps | length'");
  Bind(gaps, chosen, AddOptions(gaps), Gaps);
}

}  // namespace drawbridge::cli
