"""The job itself: every record arrives as it was, in order, once."""

from __future__ import annotations

import json

from deployment import Deployment, unique

from rig import records


def test_list_and_pattern_under_a_prefix(deployment: Deployment) -> None:
    run = unique("carry")
    topics = [f"{run}.audit", f"{run}.vcn-a", f"{run}.vcn-b"]
    deployment.make_topics(*topics)
    deployment.oci.admin.create_topic(f"{run}.other")
    deployment.write_logs(topics, 6000)

    selection = [topics[0], f"/{run}[.]vcn-.*/"]
    answer = deployment.apply_bridge("logs", selection, mapping="oci.{topic}", lanes=2)
    assert {change["action"] for change in answer["changes"]} == {"CREATED"}
    deployment.wait_until_carried("logs", topics)

    deployment.assert_once(topics, mapping="oci.{topic}")
    streams = deployment.call("stream.StreamService", "ListStreams", bridge="logs").streams
    assert [stream.topic for stream in streams] == topics
    assert [stream.target_topic for stream in streams] == [f"oci.{topic}" for topic in topics]

    again = deployment.apply_bridge("logs", selection, mapping="oci.{topic}", lanes=2)
    assert {change["action"] for change in again["changes"]} == {"UNCHANGED"}


def test_records_that_are_hard_to_carry(deployment: Deployment) -> None:
    topic = unique("hard")
    deployment.make_topics(topic, partitions=4)
    deployment.apply_bridge("hard", [topic])
    client = deployment.oci.java_properties("plaintext")
    records.load(client, topic, records=20_000, transactions=0.3)
    deployment.wait_until_carried("hard", [topic])

    log_folders = [deployment.oci.state / "broker-1" / "data"]
    verdict = deployment.assert_once([topic], log_folders=log_folders)
    assert verdict.totals["aborted"] > 0 and verdict.totals["control"] > 0, verdict.describe()


def test_pause_and_resume_lose_and_repeat_nothing(deployment: Deployment) -> None:
    topic = unique("pause")
    deployment.make_topics(topic)
    deployment.apply_bridge("pause", [topic])
    with deployment.start_logs([topic]) as logs:
        for _ in range(3):
            deployment.wait_until_more([topic], 1000)
            deployment.cli("pause", "bridge", "pause")
            deployment.wait(
                lambda: deployment.cli_json("get", "streams", "pause")["streams"][0]["status"][
                    "motion"] == "PAUSED",
                20,
                "the stream is paused",
                0.5,
            )
            deployment.cli("resume", "bridge", "pause")
        logs.stop()
    deployment.wait_until_carried("pause", [topic])
    deployment.assert_once([topic])


def test_a_partition_that_appears_is_carried_within_a_minute(deployment: Deployment) -> None:
    topic = unique("growth")
    deployment.make_topics(topic, partitions=1)
    deployment.oci.admin.produce(topic, [f"early {number}" for number in range(10)])
    deployment.apply_bridge("growth", [topic])
    deployment.wait_until_carried("growth", [topic])

    deployment.oci.admin.create_partitions(topic, 3)
    deployment.oci.admin.produce(
        topic, [{"value": f"late {number}", "partition": number % 3} for number in range(30)]
    )
    deployment.wait_until_carried("growth", [topic], 60)
    deployment.assert_once([topic])


def test_lanes_change_while_records_flow(deployment: Deployment) -> None:
    topic = unique("lanes")
    deployment.make_topics(topic, partitions=6)
    deployment.apply_bridge("lanes", [topic], lanes=1)
    with deployment.start_logs([topic]) as logs:
        for lanes in (3, 1):
            deployment.wait_until_more([topic], 1000)
            answer = deployment.apply_bridge("lanes", [topic], lanes=lanes)
            actions = {row["name"]: row["action"] for row in answer["changes"]}
            assert actions["lanes"] == "UPDATED", json.dumps(answer)
            generation = deployment.cli_json("get", "bridges", "lanes")["bridges"][0]["generation"]
            deployment.wait(
                lambda: deployment.call("bridge.BridgeService", "GetBridge", name="lanes")
                .status.observed_generation == generation,
                30,
                f"{lanes} lanes are taken over",
                0.5,
            )
            deployment.wait_until_more([topic], 1000)
        logs.stop()
    deployment.wait_until_carried("lanes", [topic])
    deployment.assert_once([topic])
