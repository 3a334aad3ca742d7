#include "base/reason.h"

#include <array>
#include <cstddef>
#include <utility>

namespace drawbridge {
namespace {

constexpr auto kNames = std::to_array<std::pair<Reason, std::string_view>>({
    {Reason::kUnspecified, "UNSPECIFIED"},
    {Reason::kFieldInvalid, "FIELD_INVALID"},
    {Reason::kFieldUnknown, "FIELD_UNKNOWN"},
    {Reason::kNameTaken, "NAME_TAKEN"},
    {Reason::kNotFound, "NOT_FOUND"},
    {Reason::kGenerationMismatch, "GENERATION_MISMATCH"},
    {Reason::kRequestIdReused, "REQUEST_ID_REUSED"},
    {Reason::kInUse, "IN_USE"},
    {Reason::kCredentialNotFound, "CREDENTIAL_NOT_FOUND"},
    {Reason::kEndpointNotFound, "ENDPOINT_NOT_FOUND"},
    {Reason::kPatternInvalid, "PATTERN_INVALID"},
    {Reason::kBridgeOntoItself, "BRIDGE_ONTO_ITSELF"},
    {Reason::kBridgesFeedEachOther, "BRIDGES_FEED_EACH_OTHER"},
    {Reason::kGuaranteeUnsupported, "GUARANTEE_UNSUPPORTED"},
    {Reason::kSourceFixed, "SOURCE_FIXED"},
    {Reason::kUnreachable, "UNREACHABLE"},
    {Reason::kTlsUntrusted, "TLS_UNTRUSTED"},
    {Reason::kTlsCertificateExpired, "TLS_CERTIFICATE_EXPIRED"},
    {Reason::kTlsClientCertificateRequired, "TLS_CLIENT_CERTIFICATE_REQUIRED"},
    {Reason::kTlsFailed, "TLS_FAILED"},
    {Reason::kAuthenticationFailed, "AUTHENTICATION_FAILED"},
    {Reason::kScramUnsupported, "SCRAM_UNSUPPORTED"},
    {Reason::kAuthorizationFailed, "AUTHORIZATION_FAILED"},
    {Reason::kThrottled, "THROTTLED"},
    {Reason::kBrokerError, "BROKER_ERROR"},
    {Reason::kTopicNotFound, "TOPIC_NOT_FOUND"},
    {Reason::kTopicCreationRefused, "TOPIC_CREATION_REFUSED"},
    {Reason::kTargetPartitionsMissing, "TARGET_PARTITIONS_MISSING"},
    {Reason::kSourceChanged, "SOURCE_CHANGED"},
    {Reason::kNotEnoughReplicas, "NOT_ENOUGH_REPLICAS"},
    {Reason::kRecordTooLarge, "RECORD_TOO_LARGE"},
    {Reason::kRecordRefused, "RECORD_REFUSED"},
    {Reason::kTimestampRefused, "TIMESTAMP_REFUSED"},
    {Reason::kTimestampRewritten, "TIMESTAMP_REWRITTEN"},
    {Reason::kNoRelay, "NO_RELAY"},
    {Reason::kDuplicateIdentity, "DUPLICATE_IDENTITY"},
    {Reason::kRelayRevoked, "RELAY_REVOKED"},
    {Reason::kTokenInvalid, "TOKEN_INVALID"},
    {Reason::kTokenExpired, "TOKEN_EXPIRED"},
    {Reason::kTokenUsed, "TOKEN_USED"},
    {Reason::kSecretUnavailable, "SECRET_UNAVAILABLE"},
    {Reason::kJournalUnavailable, "JOURNAL_UNAVAILABLE"},
    {Reason::kTwoWriters, "TWO_WRITERS"},
    {Reason::kUnauthenticated, "UNAUTHENTICATED"},
    {Reason::kPermissionDenied, "PERMISSION_DENIED"},
    {Reason::kStorageDegraded, "STORAGE_DEGRADED"},
    {Reason::kDatabaseNewer, "DATABASE_NEWER"},
    {Reason::kDatabaseCorrupt, "DATABASE_CORRUPT"},
    {Reason::kControlPlaneSuspect, "CONTROL_PLANE_SUSPECT"},
    {Reason::kUnavailable, "UNAVAILABLE"},
    {Reason::kInternal, "INTERNAL"},
});

}  // namespace

std::string_view Name(Reason reason) {
  const auto index = static_cast<size_t>(reason);
  return index < kNames.size() ? kNames.at(index).second : kNames.front().second;
}

std::optional<Reason> ReasonFromName(std::string_view name) {
  for (const auto& [reason, known] : kNames) {
    if (known == name) return reason;
  }
  return std::nullopt;
}

}  // namespace drawbridge
