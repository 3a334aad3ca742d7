"""Two bridges that face each other: what one has carried, the other does not bring back."""

from __future__ import annotations

from collections import Counter

from deployment import CARRY_SECONDS, Deployment, unique
from provenance import Origin, cluster_key, origin_of

from rig.access import ClusterAccess
from rig.admin import Record

RECORDS = 60
ROUNDS = 2
PARTITIONS = 2


def apply_both_ways(
    deployment: Deployment, selector: str, there: str = "{topic}", back: str = "{topic}"
) -> None:
    """The bridges `there`, oci to aws, and `back`, each with its mapping."""
    bridges = {
        bridge: {
            "source": {"endpoint": source, "topics": [selector]},
            "target": {"endpoint": target, "topic": mapping},
        }
        for bridge, source, target, mapping in (
            ("there", "oci", "aws", there), ("back", "aws", "oci", back)
        )
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


def test_a_topic_that_was_carried_is_not_carried_back_under_a_longer_name(
    deployment: Deployment,
) -> None:
    """Each side takes all topics that it finds, and marks them with where they come from."""
    run = unique("names")
    clusters = (deployment.oci, deployment.aws)
    topics = {cluster.name: f"{run}.at-{cluster.name}" for cluster in clusters}
    for cluster in clusters:
        cluster.admin.create_topic(topics[cluster.name], PARTITIONS)
        write(cluster, topics[cluster.name], 0)
    apply_both_ways(
        deployment, f"/(.*[.])?{run}[.].*/", there="from-oci.{topic}", back="from-aws.{topic}"
    )

    def found(cluster: ClusterAccess) -> dict[str, int]:
        return {
            topic: sum(cluster.admin.list_offsets(topic).values())
            for topic in cluster.admin.list_topics()
            if run in topic
        }

    wanted = [
        {topics[here.name]: RECORDS, f"from-{other.name}.{topics[other.name]}": RECORDS}
        for here, other in (clusters, clusters[::-1])
    ]
    deployment.wait(
        lambda: [found(cluster) for cluster in clusters] == wanted,
        CARRY_SECONDS,
        f"there is {wanted}",
        0.5,
    )
    # A topic that is new to both surveys: when it is there, they have looked at all the others.
    later = f"{run}.later"
    for cluster in clusters:
        cluster.admin.create_topic(later, PARTITIONS)
        write(cluster, later, 0)
    for here, other, names in zip(clusters, clusters[::-1], wanted, strict=True):
        names |= {later: RECORDS, f"from-{other.name}.{later}": RECORDS}
        deployment.wait(
            lambda here=here, name=f"from-{other.name}.{later}": found(here).get(name) == RECORDS,
            CARRY_SECONDS,
            f"the later topic is at {here.name}",
            0.5,
        )
    assert [found(cluster) for cluster in clusters] == wanted
