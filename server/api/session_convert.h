#pragma once

#include <vector>

#include "base/status.h"
#include "drawbridge/v1/relay.pb.h"
#include "server/control/relay_session.h"

// What a relay and the server say to each other, between the wire and the controller. What a relay
// sends is read with its limits: a refusal names the field.

namespace drawbridge {

v1::ServerMessage ToProto(const ToRelay& message);

// A relay's first words, `relay` by its certificate. kFailedPrecondition: it speaks another
// protocol.
StatusOr<RelayHello> HelloFromProto(const v1::Hello& message, const RelayName& relay);

// Appends what a relay holds, which may come in parts.
Status AddHeld(const google::protobuf::RepeatedPtrField<v1::HeldPartition>& message,
               std::vector<HeldPartition>& held);

// Any other message that is whole.
StatusOr<FromRelay> MessageFromProto(const v1::RelayMessage& message);

QueryAnswer AnswerFromProto(const v1::AnswerQueryRequest& message);

}  // namespace drawbridge
