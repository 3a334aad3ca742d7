#include "base/private_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/fakes/temporary_folder.h"

namespace drawbridge {
namespace {

class PrivateFileTest : public testing::Test {
 protected:
  StatusCode Read(mode_t mode, Readers readers) const {
    const std::filesystem::path file = folder_.Write("key", "secret", mode);
    return ReadPrivateFile(file, readers).status().code();
  }

  TemporaryFolder folder_;
};

TEST_F(PrivateFileTest, ReadsWhatOnlyTheOwnerCanRead) {
  folder_.Write("key", "secret", 0400);

  const StatusOr<Secret> content = ReadPrivateFile(folder_ / "key", Readers::kOwner);

  ASSERT_TRUE(content.ok());
  EXPECT_EQ(content->Reveal(), "secret");
}

TEST_F(PrivateFileTest, RefusesWhatOthersCanReadOrWrite) {
  for (const mode_t mode : {0640U, 0620U, 0604U, 0602U, 0644U, 0666U, 0610U}) {
    EXPECT_EQ(Read(mode, Readers::kOwner), StatusCode::kFailedPrecondition) << std::oct << mode;
  }
}

TEST_F(PrivateFileTest, LetsTheGroupReadWhereThatIsSaid) {
  EXPECT_EQ(Read(0640, Readers::kOwnerAndGroup), StatusCode::kOk);
  EXPECT_EQ(Read(0660, Readers::kOwnerAndGroup), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Read(0644, Readers::kOwnerAndGroup), StatusCode::kFailedPrecondition);
}

TEST_F(PrivateFileTest, SaysThatAFileIsNotThere) {
  EXPECT_EQ(ReadPrivateFile(folder_ / "none", Readers::kOwner).status().code(),
            StatusCode::kNotFound);
}

TEST_F(PrivateFileTest, RefusesAPipeAndAFolderWithoutWaiting) {
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);

  EXPECT_EQ(ReadPrivateFile(folder_ / "pipe", Readers::kOwner).status().code(),
            StatusCode::kFailedPrecondition);
  EXPECT_FALSE(ReadPrivateFile(folder_.path(), Readers::kOwner).ok());
}

TEST_F(PrivateFileTest, RefusesWhatIsTooLargeForAKey) {
  folder_.Write("key", std::string(70'000, 'x'));

  EXPECT_EQ(ReadPrivateFile(folder_ / "key", Readers::kOwner).status().code(),
            StatusCode::kFailedPrecondition);
}

TEST_F(PrivateFileTest, MakesAFolderForTheOwnerAlone) {
  ASSERT_TRUE(MakePrivateFolder(folder_ / "a").ok());
  ASSERT_TRUE(MakePrivateFolder(folder_ / "a").ok());

  EXPECT_EQ(std::filesystem::status(folder_ / "a").permissions(),
            std::filesystem::perms::owner_all);
}

}  // namespace
}  // namespace drawbridge
