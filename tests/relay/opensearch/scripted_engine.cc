#include "tests/relay/opensearch/scripted_engine.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

namespace drawbridge {
namespace {

using nlohmann::json;

std::string Gunzip(const std::string& packed) {
  constexpr int kGzipHeader = 15 + 16;
  z_stream stream{};
  inflateInit2(&stream, kGzipHeader);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string out;
  char part[65536];
  int state = Z_OK;
  while (state == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(part);
    stream.avail_out = sizeof part;
    state = inflate(&stream, Z_NO_FLUSH);
    out.append(part, sizeof part - stream.avail_out);
  }
  inflateEnd(&stream);
  return state == Z_STREAM_END ? out : "NOT GZIP";
}

bool ReadMore(int connection, std::string& buffer) {
  char part[65536];
  const ssize_t count = recv(connection, part, sizeof part, 0);
  if (count <= 0) return false;
  buffer.append(part, static_cast<size_t>(count));
  return true;
}

std::optional<EngineRequest> ReadRequest(int connection, std::string& buffer) {
  size_t end = 0;
  while ((end = buffer.find("\r\n\r\n")) == buffer.npos) {
    if (!ReadMore(connection, buffer)) return std::nullopt;
  }
  EngineRequest request;
  std::string head = buffer.substr(0, end + 2);
  buffer.erase(0, end + 4);
  const size_t first = head.find("\r\n");
  const std::string line = head.substr(0, first);
  request.method = line.substr(0, line.find(' '));
  request.path = line.substr(request.method.size() + 1);
  request.path = request.path.substr(0, request.path.find(' '));
  for (size_t at = first + 2; at < head.size();) {
    const size_t stop = head.find("\r\n", at);
    std::string header = head.substr(at, stop - at);
    const size_t colon = header.find(':');
    std::string name = header.substr(0, colon);
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    request.headers[name] = header.substr(header.find_first_not_of(' ', colon + 1));
    at = stop + 2;
  }
  const size_t length = request.headers.contains("content-length")
                            ? std::stoul(request.headers["content-length"])
                            : 0;
  while (buffer.size() < length) {
    if (!ReadMore(connection, buffer)) return std::nullopt;
  }
  request.body = buffer.substr(0, length);
  buffer.erase(0, length);
  if (request.headers["content-encoding"] == "gzip") request.body = Gunzip(request.body);
  std::vector<std::string> lines;
  for (size_t at = 0; at < request.body.size();) {
    const size_t stop = request.body.find('\n', at);
    lines.push_back(request.body.substr(at, stop - at));
    at = stop == request.body.npos ? request.body.size() : stop + 1;
  }
  for (size_t i = 0; i + 1 < lines.size(); i += 2) {
    request.documents.emplace_back(lines[i], lines[i + 1]);
  }
  return request;
}

}  // namespace

ScriptedEngine::ScriptedEngine() {
  listener_ = FileDescriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) std::abort();
  listen(listener_.get(), 64);
  getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

ScriptedEngine::~ScriptedEngine() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
    for (const int connection : connections_) shutdown(connection, SHUT_RDWR);
  }
  shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
}

std::string ScriptedEngine::address() const { return fmt::format("http://127.0.0.1:{}", port_); }

void ScriptedEngine::SetScript(Script script) {
  const std::lock_guard lock(mutex_);
  script_ = std::move(script);
}

void ScriptedEngine::Accept() {
  while (true) {
    const int connection = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    const std::lock_guard lock(mutex_);
    if (is_ending_ || connection < 0) {
      if (connection >= 0) close(connection);
      return;
    }
    connections_.push_back(connection);
    threads_.emplace_back([this, connection] { Serve(connection); });
  }
}

void ScriptedEngine::Serve(int connection) {
  std::string buffer;
  while (const std::optional<EngineRequest> request = ReadRequest(connection, buffer)) {
    Script script;
    size_t number = 0;
    std::optional<EngineReply> reply = AnswerSearch(*request);
    if (!reply) {
      {
        const std::lock_guard lock(mutex_);
        number = requests_.size();
        requests_.push_back(*request);
        script = script_;
      }
      reply = script ? script(*request, number) : Store(*request);
    }
    if (reply->hangs_up) break;
    const std::string text = fmt::format(
        "HTTP/1.1 {} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}\r\n{}",
        reply->status, reply->body.size(), reply->headers, reply->body);
    if (send(connection, text.data(), text.size(), MSG_NOSIGNAL) < 0) break;
  }
  const std::lock_guard lock(mutex_);
  std::erase(connections_, connection);
  close(connection);
}

void ScriptedEngine::RollOver(const std::string& name, const std::string& index) {
  const std::lock_guard lock(mutex_);
  behind_[name].push_back(index);
}

void ScriptedEngine::SetClosed(const std::string& index, bool is_closed) {
  const std::lock_guard lock(mutex_);
  if (is_closed) {
    closed_.insert(index);
  } else {
    closed_.erase(index);
  }
}

void ScriptedEngine::SetLookStatus(int status, const std::string& body) {
  const std::lock_guard lock(mutex_);
  look_status_ = status;
  look_refusal_ = body;
}

size_t ScriptedEngine::looks() const {
  const std::lock_guard lock(mutex_);
  return looks_;
}

void ScriptedEngine::WorkOn(const EngineRequest& request) {
  const std::lock_guard lock(mutex_);
  EngineRequest& task = tasks_.emplace_back(request);
  for (auto& [action, document] : task.documents) {
    json line = json::parse(action);
    line["create"]["_index"] = IndexOf(line["create"]["_index"]);
    action = line.dump();
  }
}

void ScriptedEngine::CarryOut() {
  std::vector<EngineRequest> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks = std::exchange(tasks_, {});
  }
  for (const EngineRequest& task : tasks) Store(task);
}

void ScriptedEngine::SetTasksStatus(int status) {
  const std::lock_guard lock(mutex_);
  tasks_status_ = status;
}

size_t ScriptedEngine::task_looks() const {
  const std::lock_guard lock(mutex_);
  return task_looks_;
}

std::string ScriptedEngine::IndexOf(const std::string& name) const {
  const auto behind = behind_.find(name);
  return behind == behind_.end() ? name : behind->second.back();
}

std::optional<EngineReply> ScriptedEngine::AnswerSearch(const EngineRequest& request) {
  const std::lock_guard lock(mutex_);
  const auto say = [](const json& body) {
    return EngineReply{.status = 200, .body = body.dump(), .headers = {}, .hangs_up = false};
  };
  std::istringstream names(request.path.substr(1, request.path.find('/', 1) - 1));
  std::vector<std::string> indexes;
  for (std::string name; std::getline(names, name, ',');) {
    const auto found = behind_.find(name);
    if (found != behind_.end())
      indexes.insert(indexes.end(), found->second.begin(), found->second.end());
    if (indexes_.contains(name)) indexes.push_back(name);
  }
  if (request.path.find("/_settings/index.uuid") != std::string::npos) {
    ++looks_;
    if (look_status_ != 200) {
      return EngineReply{
          .status = look_status_, .body = look_refusal_, .headers = {}, .hangs_up = false};
    }
    json settings = json::object();
    for (const std::string& index : indexes) {
      settings[index] = json::object();
      if (closed_.contains(index)) {
        settings[index]["settings"]["index"]["verified_before_close"] = "true";
      }
    }
    return say(settings);
  }
  if (request.path.starts_with("/_tasks")) {
    ++task_looks_;
    if (tasks_status_ != 200) {
      return EngineReply{.status = tasks_status_, .body = "{}", .headers = {}, .hangs_up = false};
    }
    json tasks = json::object();
    for (const EngineRequest& task : tasks_) {
      tasks[fmt::format("node:{}", tasks.size())] = {
          {"headers", {{"X-Opaque-Id", task.headers.at("x-opaque-id")}}}};
    }
    return say({{"nodes", {{"node", {{"tasks", tasks}}}}}});
  }
  if (request.path.find("/_refresh") != std::string::npos) return say(json::object());
  const bool is_for_ids = request.body.find(R"("ids")") != std::string::npos;
  if (request.path.find("/_search") == std::string::npos || !is_for_ids) return std::nullopt;
  json hits = json::array();
  const json asked = json::parse(request.body);
  for (const std::string id : asked["query"]["ids"]["values"]) {
    for (const std::string& index : indexes) {
      if (indexes_[index].contains(id)) hits.push_back({{"_id", id}});
    }
  }
  return say({{"timed_out", false}, {"_shards", {{"failed", 0}}}, {"hits", {{"hits", hits}}}});
}

EngineReply ScriptedEngine::Store(const EngineRequest& request) {
  const std::lock_guard lock(mutex_);
  json items = json::array();
  for (const auto& [action, document] : request.documents) {
    const json create = json::parse(action)["create"];
    const std::string index = IndexOf(create["_index"]);
    const bool is_made = indexes_[index].emplace(create["_id"].get<std::string>(), document).second;
    json item{{"status", is_made ? 201 : 409}};
    if (!is_made) item["error"] = {{"type", "version_conflict_engine_exception"}};
    items.push_back({{"create", item}});
  }
  return {.status = 200,
          .body = json{{"took", 1}, {"errors", false}, {"items", items}}.dump(),
          .headers = {},
          .hangs_up = false};
}

std::map<std::string, std::string> ScriptedEngine::stored(const std::string& index) const {
  const std::lock_guard lock(mutex_);
  const auto found = indexes_.find(index);
  return found == indexes_.end() ? std::map<std::string, std::string>() : found->second;
}

std::vector<EngineRequest> ScriptedEngine::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

}  // namespace drawbridge
