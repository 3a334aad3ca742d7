#include "base/failpoint.h"

#if defined(DRAWBRIDGE_FAILPOINTS)

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>

namespace drawbridge {
namespace {

struct Armed {
  enum class Action { kKill, kSleep, kError } action = Action::kError;
  int argument = 0;
  std::atomic<int> passages{0};
};

// "a=kill:7;b=error". What cannot be read is ignored: a test that armed nothing shows it by itself.
std::map<std::string, Armed, std::less<>> Read(std::string_view text) {
  std::map<std::string, Armed, std::less<>> armed;
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(';'));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    const size_t equals = item.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view action = item.substr(equals + 1);
    const size_t colon = action.find(':');
    Armed& point = armed[std::string(item.substr(0, equals))];
    point.argument = colon == std::string_view::npos
                         ? 1
                         : std::atoi(std::string(action.substr(colon + 1)).c_str());
    if (action.starts_with("kill")) point.action = Armed::Action::kKill;
    if (action.starts_with("sleep")) point.action = Armed::Action::kSleep;
  }
  return armed;
}

}  // namespace

bool Failpoint(std::string_view name) {
  static auto armed = [] {
    const char* text = std::getenv("DRAWBRIDGE_FAILPOINTS");  // NOLINT(concurrency-mt-unsafe)
    return Read(text == nullptr ? "" : text);
  }();
  const auto found = armed.find(name);
  if (found == armed.end()) return false;
  Armed& point = found->second;
  const int passage = ++point.passages;
  switch (point.action) {
    case Armed::Action::kKill:
      if (passage == point.argument) std::raise(SIGKILL);
      return false;
    case Armed::Action::kSleep:
      std::this_thread::sleep_for(std::chrono::milliseconds(point.argument));
      return false;
    case Armed::Action::kError:
      return passage >= point.argument;
  }
  return false;
}

}  // namespace drawbridge

#endif
