#pragma once

#include "base/clock.h"
#include "base/status.h"
#include "drawbridge/v1/bridge.pb.h"
#include "drawbridge/v1/endpoint.pb.h"
#include "drawbridge/v1/relay.pb.h"
#include "drawbridge/v1/stream.pb.h"
#include "model/ids.h"
#include "model/motion.h"
#include "model/observation.h"

// What relays see. Texts that are no UTF-8 or very long are mended and cut, so that a report always
// arrives.

namespace drawbridge {

v1::PartitionReport ToProto(const PartitionReport& report);
StatusOr<PartitionReport> FromProto(const v1::PartitionReport& message);

v1::Report ToProto(const Report& report);
StatusOr<Report> FromProto(const v1::Report& message);

// As a lane reports it: without `topic` and `blocks`.
v1::RelayCondition ToRelayCondition(const Condition& condition);
StatusOr<Condition> FromProto(const v1::RelayCondition& message);

// As a survey reports it: without `stream`, `partition` and `age`. Which bridge it is about stands
// in the SurveyResult, and FromProto(v1::SurveyResult) fills it in.
v1::SurveyCondition ToSurveyCondition(const Condition& condition);
StatusOr<Condition> FromProto(const v1::SurveyCondition& message);

// As operators see it. Of a condition that names a stream, the caller knows the topic.
v1::Condition ToProto(const Condition& condition, const RelayName& relay, WallTime now);

v1::SurveyResult ToProto(const SurveyResult& result);

// kFieldInvalid as well for a topic or partition that is named twice.
StatusOr<SurveyResult> FromProto(const v1::SurveyResult& message);

v1::EndpointCheck ToProto(const EndpointCheck& check);
EndpointCheck FromProto(const v1::EndpointCheck& message);

v1::PartitionState ToProto(PartitionState state);
StatusOr<PartitionState> FromProto(v1::PartitionState message);

v1::Motion ToProto(Motion motion);

// kUnknown for a motion that only a newer version knows.
Motion FromProto(v1::Motion message);

}  // namespace drawbridge
