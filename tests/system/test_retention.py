"""What the source deleted before it was read is named, offset by offset."""

from __future__ import annotations

from deployment import Deployment, unique


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
