#include "server/store/writer.h"

#include <csignal>
#include <future>
#include <latch>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/server/store/child_process.h"
#include "tests/server/store/faulty_disk.h"
#include "tests/server/store/store_fixture.h"

namespace drawbridge {
namespace {

// A row in a table that has no rules of its own.
Writer::Operation Write(const std::string& id) {
  return [id](Database& database) {
    return database
        .Prepare(
            "INSERT INTO requests (request_id, body_hash, response, at_us) "
            "VALUES (?, x'', x'', 0)")
        .Bind(id)
        .Run();
  };
}

Writer::Operation WriteMuch(const std::string& id) {
  return [id](Database& database) {
    return database
        .Prepare(
            "INSERT INTO requests (request_id, body_hash, response, at_us) "
            "VALUES (?, x'', zeroblob(50000), 0)")
        .Bind(id)
        .Run();
  };
}

class WriterTest : public StoreTest {
 protected:
  // Holds the writer up, so that what is posted meanwhile becomes one group; lets it go, and waits
  // until that group is done.
  class Gate {
   public:
    explicit Gate(Writer& writer) : writer_(writer) {
      writer.Post(
          [this](Database&) {
            reached_.count_down();
            opened_.wait();
            return Status();
          },
          [](const Status&) {});
      reached_.wait();
    }
    ~Gate() {
      opened_.count_down();
      std::ignore = writer_.Run([](Database&) { return Status(); });
    }
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;

   private:
    Writer& writer_;
    std::latch reached_{1};
    std::latch opened_{1};
  };

  void PostTo(std::promise<Status>& outcome, Writer::Operation operation) {
    writer().Post(std::move(operation), [&](const Status& status) { outcome.set_value(status); });
  }

  int64_t Rows() { return Number("SELECT count(*) FROM requests"); }
  bool Has(const std::string& id) {
    return Number(fmt::format("SELECT count(*) FROM requests WHERE request_id = '{}'", id)) == 1;
  }
};

TEST_F(WriterTest, ReportsAnOperationOnlyWhenItsCommitIsThere) {
  int64_t seen_within = -1;
  int64_t seen_when_done = -1;
  std::promise<void> done;

  writer().Post(
      [&](Database& database) {
        const Status status = Write("a")(database);
        seen_within = Rows();
        return status;
      },
      [&](const Status&) {
        seen_when_done = Rows();
        done.set_value();
      });
  done.get_future().wait();

  EXPECT_EQ(seen_within, 0);
  EXPECT_EQ(seen_when_done, 1);
}

TEST_F(WriterTest, CommitsTogetherWhatWaitsTogether) {
  int64_t rows_when_first_was_done = -1;
  {
    const Gate gate(writer());
    writer().Post(Write("first"), [&](const Status&) { rows_when_first_was_done = Rows(); });
    writer().Post(Write("second"), [](const Status&) {});
    writer().Post(Write("last"), [](const Status&) {});
  }

  EXPECT_EQ(rows_when_first_was_done, 3);
}

TEST_F(WriterTest, UndoesOnlyTheOperationThatFails) {
  std::promise<Status> before;
  std::promise<Status> broken;
  std::promise<Status> thrown;
  std::promise<Status> after;
  {
    const Gate gate(writer());
    PostTo(before, Write("before"));
    PostTo(broken, [](Database& database) {
      EXPECT_TRUE(Write("half")(database).ok());
      return Write("before")(database);
    });
    PostTo(thrown, [](Database& database) -> Status {
      EXPECT_TRUE(Write("other half")(database).ok());
      throw std::runtime_error("of a library");
    });
    PostTo(after, Write("after"));
  }

  EXPECT_EQ(WhyNot(before.get_future().get()), "OK");
  EXPECT_EQ(WhyNot(broken.get_future().get()), "IN_USE");
  EXPECT_EQ(WhyNot(thrown.get_future().get()), "INTERNAL");
  EXPECT_EQ(WhyNot(after.get_future().get()), "OK");
  EXPECT_EQ(Rows(), 2);
}

TEST_F(WriterTest, RunsOperationsInTheOrderInWhichTheyCame) {
  std::vector<int> order;
  {
    const Gate gate(writer());
    for (int i = 0; i < 2500; ++i) {  // more than fit into a group
      writer().Post(
          [&order, i](Database&) {
            order.push_back(i);
            return Status();
          },
          [](const Status&) {});
    }
  }

  ASSERT_EQ(order.size(), 2500U);
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST_F(WriterTest, TakesFromManyThreads) {
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([this, thread] {
        for (int i = 0; i < 50; ++i) {
          EXPECT_TRUE(writer().Run(Write(fmt::format("{}-{}", thread, i))).ok());
          EXPECT_GE(Rows(), i);
          EXPECT_FALSE(writer().is_degraded());
        }
      });
    }
  }

  EXPECT_EQ(Rows(), 200);
}

TEST_F(WriterTest, GivesBackTheResultOfAnOperation) {
  EXPECT_EQ(*writer().Get<int64_t>([](Database&) -> StatusOr<int64_t> { return 42; }), 42);
  EXPECT_EQ(WhyNot(writer().Get<int64_t>([](Database&) -> StatusOr<int64_t> {
              return Status(StatusCode::kNotFound, Reason::kNotFound, "");
            })),
            "NOT_FOUND");
}

TEST_F(WriterTest, MayBePostedToFromItsOwnThread) {
  std::promise<Status> inner;
  writer().Post(Write("outer"), [&](const Status&) { PostTo(inner, Write("inner")); });

  EXPECT_EQ(WhyNot(inner.get_future().get()), "OK");
  EXPECT_EQ(Rows(), 2);
}

TEST_F(WriterTest, FinishesWhatWasPostedBeforeItEnds) {
  int done = 0;
  for (int i = 0; i < 1500; ++i) {
    writer().Post(Write(fmt::format("{}", i)), [&](const Status& status) {
      if (status.ok()) ++done;
    });
  }
  Restart();

  EXPECT_EQ(done, 1500);
  EXPECT_EQ(Rows(), 1500);
}

TEST_F(WriterTest, FoldsItsLogSoThatItDoesNotGrowForEver) {
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(writer().Run(Write(fmt::format("{:0>500}", i))).ok());
  }

  // A commit is at least one page and its frame; without folding there would be 1,000.
  EXPECT_LT(std::filesystem::file_size(path().string() + "-wal"), 500U * 4120);
}

// --- When the disk is full, or fails
// --------------------------------------------------------------

class WriterOnFaultyDiskTest : public WriterTest {
 protected:
  WriterOnFaultyDiskTest() {
    Stop();
    disk_.emplace();
    Start();
  }
  ~WriterOnFaultyDiskTest() override { Stop(); }

  std::optional<FaultyDisk> disk_;
};

TEST_F(WriterOnFaultyDiskTest, IsDegradedWhileTheDiskIsFullAndRecoversByItself) {
  ASSERT_TRUE(writer().Run(Write("before")).ok());

  disk_->Fill();
  EXPECT_EQ(WhyNot(writer().Run(Write("lost"))), "STORAGE_DEGRADED");
  EXPECT_TRUE(writer().is_degraded());
  EXPECT_TRUE(Has("before")) << "readers go on";
  EXPECT_EQ(WhyNot(writer().Run(Write("lost too"))), "STORAGE_DEGRADED");

  disk_->Heal();
  EXPECT_EQ(WhyNot(writer().Run(Write("after"))), "OK");
  EXPECT_FALSE(writer().is_degraded());
  EXPECT_EQ(Rows(), 2);
}

TEST_F(WriterOnFaultyDiskTest, FailsTheWholeGroupThatCouldNotBeWritten) {
  std::promise<Status> small;
  std::promise<Status> wrong;
  {
    const Gate gate(writer());
    PostTo(small, Write("small"));
    PostTo(wrong, [](Database&) { return Status(StatusCode::kNotFound, Reason::kNotFound, ""); });
    disk_->Fill();
  }

  EXPECT_EQ(WhyNot(small.get_future().get()), "STORAGE_DEGRADED");
  EXPECT_EQ(WhyNot(wrong.get_future().get()), "STORAGE_DEGRADED");
}

// SQLite's own way of testing: the first write fails, then the second, and so on.
TEST_F(WriterOnFaultyDiskTest, KeepsWhatItReportedWhicheverWriteFails) {
  for (int64_t failed_write = 1; failed_write <= 60; ++failed_write) {
    disk_->FailWrite(failed_write);
    std::vector<std::string> stored;
    std::vector<std::string> refused;
    for (int i = 0; i < 4; ++i) {
      const std::string id = fmt::format("{}-{}", failed_write, i);
      const Writer::Operation operation = i % 2 == 0 ? Write(id) : WriteMuch(id);
      (writer().Run(operation).ok() ? stored : refused).push_back(id);
    }
    disk_->Heal();
    Restart();

    for (const std::string& id : stored) EXPECT_TRUE(Has(id)) << id;
    for (const std::string& id : refused) EXPECT_FALSE(Has(id)) << id;
    ASSERT_EQ(WhyNot(writer().Run([](Database& database) { return database.QuickCheck(); })), "OK");
  }
}

// A real one: a file system of 2 MB, and a file that takes what the database leaves.
TEST(WriterOnFullDiskTest, RecoversWhenThereIsRoomAgain) {
  const TemporaryFolder folder;
  if (mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=2m") != 0) {
    GTEST_SKIP() << "only root can mount a small file system";
  }
  {
    const auto database = ControlDatabase::Open(folder / "control.db", FakeClock());
    ASSERT_TRUE(database.ok());
    Writer& writer = (*database)->writer();
    ASSERT_TRUE(writer.Run(Write("before")).ok());
    std::ignore = WriteFileAtomically(folder / "filler", std::string(3 << 20, 'x'), 0600);

    int written = 0;
    Status status;
    while (status.ok() && written < 100)
      status = writer.Run(WriteMuch(fmt::format("{}", written++)));
    EXPECT_EQ(WhyNot(status), "STORAGE_DEGRADED");
    EXPECT_TRUE(writer.is_degraded());
    EXPECT_TRUE((*database)->ReadAll().ok()) << "readers go on";

    std::filesystem::remove(folder / "filler.new");
    EXPECT_EQ(WhyNot(writer.Run(WriteMuch("after"))), "OK");
    EXPECT_FALSE(writer.is_degraded());
  }
  EXPECT_EQ(umount(folder.path().c_str()), 0);
}

// --- When the process dies
// ------------------------------------------------------------------------

class KilledWriterTest : public WriterTest {
 protected:
  KilledWriterTest() { Stop(); }

  // Everything that the process said is done, and what stands in the file.
  void ExpectWhatWasReported(const Ended& ended) {
    Start();
    const auto reported = std::ranges::count(ended.output, '\n');
    for (int64_t id = 1; id <= reported; ++id) EXPECT_TRUE(Has(fmt::format("request-{}", id)));
    EXPECT_LE(Rows(), reported + 1) << "at most one was not reported yet";
    EXPECT_EQ(WhyNot(writer().Run(Write("goes on"))), "OK");
    Stop();
  }
};

#if defined(DRAWBRIDGE_FAILPOINTS)
TEST_F(KilledWriterTest, KeepsWhatItReportedWhereverItIsKilled) {
  for (const std::string point :
       {"store.before_begin", "store.before_commit", "store.after_commit"}) {
    std::filesystem::remove(path());
    const Ended ended = RunStoreProcess({"commit", path()}, point + "=kill:7");

    EXPECT_EQ(ended.signal, SIGKILL) << point;
    EXPECT_EQ(ended.output, "1\n2\n3\n4\n5\n6\n") << point;
    ExpectWhatWasReported(ended);
  }
}
#endif

// A second fsync may succeed with the data gone: only recovery, at the next start, can tell.
// The 100th commit is followed by one of the log and one of the file.
TEST_F(KilledWriterTest, EndsAtASyncThatFails) {
  for (const int sync : {1, 2, 3, 50, 99, 100, 101, 102, 103}) {
    std::filesystem::remove(path());
    const Ended ended = RunStoreProcess({"unsynced", path(), fmt::format("{}", sync)});

    EXPECT_EQ(ended.exit_code, 1) << sync;
    ExpectWhatWasReported(ended);
  }
}

}  // namespace
}  // namespace drawbridge
