#include "base/log.h"

#include <cstdio>
#include <map>
#include <utility>

#include <nlohmann/json.hpp>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mutex.h"

namespace drawbridge {
namespace {

struct Settings {
  std::string service = "drawbridge";
  std::string instance;
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
};

Settings& Current() {
  static Settings settings;
  return settings;
}

spdlog::logger& Lines() {
  static const auto kLogger = [] {
    auto made = std::make_shared<spdlog::logger>("drawbridge",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *kLogger;
}

std::string_view Word(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

// Counts lines of one message within a second; beyond the limit they are dropped and counted.
class RateLimit {
 public:
  // nullopt: drop this line. Else the number of lines dropped since the last one that passed.
  std::optional<int> Admit(const std::string& key) {
    constexpr int kLinesPerSecond = 10;
    const auto second = std::chrono::floor<std::chrono::seconds>(Clock::System().Now());
    const MutexLock lock(mutex_);
    Count& count = counts_[key];
    if (count.second != second) {
      count.second = second;
      count.lines = 0;
    }
    if (++count.lines > kLinesPerSecond) {
      ++count.dropped;
      return std::nullopt;
    }
    return std::exchange(count.dropped, 0);
  }

 private:
  struct Count {
    std::chrono::time_point<BootClock, std::chrono::seconds> second{};
    int lines = 0;
    int dropped = 0;
  };
  Mutex mutex_;
  std::map<std::string, Count> counts_ DRAWBRIDGE_GUARDED_BY(mutex_);
};

// Control characters would let a hostile text forge a second line.
std::string Escaped(std::string_view text) {
  std::string quoted =
      nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const bool is_plain = !text.empty() && text.find_first_of(" \"=\\") == std::string_view::npos &&
                        quoted.size() == text.size() + 2;
  return is_plain ? quoted.substr(1, text.size()) : quoted;
}

}  // namespace

void Log::Write(LogLevel level, std::string_view message,
                std::initializer_list<LogField> fields) const {
  const Settings& settings = Current();
  if (level < settings.level) return;
  static RateLimit limit;
  const std::optional<int> dropped = limit.Admit(name_ + ":" + std::string(message));
  if (!dropped) return;

  std::string line;
  if (settings.format == LogFormat::kJson) {
    nlohmann::ordered_json json = {{"ts", ToRfc3339(Clock::System().WallNow())},
                                   {"level", Word(level)},
                                   {"msg", message},
                                   {"service", settings.service},
                                   {"logger", name_}};
    if (!settings.instance.empty()) json["instance"] = settings.instance;
    for (const LogField& field : fields) json[std::string(field.key)] = field.value;
    if (*dropped > 0) json["suppressed"] = *dropped;
    line = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  } else {
    line = fmt::format("{} {:5} {} {}", ToRfc3339(Clock::System().WallNow()), Word(level), name_,
                       message);
    for (const LogField& field : fields)
      line += fmt::format(" {}={}", field.key, Escaped(field.value));
    if (*dropped > 0) line += fmt::format(" suppressed={}", *dropped);
  }
  Lines().info("{}", line);
}

LogLevel LogLevelFromName(std::string_view name) {
  for (const LogLevel level : {LogLevel::kDebug, LogLevel::kWarn, LogLevel::kError}) {
    if (Word(level) == name) return level;
  }
  return LogLevel::kInfo;
}

void StartLogging(std::string service, std::string instance, LogLevel level,
                  std::optional<LogFormat> format) {
  const bool is_terminal = isatty(STDERR_FILENO) == 1;
  Current() = {std::move(service), std::move(instance), level,
               format.value_or(is_terminal ? LogFormat::kText : LogFormat::kJson)};
}

}  // namespace drawbridge
