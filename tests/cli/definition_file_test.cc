#include "cli/definition_file.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "tests/cli/verb_fixture.h"

namespace drawbridge::cli {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kCa = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

class DefinitionFileTest : public testing::Test {
 protected:
  Result<Definitions> Read(const std::string& text) {
    return ReadDefinitions(text, "bridges.yaml", folder_.path());
  }

  // The request that a file without fault makes.
  v1::ApplyRequest Request(const std::string& text) {
    Result<Definitions> definitions = Read(text);
    if (definitions.ok()) return definitions->request;
    ADD_FAILURE() << ToString(definitions.failure().problems.front());
    return {};
  }

  // What is wrong with a file, a line for each.
  std::vector<std::string> Complaints(const std::string& text) {
    const Result<Definitions> definitions = Read(text);
    if (definitions.ok()) return {};
    EXPECT_EQ(definitions.failure().exit, ExitCode::kUsage);
    std::vector<std::string> complaints;
    for (const Problem& problem : definitions.failure().problems) {
      complaints.push_back(ToString(problem));
    }
    return complaints;
  }

  // The target of a bridge, written in one line.
  std::vector<std::string> TargetComplaints(const std::string& target) {
    return Complaints(fmt::format("bridges: {{ b: {{ target: {{ {} }} }} }}", target));
  }
  std::vector<std::string> KafkaComplaints(const std::string& kafka) {
    return Complaints(fmt::format("endpoints: {{ e: {{ kafka: {{ {} }} }} }}", kafka));
  }

  TestFolder folder_;
};

TEST_F(DefinitionFileTest, ReadsTheExample) {
  folder_.Write("oci-ca.pem", kCa);
  folder_.Write("aws-ca.pem", kCa);

  const v1::ApplyRequest request = Request(R"(
endpoints:
  oci-fra:  { kafka: { bootstrap: [127.0.0.1:19092], profile: oci-streaming, ca: oci-ca.pem,
                       credential: oci-user } }
  aws-iad:  { kafka: { bootstrap: [127.0.0.1:29092], profile: kafka, ca: aws-ca.pem,
                       credential: aws-client } }
bridges:
  oci-logs:
    source: { endpoint: oci-fra, topics: [audit, "/vcn-.*/"], start: earliest }
    target: { endpoint: aws-iad, topic: "oci.{topic}" }
    placement: { cloud: oci }
    lanes: 2
)");

  v1::ApplyRequest expected;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(R"(
    endpoints { name: "oci-fra" kafka { bootstrap: "127.0.0.1:19092" profile: PROFILE_OCI_STREAMING
                ca_pem: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
                credential: "oci-user" } }
    endpoints { name: "aws-iad" kafka { bootstrap: "127.0.0.1:29092" profile: PROFILE_KAFKA
                ca_pem: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
                credential: "aws-client" } }
    bridges { name: "oci-logs" spec {
      source { endpoint: "oci-fra" topics: "audit" topics: "/vcn-.*/" start { earliest: true } }
      target { endpoint: "aws-iad" topic: "oci.{topic}" }
      placement { labels { key: "cloud" value: "oci" } }
      lanes: 2 } }
  )",
                                                            &expected));
  EXPECT_EQ(request.DebugString(), expected.DebugString());
}

TEST_F(DefinitionFileTest, SpellsEveryFieldOfAnEndpoint) {
  const v1::ApplyRequest request = Request(R"(
endpoints:
  lab:
    kafka:
      bootstrap: [a:1, b:2]
      profile: azure-event-hubs
      ca_pem: |
        -----BEGIN CERTIFICATE-----
        MIIB
        -----END CERTIFICATE-----
      tls: false
      cluster_key: lab-1
      source_retention: 1d12h
)");

  const v1::KafkaEndpoint& kafka = request.endpoints(0).kafka();
  EXPECT_EQ(kafka.bootstrap_size(), 2);
  EXPECT_EQ(kafka.profile(), v1::PROFILE_AZURE_EVENT_HUBS);
  EXPECT_EQ(kafka.ca_pem(), kCa);
  EXPECT_TRUE(kafka.plaintext());
  EXPECT_EQ(kafka.cluster_key(), "lab-1");
  EXPECT_EQ(kafka.source_retention().seconds(), 36 * 3600);
}

TEST_F(DefinitionFileTest, SpellsEveryFieldOfATarget) {
  const v1::ApplyRequest request = Request(
      "bridges: { b: { target: { endpoint: t, topic: x, compression: zstd, replication_factor: 3,"
      " provenance: false, require_idempotence: true } } }");

  const v1::BridgeTarget& target = request.bridges(0).spec().target();
  EXPECT_EQ(target.compression(), v1::COMPRESSION_ZSTD);
  EXPECT_EQ(target.replication_factor(), 3);
  EXPECT_TRUE(target.omit_provenance());
  EXPECT_TRUE(target.require_idempotence());
}

// A field that is added to the API must get a spelling here too.
TEST_F(DefinitionFileTest, KnowsAllFieldsOfTheApi) {
  EXPECT_EQ(v1::KafkaEndpoint::descriptor()->field_count(), 7);
  EXPECT_EQ(v1::BridgeSpec::descriptor()->field_count(), 4);
  EXPECT_EQ(v1::BridgeSource::descriptor()->field_count(), 3);
  EXPECT_EQ(v1::OpenSearchEndpoint::descriptor()->field_count(), 4);
  EXPECT_EQ(v1::BridgeTarget::descriptor()->field_count(), 10);
  EXPECT_EQ(v1::Placement::descriptor()->field_count(), 1);
  EXPECT_EQ(v1::Start::descriptor()->field_count(), 3);
}

TEST_F(DefinitionFileTest, ReadsASearchEngineAndABridgeToIt) {
  const v1::ApplyRequest request = Request(
      "endpoints:\n"
      "  search: { opensearch: { addresses: [\"https://a:9200\"], product: elasticsearch,\n"
      "                          credential: search-user } }\n"
      "bridges:\n"
      "  b: { target: { endpoint: search, index: \"logs-{topic}\", dead_letter_index: dead } }\n"
      "  c: { target: { endpoint: search, index: \"logs-{topic}\", dead_letter_topic: lost,\n"
      "                 dead_letter_max_percent: 5 } }\n");

  const v1::OpenSearchEndpoint& engine = request.endpoints(0).opensearch();
  EXPECT_THAT(engine.addresses(), ElementsAre("https://a:9200"));
  EXPECT_EQ(engine.product(), v1::SEARCH_PRODUCT_ELASTICSEARCH);
  EXPECT_EQ(engine.credential(), "search-user");
  EXPECT_EQ(request.bridges(0).spec().target().index(), "logs-{topic}");
  EXPECT_EQ(request.bridges(0).spec().target().dead_letter_index(), "dead");
  EXPECT_EQ(request.bridges(1).spec().target().dead_letter_topic(), "lost");
  EXPECT_EQ(request.bridges(1).spec().target().dead_letter_max_percent(), 5);
}

TEST_F(DefinitionFileTest, ReadsAStartTimeWithItsZone) {
  const v1::ApplyRequest request =
      Request("bridges: { b: { source: { start: 2026-03-14T10:00:00.5+01:00 } } }");

  const v1::Start& start = request.bridges(0).spec().source().start();
  EXPECT_EQ(start.time().seconds(), 1'773'478'800);
  EXPECT_EQ(start.time().nanos(), 500'000'000);
}

TEST_F(DefinitionFileTest, TakesTextAsItIsWritten) {
  const v1::ApplyRequest request =
      Request("bridges: { b: { source: { topics: [no, 123, 1e3, \"null\", true] } } }");

  EXPECT_THAT(request.bridges(0).spec().source().topics(),
              ElementsAre("no", "123", "1e3", "null", "true"));
}

TEST_F(DefinitionFileTest, FollowsAliases) {
  const v1::ApplyRequest request =
      Request("bridges:\n  a: { source: &s { endpoint: e, topics: [t] } }\n  b: { source: *s }\n");

  EXPECT_EQ(request.bridges(1).spec().source().endpoint(), "e");
}

TEST_F(DefinitionFileTest, NamesAnUnknownFieldWithItsPlaceAndTheNearestOne) {
  EXPECT_THAT(Complaints("bridges:\n  oci-logs:\n    target: { topik: x }\n"),
              ElementsAre("FIELD_UNKNOWN: bridges.yaml:3:15: there is no field \"topik\" here: did "
                          "you mean topic? (bridges.oci-logs.target.topik)"));
  EXPECT_THAT(Complaints("bridges: { b: { zzz: 1 } }"),
              ElementsAre(HasSubstr("the fields here are source, target, placement, lanes")));
}

TEST_F(DefinitionFileTest, ReportsAllProblemsAtOnce) {
  EXPECT_THAT(
      Complaints("endpoints: { e: { kafak: {} } }\n"
                 "bridges: { b: { lanes: two, target: { provenance: yes } } }\n"
                 "brigdes: {}\n"),
      ElementsAre(HasSubstr("(brigdes)"), HasSubstr("(endpoints.e.kafak)"),
                  HasSubstr("(bridges.b.target.provenance)"), HasSubstr("(bridges.b.lanes)")));
}

TEST_F(DefinitionFileTest, RefusesANameThatStandsTwice) {
  EXPECT_THAT(Complaints("bridges:\n  a: {}\n  b: {}\n  a: {}\n"),
              ElementsAre("NAME_TAKEN: bridges.yaml:4:3: \"a\" stands here twice, first in line 2: "
                          "take one of them out (bridges.a)"));
  EXPECT_THAT(Complaints("endpoints: {e: {}, e: {}}"), ElementsAre(HasSubstr("NAME_TAKEN")));
  EXPECT_THAT(Complaints("bridges: {}\nbridges: {}\n"),
              ElementsAre(AllOf(HasSubstr("FIELD_INVALID"), HasSubstr(":2:1:"))));
  EXPECT_THAT(TargetComplaints("topic: a, topic: b"), ElementsAre(HasSubstr("twice")));
}

TEST_F(DefinitionFileTest, RefusesWrongTypes) {
  EXPECT_THAT(TargetComplaints("topic: [a]"),
              ElementsAre(HasSubstr("is a list: write text (bridges.b.target.topic)")));
  EXPECT_THAT(TargetComplaints("replication_factor: \"3\""),
              ElementsAre(HasSubstr("\"3\" in quotes: write a number")));
  EXPECT_THAT(TargetComplaints("provenance: off"), ElementsAre(HasSubstr("write true or false")));
  EXPECT_THAT(Complaints("bridges: { b: { source: { topics: audit } } }"),
              ElementsAre(HasSubstr("\"audit\": write a list")));
  EXPECT_THAT(Complaints("bridges: [a, b]"), ElementsAre(HasSubstr("write a mapping")));
  EXPECT_THAT(Complaints("bridges: { b: { source: { topics: [[a]] } } }"),
              ElementsAre(HasSubstr("(bridges.b.source.topics[0])")));
}

TEST_F(DefinitionFileTest, RefusesNumbersThatDoNotFit) {
  for (const char* lanes : {"0", "-1", "1.5", "0x2", "2147483648", "99999999999999999999", "2 "}) {
    const bool is_fine = std::string(lanes) == "2 ";
    EXPECT_EQ(Complaints(fmt::format("bridges: {{ b: {{ lanes: {} }} }}", lanes)).empty(), is_fine)
        << lanes;
  }
}

TEST_F(DefinitionFileTest, RefusesFieldsWithoutAValue) {
  EXPECT_THAT(TargetComplaints("topic: "), ElementsAre(HasSubstr("has no value")));
  EXPECT_THAT(TargetComplaints("topic: ~"), ElementsAre(HasSubstr("has no value")));
  EXPECT_THAT(Complaints("endpoints:\nbridges:\n"),
              ElementsAre(HasSubstr("(endpoints)"), HasSubstr("(bridges)")));
}

// With --prune an empty file would take everything away.
TEST_F(DefinitionFileTest, RefusesAnEmptyFile) {
  for (const char* text : {"", "\n\n", "# nothing\n", "---\n", "~", "\xEF\xBB\xBF"}) {
    EXPECT_THAT(Complaints(text), ElementsAre(HasSubstr("the file is empty"))) << text;
  }
}

TEST_F(DefinitionFileTest, RefusesUnknownWords) {
  EXPECT_THAT(KafkaComplaints("profile: oci_streaming"),
              ElementsAre(HasSubstr("did you mean oci-streaming?")));
  EXPECT_THAT(KafkaComplaints("profile: rabbit"), ElementsAre(HasSubstr("aws-msk")));
  EXPECT_THAT(TargetComplaints("compression: unspecified"),
              ElementsAre(HasSubstr("write one of none, gzip")));
}

TEST_F(DefinitionFileTest, RefusesTimesAndDurationsWithoutZoneOrUnit) {
  for (const char* start : {"yesterday", "2026-03-14", "2026-02-30T00:00:00Z", "Earliest", ""}) {
    EXPECT_THAT(
        Complaints(fmt::format("bridges: {{ b: {{ source: {{ start: \"{}\" }} }} }}", start)),
        ElementsAre(HasSubstr("(bridges.b.source.start)")))
        << start;
  }
  EXPECT_THAT(KafkaComplaints("source_retention: 24"), ElementsAre(HasSubstr("like 24h or 7d")));
}

TEST_F(DefinitionFileTest, RefusesACaThatCannotBeRead) {
  EXPECT_THAT(KafkaComplaints("ca: missing.pem"),
              ElementsAre(AllOf(HasSubstr("No such file"), HasSubstr("(endpoints.e.kafka.ca)"),
                                HasSubstr("bridges.yaml:1:"))));
  folder_.Write("empty.pem", "");
  EXPECT_THAT(KafkaComplaints("ca: empty.pem"), ElementsAre(HasSubstr("no certificate in PEM")));
  folder_.Write("binary.pem", "-----BEGIN CERTIFICATE-----\n\xFF\xFE");
  EXPECT_THAT(KafkaComplaints("ca: binary.pem"), ElementsAre(HasSubstr("no certificate in PEM")));
  EXPECT_THAT(KafkaComplaints("ca: ."), ElementsAre(HasSubstr("(endpoints.e.kafka.ca)")));
  EXPECT_THAT(KafkaComplaints("ca: a.pem, ca_pem: x"), ElementsAre(HasSubstr("keep one")));
}

TEST_F(DefinitionFileTest, NeverSendsAPrivateKeyAsACa) {
  folder_.Write("both.pem", std::string(kCa) + "-----BEGIN EC PRIVATE KEY-----\ncanary\n");

  EXPECT_THAT(KafkaComplaints("ca: both.pem"), ElementsAre(HasSubstr("holds a private key")));
}

TEST_F(DefinitionFileTest, RefusesWhatIsNoYaml) {
  EXPECT_THAT(Complaints("bridges: { a: [1, 2 }"), ElementsAre(HasSubstr("bridges.yaml:1:")));
  EXPECT_THAT(Complaints("bridges:\n\t- a\n"), ElementsAre(HasSubstr("no YAML")));
  EXPECT_THAT(Complaints("bridges: *nobody"), ElementsAre(HasSubstr("no YAML")));
  EXPECT_THAT(Complaints("a: \"\\xZZ\""), ElementsAre(HasSubstr("no YAML")));
  EXPECT_THAT(Complaints("bridges: {}\n---\nbridges: {}\n"), ElementsAre(HasSubstr("second")));
}

// YAML::LoadAll() never comes back from these.
TEST_F(DefinitionFileTest, RefusesWhatTheParserCannotStepOver) {
  EXPECT_THAT(Complaints(","), ElementsAre(HasSubstr("belongs to nothing")));
  EXPECT_THAT(Complaints("bridges:\n  b: { target: { topic: a\n  lanes:2, x: y }\n  z: 1\n"),
              testing::Not(testing::IsEmpty()));
  EXPECT_THAT(Complaints("- !+(.,.)"), testing::Not(testing::IsEmpty()));
}

TEST_F(DefinitionFileTest, RefusesWhatIsNoText) {
  EXPECT_THAT(Complaints("bridges: {}\nx: \xFF\n"), ElementsAre(HasSubstr("bridges.yaml:2:4")));
  EXPECT_THAT(Complaints(std::string("\x7F"
                                     "ELF\0\0",
                                     6)),
              ElementsAre(HasSubstr("no UTF-8 text")));
  EXPECT_THAT(TargetComplaints(R"(topic: "a\0b")"), ElementsAre(HasSubstr("control character")));
}

TEST_F(DefinitionFileTest, SurvivesDeepNesting) {
  for (const char* open : {"[", "{", "- ", "? ", "!a ", "&a ", "{a: ", "- - "}) {
    std::string text;
    for (int depth = 0; depth < 100'000; ++depth) text += open;
    EXPECT_FALSE(Complaints(text).empty()) << open;
  }
}

TEST_F(DefinitionFileTest, SurvivesACircleOfAliases) {
  EXPECT_FALSE(Complaints("&a { bridges: *a }").empty());
  EXPECT_FALSE(Complaints("bridges: &a { b: *a, c: *a }").empty());
}

TEST_F(DefinitionFileTest, BoundsWhatAliasesMakeOfASmallFile) {
  std::string topics = "x";
  topics.append(200'000, 'x');
  std::string text = "bridges:\n  a: { source: { topics: [ &t " + topics;
  for (int copy = 0; copy < 100; ++copy) text += ", *t";
  text += "] } }\n";

  EXPECT_THAT(Complaints(text), ElementsAre(HasSubstr("MiB of text")));
}

TEST_F(DefinitionFileTest, StopsCountingAfterAHundredProblems) {
  std::string text = "bridges:\n";
  for (int bridge = 0; bridge < 1000; ++bridge) text += fmt::format("  b{}: 7\n", bridge);

  const std::vector<std::string> complaints = Complaints(text);

  EXPECT_EQ(complaints.size(), 101U);
  EXPECT_THAT(complaints.back(), HasSubstr("and more"));
}

TEST_F(DefinitionFileTest, FindsThePlaceOfWhatTheServerRefuses) {
  const Result<Definitions> definitions = Read(
      "bridges:\n"
      "  oci-logs:\n"
      "    source: { topics: [audit, \"/[/\"] }\n"
      "    target:\n"
      "      provenance: false\n");
  ASSERT_TRUE(definitions.ok());
  const auto line_of = [&](const std::string& field) {
    Problem problem{"FIELD_INVALID", "no", field, std::nullopt};
    Locate(*definitions, problem);
    return problem.at ? fmt::format("{}:{}", problem.at->line, problem.at->column) : "";
  };

  EXPECT_EQ(line_of("bridges[oci-logs].source.topics[1]"), "3:31");
  EXPECT_EQ(line_of("bridges[0].spec.source.topics[1]"), "3:31");
  EXPECT_EQ(line_of("bridges[oci-logs].spec.target.omit_provenance"), "5:7");
  EXPECT_EQ(line_of("bridges[oci-logs].target.endpoint"), "4:5");
  EXPECT_EQ(line_of("bridges[oci-logs].name"), "2:3");
  EXPECT_EQ(line_of("endpoints[x]"), "");
  EXPECT_EQ(line_of(""), "");
}

}  // namespace
}  // namespace drawbridge::cli
