#pragma once

#include <string_view>

#include "model/checkpoint.h"
#include "model/convert/checkpoint.h"
#include "model/convert/field_reader.h"
#include "model/ids.h"

// Fields that several messages about a partition have in common.

namespace drawbridge {

template <typename Message>
void SetKey(PartitionKey key, Message& message) {
  message.set_stream_id(key.stream.value);
  message.set_partition(key.partition);
}

template <typename Message>
PartitionKey ReadKey(FieldReader& fields, const Message& message) {
  return {.stream = {fields.Positive("stream_id", message.stream_id())},
          .partition = fields.NotNegative("partition", message.partition())};
}

// A checkpoint and its anchor. A lane starts to read at the anchor's offset, so that one beyond the
// checkpoint would make it skip records.
template <typename Message>
Checkpoint ReadCheckpoint(FieldReader& fields, std::string_view field, int64_t next,
                          const Message& message) {
  Checkpoint checkpoint{
      .next = fields.Position(field, next),
      .anchor = fields.TakeIf("anchor", message.has_anchor(), FromProto(message.anchor()))};
  fields.Check(!checkpoint.anchor || checkpoint.anchor->offset < checkpoint.next, "anchor.offset",
               "is not before the checkpoint");
  return checkpoint;
}

}  // namespace drawbridge
