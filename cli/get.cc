#include <map>
#include <memory>

#include "cli/listing.h"
#include "cli/tables.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "drawbridge/v1/bridge.grpc.pb.h"
#include "drawbridge/v1/credential.grpc.pb.h"
#include "drawbridge/v1/endpoint.grpc.pb.h"
#include "drawbridge/v1/relay_admin.grpc.pb.h"
#include "drawbridge/v1/stream.grpc.pb.h"

namespace drawbridge::cli {
namespace {

struct GetOptions {
  std::string kind;
  std::string name;
};

WallTime Now(Session& session) { return session.terminal().clock.WallNow(); }

// Shows a list in the format that was asked for, or why there is none.
template <typename List, typename ToTable>
ExitCode Show(Session& session, const Result<List>& list, ToTable to_table,
              const std::string& if_empty) {
  if (!list.ok()) return session.Fail(list.failure());
  if (session.wants_json()) {
    Json json = ToJson(*list);
    json.erase("next_page_token");  // all pages are here
    session.Print(json);
  } else {
    session.Print(to_table(*list), if_empty);
  }
  return ExitCode::kOk;
}

// A list of the one that `request` names.
template <typename List, typename Stub, typename Request, typename Response>
Result<List> ListOfOne(Session& session, Method<Stub, Request, Response> method,
                       const Request& request, Response* (List::*add)()) {
  Result<Response> one = session.Call(method, request);
  if (!one.ok()) return one.failure();
  List list;
  *(list.*add)() = *std::move(one);
  return list;
}

template <typename Request>
Request Named(const std::string& name) {
  Request request;
  request.set_name(name);
  return request;
}

ExitCode GetEndpoints(Session& session, const std::string& name) {
  using Stub = v1::EndpointService::Stub;
  const auto list =
      name.empty() ? session.Call(&Stub::ListEndpoints, {})
                   : ListOfOne(session, &Stub::GetEndpoint, Named<v1::GetEndpointRequest>(name),
                               &v1::ListEndpointsResponse::add_endpoints);
  return Show(session, list, EndpointTable, "no endpoints: make some with `drawbridge apply`");
}

ExitCode GetBridges(Session& session, const std::string& name) {
  using Stub = v1::BridgeService::Stub;
  const auto list = name.empty()
                        ? session.Call(&Stub::ListBridges, {})
                        : ListOfOne(session, &Stub::GetBridge, Named<v1::GetBridgeRequest>(name),
                                    &v1::ListBridgesResponse::add_bridges);
  return Show(session, list, BridgeTable, "no bridges: make some with `drawbridge apply`");
}

ExitCode GetStreams(Session& session, const std::string& name) {
  using Stub = v1::StreamService::Stub;
  const StreamName stream = ParseStreamName(name);
  v1::ListStreamsRequest all;
  all.set_bridge(stream.bridge);
  v1::GetStreamRequest one;
  one.set_bridge(stream.bridge);
  one.set_topic(stream.topic);
  const auto list = stream.topic.empty() ? session.Call(&Stub::ListStreams, all)
                                         : ListOfOne(session, &Stub::GetStream, one,
                                                     &v1::ListStreamsResponse::add_streams);
  return Show(session, list, StreamTable,
              "no streams: a survey makes them, once a relay that may run the bridge is connected");
}

ExitCode GetPartitions(Session& session, const std::string& name) {
  return Show(session, AllPartitions(session, ParseStreamName(name)), PartitionTable,
              "no partitions");
}

ExitCode GetCredentials(Session& session, const std::string& name) {
  using Stub = v1::CredentialService::Stub;
  const auto list =
      name.empty() ? session.Call(&Stub::ListCredentials, {})
                   : ListOfOne(session, &Stub::GetCredential, Named<v1::GetCredentialRequest>(name),
                               &v1::ListCredentialsResponse::add_credentials);
  const auto to_table = [&](const v1::ListCredentialsResponse& credentials) {
    return CredentialTable(credentials, Now(session));
  };
  return Show(session, list, to_table,
              "no credentials: store one with `drawbridge credential set`");
}

ExitCode GetRelays(Session& session, const std::string& name) {
  using Stub = v1::RelayService::Stub;
  const auto list = name.empty()
                        ? session.Call(&Stub::ListRelays, {})
                        : ListOfOne(session, &Stub::GetRelay, Named<v1::GetRelayRequest>(name),
                                    &v1::ListRelaysResponse::add_relays);
  const auto to_table = [&](const v1::ListRelaysResponse& relays) {
    return RelayTable(relays, Now(session));
  };
  return Show(session, list, to_table,
              "no relays: enrol one with the help of `drawbridge relay token create`");
}

using Getter = ExitCode (*)(Session&, const std::string&);

const std::map<std::string, Getter>& Getters() {
  static const std::map<std::string, Getter> kGetters = {
      {"endpoints", GetEndpoints},   {"bridges", GetBridges},         {"streams", GetStreams},
      {"partitions", GetPartitions}, {"credentials", GetCredentials}, {"relays", GetRelays}};
  return kGetters;
}

ExitCode Get(Session& session, const GetOptions& options) {
  return Getters().at(options.kind)(session, options.name);
}

// So that "get bridge x" works as "get bridges x" does.
std::string Plural(const std::string& kind) {
  return Getters().contains(kind + "s") ? kind + "s" : kind;
}

constexpr const char* kExamples =
    R"(A "?" is a value that is not known at present. LAG counts records, BEHIND is the age of the
oldest record that the target has not confirmed.

Examples:
  drawbridge get bridges
  drawbridge get streams oci-logs
  drawbridge get partitions oci-logs/audit
  drawbridge get streams -o json | jq '.streams[] | select(.status.lag_records > 1000) | .topic')";

}  // namespace

// The lists that other verbs show too: `relay list`, `credential list`.
ExitCode GetAll(Session& session, const std::string& kind) {
  return Getters().at(kind)(session, "");
}

void AddGet(CLI::App& app, Verb& chosen) {
  auto options = std::make_shared<GetOptions>();
  CLI::App& get = *app.add_subcommand("get", "List what there is");
  get.add_option("KIND", options->kind,
                 "endpoints, bridges, streams, partitions, credentials or relays")
      ->required()
      ->transform(Plural)
      ->check(OneOf({"endpoints", "bridges", "streams", "partitions", "credentials", "relays"}))
      ->type_name("");
  get.add_option("NAME", options->name,
                 "Only this one; for streams and partitions BRIDGE or BRIDGE/TOPIC")
      ->type_name("");
  get.footer(kExamples);
  Bind(get, chosen, std::move(options), Get);
}

}  // namespace drawbridge::cli
