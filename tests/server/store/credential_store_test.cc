#include "server/store/credential_store.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/server/store/store_fixture.h"

namespace drawbridge {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class CredentialStoreTest : public StoreTest {
 protected:
  static StatusOr<std::string> Seal(SecretRef secret) {
    return std::string("sealed\0 for ", 12) +
           fmt::format("{}/{}", secret.credential.value, secret.version);
  }
  StatusOr<StoredCredential> Put(const std::string& name, const Mutation& mutation) {
    return credentials().Put(About(name), Seal, mutation);
  }
  StoredCredential About(const std::string& name) const {
    StoredCredential about;
    about.name = name;
    about.kind = CredentialKind::kSaslScramSha512;
    about.username = "relay-user";
    about.not_after = clock_.WallNow() + std::chrono::hours(48);
    return about;
  }
};

TEST_F(CredentialStoreTest, StoresASecretForTheVersionThatItIsSealedFor) {
  const auto put = Put("oci-user", Request());

  ASSERT_TRUE(put.ok()) << put.status().ToString();
  EXPECT_EQ(put->version, 1);
  const SecretRef ref{.credential = put->id, .version = 1};
  EXPECT_EQ(*credentials().Sealed(ref), *Seal(ref));
}

TEST_F(CredentialStoreTest, TellsAboutACredentialWhatMayBeKnown) {
  ASSERT_TRUE(Put("oci-user", Request()).ok());
  StoredCredential endless = About("endless");
  endless.not_after = std::nullopt;
  endless.kind = CredentialKind::kMtls;
  ASSERT_TRUE(credentials().Put(endless, Seal, Request()).ok());

  const DesiredState state = State();

  ASSERT_THAT(state.credentials, SizeIs(2));
  EXPECT_EQ(state.credentials[0].kind, CredentialKind::kMtls);
  EXPECT_EQ(state.credentials[0].not_after, std::nullopt);
  EXPECT_EQ(state.credentials[1].name, "oci-user");
  EXPECT_EQ(state.credentials[1].kind, CredentialKind::kSaslScramSha512);
  EXPECT_EQ(state.credentials[1].username, "relay-user");
  EXPECT_EQ(state.credentials[1].not_after, clock_.WallNow() + std::chrono::hours(48));
  EXPECT_EQ(state.credentials[1].updated_at, clock_.WallNow());
}

TEST_F(CredentialStoreTest, KeepsTheNewestVersionOnly) {
  const auto first = Put("oci-user", Request());
  const auto second = Put("oci-user", Request());

  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->id, first->id);
  EXPECT_EQ(second->version, 2);
  EXPECT_TRUE(credentials().Sealed({.credential = first->id, .version = 2}).ok());
  const auto old = credentials().Sealed({.credential = first->id, .version = 1});
  EXPECT_EQ(old.status().code(), StatusCode::kNotFound);
  EXPECT_EQ(WhyNot(old), "SECRET_UNAVAILABLE");
  EXPECT_EQ(WhyNot(credentials().Sealed({.credential = first->id, .version = 3})),
            "SECRET_UNAVAILABLE");
}

TEST_F(CredentialStoreTest, StoresNothingThatCannotBeSealed) {
  const auto put = credentials().Put(
      About("oci-user"),
      [](SecretRef) { return Status(StatusCode::kUnavailable, Reason::kSecretUnavailable, ""); },
      Request());

  EXPECT_EQ(WhyNot(put), "SECRET_UNAVAILABLE");
  EXPECT_THAT(State().credentials, IsEmpty());
}

TEST_F(CredentialStoreTest, MakesNoNewVersionOfARepeatedRequest) {
  const auto first = Put("oci-user", Request("request-1"));
  clock_.Advance(std::chrono::minutes(1));

  const auto again = Put("oci-user", Request("request-1"));

  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->id, first->id);
  EXPECT_EQ(again->version, 1);
  EXPECT_EQ(again->updated_at, first->updated_at);
  EXPECT_EQ(State().credentials.front().version, 1);
}

TEST_F(CredentialStoreTest, SaysThatARepeatedRequestsCredentialIsGone) {
  ASSERT_TRUE(Put("oci-user", Request("request-1")).ok());
  ASSERT_TRUE(credentials().Delete("oci-user", Request("request-2")).ok());

  EXPECT_EQ(WhyNot(Put("oci-user", Request("request-1"))), "NOT_FOUND");
}

TEST_F(CredentialStoreTest, DeletesNoCredentialThatAnEndpointNames) {
  ASSERT_TRUE(Put("oci-user", Request()).ok());
  ASSERT_EQ(WhyNot(Apply({PutEndpoint{Endpoint("oci", "oci-user")}})), "OK");

  EXPECT_EQ(WhyNot(credentials().Delete("oci-user", Request())), "IN_USE");

  ASSERT_EQ(WhyNot(Apply({PutEndpoint{Endpoint("oci")}})), "OK");
  EXPECT_EQ(WhyNot(credentials().Delete("oci-user", Request())), "OK");
  EXPECT_EQ(WhyNot(credentials().Delete("oci-user", Request())), "NOT_FOUND");
}

TEST_F(CredentialStoreTest, RefusesAnEndpointWithACredentialThatIsNotThere) {
  EXPECT_FALSE(Apply({PutEndpoint{Endpoint("oci", "nobody")}}).ok());
}

TEST_F(CredentialStoreTest, GivesACredentialThatIsMadeAgainANewId) {
  const auto old = Put("oci-user", Request());
  ASSERT_TRUE(credentials().Delete("oci-user", Request()).ok());

  const auto made_again = Put("oci-user", Request());

  ASSERT_TRUE(made_again.ok());
  EXPECT_GT(made_again->id, old->id);
  EXPECT_EQ(made_again->version, 1);
  EXPECT_EQ(WhyNot(credentials().Sealed({.credential = old->id, .version = 1})),
            "SECRET_UNAVAILABLE");
}

// Deleted means overwritten: a stolen disk, or a backup of it, must not have it.
TEST_F(CredentialStoreTest, LeavesNothingOfADeletedSecretInTheFile) {
  const std::string needle = "needle-" + std::string(300, 'x');
  ASSERT_TRUE(credentials()
                  .Put(
                      About("oci-user"), [&](SecretRef) { return needle; }, Request())
                  .ok());
  Restart();
  ASSERT_NE(ReadFile(path())->find(needle), std::string::npos);

  ASSERT_TRUE(credentials().Delete("oci-user", Request()).ok());
  Stop();

  EXPECT_EQ(ReadFile(path())->find(needle), std::string::npos);
}

}  // namespace
}  // namespace drawbridge
