#include "base/openssl_handle.h"

#include <fmt/format.h>
#include <openssl/err.h>

namespace drawbridge {

Status OpenSslError(const std::string& what) {
  const unsigned long error = ERR_peek_error();  // NOLINT(google-runtime-int): OpenSSL's type
  const char* reason = ERR_reason_error_string(error);
  // Whoever uses TLS on this thread next would take what is left for an error of its own.
  ERR_clear_error();
  return {
      StatusCode::kInternal,
      fmt::format("cannot {}: {}", what, reason == nullptr ? "OpenSSL gives no reason" : reason)};
}

}  // namespace drawbridge
