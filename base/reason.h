#pragma once

#include <optional>
#include <string_view>

namespace drawbridge {

// Why something failed or does not move, from a closed set. The same words are the `Reason` of the
// API (proto/drawbridge/v1/reason.proto documents each for users), the conditions that relays
// report and the `reason` of a log line, so that a script can match on them for ever.
enum class Reason {
  kUnspecified,
  // A request or a definition.
  kFieldInvalid,
  kFieldUnknown,
  kNameTaken,
  kNotFound,
  kGenerationMismatch,
  kRequestIdReused,
  kInUse,
  kCredentialNotFound,
  kEndpointNotFound,
  kPatternInvalid,
  kBridgeOntoItself,
  kBridgesFeedEachOther,
  kGuaranteeUnsupported,
  kSourceFixed,
  // A connection to a cluster.
  kUnreachable,
  kTlsUntrusted,
  kTlsCertificateExpired,
  kTlsClientCertificateRequired,
  kTlsFailed,
  kAuthenticationFailed,
  kScramUnsupported,
  kAuthorizationFailed,
  kThrottled,
  kBrokerError,
  // Topics and partitions.
  kTopicNotFound,
  kTopicCreationRefused,
  kTargetPartitionsMissing,
  kSourceChanged,
  kNotEnoughReplicas,
  // Records.
  kRecordTooLarge,
  kRecordRefused,
  kTimestampRefused,
  kTimestampRewritten,
  // Relays.
  kNoRelay,
  kDuplicateIdentity,
  kRelayRevoked,
  kTokenInvalid,
  kTokenExpired,
  kTokenUsed,
  kSecretUnavailable,
  kJournalUnavailable,
  kTwoWriters,
  // The server.
  kUnauthenticated,
  kPermissionDenied,
  kStorageDegraded,
  kDatabaseNewer,
  kDatabaseCorrupt,
  kControlPlaneSuspect,
  kUnavailable,
  kInternal,
};

// "TOPIC_NOT_FOUND" for kTopicNotFound: the name that the API, the logs and the store use.
std::string_view Name(Reason reason);

// The inverse of Name(); nullopt for a word outside the set.
std::optional<Reason> ReasonFromName(std::string_view name);

}  // namespace drawbridge
