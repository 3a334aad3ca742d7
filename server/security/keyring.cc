#include "server/security/keyring.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <sys/mman.h>

#include "base/file.h"
#include "base/openssl_handle.h"
#include "base/private_file.h"

namespace drawbridge {
namespace {

constexpr size_t kPageBytes = 4096;
constexpr size_t kHexDigits = 2 * SealingKey::kSize;
constexpr size_t kBase64Digits = 44;
// The decoder writes what the padding stands for as well.
constexpr size_t kBase64DecodedBytes = 33;

// Bytes of a key on their way into a SealingKey.
struct KeyBytes {
  KeyBytes() = default;
  KeyBytes(const KeyBytes&) = delete;
  KeyBytes& operator=(const KeyBytes&) = delete;
  ~KeyBytes() { OPENSSL_cleanse(bytes.data(), bytes.size()); }

  std::string_view key() const {
    return {reinterpret_cast<const char*>(bytes.data()), SealingKey::kSize};
  }

  std::array<uint8_t, kBase64DecodedBytes> bytes{};
};

int HexValue(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

bool DecodeHex(std::string_view text, KeyBytes& key) {
  for (size_t i = 0; i < SealingKey::kSize; ++i) {
    const int high = HexValue(text[2 * i]);
    const int low = HexValue(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    key.bytes.at(i) = static_cast<uint8_t>(high * 16 + low);
  }
  return true;
}

StatusOr<SealingKey> ParseLine(std::string_view line) {
  KeyBytes key;
  const bool is_hex = line.size() == kHexDigits && DecodeHex(line, key);
  const bool is_base64 =
      line.size() == kBase64Digits && line.find('=') == kBase64Digits - 1 &&
      EVP_DecodeBlock(key.bytes.data(), reinterpret_cast<const unsigned char*>(line.data()),
                      kBase64Digits) == kBase64DecodedBytes;
  if (is_hex || is_base64) return SealingKey::Create(key.key());
  return Status(StatusCode::kInvalidArgument,
                "a line of the key ring is neither 64 hex digits nor 44 of base64: "
                "`openssl rand -base64 32` makes a key");
}

// Which of the places that a key may come from holds the wrong thing.
StatusOr<Keyring> ParseFrom(const std::string& place, const Secret& content) {
  StatusOr<Keyring> ring = Keyring::Parse(content);
  if (ring.ok()) return ring;
  return Status(ring.status().code(), fmt::format("{}: {}", place, ring.status().message()));
}

std::string_view Trimmed(std::string_view line) {
  constexpr std::string_view kBlank = " \t\r";
  const size_t first = line.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(kBlank) - first + 1);
}

}  // namespace

std::string ToHex(const KeyId& id) {
  std::string hex;
  for (const uint8_t byte : id) hex += fmt::format("{:02x}", byte);
  return hex;
}

void SealingKey::Unmap::operator()(uint8_t* page) const noexcept {
  OPENSSL_cleanse(page, kSize);
  munmap(page, kPageBytes);
}

StatusOr<SealingKey> SealingKey::Create(std::string_view bytes) {
  if (bytes.size() != kSize) {
    return Status(StatusCode::kInvalidArgument, "a sealing key has 32 bytes");
  }
  // What is written down by mistake in place of a key: zeros, or text cut off at 32 letters.
  const auto is_printable = [](char c) { return c >= ' ' && c <= '~'; };
  if (bytes.find_first_not_of(bytes.front()) == std::string_view::npos ||
      std::ranges::all_of(bytes, is_printable)) {
    return Status(StatusCode::kInvalidArgument, "a sealing key must be 32 random bytes");
  }
  void* memory =
      mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return Status(StatusCode::kResourceExhausted, "no memory for a key");
  Page page(static_cast<uint8_t*>(memory));
  // Both are best effort: RLIMIT_MEMLOCK may be 0, and the key works all the same.
  std::ignore = mlock(page.get(), kPageBytes);
  std::ignore = madvise(page.get(), kPageBytes, MADV_DONTDUMP);
  std::ranges::copy(bytes, page.get());

  std::array<uint8_t, SHA256_DIGEST_LENGTH> digest{};
  if (SHA256(page.get(), kSize, digest.data()) == nullptr) return OpenSslError("name a key");
  KeyId id{};
  std::copy_n(digest.begin(), id.size(), id.begin());
  return SealingKey(std::move(page), id);
}

std::span<const uint8_t, SealingKey::kSize> SealingKey::bytes() const {
  return std::span<const uint8_t, kSize>(page_.get(), kSize);
}

StatusOr<Keyring> Keyring::Parse(const Secret& content) {
  std::vector<SealingKey> keys;
  std::string_view rest = content.Reveal();
  if (rest.size() == SealingKey::kSize) {
    StatusOr<SealingKey> key = SealingKey::Create(rest);
    if (!key.ok()) return key.status();
    keys.push_back(*std::move(key));
    return Keyring(std::move(keys));
  }
  while (!rest.empty()) {
    const std::string_view whole = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), whole.size() + 1));
    const std::string_view line = Trimmed(whole);
    if (line.empty() || line.starts_with('#')) continue;
    StatusOr<SealingKey> key = ParseLine(line);
    if (!key.ok()) return key.status();
    keys.push_back(*std::move(key));
  }
  if (keys.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  "the key ring holds no key: `openssl rand -base64 32` makes one");
  }
  return Keyring(std::move(keys));
}

StatusOr<Keyring> Keyring::Load(const std::filesystem::path& file) {
  const StatusOr<Secret> content = ReadPrivateFile(file, Readers::kOwner);
  if (!content.ok()) return content.status();
  return ParseFrom(file.string(), *content);
}

StatusOr<Keyring> Keyring::LoadOrCreate(const std::filesystem::path& file) {
  StatusOr<Keyring> present = Load(file);
  if (present.ok() || present.status().code() != StatusCode::kNotFound) return present;

  KeyBytes key;
  if (RAND_priv_bytes(key.bytes.data(), SealingKey::kSize) != 1) return OpenSslError("draw a key");
  std::array<unsigned char, kBase64Digits + 1> text{};
  EVP_EncodeBlock(text.data(), key.bytes.data(), SealingKey::kSize);
  constexpr std::string_view kComment =
      "# Seals the stored secrets. Keep a copy apart from the database: without it they are "
      "lost.\n";
  std::string content;
  content.reserve(kComment.size() + text.size() + 1);
  content.append(kComment).append(text.begin(), text.end() - 1).push_back('\n');
  OPENSSL_cleanse(text.data(), text.size());
  const Secret ring(std::move(content));

  if (Status made = MakePrivateFolder(file.parent_path()); !made.ok()) return made;
  if (Status kept = WriteFileAtomically(file, ring.Reveal(), 0600); !kept.ok()) return kept;
  return Load(file);
}

StatusOr<Keyring> Keyring::LoadCredential(std::string_view name) {
  const char* folder = std::getenv("CREDENTIALS_DIRECTORY");  // NOLINT(concurrency-mt-unsafe)
  if (folder == nullptr) {
    return Status(StatusCode::kFailedPrecondition,
                  fmt::format("the service manager gives no credentials: put "
                              "LoadCredential={}:FILE or LoadCredentialEncrypted= into the unit",
                              name));
  }
  if (name.empty() || name.find('/') != std::string_view::npos) {
    return Status(StatusCode::kInvalidArgument, "the name of a credential has no '/'");
  }
  // systemd lets the service read it through an access list, whose mask shows as the group's bits.
  const StatusOr<Secret> content =
      ReadPrivateFile(std::filesystem::path(folder) / name, Readers::kOwnerAndGroup);
  if (content.status().code() == StatusCode::kNotFound) {
    return Status(StatusCode::kNotFound,
                  fmt::format("the service manager gives no credential called {0}: put "
                              "LoadCredential={0}:FILE or LoadCredentialEncrypted= into the unit",
                              name));
  }
  if (!content.ok()) return content.status();
  return ParseFrom(fmt::format("credential {}", name), *content);
}

const SealingKey* Keyring::Find(const KeyId& id) const {
  const auto found = std::ranges::find(keys_, id, &SealingKey::id);
  return found == keys_.end() ? nullptr : &*found;
}

}  // namespace drawbridge
