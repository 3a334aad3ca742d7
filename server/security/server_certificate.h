#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace drawbridge {

// Where gRPC finds what it presents. The paths stay the same when the content changes.
struct ServerCertificateFiles {
  std::filesystem::path certificate;  // PEM: the server's, then what is behind it, the CA last
  std::filesystem::path key;          // PEM
  std::filesystem::path ca;           // PEM: what clients trust
};

// An operator's own certificate instead of ours.
struct OperatorCertificate {
  std::filesystem::path certificate;  // PEM: the server's first, then its chain
  std::filesystem::path key;          // PEM
  std::filesystem::path ca;           // PEM: what clients shall trust
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
                                             const OperatorCertificate& files, const Clock& clock);

  // Makes a new one if it is time, or takes over what the operator has put in place; whether it
  // did. To be called every hour or so. After an error the last good one stays.
  StatusOr<bool> Renew();

  ServerCertificateFiles files() const;
  const std::string& ca_pem() const { return ca_pem_; }
  WallTime not_after() const { return not_after_; }

 private:
  ServerCertificate(std::filesystem::path folder, std::vector<std::string> hosts,
                    std::optional<OperatorCertificate> operators, const Clock& clock);

  std::filesystem::path folder_;
  std::vector<std::string> hosts_;  // sorted, each once
  std::optional<OperatorCertificate> operators_;
  const Clock* clock_;
  std::string ca_pem_;
  WallTime not_after_{};
};

// localhost, 127.0.0.1, ::1 and the machine's own name.
std::vector<std::string> LocalHosts();

// "sha256:" and the SHA-256 of the public key (SubjectPublicKeyInfo) of the first certificate, hex.
// With it a relay knows the server's CA before it trusts anything else.
StatusOr<std::string> CaPin(std::string_view certificate_pem);

}  // namespace drawbridge
