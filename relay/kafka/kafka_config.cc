#include "relay/kafka/kafka_config.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

namespace drawbridge {
namespace {

const Log kLog("relay.librdkafka");

// Collects settings; the first refusal is kept.
class Settings {
 public:
  Settings() : conf_(rd_kafka_conf_new()) {}

  Settings& Set(const char* name, const std::string& value) {
    std::array<char, 512> reason{};
    if (status_.ok() && rd_kafka_conf_set(conf_.get(), name, value.c_str(), reason.data(),
                                          reason.size()) != RD_KAFKA_CONF_OK) {
      // The library's text repeats the value, which may be a secret: the name is enough.
      status_ = {StatusCode::kInvalidArgument, Reason::kFieldInvalid,
                 fmt::format("librdkafka refuses the setting {}", name)};
    }
    return *this;
  }
  template <std::integral Number>
  Settings& Set(const char* name, Number value) {
    return Set(name, std::to_string(value));
  }
  // Where the library is new enough to know it.
  Settings& SetIfKnown(const char* name, const std::string& value) {
    std::array<char, 512> reason{};
    rd_kafka_conf_set(conf_.get(), name, value.c_str(), reason.data(), reason.size());
    return *this;
  }

  rd_kafka_conf_t* get() { return conf_.get(); }
  const Status& status() const { return status_; }
  ConfHandle Take() { return std::move(conf_); }

 private:
  ConfHandle conf_;
  Status status_;
};

// SO_KEEPALIVE alone waits two hours before the first probe; load balancers drop idle flows after
// four minutes without a word.
int OpenSocket(int domain, int type, int protocol, void* /*opaque*/) {
  const int fd = socket(domain, type | SOCK_CLOEXEC, protocol);
  if (fd < 0) return -1;
  const auto set = [fd](int level, int option, int value) {
    setsockopt(fd, level, option, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 15);
  set(IPPROTO_TCP, TCP_KEEPCNT, 4);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 60'000);
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  return fd;
}

// Called from the library's threads. What matters arrives as an error event too, but for the end of
// a connection; so nothing here is louder than "info".
void OnLog(const rd_kafka_t* client, int level, const char* facility, const char* text) {
  if (client != nullptr && std::string_view(text).find("Disconnected") != std::string_view::npos) {
    NoteDisconnect(client, text);
  }
  const std::string_view name = client == nullptr ? "" : rd_kafka_name(client);
  if (level <= 4) {
    kLog.Info("library says", {{"client", name}, {"facility", facility}, {"text", text}});
  } else {
    kLog.Debug("library says", {{"client", name}, {"facility", facility}, {"text", text}});
  }
}

const char* Mechanism(CredentialKind kind) {
  switch (kind) {
    case CredentialKind::kSaslPlain:
      return "PLAIN";
    case CredentialKind::kSaslScramSha256:
      return "SCRAM-SHA-256";
    case CredentialKind::kSaslScramSha512:
      return "SCRAM-SHA-512";
    case CredentialKind::kMtls:
    case CredentialKind::kBasic:  // a search engine's: the server gives none to a cluster
    case CredentialKind::kApiKey:
      return "";
  }
  return "";
}

// A client's settings, and the file that must stay open until it is made.
struct ClientSettings {
  Settings settings;
  FileDescriptor chain;
};

Status SetSecurity(ClientSettings& client, const KafkaCluster& cluster) {
  Settings& settings = client.settings;
  const KafkaEndpoint& kafka = cluster.endpoint.kafka();
  const bool has_sasl = cluster.secret && cluster.secret->kind != CredentialKind::kMtls;
  settings.Set("security.protocol", kafka.plaintext ? (has_sasl ? "SASL_PLAINTEXT" : "PLAINTEXT")
                                                    : (has_sasl ? "SASL_SSL" : "SSL"));
  if (!kafka.plaintext) {
    settings.Set("ssl.endpoint.identification.algorithm", "https");
    if (!kafka.ca_pem.empty()) settings.Set("ssl.ca.pem", kafka.ca_pem);
  }
  if (has_sasl) {
    settings.Set("sasl.mechanism", Mechanism(cluster.secret->kind))
        .Set("sasl.username", cluster.secret->username)
        .Set("sasl.password", std::string(cluster.secret->password.Reveal()));
  } else if (cluster.secret) {
    // From ssl.certificate.pem the library sends the leaf alone before 2.8.0; from a file it sends
    // the chain. The file lies in memory and is read while the client is made.
    client.chain = FileDescriptor(memfd_create("drawbridge-chain", MFD_CLOEXEC));
    const std::string& pem = cluster.secret->certificate_pem;
    if (!client.chain.is_open() ||
        write(client.chain.get(), pem.data(), pem.size()) != static_cast<ssize_t>(pem.size())) {
      return {StatusCode::kResourceExhausted, "cannot hold the certificate chain in memory"};
    }
    settings.Set("ssl.certificate.location", fmt::format("/proc/self/fd/{}", client.chain.get()))
        .Set("ssl.key.pem", std::string(cluster.secret->key_pem.Reveal()));
    if (!cluster.secret->key_password.empty()) {
      settings.Set("ssl.key.password", std::string(cluster.secret->key_password.Reveal()));
    }
  }
  return {};
}

StatusOr<ClientSettings> Connecting(const KafkaCluster& cluster) {
  ClientSettings client;
  Settings& settings = client.settings;
  settings
      .Set("bootstrap.servers",
           fmt::format("{}", fmt::join(cluster.endpoint.kafka().bootstrap, ",")))
      .Set("client.id", "drawbridge")  // long ones meet a fault of the library before 2.5.0
      .Set("connections.max.idle.ms", 180'000)
      .Set("socket.nagle.disable", "true")
      .Set("metadata.max.age.ms", 180'000)
      // Partitions that a survey has just made must be found before anybody calls the stream slow.
      .Set("topic.metadata.refresh.interval.ms", 10'000)
      .Set("reconnect.backoff.ms", 250)
      .Set("reconnect.backoff.max.ms", 5'000)
      .Set("socket.connection.setup.timeout.ms", 15'000)
      .Set("socket.timeout.ms", 60'000)
      .Set("log.connection.close", "false")
      .Set("allow.auto.create.topics", "false")
      // From 2.10.0 on a client that reaches nobody starts over without a pause, several times a
      // second. One that has no success for minutes is made anew by us.
      .SetIfKnown("metadata.recovery.strategy", "none")
      .SetIfKnown("enable.metrics.push", "false");
  rd_kafka_conf_set_socket_cb(settings.get(), OpenSocket);
  rd_kafka_conf_set_log_cb(settings.get(), OnLog);
  if (Status set = SetSecurity(client, cluster); !set.ok()) return set;
  return client;
}

StatusOr<ClientHandle> Create(rd_kafka_type_t type, ClientSettings client,
                              const KafkaCluster& cluster) {
  if (!client.settings.status().ok()) return client.settings.status();
  StatusOr<ClientHandle> made = CreateClient(type, client.settings.Take());
  if (made.ok()) return made;
  return Status(StatusCode::kInvalidArgument, made.status().reason(),
                fmt::format("{}: {}; check the endpoint and its credential", cluster.endpoint.name,
                            made.status().message()));
}

// When the first certificate of a chain expires.
std::optional<WallTime> FirstEnd(const std::string& pem) {
  const std::unique_ptr<BIO, Destroyer<BIO_free>> text(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::optional<WallTime> first;
  while (text) {
    const std::unique_ptr<X509, Destroyer<X509_free>> certificate(
        PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
    std::tm end{};
    if (!certificate || ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &end) != 1) break;
    const WallTime time{std::chrono::seconds{timegm(&end)}};
    first = std::min(time, first.value_or(time));
  }
  ERR_clear_error();  // the end of the text is one
  return first;
}

}  // namespace

ErrorContext ContextOf(const KafkaCluster& cluster) {
  const auto has = [&](CredentialKind kind) {
    return cluster.secret && cluster.secret->kind == kind;
  };
  return {
      .endpoint = cluster.endpoint.name,
      .profile = cluster.endpoint.kafka().profile,
      .is_plaintext = cluster.endpoint.kafka().plaintext,
      .has_sasl = cluster.secret && !has(CredentialKind::kMtls),
      .has_scram = has(CredentialKind::kSaslScramSha256) || has(CredentialKind::kSaslScramSha512),
      .has_client_certificate = has(CredentialKind::kMtls),
      .client_certificate_end =
          cluster.secret ? FirstEnd(cluster.secret->certificate_pem) : std::nullopt,
      .has_connected = false};
}

StatusOr<ClientHandle> CreateConsumer(const KafkaCluster& cluster, const std::string& group,
                                      const KafkaBudget& budget) {
  StatusOr<ClientSettings> client = Connecting(cluster);
  if (!client.ok()) return client.status();
  const Capabilities& profile = CapabilitiesOf(cluster.endpoint.kafka().profile);
  // An answer is unpacked as a whole when it arrives, to several times its size for logs, so it may
  // only be a part of what may be read ahead.
  const int64_t fetch_max = std::max<int64_t>(
      profile.fetch_bytes,
      std::min(static_cast<int64_t>(budget.prefetch_bytes) / 4, int64_t{16} << 20));
  // Before 2.2.0 a full prefetch queue stops fetching for a second: there only a longer one helps.
  const size_t prefetch_bytes = budget.prefetch_bytes * (LibraryIsAtLeast(2, 2, 0) ? 1 : 2);
  client->settings
      .Set("group.id", group)  // must be set; it is never joined nor committed to
      .Set("enable.auto.commit", "false")
      .Set("enable.auto.offset.store", "false")
      .Set("auto.offset.reset", "error")  // a loss is a gap with its range, never a jump
      .Set("enable.partition.eof", "true")
      .Set("check.crcs", "true")
      .Set("isolation.level", "read_committed")
      .Set("queued.min.messages", 1'000'000)  // the bytes govern
      .Set("queued.max.messages.kbytes", std::max<size_t>(1024, prefetch_bytes / 1024))
      .Set("fetch.message.max.bytes", profile.fetch_bytes)
      .Set("fetch.max.bytes", fetch_max)
      .Set("fetch.wait.max.ms", profile.fetch_wait_ms)
      .Set("fetch.min.bytes", 1)
      .Set("fetch.error.backoff.ms", 250)
      .Set("statistics.interval.ms", 5'000)  // the log start depends on it
      .SetIfKnown("fetch.queue.backoff.ms", "5");
  rd_kafka_conf_set_events(client->settings.get(), RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_STATS);
  return Create(RD_KAFKA_CONSUMER, *std::move(client), cluster);
}

StatusOr<ClientHandle> CreateProducer(const KafkaCluster& cluster, Compression compression,
                                      int64_t batch_bytes, const KafkaBudget& budget) {
  StatusOr<ClientSettings> client = Connecting(cluster);
  if (!client.ok()) return client.status();
  const Capabilities& profile = CapabilitiesOf(cluster.endpoint.kafka().profile);
  const Compression codec =
      compression == Compression::kDefault ? profile.codecs.front() : compression;
  const int64_t request_bytes = profile.request_bytes_max.value_or(kBatchBytesMost);
  client->settings.Set("acks", "all")
      .Set("message.timeout.ms", 0)  // records never expire: the lane decides
      .Set("request.timeout.ms", profile.request_timeout_ms)
      .Set("retry.backoff.ms", 250)
      .Set("linger.ms", 20)
      .Set("batch.size", std::min(batch_bytes, request_bytes * 9 / 10))
      .Set("batch.num.messages", 100'000)
      .Set("message.max.bytes", profile.request_bytes_max.value_or(100'000'000))
      .Set("compression.type", std::string(Name(codec)))
      .Set("queue.buffering.max.messages", 10'000'000)  // the window of the lane governs
      .Set("queue.buffering.max.kbytes", std::max<size_t>(16 << 10, budget.window_bytes / 512))
      .Set("delivery.report.only.error", "false")
      .Set("statistics.interval.ms", 5'000);
  if (profile.idempotence) {
    // With gapless a refused record stops all that is behind it: the one setting that keeps the
    // order of first deliveries.
    client->settings.Set("enable.idempotence", "true")
        .Set("enable.gapless.guarantee", budget.keeps_order ? "true" : "false");
  } else {
    client->settings.Set("max.in.flight.requests.per.connection", 1);
  }
  rd_kafka_conf_set_events(client->settings.get(),
                           RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_STATS);
  return Create(RD_KAFKA_PRODUCER, *std::move(client), cluster);
}

StatusOr<ClientHandle> CreateObserver(const KafkaCluster& cluster) {
  StatusOr<ClientSettings> client = Connecting(cluster);
  if (!client.ok()) return client.status();
  client->settings.Set("group.id", "drawbridge-observer")
      .Set("log.connection.close", "true")       // a refusal may say no more than that
      .Set("isolation.level", "read_committed")  // the end of the log is what can be read of it
      .Set("enable.auto.commit", "false");
  rd_kafka_conf_set_events(client->settings.get(), RD_KAFKA_EVENT_ERROR);
  return Create(RD_KAFKA_CONSUMER, *std::move(client), cluster);
}

}  // namespace drawbridge
