"""What the admin process can do to a cluster."""

from __future__ import annotations

import uuid

import pytest

from rig.access import ClusterAccess
from rig.admin import AdminError, ClusterAdmin, PartitionState
from rig.processes import wait_until


@pytest.fixture
def admin(oci_cluster: ClusterAccess) -> ClusterAdmin:
    return oci_cluster.admin


@pytest.fixture
def topic(admin: ClusterAdmin) -> str:
    """A topic of one partition, of the test's own."""
    name = f"admin-{uuid.uuid4().hex[:8]}"
    admin.create_topic(name)
    return name


def test_a_topic_comes_and_goes(admin: ClusterAdmin, topic: str) -> None:
    assert topic in admin.list_topics()
    assert admin.describe_topic(topic) == {0: PartitionState(leader=1, replicas=[1], in_sync=[1])}

    admin.delete_topic(topic)

    with pytest.raises(AdminError) as refusal:
        admin.describe_topic(topic)
    assert refusal.value.name == "UnknownTopicOrPartitionException"


def test_a_topic_made_again_has_another_id(admin: ClusterAdmin, topic: str) -> None:
    first = admin.topic_id(topic)

    admin.delete_topic(topic)
    second = admin.create_topic(topic, 2)

    assert second == admin.topic_id(topic) != first


def test_an_existing_topic_is_refused_by_name(admin: ClusterAdmin, topic: str) -> None:
    with pytest.raises(AdminError) as refusal:
        admin.create_topic(topic)

    assert refusal.value.name == "TopicExistsException"


def test_partitions_can_be_added(admin: ClusterAdmin, topic: str) -> None:
    admin.create_partitions(topic, 3)

    wait_until(lambda: list(admin.describe_topic(topic)) == [0, 1, 2], 10, "no third partition")


def test_configs_are_set_and_set_back(admin: ClusterAdmin, topic: str) -> None:
    admin.alter_configs(topic, {"retention.ms": 60_000, "cleanup.policy": "compact"})
    configs = admin.describe_configs(topic)
    assert (configs["retention.ms"], configs["cleanup.policy"]) == ("60000", "compact")

    admin.alter_configs(topic, {"retention.ms": None})

    assert admin.describe_configs(topic)["retention.ms"] == "604800000"


def test_records_are_written_and_read_as_they_were(admin: ClusterAdmin, topic: str) -> None:
    written = {
        "key": b"\0key",
        "value": b"\xff\0",
        "timestamp": 1_700_000_000_000,
        "headers": [("same", b"\0"), ("same", b""), ("none", None)],
    }

    assert admin.produce(topic, [written, None, "text", b""]) == [(0, 0), (0, 1), (0, 2), (0, 3)]

    first, *others = admin.read(topic)
    assert {name: getattr(first, name) for name in written} == written
    assert [record.value for record in others] == [None, b"text", b""]
    assert [record.offset for record in admin.read(topic, offset=2)] == [2, 3]


def test_deleted_records_move_the_log_start(admin: ClusterAdmin, topic: str) -> None:
    admin.produce(topic, ["a", "b", "c"])

    assert admin.delete_records(topic, {0: 2}) == {0: 2}

    assert admin.list_offsets(topic, "earliest") == {0: 2}
    assert admin.list_offsets(topic, "latest") == {0: 3}


def test_offsets_are_found_by_time(admin: ClusterAdmin, topic: str) -> None:
    admin.produce(topic, [{"value": "v", "timestamp": time} for time in (1000, 2000, 3000)])

    assert admin.list_offsets(topic, 1500) == {0: 1}
    assert admin.list_offsets(topic, 9000) == {0: -1}


def test_retention_bites_within_seconds(admin: ClusterAdmin, topic: str) -> None:
    admin.produce(topic, [{"value": "old", "timestamp": 1000}])

    admin.alter_configs(topic, {"retention.ms": 1000})

    wait_until(lambda: admin.list_offsets(topic, "earliest") == {0: 1}, 20, "nothing expired")


def test_an_election_without_need_is_refused(admin: ClusterAdmin, topic: str) -> None:
    assert admin.elect_leaders(topic, [0]) == {0: "ElectionNotNeededException"}


def test_quotas_are_set_and_taken_away(admin: ClusterAdmin) -> None:
    admin.alter_quotas({"client-id": "slow"}, {"producer_byte_rate": 1000})
    admin.alter_quotas({"client-id": "slow"}, {"producer_byte_rate": None})

    with pytest.raises(AdminError):
        admin.alter_quotas({"client-id": "slow"}, {"no_such_quota": 1})


def test_a_call_to_a_dead_admin_fails_with_its_reason(oci_cluster: ClusterAccess) -> None:
    admin = ClusterAdmin(
        f"kafka-{oci_cluster.version}",
        oci_cluster.state / "admin-to-be-closed.log",
        oci_cluster.java_properties("plaintext"),
    )
    admin.close()

    with pytest.raises(Exception, match="admin process has ended"):
        admin.list_topics()
