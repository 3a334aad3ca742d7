#include "server/security/aes_gcm.h"

#include <algorithm>
#include <array>
#include <limits>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "base/openssl_handle.h"

namespace drawbridge {
namespace {

const uint8_t* Bytes(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

bool FitsInt(size_t size) { return size <= static_cast<size_t>(std::numeric_limits<int>::max()); }

// The steps of decryption, in order; true only if the tag was right.
bool Decrypt(std::span<const uint8_t, kGcmKeyBytes> key, std::string_view context,
             std::string_view sealed, std::span<uint8_t> plaintext) {
  const CipherHandle cipher(EVP_CIPHER_CTX_new());
  if (!cipher) return false;
  const uint8_t* ciphertext = Bytes(sealed) + kGcmNonceBytes;
  std::array<uint8_t, kGcmTagBytes> tag{};
  std::copy_n(ciphertext + plaintext.size(), tag.size(), tag.begin());
  int size = 0;
  int last = 0;
  return EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.data(), Bytes(sealed)) ==
             1 &&
         EVP_DecryptUpdate(cipher.get(), nullptr, &size, Bytes(context),
                           static_cast<int>(context.size())) == 1 &&
         EVP_DecryptUpdate(cipher.get(), plaintext.data(), &size, ciphertext,
                           static_cast<int>(plaintext.size())) == 1 &&
         EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kGcmTagBytes, tag.data()) == 1 &&
         EVP_DecryptFinal_ex(cipher.get(), plaintext.data() + size, &last) == 1 && last == 0 &&
         static_cast<size_t>(size) == plaintext.size();
}

}  // namespace

StatusOr<std::string> GcmSeal(std::span<const uint8_t, kGcmKeyBytes> key, std::string_view context,
                              std::span<const uint8_t> plaintext) {
  if (!FitsInt(plaintext.size()) || !FitsInt(context.size())) {
    return Status(StatusCode::kInvalidArgument, "too long to seal");
  }
  std::string sealed(kGcmOverheadBytes + plaintext.size(), '\0');
  auto* nonce = reinterpret_cast<uint8_t*>(sealed.data());
  uint8_t* ciphertext = nonce + kGcmNonceBytes;
  uint8_t* tag = ciphertext + plaintext.size();
  const CipherHandle cipher(EVP_CIPHER_CTX_new());
  int size = 0;
  int last = 0;
  if (!cipher || RAND_bytes(nonce, kGcmNonceBytes) != 1 ||
      EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.data(), nonce) != 1 ||
      EVP_EncryptUpdate(cipher.get(), nullptr, &size, Bytes(context),
                        static_cast<int>(context.size())) != 1 ||
      EVP_EncryptUpdate(cipher.get(), ciphertext, &size, plaintext.data(),
                        static_cast<int>(plaintext.size())) != 1 ||
      EVP_EncryptFinal_ex(cipher.get(), ciphertext + size, &last) != 1 || last != 0 ||
      static_cast<size_t>(size) != plaintext.size() ||
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kGcmTagBytes, tag) != 1) {
    return OpenSslError("seal a secret");
  }
  return sealed;
}

Status GcmOpen(std::span<const uint8_t, kGcmKeyBytes> key, std::string_view context,
               std::string_view sealed, std::span<uint8_t> plaintext) {
  const bool fits = sealed.size() >= kGcmOverheadBytes &&
                    sealed.size() - kGcmOverheadBytes == plaintext.size() &&
                    FitsInt(sealed.size()) && FitsInt(context.size());
  if (fits && Decrypt(key, context, sealed, plaintext)) return {};
  OPENSSL_cleanse(plaintext.data(), plaintext.size());
  ERR_clear_error();
  return {StatusCode::kDataLoss, Reason::kSecretUnavailable,
          "a sealed secret was changed, or belongs to something else"};
}

}  // namespace drawbridge
