#include "cli/listing.h"

#include "drawbridge/v1/stream.grpc.pb.h"

namespace drawbridge::cli {
namespace {

constexpr int32_t kPageSize = 10'000;

// Adds page after page to one response.
template <typename Stub, typename Request, typename Response>
Result<Response> AllPages(Session& session, Method<Stub, Request, Response> method,
                          const StreamName& stream) {
  Request request;
  request.set_bridge(stream.bridge);
  request.set_topic(stream.topic);
  request.set_page_size(kPageSize);
  Response all;
  do {
    Result<Response> page = session.Call(method, request);
    if (!page.ok()) return page;
    request.set_page_token(page->next_page_token());
    page->clear_next_page_token();
    all.MergeFrom(*page);
  } while (!request.page_token().empty());
  return all;
}

}  // namespace

Result<v1::ListPartitionsResponse> AllPartitions(Session& session, const StreamName& stream) {
  return AllPages(session, &v1::StreamService::Stub::ListPartitions, stream);
}

Result<v1::ListGapsResponse> AllGaps(Session& session, const StreamName& stream) {
  return AllPages(session, &v1::StreamService::Stub::ListGaps, stream);
}

Result<v1::ListDeadLettersResponse> AllDeadLetters(Session& session, const StreamName& stream) {
  return AllPages(session, &v1::StreamService::Stub::ListDeadLetters, stream);
}

}  // namespace drawbridge::cli
