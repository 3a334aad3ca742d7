#pragma once

#include "base/secret.h"
#include "base/status.h"
#include "model/credential.h"
#include "server/security/secret_box.h"
#include "server/store/credential_store.h"

namespace drawbridge {

// Where secrets go in, sealed, and come out for the relays that need them. Thread-safe; box and
// store outlive it. `box` is null while the key is wrong or missing: then nothing opens, and
// everything else still works.
class SecretVault {
 public:
  SecretVault(const SecretBox* box, CredentialStore& credentials)
      : box_(box), credentials_(credentials) {}

  StatusOr<StoredCredential> Put(const std::string& name, const CredentialSecret& secret,
                                 const Mutation& mutation);
  StatusOr<CredentialSecret> Get(SecretRef secret);
  Status Delete(const std::string& name, const Mutation& mutation) {
    return credentials_.Delete(name, mutation).status();
  }

 private:
  const SecretBox* box_;
  CredentialStore& credentials_;
};

}  // namespace drawbridge
