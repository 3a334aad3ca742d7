#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"

namespace drawbridge {

// One request as it came, its body unpacked.
struct EngineRequest {
  std::string method;
  std::string path;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  std::vector<std::pair<std::string, std::string>> documents;  // action and document lines
};

struct EngineReply {
  int status = 200;
  std::string body = {};
  std::string headers = {};  // whole lines
  bool hangs_up = false;     // without an answer
};

// Speaks HTTP/1.1 on loopback as a search engine does, and answers as the test says. By default it
// keeps documents by index and id, as `create` does, and says so. What is asked about indexes, and
// searches for ids, it answers by itself: they are no part of a script. Thread-safe.
class ScriptedEngine {
 public:
  using Script = std::function<EngineReply(const EngineRequest& request, size_t number)>;

  ScriptedEngine();
  ~ScriptedEngine();

  std::string address() const;
  // What answers from now on; the default again for null. `number` counts requests from 0.
  void SetScript(Script script);
  // `name` stands for several indexes from now on, and what is written to it goes to `index`.
  void RollOver(const std::string& name, const std::string& index);
  // What stands behind `name` is looked into no more until it is open again.
  void SetClosed(const std::string& index, bool is_closed);
  // Works on a request that nobody waits for any more, until it carries out all of them: as the
  // names stood when they came.
  void WorkOn(const EngineRequest& request);
  void CarryOut();
  // Refuses with this status what is asked about tasks; 200: it does not.
  void SetTasksStatus(int status);
  // How often its tasks were asked for.
  size_t task_looks() const;
  // Refuses with this status what is asked about indexes; 200: it does not.
  void SetLookStatus(int status, const std::string& body = "{}");
  // How often the indexes behind a name were asked for.
  size_t looks() const;
  // As an engine that is well: 201 for what is made, 409 for what is there.
  EngineReply Store(const EngineRequest& request);

  std::map<std::string, std::string> stored(const std::string& index) const;  // by id
  std::vector<EngineRequest> requests() const;

 private:
  void Accept();
  void Serve(int connection);
  std::optional<EngineReply> AnswerSearch(const EngineRequest& request);
  std::string IndexOf(const std::string& name) const;

  FileDescriptor listener_;
  int port_ = 0;
  mutable std::mutex mutex_;
  Script script_;
  std::map<std::string, std::map<std::string, std::string>> indexes_;
  std::map<std::string, std::vector<std::string>> behind_;  // by name; the last one is written
  std::set<std::string> closed_;
  int look_status_ = 200;
  std::string look_refusal_;
  size_t looks_ = 0;
  int tasks_status_ = 200;
  size_t task_looks_ = 0;
  std::vector<EngineRequest> tasks_;
  std::vector<EngineRequest> requests_;
  std::vector<int> connections_;
  bool is_ending_ = false;
  std::vector<std::thread> threads_;  // one for each connection; the acceptor's while it runs
  std::thread acceptor_;
};

}  // namespace drawbridge
