#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace re2 {
class RE2;
}

namespace drawbridge {

// Which topics of a cluster a bridge carries: names, and patterns between slashes ("/vcn-.*/", RE2,
// full match). Internal topics (__*, _schemas) are carried only when they are named literally.
// A value; matching is thread-safe.
class TopicSelection {
 public:
  // kPatternInvalid with the field "[i]" for a pattern that does not compile, kFieldInvalid for
  // an empty list, an empty name or a name that Kafka does not allow.
  static StatusOr<TopicSelection> Create(const std::vector<std::string>& selectors);

  bool Matches(std::string_view topic) const;

  // The topics that are named, as opposed to matched: they must exist.
  const std::vector<std::string>& literals() const { return literals_; }
  bool has_patterns() const { return !patterns_.empty(); }

 private:
  std::vector<std::string> literals_;
  std::vector<std::shared_ptr<const re2::RE2>>
      patterns_;  // shared: immutable, and copies are cheap
};

// How a source topic's name becomes the target's: "oci.{topic}". A value.
class TopicTemplate {
 public:
  // kFieldInvalid if the text has an unknown placeholder or no target name could be valid.
  static StatusOr<TopicTemplate> Create(std::string_view text);

  std::string Apply(std::string_view topic) const;

  // The source topic that would become `target`; nullopt if none would. For a template without a
  // placeholder there is no telling, so none.
  std::optional<std::string> Inverse(std::string_view target) const;

  bool has_placeholder() const { return has_placeholder_; }
  bool is_identity() const { return has_placeholder_ && prefix_.empty() && suffix_.empty(); }

 private:
  std::string prefix_;
  std::string suffix_;
  bool has_placeholder_ = false;
};

// A flow of topics: what is selected, and what it is called at the other end.
struct TopicFlow {
  TopicSelection selection;
  TopicTemplate mapping;
};

// Whether `topic` is itself what one of the flows that come back made of another topic. Carrying it
// on would make a topic of a topic of a topic. Where the name leads back to where it came from,
// both clusters share the topic on purpose, and the provenance header keeps records from going
// round.
bool IsEcho(std::string_view topic, const TopicTemplate& mapping,
            const std::vector<TopicFlow>& reverse_flows);

// Whether Kafka takes this as a topic's name: 1-249 of a-z, A-Z, 0-9, '.', '_', '-', not "." or
// "..".
bool IsTopicName(std::string_view name);

}  // namespace drawbridge
