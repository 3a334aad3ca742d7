#include "cli/yaml_file.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/eventhandler.h>

#include "cli/text.h"

namespace drawbridge::cli {
namespace {

// Control characters other than those of a text in several lines: in a file of definitions they are
// a sign of another kind of file.
bool IsBinary(char byte) {
  const auto code = static_cast<unsigned char>(byte);
  return (code < 0x20 && byte != '\n' && byte != '\r' && byte != '\t') || code == 0x7F;
}

YAML::Mark MarkAt(std::string_view text, size_t at) {
  const std::string_view before = text.substr(0, at);
  YAML::Mark mark;
  mark.line = static_cast<int>(std::ranges::count(before, '\n'));
  const size_t line_start = before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1;
  mark.column = static_cast<int>(at - line_start);
  return mark;
}

// Notes where a document begins, and forgets what is in it.
class DocumentStart final : public YAML::EventHandler {
 public:
  const YAML::Mark& mark() const { return mark_; }

  void OnDocumentStart(const YAML::Mark& mark) override { mark_ = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

 private:
  YAML::Mark mark_;
};

// Where the text goes on behind its first document; nullopt if it does not.
std::optional<YAML::Mark> FindRest(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentStart document;
  if (!parser.HandleNextDocument(document)) return std::nullopt;
  // Once more and never again: YAML::LoadAll() goes on for ever at a token that begins nothing,
  // such as the comma behind a brace too many.
  if (!parser.HandleNextDocument(document)) return std::nullopt;
  return document.mark();
}

std::string Child(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

std::string Hint(std::string_view unknown, const std::vector<std::string_view>& known) {
  const std::string_view nearest = Nearest(unknown, known);
  if (!nearest.empty()) return fmt::format("did you mean {}?", nearest);
  return fmt::format("the fields here are {}", fmt::join(known, ", "));
}

}  // namespace

std::optional<YamlValue> YamlFile::Parse(const std::string& text) {
  if (!IsText(text)) return std::nullopt;
  try {
    const YAML::Node root = YAML::Load(text);
    if (const std::optional<YAML::Mark> rest = FindRest(text)) {
      const bool is_document = text.compare(static_cast<size_t>(rest->pos), 3, "---") == 0;
      Refuse(Reason::kFieldInvalid,
             is_document ? "a second document begins here: write all of it as one"
                         : "this belongs to nothing: look at the brackets and quotes before it",
             "", *rest);
      return std::nullopt;
    }
    return YamlValue(*this, root, "");
  } catch (const YAML::Exception& error) {
    Refuse(Reason::kFieldInvalid,
           fmt::format("this is no YAML: {}; look at the indentation, brackets and quotes here",
                       error.msg),
           "", error.mark);
  } catch (const std::exception& error) {
    Refuse(Reason::kFieldInvalid, fmt::format("this is no YAML: {}", error.what()), "",
           YAML::Mark::null_mark());
  }
  return std::nullopt;
}

void YamlFile::Refuse(Reason reason, std::string message, std::string field,
                      const YAML::Mark& mark) {
  if (problems_.size() > kProblemsMax) return;
  if (content_ == Content::kSecret) field.clear();  // a key may be the secret
  if (problems_.size() == kProblemsMax) message = "and more: mend these first";
  problems_.push_back({std::string(Name(reason)), std::move(message), std::move(field),
                       FilePosition{name_, mark.line + 1, mark.column + 1}});
}

bool YamlFile::Take(size_t bytes, const YAML::Mark& mark) {
  const bool was_full = values_taken_ > kValuesMax || bytes_taken_ > kTextBytesMax;
  if (was_full) return false;
  values_taken_ += 1;
  bytes_taken_ += bytes;
  if (values_taken_ <= kValuesMax && bytes_taken_ <= kTextBytesMax) return true;
  Refuse(Reason::kFieldInvalid,
         fmt::format("the file holds more than {} values or {} MiB of text, aliases written out: "
                     "split it",
                     kValuesMax, kTextBytesMax >> 20),
         "", mark);
  return false;
}

bool YamlFile::IsText(const std::string& text) {
  const auto binary = std::ranges::find_if(text, IsBinary);
  const std::optional<size_t> invalid = FindInvalidUtf8(text);
  if (binary == text.end() && !invalid) return true;
  const auto at =
      std::min(static_cast<size_t>(binary - text.begin()), invalid.value_or(text.size()));
  Refuse(Reason::kFieldInvalid, "this is no UTF-8 text: is it the right file?", "",
         MarkAt(text, at));
  return false;
}

std::string YamlFile::Quote(const std::string& text) const {
  if (content_ == Content::kSecret) return "something else";
  return fmt::format("\"{}\"", CutToWidth(Printable(text), 60));
}

YamlValue::YamlValue(YamlFile& file, const YAML::Node& node, std::string path)
    : file_(&file), node_(node), path_(std::move(path)) {
  const YAML::Mark mark = node_.Mark();
  file.positions_[path_] = FilePosition{file.name_, mark.line + 1, mark.column + 1};
}

std::optional<std::string> YamlValue::Text() const {
  if (!IsGiven()) return std::nullopt;
  if (!node_.IsScalar()) {
    RefuseType("text");
    return std::nullopt;
  }
  const std::string& text = node_.Scalar();
  if (!file_->Take(text.size(), node_.Mark())) return std::nullopt;
  if (std::ranges::any_of(text, IsBinary) || FindInvalidUtf8(text)) {
    RefuseAs("holds a control character: take it out");
    return std::nullopt;
  }
  return text;
}

std::optional<int64_t> YamlValue::Integer(int64_t least, int64_t most) const {
  if (!IsGiven()) return std::nullopt;
  const std::string expected = fmt::format("a number from {} to {}", least, most);
  if (!node_.IsScalar() || node_.Tag() == "!") {
    RefuseType(expected + ", without quotes");
    return std::nullopt;
  }
  int64_t number = 0;
  const std::string& text = node_.Scalar();
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < least || number > most) {
    RefuseType(expected);
    return std::nullopt;
  }
  return number;
}

std::optional<bool> YamlValue::Flag() const {
  if (!IsGiven()) return std::nullopt;
  const std::string text = node_.IsScalar() ? node_.Scalar() : "";
  if (node_.Tag() != "!" && (text == "true" || text == "false")) return text == "true";
  RefuseType("true or false");
  return std::nullopt;
}

std::vector<YamlValue> YamlValue::List() const {
  if (!IsGiven()) return {};
  if (!node_.IsSequence()) {
    RefuseType("a list, [like, this]");
    return {};
  }
  std::vector<YamlValue> values;
  for (const YAML::Node& node : node_) {
    if (!file_->Take(0, node.Mark())) return {};
    values.emplace_back(*file_, node, fmt::format("{}[{}]", path_, values.size()));
  }
  return values;
}

std::vector<std::pair<std::string, YamlValue>> YamlValue::Entries(Reason reason) const {
  if (!IsGiven()) return {};
  if (!node_.IsMap()) {
    RefuseType("a mapping, {name: value}");
    return {};
  }
  std::vector<std::pair<std::string, YamlValue>> entries;
  std::map<std::string, int> line_of;
  for (const auto& entry : node_) {
    const std::optional<std::string> name = KeyText(entry.first);
    if (!name) continue;
    const YAML::Mark mark = entry.first.Mark();
    const auto [first, is_new] = line_of.emplace(*name, mark.line + 1);
    if (!is_new) {
      file_->Refuse(reason,
                    fmt::format("{} stands here twice, first in line {}: take one of them out",
                                file_->Quote(*name), first->second),
                    Child(path_, *name), mark);
      continue;
    }
    entries.emplace_back(*name, YamlValue(*file_, entry.second, Child(path_, *name)));
    // Of a mapping one looks for the name, not for the brace behind it.
    file_->positions_[Child(path_, *name)] =
        FilePosition{file_->name_, mark.line + 1, mark.column + 1};
  }
  return entries;
}

YamlFields YamlValue::Fields(std::initializer_list<std::string_view> known) const {
  std::map<std::string, YamlValue, std::less<>> fields;
  for (auto& [name, value] : Entries()) {
    if (std::ranges::find(known, name) != known.end()) {
      fields.emplace(name, std::move(value));
    } else {
      value.Refuse(Reason::kFieldUnknown, fmt::format("there is no field {} here: {}",
                                                      file_->Quote(name), Hint(name, known)));
    }
  }
  return YamlFields(std::move(fields));
}

void YamlValue::Refuse(Reason reason, std::string message) const {
  YAML::Mark mark = node_.Mark();
  if (const auto known = file_->positions_.find(path_); known != file_->positions_.end()) {
    mark.line = known->second.line - 1;
    mark.column = known->second.column - 1;
  }
  file_->Refuse(reason, std::move(message), path_, mark);
}

void YamlValue::RefuseAs(std::string_view predicate) const {
  const size_t dot = path_.rfind('.');
  const std::string name = dot == path_.npos ? path_ : path_.substr(dot + 1);
  Refuse(Reason::kFieldInvalid, fmt::format("{} {}", name.empty() ? "the file" : name, predicate));
}

bool YamlValue::IsGiven() const {
  if (node_.IsDefined() && !node_.IsNull()) return true;
  RefuseAs(path_.empty() ? "is empty" : "has no value: write one, or leave the line out");
  return false;
}

std::optional<std::string> YamlValue::KeyText(const YAML::Node& key) const {
  if (!file_->Take(key.IsScalar() ? key.Scalar().size() : 0, key.Mark())) return std::nullopt;
  if (key.IsScalar() && std::ranges::none_of(key.Scalar(), IsBinary)) return key.Scalar();
  file_->Refuse(Reason::kFieldInvalid, "a name is wanted here, as plain text", path_, key.Mark());
  return std::nullopt;
}

std::string YamlValue::Kind() const {
  if (node_.IsSequence()) return "a list";
  if (node_.IsMap()) return "a mapping";
  return file_->Quote(node_.Scalar()) + (node_.Tag() == "!" ? " in quotes" : "");
}

void YamlValue::RefuseType(std::string_view expected) const {
  RefuseAs(fmt::format("is {}: write {}", Kind(), expected));
}

const YamlValue* YamlFields::Find(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? nullptr : &found->second;
}

}  // namespace drawbridge::cli
