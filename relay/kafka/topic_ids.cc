#include "relay/kafka/topic_ids.h"

#include <array>
#include <memory>
#include <span>

#include <librdkafka/rdkafka.h>

#include "relay/kafka/kafka_handle.h"

// Of librdkafka 2.3: there at run time where a newer library is put beside the relay than the one
// that it was built with.
#if RD_KAFKA_VERSION < 0x020300ff
extern "C" {
struct rd_kafka_TopicCollection_t;
struct rd_kafka_TopicDescription_t;
struct rd_kafka_DescribeTopics_result_t;
struct rd_kafka_Uuid_t;

[[gnu::weak]] rd_kafka_TopicCollection_t* rd_kafka_TopicCollection_of_topic_names(
    const char** topics, size_t topics_cnt);
[[gnu::weak]] void rd_kafka_TopicCollection_destroy(rd_kafka_TopicCollection_t* topics);
[[gnu::weak]] void rd_kafka_DescribeTopics(rd_kafka_t* rk, const rd_kafka_TopicCollection_t* topics,
                                           const rd_kafka_AdminOptions_t* options,
                                           rd_kafka_queue_t* rkqu);
[[gnu::weak]] const rd_kafka_DescribeTopics_result_t* rd_kafka_event_DescribeTopics_result(
    rd_kafka_event_t* rkev);
[[gnu::weak]] const rd_kafka_TopicDescription_t** rd_kafka_DescribeTopics_result_topics(
    const rd_kafka_DescribeTopics_result_t* result, size_t* cntp);
[[gnu::weak]] const char* rd_kafka_TopicDescription_name(
    const rd_kafka_TopicDescription_t* topicdesc);
[[gnu::weak]] const rd_kafka_error_t* rd_kafka_TopicDescription_error(
    const rd_kafka_TopicDescription_t* topicdesc);
[[gnu::weak]] const rd_kafka_Uuid_t* rd_kafka_TopicDescription_topic_id(
    const rd_kafka_TopicDescription_t* topicdesc);
[[gnu::weak]] const char* rd_kafka_Uuid_base64str(const rd_kafka_Uuid_t* uuid);
}
#endif

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kNoId = "AAAAAAAAAAAAAAAAAAAAAA";  // all zero

// The pointers are asked, not the version: a distribution may have left something out.
bool IsKnownToTheLibrary() {
#if RD_KAFKA_VERSION < 0x020300ff
  return rd_kafka_DescribeTopics != nullptr && rd_kafka_TopicDescription_topic_id != nullptr &&
         rd_kafka_Uuid_base64str != nullptr;
#else
  return true;
#endif
}

}  // namespace

std::map<std::string, std::string> TopicIdsOf(ClusterView& cluster,
                                              const std::vector<std::string>& topics,
                                              const Patience& patience) {
  std::map<std::string, std::string> ids;
  if (topics.empty() || cluster.client() == nullptr || !IsKnownToTheLibrary()) return ids;
  std::vector<const char*> names;
  for (const std::string& topic : topics) names.push_back(topic.c_str());
  const std::unique_ptr<rd_kafka_TopicCollection_t, void (*)(rd_kafka_TopicCollection_t*)>
      collection(rd_kafka_TopicCollection_of_topic_names(names.data(), names.size()),
                 rd_kafka_TopicCollection_destroy);
  const AdminOptionsHandle options(
      rd_kafka_AdminOptions_new(cluster.client(), RD_KAFKA_ADMIN_OP_ANY));
  std::array<char, 256> ignored{};
  rd_kafka_AdminOptions_set_request_timeout(options.get(), patience.Milliseconds(5s),
                                            ignored.data(), ignored.size());
  const QueueHandle answers(rd_kafka_queue_new(cluster.client()));
  rd_kafka_DescribeTopics(cluster.client(), collection.get(), options.get(), answers.get());
  const EventHandle answer = cluster.Await(answers.get(), patience);
  if (!answer || rd_kafka_event_error(answer.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) return ids;
  const rd_kafka_DescribeTopics_result_t* const result =
      rd_kafka_event_DescribeTopics_result(answer.get());
  if (result == nullptr) return ids;
  size_t count = 0;
  const rd_kafka_TopicDescription_t** const described =
      rd_kafka_DescribeTopics_result_topics(result, &count);
  for (const rd_kafka_TopicDescription_t* const topic : std::span(described, count)) {
    if (rd_kafka_error_code(rd_kafka_TopicDescription_error(topic)) != RD_KAFKA_RESP_ERR_NO_ERROR) {
      continue;
    }
    const rd_kafka_Uuid_t* const id = rd_kafka_TopicDescription_topic_id(topic);
    const char* const text = id == nullptr ? nullptr : rd_kafka_Uuid_base64str(id);
    if (text == nullptr || text == kNoId) continue;
    ids[rd_kafka_TopicDescription_name(topic)] = text;
  }
  return ids;
}

}  // namespace drawbridge
