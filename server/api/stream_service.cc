#include "server/api/stream_service.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "base/random_id.h"
#include "model/convert/dead_letter.h"
#include "model/convert/field_reader.h"
#include "server/api/view_convert.h"

namespace drawbridge {
namespace {

constexpr int32_t kPageDefault = 1000;
constexpr int32_t kPageMax = 10'000;
constexpr int32_t kLettersDefault = 10;
constexpr int32_t kLettersMax = 100;

// Where a page begins and how long it is.
struct Page {
  int64_t first = 0;
  int64_t size = kPageDefault;
};

template <typename Request>
StatusOr<Page> PageOf(const Request& request) {
  Page page;
  if (request.page_size() < 0 || request.page_size() > kPageMax) {
    return Status(StatusCode::kInvalidArgument, Reason::kFieldInvalid,
                  fmt::format("a page has 1 to {}", kPageMax), "page_size");
  }
  if (request.page_size() > 0) page.size = request.page_size();
  const std::string& token = request.page_token();
  if (token.empty()) return page;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), page.first);
  if (error != std::errc() || end != token.data() + token.size() || page.first < 0) {
    return Status(StatusCode::kInvalidArgument, Reason::kFieldInvalid,
                  "give back the next_page_token of the answer before", "page_token");
  }
  return page;
}

constexpr size_t kTurnBytesMax = 64;

// A group of letters that can be told from others.
Status CheckError(const std::string& error) {
  if (error != kOtherErrors) return {};
  return InvalidField(
      fmt::format("\"{}\" are those of many kinds that are counted together: leave it out for all "
                  "of them, or name the error that a letter tells",
                  error),
      "error");
}

const StoredBridge* BridgeOf(const FleetView& view, const StoredStream& stream) {
  const auto found = std::ranges::find(view.stored.bridges, stream.bridge, &StoredBridge::id);
  return found == view.stored.bridges.end() ? nullptr : &*found;
}

Status NoBridge(const std::string& name) {
  return {StatusCode::kNotFound, Reason::kNotFound, fmt::format("no bridge is called {}", name),
          "bridge"};
}

// A stream and its bridge, as long as the view lives.
struct FoundStream {
  const StoredStream* stream;
  const StoredBridge* bridge;
};

StatusOr<FoundStream> Find(const FleetView& view, const std::string& bridge,
                           const std::string& topic) {
  const StoredBridge* const its_bridge = FindBridge(view, bridge);
  if (its_bridge == nullptr) return NoBridge(bridge);
  if (topic.empty()) return InvalidField("name the topic of the stream too", "topic");
  const auto found = std::ranges::find_if(view.stored.streams, [&](const StoredStream& stream) {
    return stream.bridge == its_bridge->id && stream.topic == topic;
  });
  if (found == view.stored.streams.end()) {
    return Status(StatusCode::kNotFound, Reason::kNotFound,
                  fmt::format("bridge {} has no stream of topic {}: a survey makes it when the "
                              "source has the topic",
                              bridge, topic),
                  "topic");
  }
  return FoundStream{&*found, its_bridge};
}

// Adds one page of the partitions that are asked for.
void AddPartitions(const FleetView& view, const v1::ListPartitionsRequest& asked, const Page& page,
                   v1::ListPartitionsResponse& answer) {
  int64_t index = 0;
  for (const StoredStream& stream : view.stored.streams) {
    const StoredBridge* const bridge = BridgeOf(view, stream);
    if (bridge == nullptr) continue;
    if (!asked.bridge().empty() && bridge->spec.name != asked.bridge()) continue;
    if (!asked.topic().empty() && stream.topic != asked.topic()) continue;
    for (const StoredPartition& partition : view.stored.partitions) {
      if (partition.key.stream != stream.id || index++ < page.first) continue;
      if (index > page.first + page.size) {
        answer.set_next_page_token(std::to_string(page.first + page.size));
        return;
      }
      *answer.add_partitions() = ToProto(partition, stream, *bridge, view);
    }
  }
}

}  // namespace

StatusOr<v1::Stream> StreamServiceImpl::Read(const std::string& bridge, const std::string& topic) {
  const StatusOr<FleetView> view = fleet_.View();
  if (!view.ok()) return view.status();
  const StatusOr<FoundStream> found = Find(*view, bridge, topic);
  if (!found.ok()) return found.status();
  const auto passed = streams_.PassedByStream();
  if (!passed.ok()) return passed.status();
  return ToProto(*found->stream, *found->bridge, *view, *passed);
}

grpc::ServerUnaryReactor* StreamServiceImpl::GetStream(grpc::CallbackServerContext* context,
                                                       const v1::GetStreamRequest* request,
                                                       v1::Stream* response) {
  return gate_.Run(context, "/drawbridge.v1.StreamService/GetStream", request, response,
                   [this](const Actor&, const auto& asked, v1::Stream& answer) -> Status {
                     StatusOr<v1::Stream> stream = Read(asked.bridge(), asked.topic());
                     if (!stream.ok()) return stream.status();
                     answer = *std::move(stream);
                     return {};
                   });
}

grpc::ServerUnaryReactor* StreamServiceImpl::ListStreams(grpc::CallbackServerContext* context,
                                                         const v1::ListStreamsRequest* request,
                                                         v1::ListStreamsResponse* response) {
  return gate_.Run(
      context, "/drawbridge.v1.StreamService/ListStreams", request, response,
      [this](const Actor&, const auto& asked, v1::ListStreamsResponse& answer) -> Status {
        const StatusOr<FleetView> view = fleet_.View();
        if (!view.ok()) return view.status();
        const auto passed = streams_.PassedByStream();
        if (!passed.ok()) return passed.status();
        if (!asked.bridge().empty() && FindBridge(*view, asked.bridge()) == nullptr) {
          return NoBridge(asked.bridge());
        }
        for (const StoredBridge& bridge : view->stored.bridges) {
          if (!asked.bridge().empty() && bridge.spec.name != asked.bridge()) continue;
          for (const StoredStream& stream : view->stored.streams) {
            if (stream.bridge != bridge.id) continue;
            *answer.add_streams() = ToProto(stream, bridge, *view, *passed);
          }
        }
        return {};
      });
}

grpc::ServerUnaryReactor* StreamServiceImpl::ListPartitions(
    grpc::CallbackServerContext* context, const v1::ListPartitionsRequest* request,
    v1::ListPartitionsResponse* response) {
  return gate_.Run(
      context, "/drawbridge.v1.StreamService/ListPartitions", request, response,
      [this](const Actor&, const auto& asked, v1::ListPartitionsResponse& answer) -> Status {
        const StatusOr<Page> page = PageOf(asked);
        if (!page.ok()) return page.status();
        const StatusOr<FleetView> view = fleet_.View();
        if (!view.ok()) return view.status();
        if (Status known = CheckKnown(asked.bridge(), asked.topic()); !known.ok()) return known;
        AddPartitions(*view, asked, *page, answer);
        return {};
      });
}

Status StreamServiceImpl::CheckKnown(const std::string& bridge, const std::string& topic) {
  if (bridge.empty()) return {};
  const StatusOr<FleetView> view = fleet_.View();
  if (!view.ok()) return view.status();
  if (FindBridge(*view, bridge) == nullptr) return NoBridge(bridge);
  return topic.empty() ? Status() : Find(*view, bridge, topic).status();
}

Status StreamServiceImpl::CheckLettersKnown(const std::string& bridge, const std::string& topic) {
  const auto counted = streams_.DeadLettersOf(bridge, topic, 0, 1);
  if (!counted.ok()) return counted.status();
  return counted->empty() ? CheckKnown(bridge, topic) : Status();
}

grpc::ServerUnaryReactor* StreamServiceImpl::ListGaps(grpc::CallbackServerContext* context,
                                                      const v1::ListGapsRequest* request,
                                                      v1::ListGapsResponse* response) {
  return gate_.Run(context, "/drawbridge.v1.StreamService/ListGaps", request, response,
                   [this](const Actor&, const auto& asked, v1::ListGapsResponse& answer) -> Status {
                     const StatusOr<Page> page = PageOf(asked);
                     if (!page.ok()) return page.status();
                     const auto gaps =
                         streams_.Gaps(asked.bridge(), asked.topic(), page->first, page->size + 1);
                     if (!gaps.ok()) return gaps.status();
                     // Gaps outlive their bridge; but of one that never was nothing is known.
                     if (gaps->empty() && page->first == 0) {
                       Status known = CheckKnown(asked.bridge(), asked.topic());
                       if (!known.ok()) return known;
                     }
                     for (const StoredGap& gap : *gaps) {
                       if (answer.gaps_size() == page->size) {
                         answer.set_next_page_token(std::to_string(page->first + page->size));
                         break;
                       }
                       *answer.add_gaps() = ToProto(gap);
                     }
                     return {};
                   });
}

grpc::ServerUnaryReactor* StreamServiceImpl::ListDeadLetters(
    grpc::CallbackServerContext* context, const v1::ListDeadLettersRequest* request,
    v1::ListDeadLettersResponse* response) {
  return gate_.Run(
      context, "/drawbridge.v1.StreamService/ListDeadLetters", request, response,
      [this](const Actor&, const auto& asked, v1::ListDeadLettersResponse& answer) -> Status {
        const StatusOr<Page> page = PageOf(asked);
        if (!page.ok()) return page.status();
        const auto groups =
            streams_.DeadLettersOf(asked.bridge(), asked.topic(), page->first, page->size + 1);
        if (!groups.ok()) return groups.status();
        // As gaps, they outlive their bridge.
        if (groups->empty() && page->first == 0) {
          Status known = CheckKnown(asked.bridge(), asked.topic());
          if (!known.ok()) return known;
        }
        for (const StoredDeadLetters& group : *groups) {
          if (answer.groups_size() == page->size) {
            answer.set_next_page_token(std::to_string(page->first + page->size));
            break;
          }
          *answer.add_groups() = ToProto(group);
        }
        return {};
      });
}

grpc::ServerUnaryReactor* StreamServiceImpl::ReadDeadLetters(
    grpc::CallbackServerContext* context, const v1::ReadDeadLettersRequest* request,
    v1::ReadDeadLettersResponse* response) {
  return gate_.Run(
      context, "/drawbridge.v1.StreamService/ReadDeadLetters", request, response,
      [this](const Actor&, const auto& asked, v1::ReadDeadLettersResponse& answer) -> Status {
        if (asked.limit() < 0 || asked.limit() > kLettersMax) {
          return InvalidField(fmt::format("is 1 to {}", kLettersMax), "limit");
        }
        if (Status named = CheckError(asked.error()); !named.ok()) return named;
        const Status known = CheckLettersKnown(asked.bridge(), asked.topic());
        if (!known.ok()) return known;
        const StatusOr<DeadLetterPage> page =
            fleet_.ReadDeadLetters(asked.bridge(), {.topic = asked.topic(), .error = asked.error()},
                                   asked.limit() == 0 ? kLettersDefault : asked.limit());
        if (!page.ok()) return page.status();
        for (const DeadLetterRecord& letter : page->letters) {
          *answer.add_letters() = ToProto(letter);
        }
        answer.set_total(page->total);
        return {};
      });
}

grpc::ServerUnaryReactor* StreamServiceImpl::RetryDeadLetters(
    grpc::CallbackServerContext* context, const v1::RetryDeadLettersRequest* request,
    v1::RetryDeadLettersResponse* response) {
  return gate_.Run(
      context, "/drawbridge.v1.StreamService/RetryDeadLetters", request, response,
      [this](const Actor& actor, const auto& asked,
             v1::RetryDeadLettersResponse& answer) -> Status {
        // A call that is repeated does something again: it is noted as another one.
        const StatusOr<Mutation> mutation = MutationOf(
            actor, asked,
            asked.request_id().empty() ? ""
                                       : fmt::format("{}/{}", asked.request_id(), NewRandomId()),
            asked.reason());
        if (!mutation.ok()) return mutation.status();
        if (asked.token().size() > kTurnBytesMax) {
          return InvalidField("give back the next_token of the answer before", "token");
        }
        if (Status named = CheckError(asked.error()); !named.ok()) return named;
        const Status known = CheckLettersKnown(asked.bridge(), asked.topic());
        if (!known.ok()) return known;
        const StatusOr<RetriedDeadLetters> retried = fleet_.RetryDeadLetters(
            asked.bridge(), {.topic = asked.topic(), .error = asked.error()}, asked.token());
        if (!retried.ok()) return retried.status();
        const StatusOr<Receipt> receipt =
            streams_.AddRetried(asked.bridge(), retried->groups, *mutation);
        if (!receipt.ok()) return receipt.status();
        int64_t records = 0;
        for (const RetriedGroup& group : retried->groups) records += group.records;
        answer.set_retried(records);
        answer.set_refused(retried->refused);
        answer.set_left(retried->left);
        if (retried->left > 0) answer.set_next_token(retried->turn);
        return {};
      });
}

Status StreamServiceImpl::SetPaused(const std::string& bridge, const std::string& topic,
                                    bool is_paused, const StatusOr<Mutation>& mutation,
                                    v1::Stream& response) {
  if (!mutation.ok()) return mutation.status();
  const StatusOr<FleetView> view = fleet_.View();
  if (!view.ok()) return view.status();
  const StatusOr<FoundStream> found = Find(*view, bridge, topic);
  if (!found.ok()) return found.status();
  const StatusOr<Receipt> receipt = streams_.SetPaused(
      found->stream->id, fmt::format("{}/{}", bridge, topic), is_paused, *mutation);
  if (!receipt.ok()) return receipt.status();
  fleet_.Wake();
  StatusOr<v1::Stream> changed = Read(bridge, topic);
  if (!changed.ok()) return changed.status();
  response = *std::move(changed);
  return {};
}

grpc::ServerUnaryReactor* StreamServiceImpl::PauseStream(grpc::CallbackServerContext* context,
                                                         const v1::PauseStreamRequest* request,
                                                         v1::Stream* response) {
  return gate_.Run(context, "/drawbridge.v1.StreamService/PauseStream", request, response,
                   [this](const Actor& actor, const auto& asked, v1::Stream& answer) {
                     return SetPaused(asked.bridge(), asked.topic(), true,
                                      MutationOf(actor, asked, asked.request_id(), asked.reason()),
                                      answer);
                   });
}

grpc::ServerUnaryReactor* StreamServiceImpl::ResumeStream(grpc::CallbackServerContext* context,
                                                          const v1::ResumeStreamRequest* request,
                                                          v1::Stream* response) {
  return gate_.Run(context, "/drawbridge.v1.StreamService/ResumeStream", request, response,
                   [this](const Actor& actor, const auto& asked, v1::Stream& answer) {
                     return SetPaused(asked.bridge(), asked.topic(), false,
                                      MutationOf(actor, asked, asked.request_id(), asked.reason()),
                                      answer);
                   });
}

}  // namespace drawbridge
