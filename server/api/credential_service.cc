#include "server/api/credential_service.h"

#include <algorithm>

#include <fmt/format.h>

#include "model/convert/credential.h"
#include "model/definition.h"
#include "server/api/view_convert.h"

namespace drawbridge {

grpc::ServerUnaryReactor* CredentialServiceImpl::SetCredential(
    grpc::CallbackServerContext* context, const v1::SetCredentialRequest* request,
    v1::Credential* response) {
  return gate_.Run(
      context, "/drawbridge.v1.CredentialService/SetCredential", request, response,
      [this](const Actor& actor, const auto& asked, v1::Credential& answer) -> Status {
        StatusOr<Mutation> mutation = MutationOf(actor, asked, asked.request_id(), asked.reason());
        if (!mutation.ok()) return mutation.status();
        if (!IsName(asked.name())) {
          return {StatusCode::kInvalidArgument, Reason::kFieldInvalid,
                  "a name has 1 to 63 of a-z, 0-9 and '-', and starts with a letter", "name"};
        }
        const StatusOr<CredentialSecret> secret = FromProto(asked.secret());
        if (!secret.ok()) return secret.status().At("secret");
        const StatusOr<StoredCredential> stored = vault_.Put(asked.name(), *secret, *mutation);
        if (!stored.ok()) return stored.status();
        answer = ToProto(*stored);
        fleet_.Wake();
        return {};
      });
}

grpc::ServerUnaryReactor* CredentialServiceImpl::GetCredential(
    grpc::CallbackServerContext* context, const v1::GetCredentialRequest* request,
    v1::Credential* response) {
  return gate_.Run(context, "/drawbridge.v1.CredentialService/GetCredential", request, response,
                   [this](const Actor&, const auto& asked, v1::Credential& answer) -> Status {
                     const StatusOr<DesiredState> stored = database_.ReadAll();
                     if (!stored.ok()) return stored.status();
                     const auto found = std::ranges::find(stored->credentials, asked.name(),
                                                          &StoredCredential::name);
                     if (found == stored->credentials.end()) {
                       return {StatusCode::kNotFound, Reason::kNotFound,
                               fmt::format("no credential is called {}", asked.name())};
                     }
                     answer = ToProto(*found);
                     return {};
                   });
}

grpc::ServerUnaryReactor* CredentialServiceImpl::ListCredentials(
    grpc::CallbackServerContext* context, const v1::ListCredentialsRequest* request,
    v1::ListCredentialsResponse* response) {
  return gate_.Run(
      context, "/drawbridge.v1.CredentialService/ListCredentials", request, response,
      [this](const Actor&, const auto&, v1::ListCredentialsResponse& answer) -> Status {
        const StatusOr<DesiredState> stored = database_.ReadAll();
        if (!stored.ok()) return stored.status();
        for (const StoredCredential& credential : stored->credentials) {
          *answer.add_credentials() = ToProto(credential);
        }
        return {};
      });
}

grpc::ServerUnaryReactor* CredentialServiceImpl::DeleteCredential(
    grpc::CallbackServerContext* context, const v1::DeleteCredentialRequest* request,
    v1::DeleteCredentialResponse* response) {
  return gate_.Run(context, "/drawbridge.v1.CredentialService/DeleteCredential", request, response,
                   [this](const Actor& actor, const auto& asked, const auto&) -> Status {
                     const StatusOr<Mutation> mutation =
                         MutationOf(actor, asked, asked.request_id(), asked.reason());
                     if (!mutation.ok()) return mutation.status();
                     return vault_.Delete(asked.name(), *mutation);
                   });
}

}  // namespace drawbridge
