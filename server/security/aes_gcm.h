#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace drawbridge {

inline constexpr size_t kGcmKeyBytes = 32;
inline constexpr size_t kGcmNonceBytes = 12;
inline constexpr size_t kGcmTagBytes = 16;
inline constexpr size_t kGcmOverheadBytes = kGcmNonceBytes + kGcmTagBytes;

// AES-256-GCM with a nonce drawn at random: nonce | ciphertext | tag. `context` is authenticated
// and not stored. kInternal if OpenSSL fails.
StatusOr<std::string> GcmSeal(std::span<const uint8_t, kGcmKeyBytes> key, std::string_view context,
                              std::span<const uint8_t> plaintext);

// Fills `plaintext`, which must be as long as `sealed` less kGcmOverheadBytes. kDataLoss if
// anything does not fit together; `plaintext` is all zeros then.
Status GcmOpen(std::span<const uint8_t, kGcmKeyBytes> key, std::string_view context,
               std::string_view sealed, std::span<uint8_t> plaintext);

}  // namespace drawbridge
