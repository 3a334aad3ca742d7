"""An address that names another cluster, where the same credentials work, costs no record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from deployment import Deployment, unique

from rig import presets
from rig.access import ClusterAccess

# From the change to its name, on a busy machine.
SECONDS = 15
RECORDS = 400


@pytest.fixture(scope="module")
def other() -> Iterator[ClusterAccess]:
    """A cluster that lets the same user in as `oci` does."""
    with presets.oci_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def authorities(shared: Deployment, other: ClusterAccess) -> Path:
    """The certificates of both, so that the address alone tells them apart."""
    path = shared.folder / "both.pem"
    roots = (shared.oci.certificates.root, other.certificates.root)
    path.write_text("".join(root.read_text() for root in roots))
    return path


def point_at(deployment: Deployment, name: str, cluster: ClusterAccess, authorities: Path) -> None:
    """Changes an endpoint's address."""
    endpoint = deployment.endpoint(cluster, "sasl_ssl", "oci-user", ca=str(authorities))
    deployment.apply({"endpoints": {name: endpoint}})


def wait_until_named(
    deployment: Deployment, bridge: str, side: str, answers: ClusterAccess, meant: ClusterAccess
) -> None:
    ids = [cluster.admin.describe_cluster()["cluster_id"] for cluster in (answers, meant)]
    deployment.wait_until_shown(
        bridge,
        "SOURCE_CHANGED",
        side=side,
        says=[f"cluster {ids[0]} answers where cluster {ids[1]} was", "correct the endpoint's"],
        seconds=SECONDS,
    )


def test_nothing_is_written_to_another_cluster(
    shared: Deployment, other: ClusterAccess, authorities: Path
) -> None:
    name = unique("misled")
    topics = [f"{name}-ready", f"{name}-missing"]
    shared.make_topics(*topics)
    # It would take records at once, before any survey has looked there.
    shared.oci.admin.create_topic(f"copy.{topics[0]}", 2)
    point_at(shared, name, other, authorities)
    bridge = shared.bridge(topics, mapping="copy.{topic}", target={"endpoint": name})
    shared.apply({"bridges": {name: bridge}})
    logs = shared.start_logs(topics, rate=500)
    try:
        shared.wait(
            lambda: sum(other.admin.list_offsets(f"copy.{topics[0]}").values()) > 0
            if f"copy.{topics[0]}" in other.admin.list_topics()
            else False,
            60,
            "records flow",
        )
        point_at(shared, name, shared.oci, authorities)
        wait_until_named(shared, name, "target", shared.oci, other)
    finally:
        logs.stop()
    shared.write_logs(topics, RECORDS)
    assert shared.oci.admin.list_offsets(f"copy.{topics[0]}") == {0: 0, 1: 0}
    assert f"copy.{topics[1]}" not in shared.oci.admin.list_topics()

    point_at(shared, name, other, authorities)
    shared.wait_until_carried(name, topics)
    shared.assert_once(topics, mapping="copy.{topic}", target=other)
    shared.wait_until_well(name)
    shared.cli("delete", "bridge", name)


def test_nothing_is_read_from_another_cluster(
    shared: Deployment, other: ClusterAccess, authorities: Path
) -> None:
    name = unique("mistaken")
    other.admin.create_topic(name, 2)
    # The same topic with other records, of which the first have expired: a gap, to who reads it.
    shared.oci.admin.create_topic(name, 2)
    shared.oci.admin.produce(name, values("wrong", RECORDS * 4))
    shared.oci.admin.delete_records(name, dict.fromkeys((0, 1), RECORDS))
    other.admin.produce(name, values("right", RECORDS))
    point_at(shared, name, other, authorities)
    bridge = shared.bridge([name])
    bridge["source"]["endpoint"] = name
    shared.apply({"bridges": {name: bridge}})
    shared.wait_until_carried(name, [name], source=other)
    before = shared.checkpoints(name)

    point_at(shared, name, shared.oci, authorities)
    wait_until_named(shared, name, "source", shared.oci, other)
    assert shared.checkpoints(name) == before
    assert shared.gaps(name) == []

    other.admin.produce(name, values("later", RECORDS))
    point_at(shared, name, other, authorities)
    shared.wait_until_carried(name, [name], source=other)
    shared.assert_once([name], source=other)
    shared.wait_until_well(name)
    shared.cli("delete", "bridge", name)


def values(stem: str, count: int) -> list[dict[str, object]]:
    return [{"value": f"{stem} {number}", "partition": number % 2} for number in range(count)]
