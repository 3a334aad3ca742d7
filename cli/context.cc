#include "cli/context.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include <fmt/format.h>

#include "cli/input.h"
#include "cli/yaml_file.h"

namespace drawbridge::cli {
namespace {

Failure NoContextFile(const std::string& file) {
  return UsageFailure(
      Reason::kNotFound,
      fmt::format("there is no context file {}: copy admin.context there, which the server wrote "
                  "into its state folder, or name it with --context FILE or DRAWBRIDGE_CONTEXT",
                  file),
      "context");
}

std::string TextOf(const YamlFields& fields, std::string_view name) {
  const YamlValue* value = fields.Find(name);
  return value == nullptr ? "" : value->Text().value_or("");
}

Result<Context> ReadContextFile(const std::string& name) {
  const StatusOr<std::string> text = ReadInput(name);
  if (!text.ok() && text.status().code() == StatusCode::kNotFound) return NoContextFile(name);
  if (!text.ok()) {
    return UsageFailure(Reason::kFieldInvalid, text.status().message(), "context");
  }
  YamlFile file(name, YamlFile::Content::kSecret);
  Context context;
  if (const std::optional<YamlValue> root = file.Parse(*text)) {
    const YamlFields fields = root->Fields({"server", "ca", "token"});
    context.server = TextOf(fields, "server");
    context.ca_pem = TextOf(fields, "ca");
    context.token = Secret(TextOf(fields, "token"));
  }
  if (!file.problems().empty()) return Failure{ExitCode::kUsage, file.problems()};
  return context;
}

// The content of a file that a flag names, without white space around it.
Result<std::string> ReadFlagFile(const std::string& name, const std::string& flag) {
  const StatusOr<std::string> text = ReadInput(name);
  if (!text.ok()) return UsageFailure(Reason::kFieldInvalid, text.status().message(), flag);
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text->find_first_not_of(kSpace);
  if (first == text->npos) return std::string();
  return text->substr(first, text->find_last_not_of(kSpace) - first + 1);
}

bool IsAddress(const std::string& server) {
  const size_t colon = server.rfind(':');
  if (colon == server.npos || colon == 0) return false;
  uint16_t port = 0;
  const char* end = server.data() + server.size();
  const auto [parsed, error] = std::from_chars(server.data() + colon + 1, end, port);
  return error == std::errc{} && parsed == end && port != 0 &&
         server.find_first_of(" /\t\r\n") == server.npos;
}

// A header's value: gRPC takes nothing else, and aborts on it.
bool IsToken(const Secret& token) {
  return !token.empty() &&
         std::ranges::all_of(token.Reveal(), [](char byte) { return byte > 0x20 && byte < 0x7F; });
}

Result<Context> Checked(Context context) {
  if (!IsAddress(context.server)) {
    return UsageFailure(Reason::kFieldInvalid,
                        "the server's address is missing or is not host:port: write it in the "
                        "context file, or give --server host:port",
                        "server");
  }
  if (context.ca_pem.find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
    return UsageFailure(Reason::kFieldInvalid,
                        "there is no certificate to know the server by: write the server's CA in "
                        "PEM form into the context file, or give --ca FILE",
                        "ca");
  }
  if (!IsToken(context.token)) {
    return UsageFailure(Reason::kFieldInvalid,
                        "the token is missing or is no token: write it into the context file, or "
                        "give --token-file FILE",
                        "token");
  }
  return context;
}

}  // namespace

Result<Context> LoadContext(const ContextSources& sources) {
  Context context;
  const bool needs_file =
      sources.server.empty() || sources.ca_file.empty() || sources.token_file.empty();
  if (needs_file) {
    Result<Context> read =
        ReadContextFile(sources.file.empty() ? DefaultContextFile() : sources.file);
    if (!read.ok()) return read;
    context = *read;
  }
  if (!sources.server.empty()) context.server = sources.server;
  if (!sources.ca_file.empty()) {
    const Result<std::string> ca = ReadFlagFile(sources.ca_file, "ca");
    if (!ca.ok()) return ca.failure();
    context.ca_pem = *ca;
  }
  if (!sources.token_file.empty()) {
    Result<std::string> token = ReadFlagFile(sources.token_file, "token");
    if (!token.ok()) return token.failure();
    context.token = Secret(std::move(*token));
  }
  return Checked(std::move(context));
}

std::string DefaultContextFile() {
  const char* home = std::getenv("HOME");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  return fmt::format("{}/.config/drawbridge/context.yaml", home == nullptr ? "" : home);
}

}  // namespace drawbridge::cli
