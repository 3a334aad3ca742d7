"""Two bridges that face each other: what one has carried, the other does not bring back."""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from typing import NamedTuple

from deployment import CARRY_SECONDS, Deployment, unique

from rig.access import ClusterAccess
from rig.admin import Record

RECORDS = 60
ROUNDS = 2
PARTITIONS = 2
# Version, flags, cluster, source epoch, partition, offset, topic: of a record that has passed one.
PROVENANCE = struct.Struct(">BBQHIQQ")


class Origin(NamedTuple):
    """Where a record was first read."""

    cluster: int
    partition: int
    offset: int


def cluster_key(cluster: ClusterAccess) -> int:
    identity = cluster.admin.describe_cluster()["cluster_id"]
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big")


def origin_of(record: Record) -> Origin | None:
    """As the provenance header says it; None for a record that nobody carried."""
    headers = [value for name, value in record.headers if name == "drawbridge"]
    if not headers:
        return None
    assert len(headers) == 1 and headers[0] is not None, record
    assert len(headers[0]) == PROVENANCE.size, f"went through more than one cluster: {record}"
    _, _, cluster, _, partition, offset, _ = PROVENANCE.unpack(headers[0])
    return Origin(cluster, partition, offset)


def apply_both_ways(deployment: Deployment, topic: str) -> None:
    """The bridges `there`, oci to aws, and `back`; the topic keeps its name on both ways."""
    bridges = {
        bridge: {
            "source": {"endpoint": source, "topics": [topic]},
            "target": {"endpoint": target, "topic": "{topic}"},
        }
        for bridge, source, target in (("there", "oci", "aws"), ("back", "aws", "oci"))
    }
    deployment.apply({"endpoints": deployment.endpoints(), "bridges": bridges})


def write(cluster: ClusterAccess, topic: str, turn: int) -> None:
    cluster.admin.produce(topic, [
        {"value": f"{cluster.name} {turn} {number}", "partition": number % PARTITIONS}
        for number in range(RECORDS)
    ])


def read(cluster: ClusterAccess, topic: str) -> list[tuple[int, Record]]:
    """All records of a topic, each with its partition."""
    return [
        (partition, record)
        for partition in range(PARTITIONS)
        for record in cluster.admin.read(topic, partition)
    ]


def wait_until_settled(deployment: Deployment, topic: str, count: int) -> None:
    """Waits until both clusters have `count` records, and both bridges have passed all of them.

    A record that was sent back has arrived by then: no checkpoint passes it before.
    """
    ways = (("there", deployment.oci), ("back", deployment.aws))

    def has_all(cluster: ClusterAccess) -> bool:
        return sum(cluster.admin.list_offsets(topic).values()) >= count

    deployment.wait(
        lambda: all(has_all(cluster) for _, cluster in ways), CARRY_SECONDS, "all has arrived", 0.5
    )
    for bridge, cluster in ways:
        deployment.wait_until_carried(bridge, [topic], source=cluster)


def test_a_record_crosses_once_and_does_not_come_back(deployment: Deployment) -> None:
    """One topic under one name at both clusters; both write to it, and both bridges run."""
    topic = unique("circle")
    clusters = (deployment.oci, deployment.aws)
    for cluster in clusters:
        cluster.admin.create_topic(topic, PARTITIONS)
        write(cluster, topic, 0)
    apply_both_ways(deployment, topic)
    for turn in range(1, ROUNDS):
        wait_until_settled(deployment, topic, 2 * turn * RECORDS)
        for cluster in clusters:
            write(cluster, topic, turn)
    wait_until_settled(deployment, topic, 2 * ROUNDS * RECORDS)

    for here, other in (clusters, clusters[::-1]):
        arrived = Counter[Origin | None]()
        written = {
            Origin(cluster_key(other), partition, record.offset): record.value
            for partition, record in read(other, topic)
            if origin_of(record) is None
        }
        for partition, record in read(here, topic):
            origin = origin_of(record)
            arrived[origin] += 1
            if origin is not None:
                assert origin.partition == partition, (origin, partition)
                assert record.value == written[origin], (origin, record)
        # What was written here has no header: it never left and came back.
        expected = {None: ROUNDS * RECORDS, **dict.fromkeys(written, 1)}
        assert len(written) == ROUNDS * RECORDS and arrived == expected, here.name
    for bridge in ("there", "back"):
        filtered = sum(
            stream.status.records_filtered
            for stream in deployment.call("stream.StreamService", "ListStreams", bridge=bridge)
            .streams
        )
        assert filtered == ROUNDS * RECORDS, (bridge, filtered)
    assert not deployment.conditions("there") and not deployment.conditions("back")
