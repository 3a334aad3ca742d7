#include "server/api/call_gate.h"

#include <array>

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <pthread.h>

#include "base/log.h"
#include "server/security/peer_identity.h"
#include "server/security/token.h"

namespace drawbridge {
namespace {

const Log kLog("server.api");

constexpr size_t kCallsWaitingMax = 256;
constexpr size_t kRequestIdMax = 64;
constexpr std::string_view kBearer = "Bearer ";

std::string_view View(grpc::string_ref text) { return {text.data(), text.size()}; }

Role RoleFromName(const std::string& name) {
  if (name == "admin") return Role::kAdmin;
  return name == "operator" ? Role::kOperator : Role::kViewer;
}

// The same request gives the same bytes, whatever the order of its maps.
std::string Hash(const google::protobuf::Message& message) {
  std::string bytes = message.GetDescriptor()->full_name();
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  OPENSSL_cleanse(bytes.data(), bytes.size());  // it may hold a secret
  return {digest.begin(), digest.end()};
}

}  // namespace

CallExecutor::CallExecutor(size_t threads) {
  for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Loop(); });
}

CallExecutor::~CallExecutor() {
  {
    const MutexLock lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool CallExecutor::Post(std::function<void()> call) {
  {
    const MutexLock lock(mutex_);
    if (is_ending_ || calls_.size() >= kCallsWaitingMax) return false;
    calls_.push_back(std::move(call));
  }
  changed_.notify_one();
  return true;
}

void CallExecutor::Loop() {
  pthread_setname_np(pthread_self(), "api-call");
  while (true) {
    std::function<void()> call;
    {
      MutexLock lock(mutex_);
      while (calls_.empty() && !is_ending_) changed_.wait(mutex_);
      if (calls_.empty()) return;
      call = std::move(calls_.front());
      calls_.pop_front();
    }
    call();
  }
}

StatusOr<Actor> CallGate::Authorize(const grpc::ServerContextBase& context,
                                    std::string_view method) {
  Actor actor{.caller = Caller::Nobody(), .name = "nobody", .relay = {}};
  const auto peer = context.auth_context()->FindPropertyValues(GRPC_PEER_SPIFFE_ID_PROPERTY_NAME);
  if (!peer.empty()) {
    const StatusOr<PeerIdentity> identity =
        PeerIdentity::FromUri(View(peer.front()), deployment_id_);
    if (!identity.ok()) return identity.status();
    actor.caller = Caller::Relay();
    actor.relay = {identity->relay_name()};
    actor.name = "relay " + identity->relay_name();
  }
  const auto header = context.client_metadata().find("authorization");
  if (header != context.client_metadata().end() && View(header->second).starts_with(kBearer)) {
    const StatusOr<PresentedToken> token =
        ParseToken(TokenKind::kApi, View(header->second).substr(kBearer.size()));
    if (!token.ok()) return token.status();
    const StatusOr<std::string> hash = HashTokenSecret(token->secret);
    if (!hash.ok()) return hash.status();
    const StatusOr<std::optional<std::string>> role = relays_.RoleOfApiToken(token->id, *hash);
    if (!role.ok()) return role.status();
    if (!role->has_value()) {
      return Status(StatusCode::kUnauthenticated, Reason::kTokenInvalid,
                    "the server does not know this token: use the context file that it wrote");
    }
    actor.caller = Caller::User(RoleFromName(**role));
    actor.name = "token " + token->id;
  }
  if (Status allowed = CheckAccess(method, actor.caller); !allowed.ok()) return allowed;
  return actor;
}

Status CallGate::Answer(const grpc::ServerContextBase& context, std::string_view method,
                        const std::function<Status(const Actor&)>& handler) {
  try {
    const StatusOr<Actor> actor = Authorize(context, method);
    if (!actor.ok()) return actor.status();
    return handler(*actor);
  } catch (const std::exception& error) {
    kLog.Error("call failed", {{"method", method}, {"text", error.what()}});
    return {StatusCode::kInternal, Reason::kInternal, "a fault of the server: see its log"};
  }
}

StatusOr<Mutation> MutationOf(const Actor& actor, const google::protobuf::Message& request,
                              const std::string& request_id, const std::string& reason) {
  if (request_id.empty() || request_id.size() > kRequestIdMax) {
    return Status(StatusCode::kInvalidArgument, Reason::kFieldInvalid,
                  fmt::format("give a request_id of 1 to {} characters: it makes the call safe to "
                              "repeat",
                              kRequestIdMax),
                  "request_id");
  }
  return Mutation{.actor = actor.name,
                  .reason = reason,
                  .request_id = request_id,
                  .body_hash = Hash(request),
                  .response = {}};
}

}  // namespace drawbridge
