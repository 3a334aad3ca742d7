#include <memory>

#include <fmt/format.h>

#include "cli/text.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "drawbridge/v1/relay_admin.grpc.pb.h"
#include "model/convert/time.h"

namespace drawbridge::cli {
namespace {

struct TokenOptions {
  std::string relay;
  std::vector<std::string> labels;
  Duration ttl{0};  // 0: the server's default
  std::string reason;
};

// "cloud=oci" into the map; what is wrong with it otherwise.
std::optional<Failure> AddLabel(const std::string& label,
                                google::protobuf::Map<std::string, std::string>& labels) {
  const size_t equals = label.find('=');
  if (equals == label.npos || equals == 0 || equals + 1 == label.size()) {
    return UsageFailure(Reason::kFieldInvalid,
                        fmt::format("\"{}\" is no label: write key=value, like cloud=oci", label),
                        "label");
  }
  const std::string key = label.substr(0, equals);
  if (labels.contains(key)) {
    return UsageFailure(Reason::kNameTaken, fmt::format("the label {} is given twice", key),
                        "label");
  }
  labels[key] = label.substr(equals + 1);
  return std::nullopt;
}

// Where a relay keeps its identity and journal, unless its operator wants it elsewhere.
constexpr std::string_view kRelayState = "/var/lib/drawbridge-relay";

// The line to run on the relay's machine. The token goes in by standard input: arguments can be
// seen by every user there.
std::string EnrolLine(const std::string& server, const std::string& ca_pin) {
  return fmt::format("drawbridge-relay enroll --state {} --server {} --token-file - --ca-pin {}",
                     kRelayState, Printable(server), Printable(ca_pin));
}

void PrintToken(Session& session, const TokenOptions& options,
                const v1::CreateEnrolmentTokenResponse& response) {
  const std::string line = EnrolLine(session.server(), response.ca_pin());
  if (session.wants_json()) {
    Json json = ToJson(response);
    json["relay"] = options.relay;
    json["enroll_command"] = line;
    session.Print(json);
    return;
  }
  session.Print(fmt::format("token: {}\n", Printable(response.token())));
  session.Print(fmt::format("It is shown this once, can be used once, and ends at {}.",
                            OrUnknown(response.has_expires_at(), response.expires_at())));
  session.Print(fmt::format("On the machine of {}, run this and give it the token:\n",
                            Printable(options.relay)));
  session.Print("  " + line);
  session.Print(
      fmt::format("\nThen, and whenever the machine starts:\n\n"
                  "  drawbridge-relay run --state {}\n\n"
                  "Another folder does as well: empty, and the same in both.",
                  kRelayState));
}

ExitCode CreateToken(Session& session, const TokenOptions& options) {
  v1::CreateEnrolmentTokenRequest request;
  request.set_relay(options.relay);
  request.set_reason(options.reason);
  for (const std::string& label : options.labels) {
    const std::optional<Failure> wrong = AddLabel(label, *request.mutable_labels());
    if (wrong) return session.Fail(*wrong);
  }
  if (options.ttl > Duration{0}) {
    *request.mutable_ttl() = ToProto(options.ttl);
  }
  const auto response =
      session.Mutate(&v1::RelayService::Stub::CreateEnrolmentToken, std::move(request));
  if (!response.ok()) return session.Fail(response.failure());
  PrintToken(session, options, *response);
  return ExitCode::kOk;
}

struct RevokeOptions {
  std::string relay;
  std::string reason;
};

ExitCode Revoke(Session& session, const RevokeOptions& options) {
  v1::RevokeRelayRequest request;
  request.set_name(options.relay);
  request.set_reason(options.reason);
  const auto relay = session.Mutate(&v1::RelayService::Stub::RevokeRelay, std::move(request));
  if (!relay.ok()) return session.Fail(relay.failure());
  if (session.wants_json()) {
    session.Print(ToJson(*relay));
  } else {
    session.Print(
        fmt::format("relay {} is {}", Printable(relay->name()), WordOrUnknown(relay->state())));
  }
  return ExitCode::kOk;
}

constexpr const char* kTokenExamples =
    R"(The token is for one machine, which it lets enrol once under the name and the labels given
here.

Examples:
  drawbridge relay token create relay-oci-1 --label cloud=oci --label region=fra
  drawbridge relay token create relay-aws-1 --label cloud=aws --ttl 1h -o json | jq -r .token)";

constexpr const char* kRevokeExamples =
    R"(Its session is closed within 5 s and its partitions go to others. It cannot be undone; the
machine can enrol again under another name.

Examples:
  drawbridge relay revoke relay-oci-1 --reason "machine was lost")";

void AddTokenCreate(CLI::App& relay, Verb& chosen) {
  CLI::App& token = *relay.add_subcommand("token", "Tokens with which relays enrol");
  token.require_subcommand(1);
  token.footer("A token lets one machine become one relay, once.");
  auto options = std::make_shared<TokenOptions>();
  CLI::App& create = *token.add_subcommand("create", "Make a token with which one relay can enrol");
  create.add_option("NAME", options->relay, "The name that the relay will have")
      ->required()
      ->type_name("");
  create.add_option("--label", options->labels, "A label that it will have; can be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  AddDuration(create, "--ttl", options->ttl,
              "How long the token can be used (default: 10m, at most 24h)");
  AddReason(create, options->reason);
  create.footer(kTokenExamples);
  Bind(create, chosen, std::move(options), CreateToken);
}

void AddRevoke(CLI::App& relay, Verb& chosen) {
  auto options = std::make_shared<RevokeOptions>();
  CLI::App& revoke = *relay.add_subcommand("revoke", "End a relay's identity for ever");
  revoke.add_option("NAME", options->relay, "The relay")->required()->type_name("");
  AddReason(revoke, options->reason);
  revoke.footer(kRevokeExamples);
  Bind(revoke, chosen, std::move(options), Revoke);
}

}  // namespace

void AddRelay(CLI::App& app, Verb& chosen) {
  CLI::App& relay = *app.add_subcommand("relay", "Enrol, list and revoke relays");
  relay.require_subcommand(1);
  relay.footer(
      "A machine becomes a relay with `relay token create` here and `drawbridge-relay enroll` "
      "there.");
  AddTokenCreate(relay, chosen);
  CLI::App& list = *relay.add_subcommand("list", "List the relays, as `get relays` does");
  list.callback([&chosen] { chosen = [](Session& session) { return GetAll(session, "relays"); }; });
  AddRevoke(relay, chosen);
}

}  // namespace drawbridge::cli
