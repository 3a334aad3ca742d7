#include "cli/connection.h"

#include <array>
#include <random>

#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

namespace drawbridge::cli {
namespace {

constexpr int kAnswerBytesMax = 64 << 20;  // ten thousand streams with their conditions
// `status --follow` outlives a restart of the server: gRPC alone would wait for up to 2 minutes.
constexpr int kReconnectMsMax = 1000;
// For connecting and the TLS handshake. An address that swallows packets is given up this soon.
constexpr int kConnectMsMax = 5000;

std::shared_ptr<grpc::Channel> CreateChannel(const Context& context) {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = context.ca_pem;
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kAnswerBytesMax);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMsMax / 2);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMsMax);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMsMax);
  // The machine's proxy for the web is not the way to the control plane.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetUserAgentPrefix("drawbridge-cli/" DRAWBRIDGE_VERSION);
  return grpc::CreateCustomChannel(context.server, grpc::SslCredentials(tls), arguments);
}

}  // namespace

std::string NewRequestId() {
  std::random_device random;
  std::array<uint32_t, 4> words{random(), random(), random(), random()};
  words[1] = (words[1] & 0xFFFF0FFFU) | 0x4000U;      // version 4: random
  words[2] = (words[2] & 0x3FFFFFFFU) | 0x80000000U;  // variant of RFC 4122
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:04x}{:08x}", words[0], words[1] >> 16,
                     words[1] & 0xFFFFU, words[2] >> 16, words[2] & 0xFFFFU, words[3]);
}

Connection::Connection(const Context& context, Duration timeout)
    : callee_{context.server, timeout}, token_(context.token), channel_(CreateChannel(context)) {}

void Connection::Prepare(grpc::ClientContext& context) const {
  // A span, not a moment: it does not care if the wall clock is turned.
  context.set_deadline(gpr_time_from_nanos(callee_.timeout.count(), GPR_TIMESPAN));
  context.AddMetadata("authorization", fmt::format("Bearer {}", token_.Reveal()));
}

}  // namespace drawbridge::cli
