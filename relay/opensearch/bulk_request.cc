#include "relay/opensearch/bulk_request.h"

#include <fmt/format.h>
#include <zlib.h>

namespace drawbridge {

std::string TaskPrefix(std::string_view bridge) { return fmt::format("drawbridge/{}/", bridge); }

void AppendCreate(std::string_view index, std::string_view id, std::string& body) {
  body += R"({"create":{"_index":)";
  body += JsonString(index);
  body += R"(,"_id":)";
  body += JsonString(id);
  body += "}}\n";
}

Status AppendRecord(std::string_view index, const Route& route, const Record& record, WallTime now,
                    DocumentShaper& shaper, std::string& body) {
  const size_t start = body.size();
  AppendCreate(index, DocumentId(route, record.offset), body);
  Status shaped = shaper.Append(route, record, now, body);
  if (shaped.ok()) {
    body += '\n';
  } else {
    body.resize(start);
  }
  return shaped;
}

StatusOr<std::string> Gzip(std::string_view body) {
  constexpr int kGzipHeader = 15 + 16;  // the largest window, and gzip's header instead of zlib's
  constexpr int kMemoryLevel = 8;
  z_stream stream{};
  // Level 1: the engine pays for each byte too, and a log shrinks to a tenth with it.
  if (deflateInit2(&stream, 1, Z_DEFLATED, kGzipHeader, kMemoryLevel, Z_DEFAULT_STRATEGY) != Z_OK) {
    return Status(StatusCode::kInternal, Reason::kInternal, "a request cannot be compressed");
  }
  std::string packed(deflateBound(&stream, body.size()), '\0');
  // zlib does not write through it.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const int ended = deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  if (ended != Z_STREAM_END) {
    return Status(StatusCode::kInternal, Reason::kInternal, "a request cannot be compressed");
  }
  return packed;
}

}  // namespace drawbridge
