// The least that moving records between two clusters costs with librdkafka: one consumer, one
// idempotent producer, the same partition at the other end, acks from all, and the contiguous
// confirmed offset of each partition. No headers of our own, no journal, no control plane. What a
// relay spends on top of this is the price of its promises.
//
// floor SOURCE_BOOTSTRAP TARGET_BOOTSTRAP TOPIC PARTITIONS MEMORY_MB COMPRESSION
//
// Runs until each partition is read to the end that it had at the start and all of it is confirmed;
// then prints records and bytes as JSON, and idles until it is ended: its CPU time and memory are
// read from outside, as those of a relay are.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <librdkafka/rdkafka.h>
#include <unistd.h>

namespace {

constexpr int kQueryTimeoutMs = 10'000;

struct Settings {
  std::string source;
  std::string target;
  std::string topic;
  int partitions = 0;
  long memory_mb = 0;
  std::string compression;
};

// What is in flight of one partition, in the order in which it was read.
struct Partition {
  int64_t end = 0;  // of the log when the run began
  int64_t read_to = 0;
  int64_t confirmed = 0;  // everything below has arrived
  std::deque<std::pair<int64_t, bool>> window;
};

struct Record {
  Partition* partition = nullptr;
  std::pair<int64_t, bool>* entry = nullptr;
};

void Set(rd_kafka_conf_t* conf, const char* name, const std::string& value) {
  char reason[256];
  if (rd_kafka_conf_set(conf, name, value.c_str(), reason, sizeof reason) != RD_KAFKA_CONF_OK) {
    if (std::string(name) == "fetch.queue.backoff.ms") return;  // unknown before 2.2.0
    std::fprintf(stderr, "%s\n", reason);
    std::exit(2);
  }
}

int64_t in_flight = 0;
int64_t records = 0;
int64_t bytes = 0;

void OnDelivery(rd_kafka_t* /*client*/, const rd_kafka_message_t* message, void* /*opaque*/) {
  const std::unique_ptr<Record> record(static_cast<Record*>(message->_private));
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    std::fprintf(stderr, "not delivered: %s\n", rd_kafka_err2str(message->err));
    std::exit(1);
  }
  --in_flight;
  record->entry->second = true;
  Partition& partition = *record->partition;
  while (!partition.window.empty() && partition.window.front().second) {
    partition.confirmed = partition.window.front().first + 1;
    partition.window.pop_front();
  }
}

rd_kafka_t* MakeConsumer(const Settings& settings) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  Set(conf, "bootstrap.servers", settings.source);
  Set(conf, "group.id", "floor");
  Set(conf, "enable.auto.commit", "false");
  Set(conf, "auto.offset.reset", "error");
  Set(conf, "check.crcs", "true");
  Set(conf, "queued.min.messages", "1000000");
  Set(conf, "queued.max.messages.kbytes", std::to_string(settings.memory_mb * 1024 / 4));
  Set(conf, "fetch.message.max.bytes", std::to_string(4 << 20));
  Set(conf, "fetch.max.bytes", std::to_string(16 << 20));
  Set(conf, "fetch.queue.backoff.ms", "5");
  return rd_kafka_new(RD_KAFKA_CONSUMER, conf, nullptr, 0);
}

rd_kafka_t* MakeProducer(const Settings& settings) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  Set(conf, "bootstrap.servers", settings.target);
  Set(conf, "acks", "all");
  Set(conf, "enable.idempotence", "true");
  Set(conf, "message.timeout.ms", "0");
  Set(conf, "linger.ms", "20");
  Set(conf, "batch.size", "1000000");
  Set(conf, "batch.num.messages", "100000");
  Set(conf, "message.max.bytes", "100000000");
  Set(conf, "compression.type", settings.compression);
  Set(conf, "queue.buffering.max.messages", "10000000");
  Set(conf, "queue.buffering.max.kbytes", std::to_string(settings.memory_mb * 1024 / 2));
  rd_kafka_conf_set_dr_msg_cb(conf, OnDelivery);
  return rd_kafka_new(RD_KAFKA_PRODUCER, conf, nullptr, 0);
}

// Produces one record; waits for room while the queue is full.
void Forward(rd_kafka_t* producer, rd_kafka_topic_t* topic, Partition& partition,
             const rd_kafka_message_t& message) {
  partition.window.emplace_back(message.offset, false);
  auto record = std::make_unique<Record>();
  record->partition = &partition;
  record->entry = &partition.window.back();
  while (true) {
    const int failed =
        rd_kafka_produce(topic, message.partition, RD_KAFKA_MSG_F_COPY, message.payload,
                         message.len, message.key, message.key_len, record.get());
    if (failed == 0) break;
    if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      std::fprintf(stderr, "%s\n", rd_kafka_err2str(rd_kafka_last_error()));
      std::exit(1);
    }
    rd_kafka_poll(producer, 10);
  }
  record.release();
  ++in_flight;
  ++records;
  bytes += static_cast<int64_t>(message.len + message.key_len);
  partition.read_to = message.offset + 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    std::fprintf(stderr, "floor SOURCE TARGET TOPIC PARTITIONS MEMORY_MB COMPRESSION\n");
    return 2;
  }
  const Settings settings{.source = argv[1],
                          .target = argv[2],
                          .topic = argv[3],
                          .partitions = std::atoi(argv[4]),
                          .memory_mb = std::atol(argv[5]),
                          .compression = argv[6]};
  rd_kafka_t* const consumer = MakeConsumer(settings);
  rd_kafka_t* const producer = MakeProducer(settings);
  rd_kafka_topic_t* const topic = rd_kafka_topic_new(producer, settings.topic.c_str(), nullptr);
  std::vector<Partition> partitions(static_cast<size_t>(settings.partitions));
  rd_kafka_topic_partition_list_t* const list =
      rd_kafka_topic_partition_list_new(settings.partitions);
  for (int i = 0; i < settings.partitions; ++i) {
    Partition& partition = partitions[static_cast<size_t>(i)];
    int64_t first = 0;
    if (rd_kafka_query_watermark_offsets(consumer, settings.topic.c_str(), i, &first,
                                         &partition.end, kQueryTimeoutMs) != 0) {
      std::fprintf(stderr, "no watermarks of partition %d\n", i);
      return 1;
    }
    partition.read_to = first;
    rd_kafka_topic_partition_list_add(list, settings.topic.c_str(), i)->offset = first;
  }
  rd_kafka_poll_set_consumer(consumer);
  rd_kafka_assign(consumer, list);

  int open = 0;
  for (const Partition& partition : partitions) open += partition.read_to < partition.end ? 1 : 0;
  while (open > 0) {
    rd_kafka_message_t* const message = rd_kafka_consumer_poll(consumer, 100);
    if (message != nullptr && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      Partition& partition = partitions[static_cast<size_t>(message->partition)];
      Forward(producer, topic, partition, *message);
      if (partition.read_to == partition.end) --open;
    }
    if (message != nullptr) rd_kafka_message_destroy(message);
    rd_kafka_poll(producer, 0);
  }
  while (in_flight > 0) rd_kafka_poll(producer, 100);
  std::printf("{\"records\": %lld, \"bytes\": %lld}\n", static_cast<long long>(records),
              static_cast<long long>(bytes));
  std::fflush(stdout);
  while (true) pause();
}
