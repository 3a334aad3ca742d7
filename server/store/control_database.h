#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/clock.h"
#include "server/store/reader.h"
#include "server/store/rows.h"
#include "server/store/writer.h"

namespace drawbridge {

// control.db of one server: opened, checked and brought to the newest schema, with its one writer
// and a reader. The stores work on these. The caller holds the folder's lock.
class ControlDatabase {
 public:
  // Makes the file if it is missing. DATABASE_NEWER, DATABASE_CORRUPT and STORAGE_DEGRADED say what
  // to do.
  static StatusOr<std::unique_ptr<ControlDatabase>> Open(const std::filesystem::path& path,
                                                         const Clock& clock);

  Writer& writer() { return writer_; }
  Reader& reader() { return reader_; }

  StatusOr<DesiredState> ReadAll();

  // The sealed text by which a key is recognised as the right one; empty: none was stored yet.
  StatusOr<std::string> KeyCheck();
  Status SetKeyCheck(const std::string& sealed);
  // For a lost key: the stored secrets go, and the check of another key takes the place of theirs.
  // Credentials keep their names and versions, so that setting one again makes the next version.
  Status ForgetSecrets(const std::string& key_check);

 private:
  ControlDatabase(Database writer, Database reader)
      : writer_(std::move(writer)), reader_(std::move(reader)) {}

  Writer writer_;
  Reader reader_;
};

}  // namespace drawbridge
