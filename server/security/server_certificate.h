#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/private_file.h"
#include "base/status.h"
#include "server/security/certificate_authority.h"

namespace drawbridge {

// A certificate with what belongs to it, in files.
struct ServerCertificateFiles {
  std::filesystem::path certificate;  // PEM: the server's, then what is behind it
  std::filesystem::path key;          // PEM, not encrypted
  std::filesystem::path ca;           // PEM: what clients trust
};

// The certificate that the server shows on both listeners.
//
// Without an operator's own, it comes from an authority of the server's (server-ca.key, mode 0600,
// and server-ca.crt: 10 years, server authentication only), lives 90 days and is made anew when
// less than a third of that is left or the hosts have changed. Clients trust the authority, so they
// notice nothing.
//
// Whatever is published has been checked: key and certificate belong together, and it is valid now.
// gRPC would take a pair that does not match and then refuse every new connection. The three files
// stand in one folder behind the symbolic link `<folder>/current`, which is swapped in one step.
//
// Keeps a reference to the clock. Thread-compatible.
class ServerCertificate {
 public:
  // `hosts` are DNS names and IP addresses that clients use, beside those of LocalHosts().
  // kInvalidArgument for a host that is neither, kFailedPrecondition if a file of the authority is
  // missing, does not match, has expired, or others may read its key.
  static StatusOr<ServerCertificate> LoadOrCreate(const std::filesystem::path& folder,
                                                  const std::vector<std::string>& hosts,
                                                  const Clock& clock);

  // Publishes an operator's files. kFailedPrecondition if they do not belong together, are not
  // valid now, or the certificate does not lead to the CA.
  static StatusOr<ServerCertificate> Publish(const std::filesystem::path& folder,
                                             const ServerCertificateFiles& files,
                                             const Clock& clock);

  // Makes a new one if it is time, or takes over what the operator has put in place; whether it
  // did. To be called every hour or so. After an error the last good one stays.
  StatusOr<bool> Renew();

  // Where gRPC finds what it presents. The paths stay the same when the content changes, and the
  // chain ends with the CA's certificate, so that a relay finds there what its pin names.
  ServerCertificateFiles files() const;
  // What clients trust, PEM.
  const std::string& ca_pem() const { return ca_pem_; }
  // CaPin() of the certificate at which the chain ends; the server shows it in every handshake.
  const std::string& ca_pin() const { return ca_pin_; }
  WallTime not_after() const { return not_after_; }

 private:
  // A certificate with its chain up to the CA, its key, and what clients trust.
  struct Content;

  ServerCertificate(std::filesystem::path folder, std::vector<SubjectName> names,
                    std::optional<ServerCertificateFiles> operators, const Clock& clock)
      : folder_(std::move(folder)),
        names_(std::move(names)),
        operators_(std::move(operators)),
        clock_(&clock) {}

  StatusOr<bool> RenewOurs();
  StatusOr<bool> RenewOperators();
  StatusOr<Content> Load(const ServerCertificateFiles& files, Readers readers) const;
  StatusOr<Content> Check(std::string_view chain_pem, Secret key_pem, std::string ca_pem) const;
  StatusOr<Content> Issue(const CertificateAuthority& authority) const;
  bool IsDue(const Content& content) const;
  Status Put(const Content& content);
  void Show(const Content& content);

  std::filesystem::path folder_;
  std::vector<SubjectName> names_;  // sorted, each once; of ours
  std::optional<ServerCertificateFiles> operators_;
  const Clock* clock_;
  std::string ca_pem_;
  std::string ca_pin_;
  WallTime not_after_{};
};

// localhost, 127.0.0.1, ::1 and the machine's own name.
std::vector<std::string> LocalHosts();

// "sha256:" and the SHA-256 of the public key (SubjectPublicKeyInfo) of the first certificate, hex.
// With it a relay knows the server's CA before it trusts anything else.
StatusOr<std::string> CaPin(std::string_view certificate_pem);

}  // namespace drawbridge
