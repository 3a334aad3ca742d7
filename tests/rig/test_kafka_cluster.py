"""Clusters of a test's own: faults on brokers and on the way to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rig.access import INTERNAL, Listener
from rig.admin import AdminError, ClusterAdmin
from rig.kafka import KafkaCluster
from rig.processes import RigError, process_identity, wait_until

StartCluster = Callable[..., KafkaCluster]


@pytest.mark.slow
def test_three_brokers_survive_the_loss_of_one(start_cluster: StartCluster) -> None:
    cluster = start_cluster(brokers=3)
    admin = cluster.admin
    admin.create_topic("t", 3)
    admin.produce("t", ["before"] * 30)

    cluster.kill(2)
    # Acknowledged by the two in-sync replicas that are left.
    admin.produce("t", ["while it is dead"] * 30)
    assert all(2 not in state.in_sync for state in admin.describe_topic("t").values())

    address = cluster.bootstrap("plaintext")[1]
    cluster.restart(2)
    cluster.wait_until_in_sync("t")
    assert cluster.bootstrap("plaintext")[1] == address
    assert sum(admin.list_offsets("t").values()) == 60

    assert 1 in admin.elect_leaders("t", [0, 1, 2]) or admin.describe_topic("t")[1].leader == 2
    admin.create_topic("moving", replicas={0: [1, 2]})
    admin.reassign_partitions("moving", {0: [3, 1]})
    wait_until(lambda: admin.describe_topic("moving")[0].replicas == [3, 1], 10, "it has not moved")


@pytest.mark.slow
def test_an_unclean_election_truncates_the_log(start_cluster: StartCluster) -> None:
    cluster = start_cluster(brokers=3)
    admin = cluster.admin
    admin.create_topic("t", replicas={0: [1, 2]}, configs={"min.insync.replicas": 1})
    admin.produce("t", ["a", "b"])
    cluster.kill(2)
    admin.produce("t", ["c"])

    cluster.kill(1)
    cluster.restart(2)
    cluster.wait_until_missed(1)
    assert admin.describe_topic("t")[0].leader == -1
    assert admin.elect_leaders("t", [0], is_unclean=True) == {}

    assert admin.list_offsets("t") == {0: 2}


@pytest.mark.slow
def test_a_broker_keeps_records_through_kill_and_clean_stop(start_cluster: StartCluster) -> None:
    cluster = start_cluster()
    cluster.admin.create_topic("t")
    cluster.admin.produce("t", ["a", "b"])
    first = cluster.pid(1)

    cluster.kill(1)
    assert process_identity(first) is None
    with pytest.raises(RigError, match="does not run"):
        cluster.pid(1)
    cluster.restart(1)

    assert cluster.pid(1) != first
    cluster.terminate(1)
    cluster.restart(1)
    assert [record.value for record in cluster.admin.read("t")] == [b"a", b"b"]
    assert any(cluster.data_folder(1).glob("t-0/*.log"))


@pytest.mark.slow
def test_a_paused_broker_answers_nothing_until_it_goes_on(start_cluster: StartCluster) -> None:
    cluster = start_cluster()

    cluster.pause(1)
    with pytest.raises(AdminError, match="Timeout"):
        cluster.admin.login(cluster.java_properties("plaintext"), seconds=1)

    cluster.resume(1)
    assert cluster.admin.login(cluster.java_properties("plaintext"))["brokers"]


@pytest.mark.slow
def test_a_changed_password_is_in_force_after_a_restart(start_cluster: StartCluster) -> None:
    cluster = start_cluster(listeners=["sasl_ssl"], users={"team/relay": "old"})
    before = cluster.java_properties("sasl_ssl")
    assert cluster.admin.login(before)["brokers"]

    cluster.users["team/relay"] = "new"
    cluster.restart(1)

    assert cluster.admin.login(cluster.java_properties("sasl_ssl"))["brokers"]
    with pytest.raises(AdminError, match="Authentication failed"):
        cluster.admin.login(before)


@pytest.mark.slow
def test_clients_see_only_the_proxy(start_cluster: StartCluster) -> None:
    cluster = start_cluster(listeners=[Listener("ssl", is_proxied=True)])
    proxy = cluster.proxy("ssl")
    properties = cluster.java_properties("ssl")

    view = cluster.admin.login(properties)

    assert view["brokers"][0]["port"] == proxy.port
    assert proxy.counts().to_client > 0
    proxy.cut()
    with pytest.raises(AdminError, match="Timeout"):
        cluster.admin.login(properties, seconds=1)
    assert cluster.admin.describe_cluster()["brokers"][0]["port"] != proxy.port
    proxy.heal()
    assert cluster.admin.login(properties)["brokers"]


def test_acls_decide_who_may_write(start_cluster: StartCluster) -> None:
    cluster = start_cluster(listeners=["ssl"], super_users=["User:CN=boss"])
    cluster.admin.create_topic("t")
    boss = client(cluster, "boss")
    relay = client(cluster, "relay")

    assert boss.produce("t", ["x"]) == [(0, 0)]
    with pytest.raises(AdminError) as refusal:
        relay.produce("t", ["x"])
    assert refusal.value.name == "TopicAuthorizationException"

    cluster.admin.create_acl("User:CN=relay", "write", name="t")
    assert wait_until(lambda: may_write(relay), 10, "the ACL has no effect")
    assert [acl["principal"] for acl in cluster.admin.list_acls()] == ["User:CN=relay"]

    assert cluster.admin.delete_acl("User:CN=relay", "write", name="t") == 1
    wait_until(lambda: not may_write(relay), 10, "the ACL is still in force")
    boss.close()
    relay.close()


def client(cluster: KafkaCluster, name: str) -> ClusterAdmin:
    properties = cluster.java_properties("ssl", certificate=cluster.certificates.client(name))
    return ClusterAdmin(f"kafka-{cluster.version}", cluster.state / f"{name}.log", properties)


def may_write(relay: ClusterAdmin) -> bool:
    try:
        return bool(relay.produce("t", ["x"]))
    except AdminError as error:
        assert error.name == "TopicAuthorizationException"
        return False


@pytest.mark.slow
def test_a_given_state_folder_is_kept(tmp_path: Path) -> None:
    with KafkaCluster(state=tmp_path / "kept") as first:
        first.admin.create_topic("t")
        first.admin.produce("t", ["a"])
        cluster_id = first.admin.describe_cluster()["cluster_id"]

    with KafkaCluster(state=tmp_path / "kept") as second:
        assert second.admin.describe_cluster()["cluster_id"] == cluster_id
        assert [record.value for record in second.admin.read("t")] == [b"a"]


def test_kafka_3_9_runs_too_and_nothing_stays_behind(start_cluster: StartCluster) -> None:
    cluster = start_cluster(version="3.9.1", properties={"message.max.bytes": 4096})
    cluster.admin.create_topic("t")

    with pytest.raises(AdminError) as refusal:
        cluster.admin.produce("t", ["x" * 5000])
    assert refusal.value.name == "RecordTooLargeException"

    pid = cluster.pid(1)
    cluster.stop()
    assert process_identity(pid) is None
    assert not cluster.state.exists()


def test_a_failed_start_shows_the_log() -> None:
    cluster = KafkaCluster(heap="1k")

    with pytest.raises(RigError, match="(?s)has ended.*heap"):
        cluster.start()

    cluster.stop()


def test_a_listener_needs_a_known_protocol_and_a_name_of_its_own() -> None:
    with pytest.raises(RigError, match="protocol is one of"):
        Listener("carrier-pigeon")
    with pytest.raises(RigError, match=INTERNAL):
        Listener(INTERNAL, "plaintext")
    with pytest.raises(RigError, match="make a name"):
        Listener("OVER THE SEA", "plaintext")


@pytest.mark.slow
def test_two_paths_lead_into_one_cluster(start_cluster: StartCluster) -> None:
    paths = [Listener("by_land", "ssl", is_proxied=True), Listener("by_sea", "sasl_ssl")]
    cluster = start_cluster(listeners=paths)

    cluster.proxy("by_land").cut()

    with pytest.raises(RigError, match="runs already"):
        cluster.start()
    assert cluster.admin.login(cluster.java_properties("by_sea"))["brokers"]
    with pytest.raises(AdminError, match="Timeout"):
        cluster.admin.login(cluster.java_properties("by_land"), seconds=1)


def test_users_that_would_break_out_of_a_configuration_are_refused() -> None:
    with pytest.raises(RigError, match="hold none of"):
        KafkaCluster(users={'a"b': "c"})
