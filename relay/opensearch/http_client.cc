#include "relay/opensearch/http_client.h"

#include <algorithm>
#include <array>
#include <map>

#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/file.h"

namespace drawbridge {
namespace {

constexpr long kConnectMs = 10'000;
// The answer to a bulk has some tens of bytes for each document, also where filter_path is ignored.
constexpr size_t kAnswerBytesMax = size_t{64} << 20;
constexpr long kUploadBufferBytes = 512L << 10;
constexpr curl_off_t kRetryAfterMost = 600;  // seconds

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* handle) const {
    Free(handle);
  }
};
using EasyHandle = std::unique_ptr<CURL, Deleter<curl_easy_cleanup>>;
using MultiHandle = std::unique_ptr<CURLM, Deleter<curl_multi_cleanup>>;
using ShareHandle = std::unique_ptr<CURLSH, Deleter<curl_share_cleanup>>;
using HeaderList = std::unique_ptr<curl_slist, Deleter<curl_slist_free_all>>;

Status Unreachable(Reason reason, std::string text) {
  return {StatusCode::kUnavailable, reason, std::move(text)};
}

// What the port may speak where the address' own does not get through.
std::string_view OtherScheme(std::string_view address) {
  return address.starts_with("https") ? "plain http" : "https";
}

// What a failure means and what to do about it, with the library's words.
Status FailureOf(CURLcode code, const char* words, const std::string& address) {
  const std::string text = *words == '\0' ? curl_easy_strerror(code) : words;
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
      return Unreachable(
          text.find("expired") != text.npos ? Reason::kTlsCertificateExpired
                                            : Reason::kTlsUntrusted,
          fmt::format("{}: the certificate there is not trusted: give the endpoint the CA that "
                      "signs it, and an address that is in it ({})",
                      address, text));
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return Unreachable(text.find("certificate required") != text.npos
                             ? Reason::kTlsClientCertificateRequired
                             : Reason::kTlsFailed,
                         fmt::format("{}: TLS cannot be agreed on: check that it is an HTTPS port, "
                                     "and the client certificate ({})",
                                     address, text));
    case CURLE_COULDNT_RESOLVE_HOST:
      return Unreachable(Reason::kUnreachable,
                         fmt::format("{}: the host name cannot be resolved: check the address, and "
                                     "the relay machine's DNS",
                                     address));
    case CURLE_SEND_FAIL_REWIND:
      return Unreachable(Reason::kUnreachable,
                         fmt::format("{}: the connection broke before an answer came: check that "
                                     "the engine is up, whether the port speaks {}, and the "
                                     "firewalls between",
                                     address, OtherScheme(address)));
    case CURLE_GOT_NOTHING:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
      return Unreachable(Reason::kBrokerError,
                         fmt::format("{}: what answers there is no search engine, or broke off: "
                                     "check the address ({})",
                                     address, text));
    default:
      return Unreachable(Reason::kUnreachable,
                         fmt::format("{}: no answer: check that the engine is up, whether the "
                                     "port speaks {}, and the firewalls between ({})",
                                     address, OtherScheme(address), text));
  }
}

}  // namespace

struct HttpClient::Impl {
  struct Call {
    EasyHandle easy;
    HeaderList headers;
    HttpRequest request;
    size_t sent = 0;  // of its body
    HttpAnswer answer;
    std::string address;
    std::array<char, CURL_ERROR_SIZE> words{};
    uint64_t id = 0;
  };

  explicit Impl(SearchEngine its_engine)
      : engine(std::move(its_engine)),
        epoll(epoll_create1(EPOLL_CLOEXEC)),
        timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {}

  Status Start();
  std::unique_ptr<Call> Prepare(HttpRequest request, size_t address) const;
  void SetIdentity(Call& call) const;
  static void Finish(Call& call, CURLcode code);
  void SetTimer(long milliseconds) const;

  static int OnSocket(CURL* easy, curl_socket_t socket, int what, void* self, void* known);
  static int OnTimer(CURLM* multi, long milliseconds, void* self);
  static size_t OnUpload(char* room, size_t size, size_t count, void* call);
  static size_t OnBody(char* bytes, size_t size, size_t count, void* call);

  const SearchEngine engine;
  const FileDescriptor epoll;
  const FileDescriptor timer;
  ShareHandle kept;                              // connections between one Call and the next
  std::map<CURL*, std::unique_ptr<Call>> calls;  // before the handle that knows them
  MultiHandle multi;
};

Status HttpClient::Impl::Start() {
  static const CURLcode kReady = curl_global_init(CURL_GLOBAL_DEFAULT);
  multi.reset(curl_multi_init());
  kept.reset(curl_share_init());
  if (kReady != CURLE_OK || !multi || !kept || !epoll.is_open() || !timer.is_open()) {
    return {StatusCode::kInternal, Reason::kInternal, "the HTTP client cannot be started"};
  }
  // No lock: all of it is on one thread.
  curl_share_setopt(kept.get(), CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT);
  curl_multi_setopt(multi.get(), CURLMOPT_SOCKETFUNCTION, OnSocket);
  curl_multi_setopt(multi.get(), CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi.get(), CURLMOPT_TIMERFUNCTION, OnTimer);
  curl_multi_setopt(multi.get(), CURLMOPT_TIMERDATA, this);
  epoll_event event{.events = EPOLLIN, .data = {.fd = timer.get()}};
  epoll_ctl(epoll.get(), EPOLL_CTL_ADD, timer.get(), &event);
  return {};
}

std::unique_ptr<HttpClient::Impl::Call> HttpClient::Impl::Prepare(HttpRequest request,
                                                                  size_t address) const {
  auto call = std::make_unique<Call>();
  call->request = std::move(request);
  call->address = engine.endpoint.opensearch().addresses[address];
  call->easy.reset(curl_easy_init());
  CURL* const easy = call->easy.get();
  if (easy == nullptr) return call;
  const HttpRequest& asked = call->request;
  curl_easy_setopt(easy, CURLOPT_URL, (call->address + asked.path).c_str());
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, asked.method.c_str());
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, long{asked.needs_new_connection});
  // To the library 0 is no limit.
  const auto timeout = std::chrono::ceil<std::chrono::milliseconds>(asked.timeout);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, std::max(1L, long{timeout.count()}));
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, OnBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, call.get());
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->words.data());
  const auto add_header = [&](const std::string& line) {
    call->headers.reset(curl_slist_append(call->headers.release(), line.c_str()));
  };
  if (!asked.content_type.empty()) {
    // Read from here and not given as it is: with a body that it could send once more the library
    // would do so, without a word, when a connection breaks that it had used before.
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, OnUpload);
    curl_easy_setopt(easy, CURLOPT_READDATA, call.get());
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, kUploadBufferBytes);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(asked.body.size()));
    add_header("Content-Type: " + asked.content_type);
    if (asked.is_gzip) add_header("Content-Encoding: gzip");
    add_header("Expect:");  // the body goes at once
  }
  if (!asked.opaque_id.empty()) add_header("X-Opaque-Id: " + asked.opaque_id);
  if (engine.secret && engine.secret->kind == CredentialKind::kApiKey) {
    add_header(fmt::format("Authorization: ApiKey {}", engine.secret->password.Reveal()));
  }
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers.get());
  SetIdentity(*call);
  return call;
}

void HttpClient::Impl::SetIdentity(Call& call) const {
  CURL* const easy = call.easy.get();
  const OpenSearchEndpoint& endpoint = engine.endpoint.opensearch();
  const auto blob = [](std::string_view pem) {
    // Copied by the library.
    return curl_blob{const_cast<char*>(pem.data()), pem.size(), CURL_BLOB_COPY};
  };
  if (!endpoint.ca_pem.empty()) {
    curl_blob ca = blob(endpoint.ca_pem);
    curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &ca);
  }
  if (!engine.secret) return;
  const CredentialSecret& secret = *engine.secret;
  if (secret.kind == CredentialKind::kBasic) {
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, long{CURLAUTH_BASIC});
    curl_easy_setopt(easy, CURLOPT_USERNAME, secret.username.c_str());
    curl_easy_setopt(easy, CURLOPT_PASSWORD, std::string(secret.password.Reveal()).c_str());
  } else if (secret.kind == CredentialKind::kMtls) {
    curl_blob certificate = blob(secret.certificate_pem);
    curl_blob key = blob(secret.key_pem.Reveal());
    curl_easy_setopt(easy, CURLOPT_SSLCERTTYPE, "PEM");
    curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &certificate);
    curl_easy_setopt(easy, CURLOPT_SSLKEYTYPE, "PEM");
    curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &key);
    if (!secret.key_password.empty()) {
      curl_easy_setopt(easy, CURLOPT_KEYPASSWD, std::string(secret.key_password.Reveal()).c_str());
    }
  }
}

void HttpClient::Impl::Finish(Call& call, CURLcode code) {
  if (code == CURLE_OK) {
    long status = 0;
    curl_easy_getinfo(call.easy.get(), CURLINFO_RESPONSE_CODE, &status);
    call.answer.status = static_cast<int>(status);
    long connects = 0;
    curl_easy_getinfo(call.easy.get(), CURLINFO_NUM_CONNECTS, &connects);
    call.answer.is_first = connects > 0;
    curl_off_t wait_s = 0;  // also where the engine named a time of day
    curl_easy_getinfo(call.easy.get(), CURLINFO_RETRY_AFTER, &wait_s);
    if (wait_s > 0)
      call.answer.retry_after = std::chrono::seconds(std::min(wait_s, kRetryAfterMost));
    return;
  }
  call.answer.status = 0;
  call.answer.body.clear();
  call.answer.failure = FailureOf(code, call.words.data(), call.address);
}

void HttpClient::Impl::SetTimer(long milliseconds) const {
  itimerspec when{};
  if (milliseconds > 0) {
    when.it_value = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1'000'000};
  } else if (milliseconds == 0) {
    when.it_value.tv_nsec = 1;  // at once; 0 would disarm it
  }
  timerfd_settime(timer.get(), 0, &when, nullptr);
}

int HttpClient::Impl::OnSocket(CURL* /*easy*/, curl_socket_t socket, int what, void* self,
                               void* known) {
  auto& impl = *static_cast<Impl*>(self);
  if (what == CURL_POLL_REMOVE) {
    epoll_ctl(impl.epoll.get(), EPOLL_CTL_DEL, socket, nullptr);
    return 0;
  }
  epoll_event event{};
  event.data.fd = socket;
  if ((what & CURL_POLL_IN) != 0) event.events |= EPOLLIN;
  if ((what & CURL_POLL_OUT) != 0) event.events |= EPOLLOUT;
  epoll_ctl(impl.epoll.get(), known == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, &event);
  curl_multi_assign(impl.multi.get(), socket, &impl);
  return 0;
}

int HttpClient::Impl::OnTimer(CURLM* /*multi*/, long milliseconds, void* self) {
  static_cast<Impl*>(self)->SetTimer(milliseconds);
  return 0;
}

size_t HttpClient::Impl::OnUpload(char* room, size_t size, size_t count, void* of) {
  auto& call = *static_cast<Call*>(of);
  const size_t taken = call.request.body.copy(room, size * count, call.sent);
  call.sent += taken;
  return taken;
}

size_t HttpClient::Impl::OnBody(char* bytes, size_t size, size_t count, void* call) {
  std::string& body = static_cast<Call*>(call)->answer.body;
  if (body.size() + size * count > kAnswerBytesMax) return 0;  // ends the transfer
  body.append(bytes, size * count);
  return size * count;
}

HttpClient::HttpClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpClient::~HttpClient() {
  for (const auto& [easy, call] : impl_->calls) curl_multi_remove_handle(impl_->multi.get(), easy);
}

StatusOr<std::unique_ptr<HttpClient>> HttpClient::Open(SearchEngine engine) {
  auto impl = std::make_unique<Impl>(std::move(engine));
  if (Status started = impl->Start(); !started.ok()) return started;
  return std::unique_ptr<HttpClient>(new HttpClient(std::move(impl)));
}

void HttpClient::Send(uint64_t id, HttpRequest request, size_t address) {
  std::unique_ptr<Impl::Call> call = impl_->Prepare(std::move(request), address);
  call->id = id;
  CURL* const easy = call->easy.get();
  impl_->calls.emplace(easy, std::move(call));
  curl_multi_add_handle(impl_->multi.get(), easy);
}

void HttpClient::Poll(std::vector<std::pair<uint64_t, HttpAnswer>>& answers) {
  constexpr int kEventsMax = 64;
  std::array<epoll_event, kEventsMax> events{};
  CURLM* const multi = impl_->multi.get();
  int running = 0;
  const int count = epoll_wait(impl_->epoll.get(), events.data(), kEventsMax, 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    if (event.data.fd == impl_->timer.get()) {
      uint64_t expirations = 0;
      if (read(impl_->timer.get(), &expirations, sizeof expirations) < 0) continue;
      curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
      continue;
    }
    int what = 0;
    if ((event.events & EPOLLIN) != 0) what |= CURL_CSELECT_IN;
    if ((event.events & EPOLLOUT) != 0) what |= CURL_CSELECT_OUT;
    if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) what |= CURL_CSELECT_ERR;
    curl_multi_socket_action(multi, event.data.fd, what, &running);
  }
  int left = 0;
  while (const CURLMsg* const message = curl_multi_info_read(multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* const easy = message->easy_handle;
    const CURLcode code = message->data.result;
    curl_multi_remove_handle(multi, easy);
    auto call = impl_->calls.extract(easy);
    Impl::Finish(*call.mapped(), code);
    answers.emplace_back(call.mapped()->id, std::move(call.mapped()->answer));
  }
}

HttpAnswer HttpClient::Call(HttpRequest request, size_t address) {
  const std::unique_ptr<Impl::Call> call = impl_->Prepare(std::move(request), address);
  curl_easy_setopt(call->easy.get(), CURLOPT_SHARE, impl_->kept.get());
  Impl::Finish(*call, curl_easy_perform(call->easy.get()));
  return std::move(call->answer);
}

std::string HttpClient::Escaped(const std::string& part) {
  const std::unique_ptr<char, decltype(&curl_free)> escaped(
      curl_easy_escape(nullptr, part.data(), static_cast<int>(part.size())), curl_free);
  return escaped ? escaped.get() : std::string();
}

int HttpClient::descriptor() const { return impl_->epoll.get(); }

size_t HttpClient::addresses() const {
  return impl_->engine.endpoint.opensearch().addresses.size();
}

const SearchEngine& HttpClient::engine() const { return impl_->engine; }

}  // namespace drawbridge
