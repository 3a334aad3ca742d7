#include "tests/server/store/faulty_disk.h"

namespace drawbridge {
namespace {

// What SQLite holds as an open file: this, and behind it the real one. SQLite gives it memory that
// is aligned to eight bytes, no more.
struct FaultyFile {
  sqlite3_file seen_by_sqlite;
  FaultyDisk* disk;
};

FaultyDisk& DiskOf(sqlite3_file* file) { return *reinterpret_cast<FaultyFile*>(file)->disk; }

sqlite3_file* Real(sqlite3_file* file) {
  return reinterpret_cast<sqlite3_file*>(reinterpret_cast<FaultyFile*>(file) + 1);
}

// Hands a call on to the real file: kForward<&sqlite3_io_methods::xClose>.
template <auto kMethod, typename... Args>
auto Forward(sqlite3_file* file, Args... args) {
  return (Real(file)->pMethods->*kMethod)(Real(file), args...);
}

int Write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
  if (const int error = DiskOf(file).BeforeWrite(); error != SQLITE_OK) return error;
  return Forward<&sqlite3_io_methods::xWrite>(file, bytes, size, offset);
}

int Sync(sqlite3_file* file, int flags) {
  if (const int error = DiskOf(file).BeforeSync(); error != SQLITE_OK) return error;
  return Forward<&sqlite3_io_methods::xSync>(file, flags);
}

const sqlite3_io_methods kMethods = {
    .iVersion = 3,
    .xClose = Forward<&sqlite3_io_methods::xClose>,
    .xRead = Forward<&sqlite3_io_methods::xRead>,
    .xWrite = Write,
    .xTruncate = Forward<&sqlite3_io_methods::xTruncate>,
    .xSync = Sync,
    .xFileSize = Forward<&sqlite3_io_methods::xFileSize>,
    .xLock = Forward<&sqlite3_io_methods::xLock>,
    .xUnlock = Forward<&sqlite3_io_methods::xUnlock>,
    .xCheckReservedLock = Forward<&sqlite3_io_methods::xCheckReservedLock>,
    .xFileControl = Forward<&sqlite3_io_methods::xFileControl>,
    .xSectorSize = Forward<&sqlite3_io_methods::xSectorSize>,
    .xDeviceCharacteristics = Forward<&sqlite3_io_methods::xDeviceCharacteristics>,
    .xShmMap = Forward<&sqlite3_io_methods::xShmMap>,
    .xShmLock = Forward<&sqlite3_io_methods::xShmLock>,
    .xShmBarrier = Forward<&sqlite3_io_methods::xShmBarrier>,
    .xShmUnmap = Forward<&sqlite3_io_methods::xShmUnmap>,
    .xFetch = Forward<&sqlite3_io_methods::xFetch>,
    .xUnfetch = Forward<&sqlite3_io_methods::xUnfetch>,
};

int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* flags_found) {
  auto* disk = static_cast<FaultyDisk*>(vfs->pAppData);
  reinterpret_cast<FaultyFile*>(file)->disk = disk;
  const int code = disk->real()->xOpen(disk->real(), name, Real(file), flags, flags_found);
  file->pMethods = Real(file)->pMethods == nullptr ? nullptr : &kMethods;
  return code;
}

}  // namespace

FaultyDisk::FaultyDisk() : real_(sqlite3_vfs_find(nullptr)), faulty_(*real_) {
  faulty_.zName = "faulty";
  faulty_.szOsFile += static_cast<int>(sizeof(FaultyFile));
  faulty_.xOpen = Open;
  faulty_.pAppData = this;
  sqlite3_vfs_register(&faulty_, 1);
}

FaultyDisk::~FaultyDisk() { sqlite3_vfs_unregister(&faulty_); }

int FaultyDisk::BeforeWrite() {
  const int64_t write = ++writes_;
  return write >= first_failed_write_ && write <= last_failed_write_ ? SQLITE_FULL : SQLITE_OK;
}

int FaultyDisk::BeforeSync() { return ++syncs_ == failed_sync_ ? SQLITE_IOERR_FSYNC : SQLITE_OK; }

}  // namespace drawbridge
