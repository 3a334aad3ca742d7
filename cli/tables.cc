#include "cli/tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/text.h"
#include "cli/values.h"

namespace drawbridge::cli {
namespace {

std::string NumberText(int64_t number) { return WithSeparators(number); }

Cell RelayStateCell(const v1::Relay& relay) {
  const v1::RelayState state = relay.state();
  if (!relay.conditions().empty()) {
    return {fmt::format("{}, has problems", WordOrUnknown(state)), Tone::kBad};
  }
  const bool is_good = state == v1::RELAY_STATE_CONNECTED;
  const bool is_known = state != v1::RELAY_STATE_UNSPECIFIED;
  return {WordOrUnknown(state), is_good ? Tone::kGood : is_known ? Tone::kBad : Tone::kPlain};
}

// What a bridge does as far as the bridge itself tells; its streams tell the rest.
Cell BridgeStateCell(const v1::Bridge& bridge) {
  if (bridge.paused()) return {"paused", Tone::kWarning};
  if (!bridge.status().conditions().empty()) return {"has problems", Tone::kBad};
  if (!bridge.status().has_surveyed_at()) return {"not surveyed yet", Tone::kWarning};
  return {"active", Tone::kGood};
}

std::string EngineWord(const v1::OpenSearchEndpoint& engine) {
  return engine.product() == v1::SEARCH_PRODUCT_UNSPECIFIED ? "search engine"
                                                            : EnumWord(engine.product());
}

bool IsEncrypted(const v1::OpenSearchEndpoint& engine) {
  return engine.addresses_size() > 0 && engine.addresses(0).starts_with("https://");
}

std::string TargetTopic(const v1::BridgeTarget& target) {
  if (!target.index().empty()) return target.index();
  return target.topic().empty() ? "{topic}" : target.topic();
}

}  // namespace

Table EndpointTable(const v1::ListEndpointsResponse& list) {
  Table table({{"NAME"}, {"KIND"}, {"ADDRESSES"}, {"CREDENTIAL"}, {"TLS"}, {"CLUSTER"}});
  for (const v1::Endpoint& endpoint : list.endpoints()) {
    const std::string cluster = endpoint.cluster_id().empty() ? kUnknown : endpoint.cluster_id();
    if (endpoint.has_opensearch()) {
      const v1::OpenSearchEndpoint& engine = endpoint.opensearch();
      table.Add({endpoint.name(), EngineWord(engine),
                 fmt::format("{}", fmt::join(engine.addresses(), ",")), OrNone(engine.credential()),
                 IsEncrypted(engine) ? "yes" : "no", cluster});
      continue;
    }
    const v1::KafkaEndpoint& kafka = endpoint.kafka();
    const v1::Profile profile =
        kafka.profile() == v1::PROFILE_UNSPECIFIED ? v1::PROFILE_KAFKA : kafka.profile();
    table.Add({endpoint.name(), EnumWord(profile),
               fmt::format("{}", fmt::join(kafka.bootstrap(), ",")), OrNone(kafka.credential()),
               kafka.plaintext() ? "no" : "yes", cluster});
  }
  return table;
}

Table BridgeTable(const v1::ListBridgesResponse& list) {
  Table table({{"NAME"},
               {"SOURCE"},
               {"TOPICS"},
               {"TARGET"},
               {"TARGET TOPIC"},
               {"LANES", Align::kRight},
               {"STATE"},
               {"PROBLEM"}});
  for (const v1::Bridge& bridge : list.bridges()) {
    const v1::BridgeSpec& spec = bridge.spec();
    table.Add({bridge.name(), spec.source().endpoint(),
               fmt::format("{}", fmt::join(spec.source().topics(), ",")), spec.target().endpoint(),
               TargetTopic(spec.target()), NumberText(std::max(spec.lanes(), 1)),
               BridgeStateCell(bridge), ConditionText(bridge.status().conditions())});
  }
  return table;
}

Table StreamTable(const v1::ListStreamsResponse& list) {
  Table table({{"BRIDGE"},
               {"TOPIC"},
               {"TARGET TOPIC"},
               {"PARTITIONS", Align::kRight},
               {"STATE"},
               {"LAG", Align::kRight},
               {"BEHIND", Align::kRight},
               {"DELIVERED", Align::kRight},
               {"FILTERED", Align::kRight},
               {"DEAD LETTERS", Align::kRight},
               {"GAPS", Align::kRight},
               {"PROBLEM"}});
  for (const v1::Stream& stream : list.streams()) {
    const v1::StreamStatus& status = stream.status();
    table.Add({stream.bridge(), stream.topic(), stream.target_topic(),
               NumberText(stream.partitions()), StreamStateCell(stream),
               OrUnknown(status.has_lag_records(), status.lag_records()),
               OrUnknown(status.has_lag(), status.lag()), NumberText(status.records_delivered()),
               NumberText(status.records_filtered()), NumberText(status.dead_letters()),
               NumberText(status.gap_offsets()), ConditionText(status.conditions())});
  }
  return table;
}

Table PartitionTable(const v1::ListPartitionsResponse& list) {
  Table table({{"BRIDGE"},
               {"TOPIC"},
               {"PARTITION", Align::kRight},
               {"NEXT OFFSET", Align::kRight},
               {"LOG START", Align::kRight},
               {"LOG END", Align::kRight},
               {"IN FLIGHT", Align::kRight},
               {"BEHIND", Align::kRight},
               {"STATE"},
               {"RELAY"},
               {"EPOCH", Align::kRight}});
  for (const v1::Partition& partition : list.partitions()) {
    table.Add({partition.bridge(), partition.topic(), NumberText(partition.partition()),
               OrUnknown(partition.has_next_offset(), partition.next_offset()),
               OrUnknown(partition.has_log_start(), partition.log_start()),
               OrUnknown(partition.has_log_end(), partition.log_end()),
               OrUnknown(partition.has_in_flight(), partition.in_flight()),
               OrUnknown(partition.has_lag(), partition.lag()), MotionCell(partition.motion()),
               OrNone(partition.relay()), NumberText(partition.epoch())});
  }
  return table;
}

Table CredentialTable(const v1::ListCredentialsResponse& list, WallTime now) {
  Table table({{"NAME"}, {"KIND"}, {"VERSION", Align::kRight}, {"USER"}, {"ENDS"}, {"STORED"}});
  for (const v1::Credential& credential : list.credentials()) {
    table.Add({credential.name(), WordOrUnknown(credential.kind()),
               NumberText(credential.version()), OrNone(credential.username()),
               credential.has_not_after() ? OrUnknown(true, credential.not_after()) : kNone,
               AgoOrUnknown(credential.has_updated_at(), credential.updated_at(), now)});
  }
  return table;
}

Table RelayTable(const v1::ListRelaysResponse& list, WallTime now) {
  Table table({{"NAME"},
               {"STATE"},
               {"LABELS"},
               {"PARTITIONS", Align::kRight},
               {"SURVEYS", Align::kRight},
               {"LAST SEEN"},
               {"CERTIFICATE ENDS"},
               {"VERSION"},
               {"LIBRDKAFKA"}});
  for (const v1::Relay& relay : list.relays()) {
    table.Add({relay.name(), RelayStateCell(relay), OrNone(LabelText(relay.labels())),
               NumberText(relay.partitions()), NumberText(relay.surveys()),
               relay.has_last_seen() ? AgoOrUnknown(true, relay.last_seen(), now) : "never",
               OrUnknown(relay.has_certificate_not_after(), relay.certificate_not_after()),
               relay.version().empty() ? kUnknown : relay.version(),
               relay.librdkafka_version().empty() ? kUnknown : relay.librdkafka_version()});
  }
  return table;
}

Table CheckpointTable(const v1::ListPartitionsResponse& list, WallTime now) {
  Table table({{"BRIDGE"},
               {"TOPIC"},
               {"PARTITION", Align::kRight},
               {"NEXT OFFSET", Align::kRight},
               {"LAST CONFIRMED", Align::kRight},
               {"RELAY"},
               {"EPOCH", Align::kRight},
               {"INCARNATION", Align::kRight},
               {"STORED"}});
  for (const v1::Partition& partition : list.partitions()) {
    table.Add({partition.bridge(), partition.topic(), NumberText(partition.partition()),
               OrUnknown(partition.has_next_offset(), partition.next_offset()),
               partition.has_anchor() ? NumberText(partition.anchor().offset()) : kNone,
               OrNone(partition.relay()), NumberText(partition.epoch()),
               NumberText(partition.incarnation()),
               AgoOrUnknown(partition.has_updated_at(), partition.updated_at(), now)});
  }
  return table;
}

Table GapTable(const v1::ListGapsResponse& list) {
  Table table({{"BRIDGE"},
               {"TOPIC"},
               {"PARTITION", Align::kRight},
               {"FROM", Align::kRight},
               {"TO", Align::kRight},
               {"OFFSETS", Align::kRight},
               {"CAUSE"},
               {"STORED"}});
  for (const v1::Gap& gap : list.gaps()) {
    table.Add({gap.bridge(), gap.topic(), NumberText(gap.partition()),
               NumberText(gap.from_offset()), NumberText(gap.to_offset()),
               NumberText(gap.to_offset() - gap.from_offset()),
               Cell(WordOrUnknown(gap.cause()), Tone::kBad), OrUnknown(gap.has_at(), gap.at())});
  }
  return table;
}

Table DeadLetterTable(const v1::ListDeadLettersResponse& list) {
  Table table({{"BRIDGE"},
               {"TOPIC"},
               {"WAITING", Align::kRight},
               {"RETRIED", Align::kRight},
               {"FIRST"},
               {"LAST"},
               {"REASON"}});
  for (const v1::DeadLetterGroup& group : list.groups()) {
    const int64_t waiting = group.records() - group.retried();
    table.Add({group.bridge(), group.topic(), NumberText(waiting), NumberText(group.retried()),
               OrUnknown(group.has_first_at(), group.first_at()),
               OrUnknown(group.has_last_at(), group.last_at()),
               Cell(group.error(), waiting > 0 ? Tone::kBad : Tone::kPlain)});
  }
  return table;
}

Table LetterTable(const v1::ReadDeadLettersResponse& page) {
  constexpr size_t kValueWidth = 60;
  Table table({{"TOPIC"},
               {"PARTITION", Align::kRight},
               {"OFFSET", Align::kRight},
               {"REFUSED"},
               {"TRIES", Align::kRight},
               {"VALUE"},
               {"WHY"}});
  for (const v1::DeadLetter& letter : page.letters()) {
    const std::string value =
        letter.has_value() ? CutToWidth(Printable(letter.value()), kValueWidth) : "(null)";
    table.Add({letter.topic(), NumberText(letter.partition()), NumberText(letter.offset()),
               OrUnknown(letter.has_last_refused_at(), letter.last_refused_at()),
               NumberText(letter.attempts()), value, Cell(letter.reason(), Tone::kBad)});
  }
  return table;
}

Table ConditionTable(const google::protobuf::RepeatedPtrField<v1::Condition>& conditions) {
  Table table({{"REASON"},
               {"SIDE"},
               {"SINCE"},
               {"TOPIC"},
               {"PARTITION", Align::kRight},
               {"RELAY"},
               {"TEXT"}});
  for (const v1::Condition& condition : conditions) {
    const std::string reason = EnumName(condition.reason());
    table.Add({Cell(reason.empty() ? kUnknown : reason, Tone::kBad), condition.side(),
               OrUnknown(condition.has_since(), condition.since()),
               condition.topic().empty() ? "(all)" : condition.topic(),
               condition.has_partition() ? NumberText(condition.partition()) : "(all)",
               OrNone(condition.relay()), condition.text()});
  }
  return table;
}

}  // namespace drawbridge::cli
