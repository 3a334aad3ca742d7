#include "cli/status_view.h"

#include <map>

#include <fmt/format.h>

#include "cli/text.h"
#include "cli/values.h"
#include "model/convert/time.h"

namespace drawbridge::cli {
namespace {

Duration AgeOf(const FleetSnapshot& fleet, BootTime now) {
  return fleet.seen_at ? now - *fleet.seen_at : Duration{0};
}

// How old the evidence behind a stream's values is: what it was when the server said so, and since.
Cell AgeCell(const v1::StreamStatus& status, Duration since_seen) {
  constexpr Duration kOld = std::chrono::seconds{30};
  const StatusOr<Duration> then = FromProto(status.age());
  if (!status.has_age() || !then.ok()) return kUnknown;
  const Duration age = *then + since_seen;
  return {ToText(std::chrono::floor<std::chrono::seconds>(age)),
          age > kOld ? Tone::kWarning : Tone::kPlain};
}

Cell ProblemCell(const google::protobuf::RepeatedPtrField<v1::Condition>& conditions) {
  return {ConditionText(conditions), Tone::kBad};
}

void AddStream(const v1::Stream& stream, Duration since_seen, Table& table) {
  const v1::StreamStatus& status = stream.status();
  table.Add({stream.bridge(), stream.topic(), StreamStateCell(stream),
             OrUnknown(status.has_lag_records(), status.lag_records()),
             OrUnknown(status.has_lag(), status.lag()),
             RateOrUnknown(status.has_records_per_second(), status.records_per_second()),
             MegabytesOrUnknown(status.has_bytes_per_second(), status.bytes_per_second()),
             AgeCell(status, since_seen), ProblemCell(status.conditions())});
}

// A line for the bridge itself, if there is something to say that no stream of it says.
void AddBridge(const v1::Bridge& bridge, const std::vector<const v1::Stream*>& streams,
               Table& table) {
  google::protobuf::RepeatedPtrField<v1::Condition> own;
  for (const v1::Condition& condition : bridge.status().conditions()) {
    const bool is_a_streams = std::ranges::any_of(
        streams, [&](const v1::Stream* stream) { return stream->topic() == condition.topic(); });
    if (!is_a_streams) *own.Add() = condition;
  }
  if (!streams.empty() && own.empty()) return;
  const Cell state = bridge.paused() ? Cell("paused", Tone::kWarning)
                     : !own.empty()  ? Cell("has problems", Tone::kBad)
                                     : Cell("no stream yet", Tone::kWarning);
  table.Add({bridge.name(), "(bridge)", state, "", "", "", "", "", ProblemCell(own)});
}

Table FleetTable(const FleetSnapshot& fleet, Duration since_seen) {
  Table table({{"BRIDGE"},
               {"TOPIC"},
               {"STATE"},
               {"LAG", Align::kRight},
               {"BEHIND", Align::kRight},
               {"RECORDS/S", Align::kRight},
               {"MB/S", Align::kRight},
               {"AGE", Align::kRight},
               {"LAST ERROR"}});
  std::map<std::string, std::vector<const v1::Stream*>> streams_of;
  for (const v1::Stream& stream : fleet.streams.streams()) {
    streams_of[stream.bridge()].push_back(&stream);
  }
  for (const v1::Bridge& bridge : fleet.bridges.bridges()) {
    const std::vector<const v1::Stream*>& streams = streams_of[bridge.name()];
    AddBridge(bridge, streams, table);
    for (const v1::Stream* stream : streams) AddStream(*stream, since_seen, table);
  }
  return table;
}

// "4 streams: 3 delivering, 1 blocked".
std::string Summary(const v1::ListStreamsResponse& list) {
  std::map<v1::Motion, int> streams_in;
  int deselected = 0;
  for (const v1::Stream& stream : list.streams()) {
    ++(stream.deselected() ? deselected : streams_in[stream.status().motion()]);
  }
  const int count = list.streams_size();
  std::string text = fmt::format("{} stream{}", count, count == 1 ? "" : "s");
  std::string_view separator = ": ";
  for (const auto& [motion, streams] : streams_in) {
    const std::string word = WordOrUnknown(motion);
    text += fmt::format("{}{} {}", separator, streams, word == kUnknown ? "unknown" : word);
    separator = ", ";
  }
  if (deselected > 0) text += fmt::format("{}{} not selected", separator, deselected);
  return text;
}

std::string Headline(const FleetSnapshot& fleet, WallTime wall_now, BootTime now,
                     const TableStyle& style) {
  std::string text = ToText(wall_now) + "  ";
  Tone tone = Tone::kPlain;
  if (fleet.away) {
    tone = Tone::kBad;
    text += fleet.seen_at
                ? fmt::format("SERVER AWAY, the values are {} old; ",
                              ToText(std::chrono::floor<std::chrono::seconds>(AgeOf(fleet, now))))
                : "SERVER AWAY, nothing is known yet; ";
    text += ToString(*fleet.away);
  } else {
    text += Summary(fleet.streams);
  }
  text = CutToWidth(text, style.width_max.value_or(std::string::npos));
  return style.has_colour ? Coloured(text, tone) : text;
}

}  // namespace

std::vector<std::string> StatusLines(const FleetSnapshot& fleet, WallTime wall_now, BootTime now,
                                     const TableStyle& style) {
  std::vector<std::string> lines{Headline(fleet, wall_now, now, style)};
  const Table table = FleetTable(fleet, AgeOf(fleet, now));
  if (table.empty()) {
    if (fleet.seen_at) lines.emplace_back("no bridges");
    return lines;
  }
  for (std::string& line : table.Lines(style)) lines.push_back(std::move(line));
  return lines;
}

Json StatusJson(const FleetSnapshot& fleet, WallTime wall_now, BootTime now) {
  Json json;
  json["at"] = ToRfc3339(wall_now);
  json["server"]["reachable"] = !fleet.away.has_value();
  json["server"]["age_seconds"] =
      fleet.seen_at ? Json(std::chrono::duration<double>(AgeOf(fleet, now)).count())
                    : Json(nullptr);
  json["server"]["error"] =
      fleet.away ? ToJson(Failure{ExitCode::kUnreachable, {*fleet.away}})["errors"][0]
                 : Json(nullptr);
  json["bridges"] = ToJson(fleet.bridges)["bridges"];
  json["streams"] = ToJson(fleet.streams)["streams"];
  return json;
}

}  // namespace drawbridge::cli
