#pragma once

#include <string>

#include "base/secret.h"
#include "cli/failure.h"

namespace drawbridge::cli {

// Where the server is, how to know it, and who is calling.
struct Context {
  // host:port
  std::string server;
  // The CA that signs the server's certificate.
  std::string ca_pem;
  Secret token;
};

// Where a context comes from; empty members are not given.
struct ContextSources {
  // The context file; DefaultContextFile() if empty.
  std::string file;
  // Each overrides what the file says; with all three there need be no file.
  std::string server;
  std::string ca_file;
  std::string token_file;
};

// Reads the context. The server writes such a file when it starts for the first time
// (`admin.context` in its state folder):
//
//   server: drawbridge.example.com:7070
//   ca: |
//     -----BEGIN CERTIFICATE-----
//     …
//   token: drawbridge_…
Result<Context> LoadContext(const ContextSources& sources);

// ~/.config/drawbridge/context.yaml
std::string DefaultContextFile();

}  // namespace drawbridge::cli
