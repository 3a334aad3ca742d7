#pragma once

#include <vector>

#include "base/status.h"
#include "drawbridge/v1/relay.pb.h"
#include "drawbridge/v1/stream.pb.h"
#include "model/checkpoint.h"

namespace drawbridge {

v1::FencingToken ToProto(const FencingToken& token);
StatusOr<FencingToken> FromProto(const v1::FencingToken& message);

v1::Anchor ToProto(const Anchor& anchor);
StatusOr<Anchor> FromProto(const v1::Anchor& message);

v1::OffsetGap ToProto(const Gap& gap);
StatusOr<Gap> FromProto(const v1::OffsetGap& message);

v1::FilteredRange ToProto(const FilteredRange& filtered);
StatusOr<FilteredRange> FromProto(const v1::FilteredRange& message);

v1::DeadLetters ToProto(const DeadLetters& dead_letters);
StatusOr<DeadLetters> FromProto(const v1::DeadLetters& message);

v1::CommitItem ToProto(const CommitItem& item);

// kFieldInvalid as well for a range that runs backwards, an anchor that the checkpoint has not
// passed, and a gap, filtered range or dead letter that the commit does not pass over.
StatusOr<CommitItem> FromProto(const v1::CommitItem& message);

// The items; one that is wrong refuses them all.
StatusOr<std::vector<CommitItem>> FromProto(const v1::Commit& message);

v1::CommitResult ToProto(const CommitResult& result);
StatusOr<CommitResult> FromProto(const v1::CommitResult& message);

// The results; one that is wrong refuses them all.
StatusOr<std::vector<CommitResult>> FromProto(const v1::CommitResults& message);

v1::GapCause ToProto(GapCause cause);
StatusOr<GapCause> FromProto(v1::GapCause message);

v1::CommitOutcome ToProto(CommitOutcome outcome);
StatusOr<CommitOutcome> FromProto(v1::CommitOutcome message);

}  // namespace drawbridge
