#include "cli/secret_input.h"

#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include "cli/input.h"
#include "cli/text.h"

namespace drawbridge::cli {
namespace {

// A file that others can read is no place for a secret; it is taken all the same.
void WarnOfReaders(Terminal& terminal, const std::string& file) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::perms may = fs::status(file, ignored).permissions();
  if (ignored || (may & fs::perms::others_read) == fs::perms::none) return;
  terminal.err << fmt::format("warning: every user of this machine can read {}: chmod 600 it\n",
                              file);
}

Result<Secret> ReadAny(Terminal& terminal, const std::string& file, const std::string& option) {
  if (file != "-") WarnOfReaders(terminal, file);
  StatusOr<std::string> text =
      file == "-" ? ReadInput(terminal.in, "standard input") : ReadInput(file);
  if (!text.ok()) return UsageFailure(Reason::kFieldInvalid, text.status().message(), option);
  return Secret(std::move(*text));
}

Result<Secret> Checked(Result<Secret> secret, const std::string& file, const std::string& option) {
  if (!secret.ok()) return secret;
  const std::string source = file == "-" ? "standard input" : file;
  if (secret->empty()) {
    return UsageFailure(Reason::kFieldInvalid, fmt::format("{} is empty", source), option);
  }
  if (FindInvalidUtf8(secret->Reveal())) {
    return UsageFailure(Reason::kFieldInvalid, fmt::format("{} is no UTF-8 text", source), option);
  }
  return secret;
}

}  // namespace

Result<Secret> ReadSecret(Terminal& terminal, const std::string& file, const std::string& option) {
  return Checked(ReadAny(terminal, file, option), file, option);
}

Result<Secret> ReadPassword(Terminal& terminal, const std::string& file,
                            const std::string& option) {
  Result<Secret> secret = ReadAny(terminal, file, option);
  if (!secret.ok()) return secret;
  std::string_view text = secret->Reveal();
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return Checked(Secret(std::string(text)), file, option);
}

}  // namespace drawbridge::cli
