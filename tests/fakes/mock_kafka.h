#pragma once

#include <array>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "relay/kafka/kafka_config.h"
#include "relay/kafka/kafka_handle.h"

namespace drawbridge {

// A record as a test writes it and reads it back.
struct RawRecord {
  std::optional<std::string> key = std::nullopt;
  std::optional<std::string> value = std::nullopt;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers = {};
  int64_t timestamp_ms = 1'700'000'000'000;

  friend bool operator==(const RawRecord&, const RawRecord&) = default;
};

// librdkafka's mock cluster: brokers in this process, reached over loopback, that fail on demand.
// It has no administration, no ACLs, no TLS, and keeps 5 MiB of each partition. What is written to
// it and read from it goes through clients of its own. Thread-compatible.
class MockKafka {
 public:
  enum Request : int16_t { kProduce = 0, kFetch = 1, kListOffsets = 2, kMetadata = 3 };

  explicit MockKafka(int brokers = 1) : brokers_(brokers) {
    std::array<char, 512> reason{};
    host_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), reason.data(), reason.size()));
    cluster_.reset(host_ ? rd_kafka_mock_cluster_new(host_.get(), brokers) : nullptr);
    if (!cluster_) Fail("mock cluster");
    writer_ = Connect(RD_KAFKA_PRODUCER, {});
  }

  // As a bridge's definition would describe it.
  KafkaCluster cluster(Profile profile = Profile::kKafka) const {
    KafkaCluster described;
    described.endpoint.name = "mock";
    described.endpoint.kafka().bootstrap = {bootstrap()};
    described.endpoint.kafka().profile = profile;
    described.endpoint.kafka().plaintext = true;
    return described;
  }
  std::string bootstrap() const { return rd_kafka_mock_cluster_bootstraps(cluster_.get()); }

  // What it calls itself.
  std::string id() const {
    char* const id = rd_kafka_clusterid(writer_.get(), 10'000);
    if (id == nullptr) Fail("no cluster id");
    std::string text = id;
    rd_kafka_mem_free(writer_.get(), id);
    return text;
  }

  void CreateTopic(const std::string& topic, int partitions) {
    rd_kafka_mock_topic_create(cluster_.get(), topic.c_str(), partitions, 1);
  }
  void SetTopicError(const std::string& topic, rd_kafka_resp_err_t error) {
    rd_kafka_mock_topic_set_error(cluster_.get(), topic.c_str(), error);
  }

  // Without asking for it, which would make it.
  bool HasTopic(const std::string& topic) const {
    const rd_kafka_metadata_t* metadata = nullptr;
    if (rd_kafka_metadata(writer_.get(), 1, nullptr, &metadata, 10'000) !=
        RD_KAFKA_RESP_ERR_NO_ERROR) {
      Fail("metadata");
    }
    const MetadataHandle all(metadata);
    for (int i = 0; i < all->topic_cnt; ++i) {
      if (all->topics[i].topic == topic) return true;
    }
    return false;
  }

  // The next requests of this kind fail so, one error each.
  void FailNext(Request request, std::vector<rd_kafka_resp_err_t> errors) {
    rd_kafka_mock_push_request_errors_array(cluster_.get(), request, errors.size(), errors.data());
  }
  void Heal(Request request) { rd_kafka_mock_clear_request_errors(cluster_.get(), request); }

  void SetDown() {
    for (int i = 1; i <= brokers_; ++i) rd_kafka_mock_broker_set_down(cluster_.get(), i);
  }
  void SetUp() {
    for (int i = 1; i <= brokers_; ++i) rd_kafka_mock_broker_set_up(cluster_.get(), i);
  }
  void SetRoundTrip(int milliseconds) {
    for (int i = 1; i <= brokers_; ++i) {
      rd_kafka_mock_broker_set_rtt(cluster_.get(), i, milliseconds);
    }
  }
  // -1: nobody.
  void SetLeader(const std::string& topic, PartitionNumber partition, int broker) {
    rd_kafka_mock_partition_set_leader(cluster_.get(), topic.c_str(), partition, broker);
  }

  // Each call is one batch in the log.
  void Write(const std::string& topic, PartitionNumber partition,
             const std::vector<RawRecord>& records) {
    const TopicHandle handle(rd_kafka_topic_new(writer_.get(), topic.c_str(), nullptr));
    for (const RawRecord& record : records) Produce(handle.get(), partition, record);
    if (rd_kafka_flush(writer_.get(), 10'000) != RD_KAFKA_RESP_ERR_NO_ERROR) Fail("flush");
  }

  // The first `count` records of a partition, or as many as come within 10 s.
  std::vector<RawRecord> Read(const std::string& topic, PartitionNumber partition, size_t count) {
    const ClientHandle reader =
        Connect(RD_KAFKA_CONSUMER, {{"group.id", "test"}, {"auto.offset.reset", "earliest"}});
    rd_kafka_poll_set_consumer(reader.get());
    const PartitionListHandle list(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset =
        RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(reader.get(), list.get());
    std::vector<RawRecord> records;
    for (int polls = 0; records.size() < count && polls < 100; ++polls) {
      rd_kafka_message_t* const message = rd_kafka_consumer_poll(reader.get(), 100);
      if (message == nullptr) continue;
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) records.push_back(ToRaw(*message));
      rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_close(reader.get());
    return records;
  }

 private:
  using ClusterHandle =
      std::unique_ptr<rd_kafka_mock_cluster_t, Destroyer<rd_kafka_mock_cluster_destroy>>;

  [[noreturn]] static void Fail(std::string_view what) {
    std::cerr << "MockKafka: " << what << '\n';
    std::abort();
  }

  ClientHandle Connect(rd_kafka_type_t type,
                       const std::vector<std::pair<const char*, const char*>>& settings) const {
    ConfHandle conf(rd_kafka_conf_new());
    std::array<char, 512> reason{};
    rd_kafka_conf_set(conf.get(), "bootstrap.servers", bootstrap().c_str(), nullptr, 0);
    for (const auto& [name, value] : settings) {
      rd_kafka_conf_set(conf.get(), name, value, nullptr, 0);
    }
    ClientHandle client(rd_kafka_new(type, conf.get(), reason.data(), reason.size()));
    if (!client) Fail(reason.data());
    std::ignore = conf.release();
    return client;
  }

  void Produce(rd_kafka_topic_t* topic, PartitionNumber partition, const RawRecord& record) {
    HeadersHandle headers(rd_kafka_headers_new(record.headers.size()));
    for (const auto& [name, value] : record.headers) {
      rd_kafka_header_add(headers.get(), name.data(), static_cast<ssize_t>(name.size()),
                          value ? value->data() : nullptr,
                          value ? static_cast<ssize_t>(value->size()) : 0);
    }
    const auto data = [](const std::optional<std::string>& text) -> void* {
      return text ? const_cast<char*>(text->data()) : nullptr;  // NOLINT
    };
    const size_t key_size = record.key ? record.key->size() : 0;
    const size_t value_size = record.value ? record.value->size() : 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"  // in the library's macros
    const rd_kafka_resp_err_t error = rd_kafka_producev(
        writer_.get(), RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_KEY(data(record.key), key_size),
        RD_KAFKA_V_VALUE(data(record.value), value_size), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_TIMESTAMP(record.timestamp_ms), RD_KAFKA_V_HEADERS(headers.get()),
        RD_KAFKA_V_END);
#pragma GCC diagnostic pop
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) Fail(rd_kafka_err2str(error));
    std::ignore = headers.release();
  }

  static std::optional<std::string> Text(const void* data, size_t size) {
    if (data == nullptr) return std::nullopt;
    return std::string(static_cast<const char*>(data), size);
  }

  static RawRecord ToRaw(const rd_kafka_message_t& message) {
    RawRecord record{.key = Text(message.key, message.key_len),
                     .value = Text(message.payload, message.len),
                     .headers = {},
                     .timestamp_ms = rd_kafka_message_timestamp(&message, nullptr)};
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return record;
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    for (size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         ++i) {
      record.headers.emplace_back(name, Text(value, size));
    }
    return record;
  }

  int brokers_;
  ClientHandle host_;
  ClusterHandle cluster_;  // destroyed before its host
  ClientHandle writer_;
};

}  // namespace drawbridge
