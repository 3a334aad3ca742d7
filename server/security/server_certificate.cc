#include "server/security/server_certificate.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/private_file.h"

namespace drawbridge {

struct ServerCertificate::Content {
  std::string chain_pem;
  Secret key_pem;
  std::string ca_pem;
  // Read from these.
  std::vector<SubjectName> names;
  Validity validity;
  std::string ca_pin;
};

namespace {

constexpr Duration kAuthorityLife = std::chrono::days{3650};
constexpr Duration kLife = std::chrono::days{90};
constexpr Duration kClockSkewMax = std::chrono::minutes{5};
constexpr std::string_view kPairFolder = "pair-";

WallTime Later(WallTime time, Duration by) {
  return time + std::chrono::duration_cast<WallTime::duration>(by);
}

Status Refuse(const std::string& why) {
  ERR_clear_error();
  return {StatusCode::kFailedPrecondition, fmt::format("the server's certificate {}", why)};
}

// The way from the first certificate to one that `ca_pem` holds, PEM, both ends included, as a
// client would find it at `now`.
StatusOr<std::vector<CertificateHandle>> WayToCa(const std::vector<CertificateHandle>& chain,
                                                 std::string_view ca_pem, WallTime now) {
  const StatusOr<std::vector<CertificateHandle>> trusted = ReadCertificates(ca_pem);
  if (!trusted.ok()) return Refuse("has a CA that cannot be read");
  const StoreHandle store(X509_STORE_new());
  const StoreContextHandle context(X509_STORE_CTX_new());
  const CertificateStackHandle others(sk_X509_new_null());
  bool is_ready = store && context && others;
  for (const CertificateHandle& each : *trusted) {
    is_ready = is_ready && X509_STORE_add_cert(store.get(), each.get()) == 1;
  }
  for (const CertificateHandle& each : chain) {
    is_ready = is_ready && sk_X509_push(others.get(), each.get()) > 0;
  }
  if (!is_ready ||
      X509_STORE_CTX_init(context.get(), store.get(), chain.front().get(), others.get()) != 1 ||
      X509_STORE_CTX_set_default(context.get(), "ssl_server") != 1) {
    return OpenSslError("check the server's certificate");
  }
  X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(rules, std::chrono::system_clock::to_time_t(now));
  X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN);  // as gRPC does
  if (X509_verify_cert(context.get()) != 1) {
    return Refuse(X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())));
  }
  std::vector<CertificateHandle> way;
  const STACK_OF(X509)* found = X509_STORE_CTX_get0_chain(context.get());
  for (int i = 0; i < sk_X509_num(found); ++i) {
    X509* each = sk_X509_value(found, i);
    if (X509_up_ref(each) != 1) return OpenSslError("check the server's certificate");
    way.emplace_back(each);
  }
  return way;
}

// Sorted, each once.
StatusOr<std::vector<SubjectName>> NamesOf(const std::vector<std::string>& hosts) {
  std::vector<SubjectName> names;
  for (const std::string& host : hosts) {
    std::optional<SubjectName> name = HostName(host);
    if (!name) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("\"{}\" is neither a DNS name nor an IP address", host));
    }
    names.push_back(*std::move(name));
  }
  for (const std::string& host : LocalHosts()) {
    if (std::optional<SubjectName> name = HostName(host)) names.push_back(*std::move(name));
  }
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Status SystemError(const std::string& what, const std::filesystem::path& path) {
  return {StatusCode::kUnavailable, fmt::format("cannot {} {}: {}", what, path.string(),
                                                std::generic_category().message(errno))};
}

// Points the link to another folder beside it, in one step.
Status SwapLink(const std::filesystem::path& link, const std::filesystem::path& folder_name) {
  const std::filesystem::path draft = link.string() + ".new";
  if (unlink(draft.c_str()) != 0 && errno != ENOENT) return SystemError("remove", draft);
  if (symlink(folder_name.c_str(), draft.c_str()) != 0) return SystemError("make", draft);
  if (rename(draft.c_str(), link.c_str()) != 0) return SystemError("rename to", link);
  const FileDescriptor directory(
      open(link.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.is_open() || fsync(directory.get()) != 0) {
    return SystemError("sync", link.parent_path());
  }
  return {};
}

// What earlier certificates and broken-off attempts have left behind.
void RemovePairsBut(const std::filesystem::path& folder, const std::filesystem::path& now,
                    const std::filesystem::path& before) {
  std::error_code ignored;
  for (std::filesystem::directory_iterator entry(folder, ignored), end; !ignored && entry != end;
       entry.increment(ignored)) {
    const std::filesystem::path name = entry->path().filename();
    if (!name.string().starts_with(kPairFolder) || name == now || name == before) continue;
    std::error_code not_removed;
    std::filesystem::remove_all(entry->path(), not_removed);
  }
}

}  // namespace

std::vector<std::string> LocalHosts() {
  std::vector<std::string> hosts = {"localhost", "127.0.0.1", "::1"};
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) == 0) hosts.emplace_back(name.data());
  return hosts;
}

StatusOr<std::string> CaPin(std::string_view certificate_pem) {
  const StatusOr<std::vector<CertificateHandle>> certificates = ReadCertificates(certificate_pem);
  if (!certificates.ok()) return certificates.status();
  return PinOf(*certificates->front());
}

StatusOr<ServerCertificate> ServerCertificate::LoadOrCreate(const std::filesystem::path& folder,
                                                            const std::vector<std::string>& hosts,
                                                            const Clock& clock) {
  StatusOr<std::vector<SubjectName>> names = NamesOf(hosts);
  if (!names.ok()) return names.status();
  ServerCertificate certificate(folder, *std::move(names), std::nullopt, clock);
  if (const StatusOr<bool> renewed = certificate.Renew(); !renewed.ok()) return renewed.status();
  return certificate;
}

StatusOr<ServerCertificate> ServerCertificate::Publish(const std::filesystem::path& folder,
                                                       const ServerCertificateFiles& files,
                                                       const Clock& clock) {
  ServerCertificate certificate(folder, {}, files, clock);
  if (const StatusOr<bool> renewed = certificate.Renew(); !renewed.ok()) return renewed.status();
  return certificate;
}

StatusOr<bool> ServerCertificate::Renew() {
  if (Status made = MakePrivateFolder(folder_); !made.ok()) return made;
  return operators_ ? RenewOperators() : RenewOurs();
}

ServerCertificateFiles ServerCertificate::files() const {
  const std::filesystem::path current = folder_ / "current";
  return {current / "server.crt", current / "server.key", current / "ca.crt"};
}

// Checks the parts against each other, whoever made them, and reads what they say.
StatusOr<ServerCertificate::Content> ServerCertificate::Check(std::string_view chain_pem,
                                                              Secret key_pem,
                                                              std::string ca_pem) const {
  const StatusOr<std::vector<CertificateHandle>> chain = ReadCertificates(chain_pem);
  if (!chain.ok()) return Refuse("cannot be read");
  const StatusOr<KeyHandle> key = ReadKey(key_pem);
  if (!key.ok()) return Refuse("has a key that cannot be read: it must be PEM and not encrypted");
  const X509& own = *chain->front();
  if (!IsPair(own, **key)) return Refuse("does not match its key");
  const StatusOr<std::vector<CertificateHandle>> way = WayToCa(*chain, ca_pem, clock_->WallNow());
  if (!way.ok()) return way.status();
  const StatusOr<Validity> validity = ValidityOf(own);
  if (!validity.ok()) return validity.status();
  const StatusOr<std::string> pin = PinOf(*way->back());
  if (!pin.ok()) return pin.status();

  Content content;
  for (const CertificateHandle& each : *way) {
    const StatusOr<std::string> pem = ToPem(*each);
    if (!pem.ok()) return pem.status();
    content.chain_pem += *pem;
  }
  content.key_pem = std::move(key_pem);
  content.ca_pem = std::move(ca_pem);
  content.names = SubjectNamesOf(own);
  content.validity = *validity;
  content.ca_pin = *pin;
  return content;
}

StatusOr<ServerCertificate::Content> ServerCertificate::Load(const ServerCertificateFiles& files,
                                                             Readers readers) const {
  const StatusOr<std::string> chain = ReadFile(files.certificate);
  if (!chain.ok()) return chain.status();
  StatusOr<Secret> key = ReadPrivateFile(files.key, readers);
  if (!key.ok()) return key.status();
  StatusOr<std::string> ca = ReadFile(files.ca);
  if (!ca.ok()) return ca.status();
  return Check(*chain, *std::move(key), *std::move(ca));
}

StatusOr<bool> ServerCertificate::RenewOperators() {
  const StatusOr<Content> given = Load(*operators_, Readers::kOwnerAndGroup);
  if (!given.ok()) return given.status();
  const StatusOr<Content> published = Load(files(), Readers::kOwner);
  const bool is_same = published.ok() && published->chain_pem == given->chain_pem &&
                       published->key_pem.Reveal() == given->key_pem.Reveal() &&
                       published->ca_pem == given->ca_pem;
  if (!is_same) {
    if (Status put = Put(*given); !put.ok()) return put;
  }
  Show(*given);
  return !is_same;
}

StatusOr<bool> ServerCertificate::RenewOurs() {
  const WallTime now = clock_->WallNow();
  CertificateText text;
  text.common_name = "Drawbridge server CA";
  text.use = CertificateUse::kServer;
  text.not_before = Later(now, -kClockSkewMax);
  text.not_after = Later(now, kAuthorityLife);
  text.is_authority = true;
  const StatusOr<CertificateAuthority> authority =
      CertificateAuthority::LoadOrCreate(folder_, "server-ca", text, now);
  if (!authority.ok()) return authority.status();

  // Whatever is wrong with what is published, a new one is the cure.
  StatusOr<Content> published = Load(files(), Readers::kOwner);
  if (published.ok() && published->ca_pem == authority->pem() && !IsDue(*published)) {
    Show(*published);
    return false;
  }
  const StatusOr<Content> fresh = Issue(*authority);
  if (!fresh.ok()) return fresh.status();
  if (Status put = Put(*fresh); !put.ok()) return put;
  Show(*fresh);
  return true;
}

bool ServerCertificate::IsDue(const Content& content) const {
  const auto life = content.validity.not_after - content.validity.not_before;
  const auto left = content.validity.not_after - clock_->WallNow();
  return content.names != names_ || left * 3 < life;
}

StatusOr<ServerCertificate::Content> ServerCertificate::Issue(
    const CertificateAuthority& authority) const {
  const StatusOr<KeyHandle> key = MakeKey();
  if (!key.ok()) return key.status();
  const WallTime now = clock_->WallNow();
  CertificateText text;
  text.common_name = "Drawbridge server";
  text.names = names_;
  text.use = CertificateUse::kServer;
  text.not_before = Later(now, -kClockSkewMax);
  text.not_after = Later(now, kLife);
  const StatusOr<CertificateHandle> certificate = authority.Sign(std::move(text), **key);
  if (!certificate.ok()) return certificate.status();
  const StatusOr<std::string> pem = ToPem(**certificate);
  if (!pem.ok()) return pem.status();
  StatusOr<Secret> key_pem = ToPem(**key);
  if (!key_pem.ok()) return key_pem.status();
  return Check(*pem, *std::move(key_pem), authority.pem());
}

Status ServerCertificate::Put(const Content& content) {
  std::string pair = (folder_ / kPairFolder).string() + "XXXXXX";
  if (mkdtemp(pair.data()) == nullptr) return SystemError("make", pair);
  const std::filesystem::path folder(pair);
  if (Status put = WriteFileAtomically(folder / "server.key", content.key_pem.Reveal(), 0600);
      !put.ok()) {
    return put;
  }
  if (Status put = WriteFileAtomically(folder / "server.crt", content.chain_pem, 0644); !put.ok()) {
    return put;
  }
  if (Status put = WriteFileAtomically(folder / "ca.crt", content.ca_pem, 0644); !put.ok()) {
    return put;
  }
  const std::filesystem::path link = folder_ / "current";
  std::error_code is_first;
  const std::filesystem::path before = std::filesystem::read_symlink(link, is_first);
  if (Status swapped = SwapLink(link, folder.filename()); !swapped.ok()) return swapped;
  // The one before stays for now: somebody may be reading its second file at this moment.
  RemovePairsBut(folder_, folder.filename(), before);
  return {};
}

void ServerCertificate::Show(const Content& content) {
  ca_pem_ = content.ca_pem;
  ca_pin_ = content.ca_pin;
  not_after_ = content.validity.not_after;
}

}  // namespace drawbridge
