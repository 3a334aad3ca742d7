#include <memory>

#include <fmt/format.h>

#include "cli/text.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "drawbridge/v1/endpoint.grpc.pb.h"

namespace drawbridge::cli {
namespace {

struct TestOptions {
  std::string name;
  std::string relay;
  std::vector<std::string> topics;
};

Table CheckTable(const v1::TestEndpointResponse& response) {
  Table table({{"CHECK"}, {"RESULT"}, {"REASON"}, {"DETAIL"}});
  for (const v1::EndpointCheck& check : response.checks()) {
    const std::string reason = EnumName(check.reason());
    table.Add({check.name(), check.ok() ? Cell("ok", Tone::kGood) : Cell("FAILED", Tone::kBad),
               check.ok()       ? kNone
               : reason.empty() ? kUnknown
                                : reason,
               check.detail()});
  }
  return table;
}

ExitCode Test(Session& session, const TestOptions& options) {
  v1::TestEndpointRequest request;
  request.set_name(options.name);
  request.set_relay(options.relay);
  for (const std::string& topic : options.topics) request.add_topics(topic);
  const auto response = session.Call(&v1::EndpointService::Stub::TestEndpoint, request);
  if (!response.ok()) return session.Fail(response.failure());
  if (session.wants_json()) {
    session.Print(ToJson(*response));
  } else {
    session.Print(CheckTable(*response), "the relay has checked nothing");
    const bool answers = response->checks_size() > 0 && response->checks(0).ok();
    session.Print(fmt::format("{} {}, seen from relay {}", Printable(options.name),
                              response->ok() ? "works"
                              : answers      ? "answers, but not all that was asked for is well"
                                             : "does not work",
                              Printable(response->relay())));
  }
  return response->ok() ? ExitCode::kOk : ExitCode::kRefused;
}

constexpr const char* kExamples =
    R"(A relay connects and says, step by step, what works and what does not; the server itself
never connects to a cluster. The exit code is 1 if a check fails.

Examples:
  drawbridge endpoint test oci-fra
  drawbridge endpoint test search --topic logs-audit-2026.03.14
  drawbridge endpoint test aws-iad --relay relay-aws-1 --topic oci.audit --topic oci.vcn-flow)";

}  // namespace

void AddEndpoint(CLI::App& app, Verb& chosen) {
  CLI::App& endpoint = *app.add_subcommand("endpoint", "Look at a cluster through a relay");
  endpoint.require_subcommand(1);
  endpoint.footer("Endpoints are made with `drawbridge apply`, and listed with `get endpoints`.");
  auto options = std::make_shared<TestOptions>();
  CLI::App& test = *endpoint.add_subcommand("test", "Have a relay connect to an endpoint");
  test.add_option("NAME", options->name, "The endpoint")->required()->type_name("");
  test.add_option("--relay", options->relay,
                  "The relay that connects (default: one that may run its bridges)")
      ->type_name("NAME");
  test.add_option("--topic", options->topics,
                  "A topic to look at as well, or an index; can be repeated")
      ->type_name("TOPIC")
      ->allow_extra_args(false);
  test.footer(kExamples);
  Bind(test, chosen, std::move(options), Test);
}

}  // namespace drawbridge::cli
