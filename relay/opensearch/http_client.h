#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "model/credential.h"
#include "model/definition.h"

namespace drawbridge {

// An engine to connect to, with the secret that opens it.
struct SearchEngine {
  EndpointSpec endpoint;  // of the kind opensearch
  std::optional<CredentialSecret> secret;
};

struct HttpRequest {
  std::string method = "GET";
  std::string path = {};  // with its query
  std::string body = {};
  std::string content_type = {};  // empty: no body
  bool is_gzip = false;
  std::string opaque_id = {};         // what the engine calls it in its logs and its list of tasks
  bool needs_new_connection = false;  // it shall go where the address leads at present
  // Longer than the engine's own time-out of a minute: a shorter one leaves requests behind that
  // go on working, and are sent again on top.
  Duration timeout = std::chrono::seconds(90);
};

struct HttpAnswer {
  int status = 0;         // 0: there was no answer
  bool is_first = false;  // of its connection
  // It was sent before to another address, which may have carried it out and did not answer.
  bool may_be_done = false;
  std::string body;
  std::optional<Duration> retry_after;
  Status failure;  // why there was none
};

// Requests to the addresses of one engine, over connections that are kept. Sends with
// Content-Length, never chunked; follows no redirection and uses no proxy. Runs on one thread.
class HttpClient {
 public:
  // kInternal if the library cannot be had.
  static StatusOr<std::unique_ptr<HttpClient>> Open(SearchEngine engine);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Begins a request; its answer comes with `id`. `address` counts the endpoint's addresses.
  void Send(uint64_t id, HttpRequest request, size_t address);

  // Appends the answers that have come. Does not wait.
  void Poll(std::vector<std::pair<uint64_t, HttpAnswer>>& answers);

  // The same at once, for those who have a thread to wait on: at the latest after the request's
  // own time-out.
  HttpAnswer Call(HttpRequest request, size_t address);

  // Readable when Poll has something to do.
  int descriptor() const;

  // A part of a path, as an address may have it.
  static std::string Escaped(const std::string& part);

  size_t addresses() const;
  const SearchEngine& engine() const;

 private:
  struct Impl;

  explicit HttpClient(std::unique_ptr<Impl> impl);

  const std::unique_ptr<Impl> impl_;
};

}  // namespace drawbridge
