#pragma once

#include "base/secret.h"
#include "base/status.h"
#include "drawbridge/v1/credential.pb.h"
#include "drawbridge/v1/relay.pb.h"
#include "model/credential.h"

namespace drawbridge {

// The secret in the clear: Wipe it when it has been sent.
v1::CredentialSecret ToProto(const CredentialSecret& secret);

// kFieldInvalid unless all fields that the kind requires are there, and none of another kind's. No
// error repeats what is in a field.
StatusOr<CredentialSecret> FromProto(const v1::CredentialSecret& message);

// Overwrites the secrets in the message.
void Wipe(v1::CredentialSecret& message);

// The bytes that are sealed in the store, and back. kDataLoss for what Serialize did not write.
Secret Serialize(const CredentialSecret& secret);
StatusOr<CredentialSecret> ParseCredentialSecret(const Secret& bytes);

v1::CredentialKind ToProto(CredentialKind kind);
StatusOr<CredentialKind> FromProto(v1::CredentialKind message);

v1::SecretRef ToProto(const SecretRef& secret);
StatusOr<SecretRef> FromProto(const v1::SecretRef& message);

}  // namespace drawbridge
