#pragma once

#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/status.h"

namespace drawbridge {

enum class TokenKind {
  kEnrolment,  // "<id>.<secret>": lets one machine become one relay, once
  kApi,        // "drawbridge_<id>.<secret>": lets a person or a script call the API
};

// A token as it is made. `text` is shown once and kept by whoever gets it; the store keeps the id
// and the hash.
struct NewToken {
  std::string id;           // public: 16 hex digits
  Secret text;              // the whole token
  std::string secret_hash;  // 32 bytes
};

// A token as somebody shows it: well formed, and nothing more is known.
struct PresentedToken {
  std::string id;
  Secret secret;
};

// Draws a token of 256 random bits. kInternal if the machine has no randomness to give.
StatusOr<NewToken> MakeToken(TokenKind kind);

// kUnauthenticated (TOKEN_INVALID) for a text that is no token of that kind. The message does not
// repeat it.
StatusOr<PresentedToken> ParseToken(TokenKind kind, std::string_view text);

// SHA-256 of the secret: enough without salt and stretching, since it is random and long.
StatusOr<std::string> HashTokenSecret(const Secret& secret);

// Whether the secret is the one behind the stored hash; takes the same time wherever they differ.
bool Matches(const PresentedToken& token, std::string_view secret_hash);

}  // namespace drawbridge
