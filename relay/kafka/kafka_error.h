#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <librdkafka/rdkafka.h>

#include "base/clock.h"
#include "base/status.h"
#include "model/credential.h"
#include "model/definition.h"
#include "relay/pipeline/io.h"

// What librdkafka's errors mean: the one place that decides between retry, refuse and block.

namespace drawbridge {

// What is needed of an endpoint to word its errors.
struct ErrorContext {
  std::string endpoint;
  Profile profile = Profile::kKafka;
  bool is_plaintext = false;
  bool has_sasl = false;
  bool has_scram = false;
  bool has_client_certificate = false;
  std::optional<WallTime> client_certificate_end =
      std::nullopt;            // of the first of its chain to expire
  bool has_connected = false;  // once at least
};

// An error of a connection or a request, with a sentence that says what to do. `text` is the
// library's own.
Status ToStatus(rd_kafka_resp_err_t error, std::string_view text, const ErrorContext& context);

// An error event's text, with what the client found wrong with the other end's certificate.
std::string TextOf(rd_kafka_event_t* event, const rd_kafka_t* client);

struct DeliveryFailure {
  Disposition disposition = Disposition::kRetry;
  Status status;
};

// A record's failed delivery report.
DeliveryFailure ClassifyDelivery(rd_kafka_resp_err_t error, const ErrorContext& context);

// Whether `error` says nothing by itself: a connection that came and went, a group that is never
// joined.
bool IsNoise(rd_kafka_resp_err_t error);

// What is wrong with one client at present: the newest error that no success has followed for a
// while. A single connection that is recycled is no outage. Runs on one thread.
class ClientTrouble {
 public:
  ClientTrouble(Side side, ErrorContext context) : side_(side), context_(std::move(context)) {}

  void Note(rd_kafka_resp_err_t error, std::string_view text, BootTime now);
  // The other end has answered something of use.
  void Succeeded(BootTime now);
  std::optional<Condition> At(BootTime now) const;
  // The error itself, however short ago it was met.
  const std::optional<Status>& error() const { return error_; }
  std::optional<BootTime> last_success() const { return last_success_; }
  const ErrorContext& context() const { return context_; }

 private:
  Side side_;
  ErrorContext context_;
  std::optional<Status> error_;
  BootTime error_at_{};
  BootTime first_error_{};
  std::optional<BootTime> last_success_;
};

}  // namespace drawbridge
