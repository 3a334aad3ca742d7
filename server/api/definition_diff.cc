#include "server/api/definition_diff.h"

#include <fmt/format.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>

#include "model/convert/bridge.h"
#include "model/convert/endpoint.h"

namespace drawbridge {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::util::MessageDifferencer;

constexpr size_t kTextMax = 80;

// Writes what differs as paths and texts.
class FieldReporter final : public MessageDifferencer::Reporter {
 public:
  using Path = std::vector<MessageDifferencer::SpecificField>;

  explicit FieldReporter(v1::DefinitionChange& change) : change_(change) {}

  void ReportAdded(const Message& /*before*/, const Message& after, const Path& path) override {
    Add(path, "", TextOf(after, path, true));
  }
  void ReportDeleted(const Message& before, const Message& /*after*/, const Path& path) override {
    Add(path, TextOf(before, path, false), "");
  }
  void ReportModified(const Message& before, const Message& after, const Path& path) override {
    Add(path, TextOf(before, path, false), TextOf(after, path, true));
  }

 private:
  void Add(const Path& path, std::string before, std::string after) {
    const FieldDescriptor& last = *path.back().field;
    // What differs within it is told by itself.
    const bool is_group = last.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
                          !last.is_repeated() && !before.empty() && !after.empty();
    if (is_group) return;
    std::string name;
    for (const auto& step : path) {
      if (step.field->name() == "spec" && name.empty()) continue;
      if (!name.empty()) name += '.';
      name += step.field->name();
      if (step.field->is_repeated() && !step.field->is_map()) {
        name += fmt::format("[{}]", std::max(step.index, step.new_index));
      }
    }
    v1::FieldChange* const field = change_.add_fields();
    field->set_path(name);
    field->set_before(before);
    field->set_after(after);
  }

  // `message` is the one that holds the last field of `path`.
  static std::string TextOf(const Message& message, const Path& path, bool is_after) {
    const FieldDescriptor* const field = path.back().field;
    const int index = !field->is_repeated() ? -1
                      : is_after            ? path.back().new_index
                                            : path.back().index;
    std::string text;
    google::protobuf::TextFormat::Printer printer;
    printer.SetSingleLineMode(true);
    printer.PrintFieldValueToString(message, field, index, &text);
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
      text = text.substr(1, text.size() - 2);
    }
    if (text.size() > kTextMax) text = fmt::format("({} characters)", text.size());
    return text;
  }

  v1::DefinitionChange& change_;
};

v1::DefinitionChange::Action ToProto(ChangeAction action) {
  switch (action) {
    case ChangeAction::kUnchanged:
      return v1::DefinitionChange::ACTION_UNCHANGED;
    case ChangeAction::kCreated:
      return v1::DefinitionChange::ACTION_CREATED;
    case ChangeAction::kUpdated:
      return v1::DefinitionChange::ACTION_UPDATED;
    case ChangeAction::kDeleted:
      return v1::DefinitionChange::ACTION_DELETED;
  }
  return v1::DefinitionChange::ACTION_UNSPECIFIED;
}

template <typename Spec>
void Fill(const std::optional<Spec>& before, const std::optional<Spec>& after,
          v1::DefinitionChange& change) {
  change.set_name(after ? after->name : before->name);
  if (!before || !after) return;
  const auto was = ToProto(*before);
  const auto is = ToProto(*after);
  MessageDifferencer differencer;
  FieldReporter reporter(change);
  differencer.ReportDifferencesTo(&reporter);
  differencer.Compare(was, is);
}

}  // namespace

v1::ApplyResponse ToProto(const DefinitionPlan& plan) {
  v1::ApplyResponse response;
  for (const DefinitionChange& planned : plan.changes) {
    v1::DefinitionChange* const change = response.add_changes();
    change->set_action(ToProto(planned.action));
    if (planned.endpoint_before || planned.endpoint_after) {
      change->set_kind("endpoint");
      Fill(planned.endpoint_before, planned.endpoint_after, *change);
    } else {
      change->set_kind("bridge");
      Fill(planned.bridge_before, planned.bridge_after, *change);
    }
  }
  for (const std::string& warning : plan.warnings) response.add_warnings(warning);
  return response;
}

}  // namespace drawbridge
