#include "relay/pipeline/journal.h"

#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "tests/fakes/temporary_folder.h"

namespace drawbridge {
namespace {

constexpr PartitionKey kKey{.stream = {7}, .partition = 3};

class JournalTest : public testing::Test {
 protected:
  void SetUp() override { Reopen(); }

  void Reopen() {
    journal_.reset();
    StatusOr<std::unique_ptr<Journal>> opened = Journal::Open(folder_.path());
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    journal_ = *std::move(opened);
  }

  static JournalEntry EntryAt(int64_t next, PartitionKey key = kKey) {
    return {.key = key,
            .token = {.incarnation = 2, .epoch = 5},
            .base = {next / 2},
            .checkpoint = {.next = {next},
                           .anchor = Anchor{.offset = {next - 1},
                                            .timestamp_ms = 1'000 + next,
                                            .hash = 0x1234'5678'9abc'def0ULL + 1}}};
  }

  void Write(const JournalEntry& entry) {
    ASSERT_TRUE(journal_->Reserve(entry.key).ok());
    journal_->Write(entry);
  }

  std::string Content() const {
    std::ostringstream content;
    content << std::ifstream(folder_ / "journal", std::ios::binary).rdbuf();
    return content.str();
  }
  // What a journal says whose file holds this.
  std::optional<JournalEntry> ReadFrom(const std::string& content) const {
    if (!std::filesystem::exists(other_ / "journal")) std::ofstream(other_ / "journal");
    // Over what is there: a new file each time would take most of the test's time.
    std::ofstream(other_ / "journal", std::ios::binary | std::ios::in | std::ios::out) << content;
    const StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(other_.path());
    return journal.ok() ? (*journal)->Read(kKey) : std::nullopt;
  }

  const TemporaryFolder folder_;
  const TemporaryFolder other_;
  std::unique_ptr<Journal> journal_;
};

TEST_F(JournalTest, KnowsNothingOfAPartitionThatWasNeverWritten) {
  ASSERT_TRUE(journal_->Reserve(kKey).ok());

  EXPECT_EQ(journal_->Read(kKey), std::nullopt);
  EXPECT_TRUE(journal_->ReadAll().empty());
}

TEST_F(JournalTest, SaysAfterAReopenWhatWasWrittenLast) {
  Write(EntryAt(10));
  Write(EntryAt(20));
  Write(EntryAt(30));

  Reopen();

  EXPECT_EQ(journal_->Read(kKey), EntryAt(30));
}

TEST_F(JournalTest, TellsNoAnchorFromAnAnchorOfZeros) {
  JournalEntry entry = EntryAt(10);
  entry.checkpoint.anchor = std::nullopt;
  Write(entry);
  EXPECT_EQ(journal_->Read(kKey), entry);

  entry.checkpoint.anchor = Anchor{.offset = {0}, .timestamp_ms = 0, .hash = 0};
  Write(entry);
  EXPECT_EQ(journal_->Read(kKey), entry);
}

TEST_F(JournalTest, TakesAnEntryThatGoesBack) {
  Write(EntryAt(30));
  JournalEntry rewound = EntryAt(10);
  rewound.token.epoch = 6;
  Write(rewound);

  Reopen();

  EXPECT_EQ(journal_->Read(kKey), rewound);
}

TEST_F(JournalTest, SurvivesAKillWithoutASync) {
  GTEST_FLAG_SET(death_test_style, "fast");
  const auto write_and_die = [&] {
    Write(EntryAt(10));
    Write(EntryAt(20));
    std::raise(SIGKILL);
  };
  EXPECT_EXIT(write_and_die(), testing::KilledBySignal(SIGKILL), "");

  Reopen();

  EXPECT_EQ(journal_->Read(kKey), EntryAt(20));
}

TEST_F(JournalTest, IsReadableByItsOwnerOnly) {
  struct stat about {};
  ASSERT_EQ(stat((folder_ / "journal").c_str(), &about), 0);

  EXPECT_EQ(about.st_mode & 0777U, 0600U);
}

// --- Damage ---

TEST_F(JournalTest, ReadsTheOlderEntryWhereAnyByteOfTheNewestIsWrong) {
  Write(EntryAt(10));
  const std::string before = Content();
  Write(EntryAt(20));
  const std::string after = Content();
  size_t first = 0;
  while (before[first] == after[first]) ++first;
  size_t last = after.size() - 1;
  while (before[last] == after[last]) --last;
  ASSERT_GT(last - first, 100U);

  for (size_t at = 0; at < 256; ++at) {
    std::string damaged = after;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    const bool is_in_newest = first <= at && at <= last;
    EXPECT_EQ(ReadFrom(damaged), is_in_newest ? EntryAt(10) : EntryAt(20)) << "byte " << at;
  }
}

TEST_F(JournalTest, ReadsTheEntryBeforeAWriteThatWasCutAnywhere) {
  Write(EntryAt(10));
  Write(EntryAt(20));
  const std::string before = Content();
  Write(EntryAt(30));
  const std::string after = Content();

  for (size_t written = 0; written <= 256; ++written) {
    const std::string torn = after.substr(0, written) + before.substr(written);
    EXPECT_EQ(ReadFrom(torn), torn == after ? EntryAt(30) : EntryAt(20)) << "bytes " << written;
  }
}

TEST_F(JournalTest, LeavesOutAPartitionWhoseEntriesAreBothWrong) {
  Write(EntryAt(10));
  Write(EntryAt(20));
  std::string damaged = Content();
  for (size_t at = 0; at < 256; at += 16) damaged[at] = static_cast<char>(damaged[at] ^ 0x40);

  EXPECT_EQ(ReadFrom(damaged), std::nullopt);
}

TEST_F(JournalTest, ReadsWhatATruncatedFileStillHolds) {
  const PartitionKey lost{.stream = {7}, .partition = 4};
  Write(EntryAt(10));
  Write(EntryAt(20, lost));

  journal_.reset();
  std::filesystem::resize_file(folder_ / "journal", 300);
  Reopen();

  EXPECT_EQ(journal_->Read(kKey), EntryAt(10));
  EXPECT_EQ(journal_->Read(lost), std::nullopt);
  Write(EntryAt(30, lost));
  EXPECT_EQ(journal_->Read(lost), EntryAt(30, lost));
}

TEST_F(JournalTest, TakesNothingFromAForeignFile) {
  journal_.reset();
  std::ofstream foreign(folder_ / "journal");
  for (int line = 0; line < 5'000; ++line) foreign << "this is somebody's shopping list\n";
  foreign.close();

  Reopen();

  EXPECT_TRUE(journal_->ReadAll().empty());
  Write(EntryAt(10));
  Reopen();
  EXPECT_EQ(journal_->Read(kKey), EntryAt(10));
}

TEST_F(JournalTest, SaysThatAFolderIsMissing) {
  const StatusOr<std::unique_ptr<Journal>> none = Journal::Open(folder_ / "none");

  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(none.status().reason(), Reason::kJournalUnavailable);
}

// --- Room ---

TEST_F(JournalTest, KeepsManyPartitionsApart) {
  for (int partition = 0; partition < 1'000; ++partition) {
    Write(EntryAt(partition + 1, {.stream = {partition % 3}, .partition = partition}));
  }

  Reopen();

  EXPECT_EQ(journal_->ReadAll().size(), 1'000U);
  for (int partition = 0; partition < 1'000; ++partition) {
    const PartitionKey key{.stream = {partition % 3}, .partition = partition};
    EXPECT_EQ(journal_->Read(key), EntryAt(partition + 1, key));
  }
}

TEST_F(JournalTest, ForgetsAPartitionForGood) {
  Write(EntryAt(10));
  journal_->Forget(kKey);
  EXPECT_EQ(journal_->Read(kKey), std::nullopt);

  Reopen();

  EXPECT_EQ(journal_->Read(kKey), std::nullopt);
  EXPECT_TRUE(journal_->ReadAll().empty());
}

TEST_F(JournalTest, UsesTheRoomOfForgottenPartitionsAgain) {
  Write(EntryAt(10));
  const auto bytes = std::filesystem::file_size(folder_ / "journal");
  for (int partition = 0; partition < 5'000; ++partition) {
    const PartitionKey key{.stream = {9}, .partition = partition};
    Write(EntryAt(20, key));
    journal_->Forget(key);
  }

  EXPECT_EQ(std::filesystem::file_size(folder_ / "journal"), bytes);
  EXPECT_EQ(journal_->Read(kKey), EntryAt(10));
}

TEST_F(JournalTest, DoesNotWriteAPartitionWithoutARoom) {
  journal_->Write(EntryAt(10));

  EXPECT_EQ(journal_->Read(kKey), std::nullopt);
}

TEST_F(JournalTest, BecomesDurable) {
  Write(EntryAt(10));

  EXPECT_TRUE(journal_->Sync().ok());
}

// Fills the room that is there, and expects a refusal and nothing worse.
void ExpectRefusalOfOneMore(Journal& journal) {
  Status reserved;
  for (int partition = 0; reserved.ok() && partition < 10'000; ++partition) {
    reserved = journal.Reserve({.stream = {1}, .partition = partition});
  }
  ASSERT_FALSE(reserved.ok());
  EXPECT_EQ(reserved.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(reserved.reason(), Reason::kJournalUnavailable);
}

#if defined(DRAWBRIDGE_FAILPOINTS)
TEST_F(JournalTest, RefusesAPartitionThatTheDiskHasNoRoomFor) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a process that reads the environment anew
  setenv("DRAWBRIDGE_FAILPOINTS", "journal.grow=error:2", 1);
  const auto fill = [&] {
    ExpectRefusalOfOneMore(*journal_);
    std::exit(HasFailure() ? 1 : 0);
  };

  EXPECT_EXIT(fill(), testing::ExitedWithCode(0), "");

  unsetenv("DRAWBRIDGE_FAILPOINTS");
}
#endif

TEST_F(JournalTest, WritesToAFullDiskWhatItHasRoomFor) {
  const TemporaryFolder mount_point;
  if (mount("tmpfs", mount_point.path().c_str(), "tmpfs", 0, "size=128k") != 0) {
    GTEST_SKIP() << "needs the right to mount";
  }
  {
    const StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(mount_point.path());
    ASSERT_TRUE(journal.ok());
    ExpectRefusalOfOneMore(**journal);

    for (const int partition : {0, 100, 511}) {  // a hole in the file would kill the process here
      const JournalEntry entry = EntryAt(10, {.stream = {1}, .partition = partition});
      (*journal)->Write(entry);
      EXPECT_EQ((*journal)->Read(entry.key), entry);
    }
  }
  umount(mount_point.path().c_str());
}

// --- Threads ---

TEST_F(JournalTest, ShowsReadersWholeEntriesWhileItIsWritten) {
  Write(EntryAt(1));
  std::jthread writer([&] {
    for (int64_t next = 2; next <= 20'000; ++next) journal_->Write(EntryAt(next));
  });

  int64_t seen = 0;
  while (seen < 20'000) {
    const std::optional<JournalEntry> entry = journal_->Read(kKey);
    ASSERT_TRUE(entry);
    ASSERT_GE(entry->checkpoint.next.value, seen);
    seen = entry->checkpoint.next.value;
    ASSERT_EQ(*entry, EntryAt(seen));
  }
}

}  // namespace
}  // namespace drawbridge
