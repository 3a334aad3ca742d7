#pragma once

#include "base/status.h"
#include "drawbridge/v1/relay.pb.h"
#include "drawbridge/v1/stream.pb.h"
#include "model/dead_letter.h"

// Texts that are no UTF-8 or very long are mended and cut, so that an answer always arrives.

namespace drawbridge {

v1::DeadLetter ToProto(const DeadLetterRecord& letter);
StatusOr<DeadLetterRecord> FromProto(const v1::DeadLetter& message);

v1::DeadLetterPage ToProto(const DeadLetterPage& page);
StatusOr<DeadLetterPage> FromProto(const v1::DeadLetterPage& message);

v1::RetriedDeadLetters ToProto(const RetriedDeadLetters& retried);
StatusOr<RetriedDeadLetters> FromProto(const v1::RetriedDeadLetters& message);

}  // namespace drawbridge
