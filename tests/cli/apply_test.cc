#include <gmock/gmock.h>

#include "drawbridge/v1/bridge.pb.h"
#include "tests/cli/verb_fixture.h"

namespace drawbridge::cli {
namespace {

using testing::HasSubstr;
using Action = v1::DefinitionChange;

constexpr const char* kFile =
    "endpoints: { e: { kafka: { bootstrap: [\"b:1\"], tls: false } } }\n"
    "bridges:\n"
    "  oci-logs: { source: { endpoint: e, topics: [audit] }, target: { endpoint: e } }\n";

class ApplyTest : public VerbTest {
 protected:
  void AddChange(const std::string& kind, const std::string& name, Action::Action action) {
    v1::DefinitionChange& change = *response_.add_changes();
    change.set_kind(kind);
    change.set_name(name);
    change.set_action(action);
  }

  void AddField(const std::string& path, const std::string& before, const std::string& after) {
    v1::FieldChange& field = *response_.mutable_changes()->rbegin()->add_fields();
    field.set_path(path);
    field.set_before(before);
    field.set_after(after);
  }

  ExitCode Apply(std::vector<std::string> options = {}) {
    server_.WillAnswer(v1::ApplyRequest{}, response_);
    options.insert(options.begin(), {"apply", "-f", folder_.Write("bridges.yaml", kFile)});
    return Run(options);
  }

  v1::ApplyRequest Sent() const { return server_.Requests<v1::ApplyRequest>().at(0); }

  v1::ApplyResponse response_;
};

TEST_F(ApplyTest, ShowsTheServersDiff) {
  AddChange("endpoint", "e", Action::ACTION_UNCHANGED);
  AddChange("bridge", "oci-logs", Action::ACTION_CREATED);
  AddChange("bridge", "x", Action::ACTION_UPDATED);
  AddField("target.topic", "a", "b");
  AddField("lanes", "", "4");
  AddChange("endpoint", "y", Action::ACTION_DELETED);
  response_.add_warnings("x keeps its checkpoint");

  EXPECT_EQ(Apply(), ExitCode::kOk) << err();

  EXPECT_EQ(out(),
            "+ bridge oci-logs\n"
            "~ bridge x  target.topic: a -> b\n"
            "            lanes: (not set) -> 4\n"
            "- endpoint y\n"
            "warning: x keeps its checkpoint\n"
            "1 created, 1 changed, 1 deleted, 1 as they were\n");
}

TEST_F(ApplyTest, ShowsOfACertificateOneLine) {
  AddChange("endpoint", "e", Action::ACTION_UPDATED);
  AddField("kafka.ca_pem", "", "-----BEGIN CERTIFICATE-----\nMIIB\n");

  EXPECT_EQ(Apply(), ExitCode::kOk);

  EXPECT_THAT(out(), HasSubstr("kafka.ca_pem: (not set) -> -----BEGIN CERTIFICATE-----…\n"));
}

TEST_F(ApplyTest, SendsTheDefinitionsWithAnIdAndAReason) {
  EXPECT_EQ(Apply({"--reason", "new cloud"}), ExitCode::kOk);

  EXPECT_EQ(Sent().endpoints(0).name(), "e");
  EXPECT_EQ(Sent().bridges(0).spec().source().topics(0), "audit");
  EXPECT_EQ(Sent().reason(), "new cloud");
  EXPECT_EQ(Sent().request_id().size(), 36U);
  EXPECT_FALSE(Sent().dry_run());
  EXPECT_FALSE(Sent().prune());
}

TEST_F(ApplyTest, OnlyAsksInADryRun) {
  AddChange("bridge", "oci-logs", Action::ACTION_CREATED);

  EXPECT_EQ(Apply({"--dry-run", "--prune"}), ExitCode::kOk);

  EXPECT_TRUE(Sent().dry_run());
  EXPECT_TRUE(Sent().prune());
  EXPECT_THAT(out(), HasSubstr("(dry run: nothing was done)"));
}

TEST_F(ApplyTest, ReadsStandardInput) {
  in_.str(kFile);

  EXPECT_EQ(Run({"apply", "-f", "-"}), ExitCode::kOk) << err();

  EXPECT_EQ(Sent().bridges_size(), 1);
}

TEST_F(ApplyTest, SendsNothingOfAFileWithAFault) {
  in_.str("bridges: { b: { sorce: 1 } }");

  EXPECT_EQ(Run({"apply", "-f", "-"}), ExitCode::kUsage);

  EXPECT_EQ(
      err(),
      "error: FIELD_UNKNOWN: <standard input>:1:17: there is no field \"sorce\" here: did you "
      "mean source? (bridges.b.sorce)\n");
  EXPECT_TRUE(server_.Requests<v1::ApplyRequest>().empty());
}

TEST_F(ApplyTest, RefusesAFileWithoutAnEnd) {
  EXPECT_EQ(Run({"apply", "-f", "/dev/zero"}), ExitCode::kUsage);
  EXPECT_THAT(err(), HasSubstr("/dev/zero holds more than 2 MiB"));
  EXPECT_EQ(Run({"apply", "-f", "/"}), ExitCode::kUsage);
  EXPECT_THAT(err(), HasSubstr("Is a directory"));
}

TEST_F(ApplyTest, FindsFaultWithTheFileBeforeTheContext) {
  EXPECT_EQ(RunBare({"--context", "/nonexistent", "apply", "-f", "/nonexistent.yaml"}),
            ExitCode::kUsage);

  EXPECT_THAT(err(), HasSubstr("/nonexistent.yaml"));
}

TEST_F(ApplyTest, SaysWhereInTheFileTheServerFindsFault) {
  server_.WillRefuse(v1::ApplyRequest{},
                     Status(StatusCode::kInvalidArgument, Reason::kPatternInvalid, "missing ]",
                            "bridges[oci-logs].source.topics[0]"));

  const std::string file = folder_.Write("bridges.yaml", kFile);
  EXPECT_EQ(Run({"apply", "-f", file}), ExitCode::kRefused);

  EXPECT_EQ(err(), "error: PATTERN_INVALID: " + file +
                       ":3:47: missing ] (bridges[oci-logs].source.topics[0])\n");
}

TEST_F(ApplyTest, GivesTheDiffAsJson) {
  AddChange("bridge", "x", Action::ACTION_UPDATED);
  AddField("target.topic", "a", "b");

  EXPECT_EQ(Apply({"-o", "json"}), ExitCode::kOk);

  EXPECT_EQ(OutJson()["changes"][0]["action"], "UPDATED");
  EXPECT_EQ(OutJson()["changes"][0]["fields"][0]["after"], "b");
}

}  // namespace
}  // namespace drawbridge::cli
