#include "server/security/token.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "base/openssl_handle.h"

namespace drawbridge {
namespace {

constexpr size_t kIdBytes = 8;
constexpr size_t kIdLetters = 2 * kIdBytes;
constexpr size_t kSecretBytes = 32;
constexpr size_t kSecretLetters = 43;  // base64url of 32 bytes, without padding

std::string_view Prefix(TokenKind kind) {
  return kind == TokenKind::kApi ? std::string_view("drawbridge_") : std::string_view();
}

bool IsHexDigit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

bool IsBase64UrlLetter(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '_';
}

// Appends 32 random bytes as base64url.
bool AppendSecret(std::string& text) {
  std::array<uint8_t, kSecretBytes> bytes{};
  std::array<unsigned char, kSecretLetters + 2> letters{};
  const bool is_drawn = RAND_priv_bytes(bytes.data(), kSecretBytes) == 1 &&
                        EVP_EncodeBlock(letters.data(), bytes.data(), kSecretBytes) ==
                            static_cast<int>(kSecretLetters) + 1;
  std::ranges::replace(letters, '+', '-');
  std::ranges::replace(letters, '/', '_');
  text.append(letters.begin(), letters.begin() + kSecretLetters);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  OPENSSL_cleanse(letters.data(), letters.size());
  return is_drawn;
}

}  // namespace

StatusOr<NewToken> MakeToken(TokenKind kind) {
  std::array<uint8_t, kIdBytes> id{};
  if (RAND_bytes(id.data(), kIdBytes) != 1) return OpenSslError("draw a token");
  NewToken token;
  for (const uint8_t byte : id) token.id += fmt::format("{:02x}", byte);

  std::string text;
  text.reserve(128);  // growing would leave copies of the secret behind
  text.append(Prefix(kind)).append(token.id).push_back('.');
  const size_t secret_at = text.size();
  const bool is_drawn = AppendSecret(text);
  token.text = Secret(std::move(text));
  if (!is_drawn) return OpenSslError("draw a token");

  StatusOr<std::string> hash =
      HashTokenSecret(Secret(std::string(token.text.Reveal().substr(secret_at))));
  if (!hash.ok()) return hash.status();
  token.secret_hash = *std::move(hash);
  return token;
}

StatusOr<PresentedToken> ParseToken(TokenKind kind, std::string_view text) {
  const std::string_view prefix = Prefix(kind);
  const size_t secret_at = prefix.size() + kIdLetters + 1;
  if (text.size() == secret_at + kSecretLetters && text.starts_with(prefix) &&
      text[secret_at - 1] == '.') {
    const std::string_view id = text.substr(prefix.size(), kIdLetters);
    const std::string_view secret = text.substr(secret_at);
    if (std::ranges::all_of(id, IsHexDigit) && std::ranges::all_of(secret, IsBase64UrlLetter)) {
      return PresentedToken{std::string(id), Secret(std::string(secret))};
    }
  }
  return Status(StatusCode::kUnauthenticated, Reason::kTokenInvalid,
                "this is no token: pass the whole text that was printed when it was made");
}

StatusOr<std::string> HashTokenSecret(const Secret& secret) {
  std::array<uint8_t, SHA256_DIGEST_LENGTH> digest{};
  const std::string_view text = secret.Reveal();
  if (SHA256(reinterpret_cast<const uint8_t*>(text.data()), text.size(), digest.data()) ==
      nullptr) {
    return OpenSslError("hash a token");
  }
  return std::string(digest.begin(), digest.end());
}

bool Matches(const PresentedToken& token, std::string_view secret_hash) {
  const StatusOr<std::string> hash = HashTokenSecret(token.secret);
  return hash.ok() && EqualInConstantTime(*hash, secret_hash);
}

}  // namespace drawbridge
