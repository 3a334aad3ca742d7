"""What the source deleted before it was read is named, offset by offset."""

from __future__ import annotations

import pytest
from deployment import Deployment, library_of, numbers, program, unique


def test_the_gap_is_exactly_what_is_missing(deployment: Deployment) -> None:
    topic = unique("retention")
    deployment.make_topics(topic, partitions=2)
    deployment.apply_bridge("retention", [topic])
    deployment.write_logs([topic], 2000)
    deployment.wait_until_carried("retention", [topic])
    before = deployment.checkpoints("retention")
    relay = deployment.relays["one"]
    assert relay.terminate() == 0

    deployment.write_logs([topic], 4000)
    # One partition is overtaken; of the other only what had been read is deleted.
    cut = before[topic, 0] + 500
    deployment.oci.admin.delete_records(topic, {0: cut, 1: before[topic, 1]})
    relay.start()
    deployment.wait_until_carried("retention", [topic], 40)

    gaps = deployment.gaps("retention")
    assert gaps == [{"topic": topic, "partition": 0, "from": before[topic, 0], "to": cut}]
    causes = {row["cause"] for row in deployment.cli_json("gaps", "retention")["gaps"]}
    assert causes == {"RETENTION"}
    # The judge has only what the source still has, and at the target what came before.
    starts = {topic: {0: cut, 1: before[topic, 1]}}
    target_starts = {topic: {partition: before[topic, partition] for partition in (0, 1)}}
    deployment.assert_once([topic], start=starts, target_start=target_starts)
    ends = deployment.source_ends([topic])
    arrived = deployment.aws.admin.list_offsets(topic)
    assert arrived[0] == ends[topic, 0] - 500
    assert arrived[1] == ends[topic, 1]


def test_a_topic_made_anew_is_noticed_though_it_has_more_records(deployment: Deployment) -> None:
    """The client library goes on at the old offset without a word: the topic's id tells."""
    version = library_of(program("drawbridge-relay"))
    if numbers(version) < (2, 3):
        pytest.skip(f"librdkafka {version} knows nothing of topics' ids")
    topic = unique("anew")
    admin = deployment.oci.admin
    deployment.make_topics(topic, partitions=1)
    admin.produce(topic, [{"value": b"old", "partition": 0} for _ in range(100)])
    deployment.apply_bridge("anew", [topic])
    deployment.wait_until_carried("anew", [topic])
    deployment.wait_until_well("anew")

    admin.delete_topic(topic)
    deployment.wait(lambda: topic not in admin.list_topics(), 30, "the topic is gone", 0.1)
    deployment.make_topics(topic, partitions=1)
    admin.produce(topic, [{"value": b"new", "partition": 0} for _ in range(150)])

    deployment.wait_until_shown(
        "anew", "SOURCE_CHANGED", side="source", says=["give it one of its own"], seconds=60
    )
