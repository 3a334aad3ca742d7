"""What a stream is called at the target: each mapping, and a mapping that changes."""

from __future__ import annotations

from collections import defaultdict

import pytest
from deployment import Deployment, unique
from provenance import cluster_key, origin_of

from rig.access import ClusterAccess

RECORDS = 300
PARTITIONS = 3


def write(deployment: Deployment, topic: str, partitions: int, turn: int = 0) -> None:
    deployment.oci.admin.produce(topic, [
        {"value": f"{topic} {turn} {number}", "partition": number % partitions}
        for number in range(RECORDS)
    ])


def test_each_mapping_leads_to_a_topic_of_that_name(deployment: Deployment) -> None:
    """The same topic under its own name, a prefix, a suffix and another name, side by side."""
    topic = unique("mapped")
    deployment.make_topics(topic, partitions=PARTITIONS)
    renamed = unique("renamed")
    mappings = {
        "identity": "{topic}", "prefix": "oci.{topic}", "suffix": "{topic}.copy", "name": renamed
    }
    names = {
        "identity": topic, "prefix": f"oci.{topic}", "suffix": f"{topic}.copy", "name": renamed
    }
    write(deployment, topic, PARTITIONS)
    deployment.apply({
        "endpoints": deployment.endpoints(),
        "bridges": {
            bridge: deployment.bridge([topic], mapping=mapping)
            for bridge, mapping in mappings.items()
        },
    })
    for bridge, mapping in mappings.items():
        deployment.wait_until_carried(bridge, [topic])
        verdict = deployment.assert_once([topic], mapping=mapping)
        assert verdict.totals["delivered"] == RECORDS, verdict.describe()
        assert len(deployment.aws.admin.list_offsets(names[bridge])) == PARTITIONS
        shown = deployment.call("stream.StreamService", "ListStreams", bridge=bridge).streams
        assert [(row.topic, row.target_topic) for row in shown] == [(topic, names[bridge])]


def test_topics_of_two_bridges_that_share_a_target_keep_their_own_order(
    deployment: Deployment,
) -> None:
    """Each record is once in the partition of its own number, with where it comes from."""
    narrow, wide, target = unique("narrow"), unique("wide"), unique("all")
    sizes = {narrow: 1, wide: PARTITIONS}
    for topic, partitions in sizes.items():
        deployment.make_topics(topic, partitions=partitions)
        write(deployment, topic, partitions)
    deployment.apply({
        "endpoints": deployment.endpoints(),
        "bridges": {topic: deployment.bridge([topic], mapping=target) for topic in sizes},
    })
    for topic in sizes:
        deployment.wait_until_carried(topic, [topic])
    for topic, partitions in sizes.items():
        write(deployment, topic, partitions, turn=1)
    for topic in sizes:
        deployment.wait_until_carried(topic, [topic])

    assert len(deployment.aws.admin.list_offsets(target)) == PARTITIONS
    source = cluster_key(deployment.oci)
    for partition in range(PARTITIONS):
        arrived = defaultdict[str, list[bytes | None]](list)
        for record in deployment.aws.admin.read(target, partition):
            topic = (record.value or b"").decode().split()[0]
            origin = origin_of(record)
            assert origin is not None and origin.cluster == source, record
            assert (origin.partition, origin.offset) == (partition, len(arrived[topic])), record
            arrived[topic].append(record.value)
        written = {
            topic: [record.value for record in deployment.oci.admin.read(topic, partition)]
            for topic, partitions in sizes.items()
            if partition < partitions
        }
        assert arrived == written, partition


@pytest.mark.parametrize("is_running", [True, False], ids=["while records flow", "at rest"])
def test_a_changed_mapping_goes_on_where_the_old_one_stopped(
    deployment: Deployment, is_running: bool
) -> None:
    """What the old topic has and what the new one has is all, and nothing of it twice."""
    topic, renamed = unique("before"), unique("after")
    deployment.make_topics(topic, partitions=PARTITIONS)
    deployment.apply_bridge("mapped", [topic])
    with deployment.start_logs([topic]) as logs:
        deployment.wait_until_more([topic], RECORDS)
        if not is_running:
            logs.stop()
            deployment.wait_until_carried("mapped", [topic])
        deployment.apply_bridge("mapped", [topic], mapping=renamed)
        if not is_running:
            write(deployment, topic, PARTITIONS)
        deployment.wait(
            lambda: deployment.arrived([renamed]) >= RECORDS, 60, "the new topic has records", 0.5
        )
        if is_running:
            logs.stop()
    deployment.wait_until_carried("mapped", [topic])

    def read(cluster: ClusterAccess, name: str, partition: int) -> list[bytes | None]:
        return [record.value for record in cluster.admin.read(name, partition, limit=10**6)]

    for partition in range(PARTITIONS):
        old = read(deployment.aws, topic, partition)
        new = read(deployment.aws, renamed, partition)
        assert old and new
        assert old + new == read(deployment.oci, topic, partition), (partition, len(old), len(new))


def test_a_topic_that_is_not_selected_any_more_is_not_carried(deployment: Deployment) -> None:
    """And when it is named again it goes on where it stopped, with nothing twice."""
    kept, dropped = unique("kept"), unique("dropped")
    deployment.make_topics(kept, dropped, partitions=PARTITIONS)
    for topic in (kept, dropped):
        write(deployment, topic, PARTITIONS)
    deployment.apply_bridge("narrowed", [kept, dropped])
    deployment.wait_until_carried("narrowed", [kept, dropped])

    answer = deployment.apply_bridge("narrowed", [kept])
    assert any(dropped in warning for warning in answer["warnings"]), answer
    deployment.wait(
        lambda: set(deployment.owners("narrowed", dropped)) == {None}, 15, "no relay has it"
    )
    before = deployment.arrived([dropped])
    for topic in (kept, dropped):
        write(deployment, topic, PARTITIONS, turn=1)
    deployment.wait_until_carried("narrowed", [kept])
    assert deployment.arrived([dropped]) == before
    assert "not selected" in deployment.cli("get", "streams", "narrowed").stdout

    deployment.apply_bridge("narrowed", [kept, dropped])
    deployment.wait_until_carried("narrowed", [kept, dropped])
    deployment.assert_once([kept, dropped])
