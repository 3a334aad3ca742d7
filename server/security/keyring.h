#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "base/status.h"

namespace drawbridge {

// Names a key without telling it: the first 8 bytes of its SHA-256.
using KeyId = std::array<uint8_t, 8>;

// 16 hex digits, as logs and messages show it.
std::string ToHex(const KeyId& id);

// A key-encryption key, in memory of its own that is locked (as far as the process may), left out
// of core files and wiped when it dies. Immutable, so threads may share it.
class SealingKey {
 public:
  static constexpr size_t kSize = 32;

  // kInvalidArgument for anything but 32 bytes that could be a key. The caller wipes `bytes`.
  static StatusOr<SealingKey> Create(std::string_view bytes);

  std::span<const uint8_t, kSize> bytes() const;
  const KeyId& id() const { return id_; }

 private:
  struct Unmap {
    void operator()(uint8_t* page) const noexcept;
  };
  using Page = std::unique_ptr<uint8_t, Unmap>;

  SealingKey(Page page, KeyId id) : page_(std::move(page)), id_(id) {}

  Page page_;
  KeyId id_;
};

// The keys that seal the data keys of stored secrets. The first is active: it seals; all of them
// open, so that a key can be replaced while old rows still exist.
//
// A key file holds either one key as 32 raw bytes, or one key per line as hex or base64, the active
// one first; blank lines and lines that begin with '#' are left out. Whoever holds it and the
// database can read every stored secret, so a file that others can read is refused.
//
// Not copyable. Immutable, so threads may share it.
class Keyring {
 public:
  // kNotFound if there is no file, kFailedPrecondition if others may read it, kInvalidArgument if
  // it does not hold keys. No message repeats what the file says.
  static StatusOr<Keyring> Load(const std::filesystem::path& file);

  // Load(), but the first start makes the file, with one fresh key. Losing it is losing the
  // secrets.
  static StatusOr<Keyring> LoadOrCreate(const std::filesystem::path& file);

  // The keys that the service manager hands over as the credential `name` (LoadCredential= or
  // LoadCredentialEncrypted= of the unit).
  static StatusOr<Keyring> LoadCredential(std::string_view name);

  // The same from text in hand. For tests and for other sources of keys.
  static StatusOr<Keyring> Parse(const Secret& content);

  const SealingKey& active() const { return keys_.front(); }
  // nullptr if the ring does not have it.
  const SealingKey* Find(const KeyId& id) const;
  // The active one first.
  const std::vector<SealingKey>& keys() const { return keys_; }

 private:
  explicit Keyring(std::vector<SealingKey> keys) : keys_(std::move(keys)) {}

  std::vector<SealingKey> keys_;  // never empty
};

}  // namespace drawbridge
