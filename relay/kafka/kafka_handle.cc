#include "relay/kafka/kafka_handle.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <thread>
#include <utility>

#include <openssl/x509.h>
#include <sys/eventfd.h>

#include "base/log.h"

namespace drawbridge {
namespace {

const Log kLog("relay.kafka");

constexpr std::chrono::seconds kDestroyPatience{5};

// A client's opaque.
struct ClientNotes {
  std::atomic<int> certificate_fault{X509_V_OK};  // X509_V_ERR_...
  Mutex mutex;
  std::string last_disconnect DRAWBRIDGE_GUARDED_BY(mutex);
};

ClientNotes& NotesOf(const rd_kafka_t* client) {
  return *static_cast<ClientNotes*>(rd_kafka_opaque(client));
}

// Agrees with OpenSSL, always: it listens only. Called from the library's threads.
int OnCertificate(rd_kafka_t* /*client*/, const char* /*broker*/, int32_t /*broker_id*/,
                  int* x509_error, int depth, const char* /*certificate*/, size_t /*size*/,
                  char* /*reason*/, size_t /*reason_size*/, void* opaque) {
  // The leaf comes last.
  const bool is_fault = *x509_error != X509_V_OK;
  if (is_fault || depth == 0) static_cast<ClientNotes*>(opaque)->certificate_fault = *x509_error;
  return is_fault ? 0 : 1;
}

}  // namespace

StatusOr<ClientHandle> CreateClient(rd_kafka_type_t type, ConfHandle conf) {
  std::array<char, 512> reason{};
  auto notes = std::make_unique<ClientNotes>();
  rd_kafka_conf_set_opaque(conf.get(), notes.get());
  rd_kafka_conf_set_ssl_cert_verify_cb(conf.get(), OnCertificate);
  ClientHandle client(rd_kafka_new(type, conf.get(), reason.data(), reason.size()));
  if (!client) {
    return Status(StatusCode::kInvalidArgument, Reason::kFieldInvalid, reason.data());
  }
  std::ignore = conf.release();   // rd_kafka_new took it over, as it does only on success
  std::ignore = notes.release();  // with the client
  return client;
}

void DestroyClient(rd_kafka_t* client) {
  const std::unique_ptr<ClientNotes> notes(static_cast<ClientNotes*>(rd_kafka_opaque(client)));
  rd_kafka_destroy(client);
}

std::string_view CertificateFault(const rd_kafka_t* client) {
  const int fault = NotesOf(client).certificate_fault;
  return fault == X509_V_OK ? "" : X509_verify_cert_error_string(fault);
}

std::string TakeDisconnect(const rd_kafka_t* client) {
  ClientNotes& notes = NotesOf(client);
  const MutexLock lock(notes.mutex);
  return std::exchange(notes.last_disconnect, {});
}

void NoteDisconnect(const rd_kafka_t* client, std::string_view text) {
  // "[thrd:NAME]: TEXT"
  const size_t thread_end = text.find("]: ");
  if (text.starts_with("[thrd:") && thread_end != text.npos) text.remove_prefix(thread_end + 3);
  ClientNotes& notes = NotesOf(client);
  const MutexLock lock(notes.mutex);
  notes.last_disconnect = text;
}

StatusOr<FileDescriptor> WakeOn(rd_kafka_queue_t* queue) {
  FileDescriptor wake(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake.is_open()) {
    return Status(StatusCode::kResourceExhausted, std::generic_category().message(errno));
  }
  constexpr uint64_t kOne = 1;
  rd_kafka_queue_io_event_enable(queue, wake.get(), &kOne, sizeof kOne);
  return wake;
}

Reaper::~Reaper() {
  const auto deadline = std::chrono::steady_clock::now() + kDestroyPatience;
  count_->mutex.lock();
  while (count_->under_way > 0) {
    if (count_->ended.wait_until(count_->mutex, deadline) == std::cv_status::timeout) break;
  }
  const int left = count_->under_way;
  count_->mutex.unlock();
  if (left > 0) kLog.Warn("kafka clients did not end and are left behind", {{"count", left}});
}

void Reaper::Destroy(ClientHandle client) {
  {
    const MutexLock lock(count_->mutex);
    ++count_->under_way;
  }
  std::thread([count = count_, client = std::move(client)]() mutable {
    client.reset();
    const MutexLock lock(count->mutex);
    --count->under_way;
    count->ended.notify_all();
  }).detach();
}

std::string LibraryVersion() { return rd_kafka_version_str(); }

std::string LibraryFeatures() {
  const ConfHandle conf(rd_kafka_conf_new());
  std::array<char, 512> features{};
  size_t size = features.size();
  const auto found = rd_kafka_conf_get(conf.get(), "builtin.features", features.data(), &size);
  return found == RD_KAFKA_CONF_OK ? features.data() : "";
}

bool LibraryIsAtLeast(int major, int minor, int patch) {
  // 0xMMmmrrxx
  return (rd_kafka_version() >> 8) >= ((major << 16) | (minor << 8) | patch);
}

}  // namespace drawbridge
