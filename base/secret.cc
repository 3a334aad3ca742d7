#include "base/secret.h"

#include <openssl/crypto.h>

namespace drawbridge {

// A copy and a wipe: a moved-from short string would keep its bytes.
Secret::Secret(Secret&& other) noexcept
    : text_(other.text_) {  // NOLINT(performance-move-constructor-init)
  other.Wipe();
}

Secret& Secret::operator=(const Secret& other) {
  if (this == &other) return *this;
  Wipe();
  text_ = other.text_;
  return *this;
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  Wipe();
  text_ = other.text_;
  other.Wipe();
  return *this;
}

Secret::~Secret() { Wipe(); }

void Secret::Wipe() {
  OPENSSL_cleanse(text_.data(), text_.size());
  text_.clear();
}

bool EqualInConstantTime(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace drawbridge
