#include "cli/json.h"

#include <gtest/gtest.h>

#include "drawbridge/v1/bridge.pb.h"
#include "drawbridge/v1/relay_admin.pb.h"
#include "drawbridge/v1/stream.pb.h"

namespace drawbridge::cli {
namespace {

TEST(JsonTest, ShowsUnknownValuesAsNullAndKnownZerosAsZero) {
  v1::StreamStatus status;
  status.set_lag_records(0);

  const Json json = ToJson(status);

  EXPECT_EQ(json["lag_records"], 0);
  EXPECT_TRUE(json["lag_seconds"].is_null());
  EXPECT_TRUE(json["records_per_second"].is_null());
  EXPECT_TRUE(json["motion"].is_null());
  EXPECT_EQ(json["conditions"], Json::array());
}

TEST(JsonTest, WritesNumbersAsNumbers) {
  v1::Partition partition;
  partition.set_next_offset(9'007'199'254'740'993);  // one more than a double holds
  partition.mutable_anchor()->set_hash(0xFEDCBA9876543210U);
  partition.mutable_lag()->set_seconds(12);
  partition.mutable_lag()->set_nanos(500'000'000);

  const Json json = ToJson(partition);

  EXPECT_EQ(json["next_offset"].dump(), "9007199254740993");
  EXPECT_EQ(json["lag_seconds"], 12.5);
  EXPECT_EQ(json["anchor"]["hash"], "fedcba9876543210");
}

TEST(JsonTest, WritesWordsTimesAndMaps) {
  v1::Relay relay;
  relay.set_state(v1::RELAY_STATE_CONNECTED);
  relay.mutable_last_seen()->set_seconds(1'773'478'800);
  (*relay.mutable_labels())["region"] = "fra";
  (*relay.mutable_labels())["cloud"] = "oci";

  const Json json = ToJson(relay);

  EXPECT_EQ(json["state"], "CONNECTED");
  EXPECT_EQ(json["last_seen"], "2026-03-14T09:00:00Z");
  EXPECT_EQ(json["labels"].dump(), R"({"cloud":"oci","region":"fra"})");
  EXPECT_TRUE(json["certificate_not_after"].is_null());
}

TEST(JsonTest, WritesBytesInBase64) {
  v1::DeadLetter letter;
  letter.set_value(std::string("\xff\0", 2));

  EXPECT_EQ(ToJson(letter)["value"], "/wA=");
  EXPECT_TRUE(ToJson(letter)["key"].is_null());
}

TEST(JsonTest, ShowsOnlyTheChosenAlternative) {
  v1::Start start;
  start.set_latest(true);

  EXPECT_EQ(Compact(ToJson(start)), R"({"latest":true})");
}

TEST(JsonTest, ShowsValuesThatANewerServerHas) {
  v1::StreamStatus status;
  status.set_motion(static_cast<v1::Motion>(99));
  status.mutable_lag()->set_seconds(1);
  status.add_conditions()->mutable_since()->set_seconds(1'000'000'000'000'000);  // no such year

  const Json json = ToJson(status);

  EXPECT_EQ(json["motion"], "99");
  EXPECT_TRUE(json["conditions"][0]["since"].is_null());
}

TEST(JsonTest, WritesBrokenTextAllTheSame) {
  const Failure failure{ExitCode::kRefused, {{"INTERNAL", "broken \xFF", "", std::nullopt}}};

  const Json json = Json::parse(Pretty(ToJson(failure)));

  EXPECT_EQ(json["errors"][0]["message"], "broken \xEF\xBF\xBD");
  EXPECT_TRUE(json["errors"][0]["line"].is_null());
}

}  // namespace
}  // namespace drawbridge::cli
