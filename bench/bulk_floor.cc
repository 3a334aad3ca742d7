// What sending documents costs when nothing is promised: prepared `_bulk` requests go to an engine
// as they are, a few at once, over connections that are kept. The bare loop that the relay's sink
// is measured against.
//
//   bulk_floor URL FILE IN_FLIGHT
//
// FILE holds requests one behind the other, each after its length as 4 bytes in network order, and
// compressed with gzip. Ends with 1 at the first answer that is not plain success; when all is sent
// it waits to be ended.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <curl/curl.h>
#include <unistd.h>

namespace {

struct Request {
  CURL* easy = nullptr;
  std::string answer;
};

size_t OnBody(char* bytes, size_t size, size_t count, void* request) {
  static_cast<Request*>(request)->answer.append(bytes, size * count);
  return size * count;
}

std::vector<std::string_view> Split(std::string_view file) {
  std::vector<std::string_view> bodies;
  while (file.size() >= sizeof(uint32_t)) {
    uint32_t length = 0;
    file.copy(reinterpret_cast<char*>(&length), sizeof length);
    length = ntohl(length);
    bodies.push_back(file.substr(sizeof length, length));
    file.remove_prefix(std::min(file.size(), sizeof length + length));
  }
  return bodies;
}

[[noreturn]] void Fail(std::string_view what) {
  std::cerr << "bulk_floor: " << what << '\n';
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) Fail("bulk_floor URL FILE IN_FLIGHT");
  std::ifstream input(argv[2], std::ios::binary);
  const std::string file{std::istreambuf_iterator<char>(input), {}};
  const std::vector<std::string_view> bodies = Split(file);
  if (bodies.empty()) Fail("no requests in the file");
  const std::string url = std::string(argv[1]) + "/_bulk?filter_path=took,errors";
  const size_t in_flight = std::strtoul(argv[3], nullptr, 10);

  curl_global_init(CURL_GLOBAL_DEFAULT);
  CURLM* const multi = curl_multi_init();
  curl_slist* headers = curl_slist_append(nullptr, "Content-Type: application/x-ndjson");
  headers = curl_slist_append(headers, "Content-Encoding: gzip");
  headers = curl_slist_append(headers, "Expect:");
  std::vector<Request> requests(std::min(in_flight, bodies.size()));
  size_t next = 0;
  const auto send = [&](Request& request) {
    const std::string_view body = bodies[next++];
    request.answer.clear();
    curl_easy_setopt(request.easy, CURLOPT_POSTFIELDS, body.data());
    curl_easy_setopt(request.easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(body.size()));
    curl_multi_add_handle(multi, request.easy);
  };
  for (Request& request : requests) {
    request.easy = curl_easy_init();
    curl_easy_setopt(request.easy, CURLOPT_URL, url.c_str());
    curl_easy_setopt(request.easy, CURLOPT_PROXY, "");
    curl_easy_setopt(request.easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(request.easy, CURLOPT_WRITEFUNCTION, OnBody);
    curl_easy_setopt(request.easy, CURLOPT_WRITEDATA, &request);
    curl_easy_setopt(request.easy, CURLOPT_PRIVATE, &request);
    send(request);
  }
  size_t answered = 0;
  while (answered < bodies.size()) {
    int running = 0;
    curl_multi_perform(multi, &running);
    int left = 0;
    while (const CURLMsg* const message = curl_multi_info_read(multi, &left)) {
      Request* request = nullptr;
      long status = 0;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
      curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
      const bool is_good = message->data.result == CURLE_OK && status == 200 &&
                           request->answer.find(R"("errors":false)") != std::string::npos;
      if (!is_good) Fail(request->answer.empty() ? "no answer" : request->answer);
      curl_multi_remove_handle(multi, request->easy);
      ++answered;
      if (next < bodies.size()) send(*request);
    }
    curl_multi_poll(multi, nullptr, 0, 1000, nullptr);
  }
  // Whoever measures it ends it: what it has cost is asked of a process that still is.
  pause();
}
