#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace drawbridge {

// What an operator can set; docs/operations.md lists it.
struct ServerSettings {
  std::filesystem::path state;  // database, keys, certificates; mode 0700
  std::string api_listen = "127.0.0.1:7070";
  std::string relay_listen = "127.0.0.1:7071";
  // Where relays and people reach the server, if not at the addresses above: host:port.
  std::string api_address;
  std::string relay_address;
  // The key that seals secrets: this file, or this credential of the service manager. Neither:
  // <state>/master.key, made at first start.
  std::filesystem::path master_key;
  std::string master_key_credential;
  std::vector<std::string> hosts;  // further names and addresses for the certificate
  Duration certificate_ttl = std::chrono::days(7);  // of relays
  Duration lease_ttl = std::chrono::seconds(30);
  bool has_reflection = false;
  // The key that sealed the stored secrets is lost: forget them, and go on with another key.
  bool forgets_secrets = false;
};

// The whole server: opened stores, the controller and both listeners. It runs from Start() until it
// dies. Runs on the thread that made it.
class Server {
 public:
  static StatusOr<std::unique_ptr<Server>> Start(ServerSettings settings, const Clock& clock);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // To be called every second or so: renews the certificate, keeps the health service truthful.
  void Tick();

  int api_port() const;
  int relay_port() const;

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace drawbridge
