#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace drawbridge {
namespace {

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "drawbridge-file-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

TEST_F(FileTest, ReadsBackWhatItWroteWithItsMode) {
  ASSERT_TRUE(WriteFileAtomically(folder_ / "key", "secret\n", 0600).ok());

  const StatusOr<std::string> content = ReadFile(folder_ / "key");
  ASSERT_TRUE(content.ok());
  EXPECT_EQ(*content, "secret\n");
  struct stat about {};
  ASSERT_EQ(stat((folder_ / "key").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
}

TEST_F(FileTest, SaysThatAFileIsNotThere) {
  EXPECT_EQ(ReadFile(folder_ / "none").status().code(), StatusCode::kNotFound);
}

TEST_F(FileTest, ReadsAnEmptyFileAsEmpty) {
  ASSERT_TRUE(WriteFileAtomically(folder_ / "empty", "", 0600).ok());

  const StatusOr<std::string> content = ReadFile(folder_ / "empty");

  ASSERT_TRUE(content.ok()) << content.status().ToString();
  EXPECT_EQ(*content, "");
}

TEST_F(FileTest, RefusesToReadAFolder) { EXPECT_FALSE(ReadFile(folder_ / "").ok()); }

TEST_F(FileTest, LetsOneHolderHaveAFolder) {
  const StatusOr<FileDescriptor> first = LockFolder(folder_ / "state");
  ASSERT_TRUE(first.ok()) << first.status().ToString();

  const StatusOr<FileDescriptor> second = LockFolder(folder_ / "state");

  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().reason(), Reason::kInUse);
  EXPECT_NE(second.status().message().find(std::to_string(getpid())), std::string::npos);
}

}  // namespace
}  // namespace drawbridge
