#pragma once

#include <concepts>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace drawbridge {

enum class LogLevel { kDebug, kInfo, kWarn, kError };
enum class LogFormat { kText, kJson };

// A key and its value, as text. Keys are words of the glossary: `stream`, `next_offset`.
struct LogField {
  template <typename T>
  LogField(std::string_view name, const T& content)
      : key(name),
        value(fmt::format("{}", content)),
        is_number(std::integral<T> && !std::same_as<T, bool>) {}
  template <typename T>
  LogField(std::string_view name, const std::optional<T>& content)  // NOLINT: it delegates
      : LogField(name, content ? fmt::format("{}", *content) : std::string("unknown")) {}

  std::string_view key;
  std::string value;
  bool is_number;
};

// Where a part of a program logs to: one per target, named like it ("relay.kafka"). A message is a
// constant in lower case; what varies goes into the fields, so that lines can be counted by
// message. Every value is escaped. More than 10 lines a second of one message are counted and
// dropped. Never a payload, never a secret. Thread-safe.
class Log {
 public:
  explicit Log(std::string name) : name_(std::move(name)) {}

  void Debug(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    Write(LogLevel::kDebug, message, fields);
  }
  void Info(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    Write(LogLevel::kInfo, message, fields);
  }
  void Warn(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    Write(LogLevel::kWarn, message, fields);
  }
  void Error(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    Write(LogLevel::kError, message, fields);
  }

 private:
  void Write(LogLevel level, std::string_view message,
             std::initializer_list<LogField> fields) const;

  std::string name_;
};

// "debug", "info", "warn", "error"; kInfo for any other word.
LogLevel LogLevelFromName(std::string_view name);

// Called once by main(): lines go to standard error, as key=value on a terminal and as JSON lines
// elsewhere unless `format` says which. `service` and `instance` stand in every JSON line.
void StartLogging(std::string service, std::string instance, LogLevel level,
                  std::optional<LogFormat> format);

}  // namespace drawbridge
