#pragma once

#include <string>
#include <string_view>

#include <fmt/format.h>

namespace drawbridge {

// A text that must not be seen: it is wiped when it dies and prints as "[redacted]". Plain text
// comes out through Reveal() only, so that a search for that word finds every place that handles
// one. Thread-compatible.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}
  Secret(const Secret& other) = default;
  Secret(Secret&& other) noexcept;
  Secret& operator=(const Secret& other);
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  std::string_view Reveal() const { return text_; }
  bool empty() const { return text_.empty(); }

 private:
  void Wipe();

  std::string text_;
};

// Whether both are the same, in a time that does not tell where they differ.
bool EqualInConstantTime(std::string_view a, std::string_view b);

}  // namespace drawbridge

template <>
struct fmt::formatter<drawbridge::Secret> : fmt::formatter<std::string_view> {
  auto format(const drawbridge::Secret&, format_context& context) const {
    return fmt::formatter<std::string_view>::format("[redacted]", context);
  }
};
