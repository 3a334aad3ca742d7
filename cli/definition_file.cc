#include "cli/definition_file.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/util/time_util.h>

#include "cli/input.h"
#include "cli/text.h"
#include "cli/words.h"
#include "cli/yaml_file.h"
#include "model/convert/time.h"
#include "model/definition.h"

namespace drawbridge::cli {
namespace {

using google::protobuf::util::TimeUtil;

constexpr int32_t kReplicasMax = std::numeric_limits<int16_t>::max();

// Reads a field if the file has it: Set(fields.Find("topic"), [&](std::string text) {…}).
template <typename Setter>
void SetText(const YamlValue* value, Setter set) {
  if (value == nullptr) return;
  if (std::optional<std::string> text = value->Text()) set(*std::move(text));
}

template <typename Setter>
void SetInteger(const YamlValue* value, int32_t least, int32_t most, Setter set) {
  if (value == nullptr) return;
  if (const auto number = value->Integer(least, most)) set(static_cast<int32_t>(*number));
}

template <typename Setter>
void SetFlag(const YamlValue* value, Setter set) {
  if (value == nullptr) return;
  if (const std::optional<bool> flag = value->Flag()) set(*flag);
}

// A value of an enum, spelled as files and tables do: PROFILE_OCI_STREAMING is "oci-streaming".
template <typename Enum, typename Setter>
void SetEnum(const YamlValue* value, std::string_view what, Setter set) {
  SetText(value, [&](const std::string& word) {
    if (const std::optional<Enum> known = EnumFromWord<Enum>(word)) return set(*known);
    const std::vector<std::string> words = EnumWords<Enum>();
    const std::vector<std::string_view> views(words.begin(), words.end());
    const std::string_view nearest = Nearest(word, views);
    value->Refuse(
        Reason::kFieldInvalid,
        fmt::format("there is no {} {}: {}", what, CutToWidth(word, 80),
                    nearest.empty() ? fmt::format("write one of {}", fmt::join(words, ", "))
                                    : fmt::format("did you mean {}?", nearest)));
  });
}

// What goes to the server as a CA is shown to everybody: it must be one.
template <typename Endpoint>
void SetCaPem(const YamlValue& value, std::string pem, Endpoint& endpoint) {
  if (pem.find("PRIVATE KEY-----") != pem.npos) {
    value.RefuseAs(
        "holds a private key: give the CA's certificate only, and keys with "
        "`drawbridge credential set`");
  } else if (pem.find("-----BEGIN CERTIFICATE-----") == pem.npos || FindInvalidUtf8(pem)) {
    value.RefuseAs("holds no certificate in PEM form");
  } else if (value.Take(pem.size())) {
    endpoint.set_ca_pem(std::move(pem));
  }
}

template <typename Endpoint>
void SetCaFile(const YamlValue& value, const std::filesystem::path& name, Endpoint& endpoint) {
  StatusOr<std::string> pem = ReadInput(name);
  if (pem.ok()) return SetCaPem(value, std::move(*pem), endpoint);
  value.Refuse(Reason::kFieldInvalid,
               fmt::format("{}; a path counts from the folder of this file, or inline the "
                           "certificate as ca_pem",
                           pem.status().message()));
}

template <typename Endpoint>
void SetCa(const YamlFields& fields, const std::filesystem::path& folder, Endpoint& endpoint) {
  const YamlValue* file = fields.Find("ca");
  const YamlValue* inlined = fields.Find("ca_pem");
  if (file != nullptr && inlined != nullptr) {
    return inlined->RefuseAs("stands beside ca: keep one of the two");
  }
  SetText(file, [&](const std::string& name) { SetCaFile(*file, folder / name, endpoint); });
  SetText(inlined, [&](std::string pem) { SetCaPem(*inlined, std::move(pem), endpoint); });
}

void SetDuration(const YamlValue* value, google::protobuf::Duration* target) {
  SetText(value, [&](const std::string& text) {
    const std::optional<Duration> duration = ParseDuration(text);
    if (!duration) {
      value->RefuseAs(fmt::format("is \"{}\": write a duration with its unit, like 24h or 7d",
                                  CutToWidth(text, 40)));
      return;
    }
    *target = ToProto(*duration);
  });
}

void ReadKafka(const YamlValue& value, const std::filesystem::path& folder,
               v1::KafkaEndpoint& kafka) {
  const YamlFields fields = value.Fields({"bootstrap", "profile", "ca", "ca_pem", "credential",
                                          "tls", "cluster_key", "source_retention"});
  if (const YamlValue* bootstrap = fields.Find("bootstrap")) {
    for (const YamlValue& address : bootstrap->List()) {
      SetText(&address, [&](std::string text) { kafka.add_bootstrap(std::move(text)); });
    }
  }
  SetEnum<v1::Profile>(fields.Find("profile"), "profile",
                       [&](v1::Profile profile) { kafka.set_profile(profile); });
  SetCa(fields, folder, kafka);
  SetText(fields.Find("credential"), [&](auto name) { kafka.set_credential(std::move(name)); });
  SetFlag(fields.Find("tls"), [&](bool tls) { kafka.set_plaintext(!tls); });
  SetText(fields.Find("cluster_key"), [&](auto key) { kafka.set_cluster_key(std::move(key)); });
  if (const YamlValue* retention = fields.Find("source_retention")) {
    SetDuration(retention, kafka.mutable_source_retention());
  }
}

void ReadOpenSearch(const YamlValue& value, const std::filesystem::path& folder,
                    v1::OpenSearchEndpoint& engine) {
  const YamlFields fields = value.Fields({"addresses", "product", "ca", "ca_pem", "credential"});
  if (const YamlValue* addresses = fields.Find("addresses")) {
    for (const YamlValue& address : addresses->List()) {
      SetText(&address, [&](std::string text) { engine.add_addresses(std::move(text)); });
    }
  }
  SetEnum<v1::SearchProduct>(fields.Find("product"), "product",
                             [&](v1::SearchProduct product) { engine.set_product(product); });
  SetCa(fields, folder, engine);
  SetText(fields.Find("credential"), [&](auto name) { engine.set_credential(std::move(name)); });
}

void ReadEndpoint(const YamlValue& value, const std::filesystem::path& folder,
                  v1::Endpoint& endpoint) {
  const YamlFields fields = value.Fields({"kafka", "opensearch"});
  const YamlValue* const kafka = fields.Find("kafka");
  const YamlValue* const engine = fields.Find("opensearch");
  if (kafka != nullptr && engine != nullptr) {
    return engine->RefuseAs("stands beside kafka: an endpoint is one of the two");
  }
  if (kafka != nullptr) ReadKafka(*kafka, folder, *endpoint.mutable_kafka());
  if (engine != nullptr) ReadOpenSearch(*engine, folder, *endpoint.mutable_opensearch());
}

void SetStart(const YamlValue* value, v1::Start& start) {
  SetText(value, [&](const std::string& text) {
    if (text == "earliest") return start.set_earliest(true);
    if (text == "latest") return start.set_latest(true);
    if (TimeUtil::FromString(text, start.mutable_time())) return;
    value->RefuseAs(
        fmt::format("is \"{}\": write earliest, latest, or a time with its zone, like "
                    "2026-03-14T09:00:00Z",
                    CutToWidth(text, 40)));
  });
}

void ReadSource(const YamlValue& value, v1::BridgeSource& source) {
  const YamlFields fields = value.Fields({"endpoint", "topics", "start"});
  SetText(fields.Find("endpoint"), [&](auto name) { source.set_endpoint(std::move(name)); });
  if (const YamlValue* topics = fields.Find("topics")) {
    for (const YamlValue& topic : topics->List()) {
      SetText(&topic, [&](std::string text) { source.add_topics(std::move(text)); });
    }
  }
  if (const YamlValue* start = fields.Find("start")) SetStart(start, *source.mutable_start());
}

void ReadTarget(const YamlValue& value, v1::BridgeTarget& target) {
  const YamlFields fields =
      value.Fields({"endpoint", "topic", "compression", "replication_factor", "provenance",
                    "require_idempotence", "index", "dead_letter_index", "dead_letter_topic",
                    "dead_letter_max_percent"});
  SetText(fields.Find("endpoint"), [&](auto name) { target.set_endpoint(std::move(name)); });
  SetText(fields.Find("topic"), [&](auto topic) { target.set_topic(std::move(topic)); });
  SetEnum<v1::Compression>(fields.Find("compression"), "compression",
                           [&](v1::Compression codec) { target.set_compression(codec); });
  SetInteger(fields.Find("replication_factor"), 0, kReplicasMax,
             [&](int32_t replicas) { target.set_replication_factor(replicas); });
  SetFlag(fields.Find("provenance"),
          [&](bool provenance) { target.set_omit_provenance(!provenance); });
  SetFlag(fields.Find("require_idempotence"),
          [&](bool is_required) { target.set_require_idempotence(is_required); });
  SetText(fields.Find("index"), [&](auto index) { target.set_index(std::move(index)); });
  SetText(fields.Find("dead_letter_index"),
          [&](auto index) { target.set_dead_letter_index(std::move(index)); });
  SetText(fields.Find("dead_letter_topic"),
          [&](auto topic) { target.set_dead_letter_topic(std::move(topic)); });
  SetInteger(fields.Find("dead_letter_max_percent"), 0, 100,
             [&](int32_t percent) { target.set_dead_letter_max_percent(percent); });
}

void ReadPlacement(const YamlValue& value, v1::Placement& placement) {
  for (const auto& [label, content] : value.Entries()) {
    SetText(&content, [&, &key = label](std::string text) {
      (*placement.mutable_labels())[key] = std::move(text);
    });
  }
}

void ReadBridge(const YamlValue& value, v1::BridgeSpec& spec) {
  const YamlFields fields = value.Fields({"source", "target", "placement", "lanes"});
  if (const YamlValue* source = fields.Find("source")) ReadSource(*source, *spec.mutable_source());
  if (const YamlValue* target = fields.Find("target")) ReadTarget(*target, *spec.mutable_target());
  if (const YamlValue* placement = fields.Find("placement")) {
    ReadPlacement(*placement, *spec.mutable_placement());
  }
  // 0 would travel as "not given".
  SetInteger(fields.Find("lanes"), 1, kLanesMax, [&](int32_t lanes) { spec.set_lanes(lanes); });
}

void ReadRoot(const YamlValue& root, const std::filesystem::path& folder,
              v1::ApplyRequest& request) {
  const YamlFields fields = root.Fields({"endpoints", "bridges"});
  if (const YamlValue* endpoints = fields.Find("endpoints")) {
    for (const auto& [name, value] : endpoints->Entries(Reason::kNameTaken)) {
      v1::Endpoint& endpoint = *request.add_endpoints();
      endpoint.set_name(name);
      ReadEndpoint(value, folder, endpoint);
    }
  }
  if (const YamlValue* bridges = fields.Find("bridges")) {
    for (const auto& [name, value] : bridges->Entries(Reason::kNameTaken)) {
      v1::Bridge& bridge = *request.add_bridges();
      bridge.set_name(name);
      ReadBridge(value, *bridge.mutable_spec());
    }
  }
}

// The name of the definition that a path means by "oci-logs" or, by its place in the request, "0".
template <typename List>
std::string NameOf(const std::string& key, const List& list) {
  const bool is_index = !key.empty() && std::ranges::all_of(key, [](char letter) {
    return letter >= '0' && letter <= '9';
  });
  if (!is_index || key.size() > 6 || std::stoi(key) >= list.size()) return key;
  return list.Get(std::stoi(key)).name();
}

// "bridges[oci-logs].spec.source.topics[1]" -> "bridges.oci-logs.source.topics[1]".
std::string AsSpelledInFiles(std::string path, const v1::ApplyRequest& request) {
  const size_t open = path.find('[');
  const size_t close = path.find(']');
  if (open != path.npos && close != path.npos && open < close) {
    const std::string list = path.substr(0, open);
    const std::string key = path.substr(open + 1, close - open - 1);
    const std::string name =
        list == "bridges" ? NameOf(key, request.bridges()) : NameOf(key, request.endpoints());
    path = fmt::format("{}.{}{}", list, name, path.substr(close + 1));
  }
  const std::pair<std::string_view, std::string_view> spellings[] = {
      {".spec.", "."},
      {".placement.labels", ".placement"},
      {".kafka.ca_pem", ".kafka.ca"},
      {".opensearch.ca_pem", ".opensearch.ca"},
      {".plaintext", ".tls"},
      {".omit_provenance", ".provenance"}};
  for (const auto& [from, to] : spellings) {
    const size_t at = path.find(from);
    if (at != path.npos) path.replace(at, from.size(), to);
  }
  return path;
}

}  // namespace

Result<Definitions> ReadDefinitions(const std::string& text, const std::string& file_name,
                                    const std::filesystem::path& folder) {
  YamlFile file(file_name);
  Definitions definitions;
  if (const std::optional<YamlValue> root = file.Parse(text)) {
    ReadRoot(*root, folder, definitions.request);
  }
  if (!file.problems().empty()) return Failure{ExitCode::kUsage, file.problems()};
  definitions.positions = file.positions();
  return definitions;
}

void Locate(const Definitions& definitions, Problem& problem) {
  std::string path = AsSpelledInFiles(problem.field, definitions.request);
  // A field that the file leaves out is looked for where it would stand.
  while (!path.empty()) {
    const auto found = definitions.positions.find(path);
    if (found != definitions.positions.end()) {
      problem.at = found->second;
      return;
    }
    const size_t cut = path.find_last_of(".[");
    path.resize(cut == path.npos ? 0 : cut);
  }
}

}  // namespace drawbridge::cli
