#include "relay/control/enrolment.h"

#include <memory>

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <openssl/ssl.h>

#include "base/file.h"
#include "drawbridge/v1/relay_admin.grpc.pb.h"
#include "model/convert/status.h"
#include "relay/control/relay_identity.h"

namespace drawbridge {
namespace {

constexpr auto kDeadline = std::chrono::seconds(20);

template <auto kFree>
struct Free {
  void operator()(auto* object) const { kFree(object); }
};

Status Unreachable(const std::string& server) {
  return {StatusCode::kUnavailable, Reason::kUnreachable,
          fmt::format("no TLS server answers at {}: check the address and the port", server)};
}

// The certificates that the server shows in a handshake: public, and not yet believed.
StatusOr<std::string> ShownChain(const std::string& server) {
  const std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>> tls(SSL_CTX_new(TLS_client_method()));
  if (!tls) return Status(StatusCode::kInternal, "no TLS");
  const std::unique_ptr<BIO, Free<BIO_free_all>> link(BIO_new_ssl_connect(tls.get()));
  if (!link) return Status(StatusCode::kInternal, "no TLS");
  BIO_set_conn_hostname(link.get(), server.c_str());
  SSL* ssl = nullptr;
  BIO_get_ssl(link.get(), &ssl);
  static constexpr unsigned char kHttp2[] = {2, 'h', '2'};
  SSL_set_alpn_protos(ssl, kHttp2, sizeof kHttp2);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"  // in OpenSSL's macro
  SSL_set_tlsext_host_name(ssl, server.substr(0, server.rfind(':')).c_str());
#pragma GCC diagnostic pop
  if (BIO_do_connect(link.get()) != 1 || BIO_do_handshake(link.get()) != 1) {
    return Unreachable(server);
  }
  const std::unique_ptr<BIO, Free<BIO_free_all>> text(BIO_new(BIO_s_mem()));
  STACK_OF(X509)* const chain = SSL_get_peer_cert_chain(ssl);
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    PEM_write_bio_X509(text.get(), sk_X509_value(chain, i));
  }
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(text.get(), &bytes);
  return std::string(bytes, static_cast<size_t>(size));
}

}  // namespace

StatusOr<Enrolled> Enrol(const EnrolmentOrder& order) {
  // What its partitions have got to is in the folder too, and is another relay's.
  if (RelayIdentity::Load(order.state).status().code() != StatusCode::kNotFound) {
    return Status(
        StatusCode::kFailedPrecondition, Reason::kInUse,
        fmt::format("{} holds a relay's identity: name an empty folder", order.state.string()));
  }
  if (std::filesystem::exists(order.state / "control.db")) {
    return Status(
        StatusCode::kFailedPrecondition, Reason::kInUse,
        fmt::format("{} is the server's state folder: name an empty one", order.state.string()));
  }
  const StatusOr<std::string> chain = ShownChain(order.server);
  if (!chain.ok()) return chain.status();
  const StatusOr<std::string> authority = FindPinned(*chain, order.ca_pin);
  if (!authority.ok()) return authority.status();
  const StatusOr<std::string> request = RelayIdentity::Request(order.state);
  if (!request.ok()) return request.status();

  const auto channel = grpc::CreateChannel(
      order.server,
      grpc::SslCredentials(
          {.pem_root_certs = *authority, .pem_private_key = {}, .pem_cert_chain = {}}));
  v1::EnrollRequest asked;
  asked.set_token(std::string(order.token.Reveal()));
  asked.set_csr_pem(*request);
  v1::EnrollResponse answer;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::sys_time<Duration>(Clock::System().WallNow()) + kDeadline);
  const Status enrolled =
      FromGrpc(v1::RelayService::NewStub(channel)->Enroll(&context, asked, &answer));
  if (!enrolled.ok()) return enrolled;
  const StatusOr<RelayIdentity> identity =
      RelayIdentity::Accept(order.state, answer.certificate_pem(), answer.ca_pem());
  if (!identity.ok()) return identity.status();
  return Enrolled{.relay = answer.relay(), .relay_address = answer.relay_address()};
}

}  // namespace drawbridge
