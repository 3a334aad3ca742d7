#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "cli/failure.h"

namespace drawbridge::cli {

class YamlFields;
class YamlValue;

// Reads one YAML document against what a schema expects of it, and collects everything that is
// wrong, each with its line, its path ("bridges.oci-logs.source.topics[1]") and what to do, so that
// a writer mends a file in one round.
//
// The schema asks for values one after the other (`YamlValue`); the depth of the document does not
// matter, and aliases cannot make a small file large: what is taken out of it is bounded.
//
// Thread-compatible. Must outlive the values that it gives out.
class YamlFile {
 public:
  // What the server takes in one request, and more than anybody writes.
  static constexpr size_t kTextBytesMax = size_t{4} << 20;
  static constexpr size_t kValuesMax = 200'000;
  static constexpr size_t kProblemsMax = 100;

  // What messages may repeat of the file. Of one that holds a secret, nothing: the secret may stand
  // where it should not.
  enum class Content { kPublic, kSecret };

  // `name` is what messages call the file.
  explicit YamlFile(std::string name, Content content = Content::kPublic)
      : name_(std::move(name)), content_(content) {}
  YamlFile(const YamlFile&) = delete;
  YamlFile& operator=(const YamlFile&) = delete;

  // The value at the root, or nullopt when the text is no YAML: the problems say why.
  std::optional<YamlValue> Parse(const std::string& text);

  void Refuse(Reason reason, std::string message, std::string field, const YAML::Mark& mark);

  const std::vector<Problem>& problems() const { return problems_; }

  // Where each value stands that was asked for, by path.
  const std::map<std::string, FilePosition>& positions() const { return positions_; }

 private:
  friend class YamlValue;

  // Whether one more value, with `bytes` of text, may be taken out.
  bool Take(size_t bytes, const YAML::Mark& mark);
  bool IsText(const std::string& text);
  // The text in quotes, fit for a message; something vague for a secret file's.
  std::string Quote(const std::string& text) const;

  std::string name_;
  Content content_;
  std::vector<Problem> problems_;
  std::map<std::string, FilePosition> positions_;
  size_t bytes_taken_ = 0;
  size_t values_taken_ = 0;
};

// A value of the file, with its place. Each way of reading it reports what is wrong to the file,
// and then gives nothing.
class YamlValue {
 public:
  YamlValue(YamlFile& file, const YAML::Node& node, std::string path);

  const std::string& path() const { return path_; }

  // Any scalar, as it is written: `topics: [no, 123]` names two topics.
  std::optional<std::string> Text() const;
  std::optional<int64_t> Integer(int64_t least, int64_t most) const;
  std::optional<bool> Flag() const;
  std::vector<YamlValue> List() const;

  // A mapping whose keys are the writer's own, in the order of the file. A key that comes twice is
  // refused with `reason`.
  std::vector<std::pair<std::string, YamlValue>> Entries(
      Reason reason = Reason::kFieldInvalid) const;

  // A mapping whose keys are `known`; others are refused, with the nearest known one as a hint.
  YamlFields Fields(std::initializer_list<std::string_view> known) const;

  void Refuse(Reason reason, std::string message) const;
  // The same for a value that is not what it should be: "topic" + " is a list: write text".
  void RefuseAs(std::string_view predicate) const;

  // Counts text that the value stands for, such as a file's, against what may be taken out.
  bool Take(size_t bytes) const { return file_->Take(bytes, node_.Mark()); }

 private:
  bool IsGiven() const;
  std::optional<std::string> KeyText(const YAML::Node& key) const;
  std::string Kind() const;
  void RefuseType(std::string_view expected) const;

  YamlFile* file_;
  YAML::Node node_;
  std::string path_;
};

// The known fields of a mapping, by name.
class YamlFields {
 public:
  explicit YamlFields(std::map<std::string, YamlValue, std::less<>> values)
      : values_(std::move(values)) {}

  // Null if the file leaves it out.
  const YamlValue* Find(std::string_view name) const;

 private:
  std::map<std::string, YamlValue, std::less<>> values_;
};

}  // namespace drawbridge::cli
