"""Brokers come and go and the way between the clouds breaks: nothing is lost, nobody restarts.

Both clusters have three brokers, and the relay reaches each of them through a proxy of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from deployment import Deployment, unique

from rig import presets, records
from rig.access import Listener
from rig.admin import AdminError
from rig.kafka import KafkaCluster
from rig.processes import RigError, process_identity, wait_until

BROKERS = 3
PARTITIONS = 6
# Records that are written while a fault lasts; with fewer it showed nothing.
OVERLAP_RECORDS = 3000
RATE = 1000
# What neighbours of a stuck partition keep of their speed, with room for a busy machine.
RATIO_MIN = 0.8


@pytest.fixture(scope="module")
def oci_cluster() -> Iterator[KafkaCluster]:
    """A source of three brokers; what a test breaks it mends."""
    with KafkaCluster(
        "oci-of-three",
        brokers=BROKERS,
        listeners=(Listener("sasl_ssl", is_proxied=True), "plaintext"),
        users={presets.OCI_USER: presets.OCI_TOKEN},
    ) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def aws_cluster() -> Iterator[KafkaCluster]:
    """A target of three brokers; what a test breaks it mends."""
    with KafkaCluster(
        "aws-of-three",
        brokers=BROKERS,
        listeners=(Listener("ssl", is_proxied=True), "plaintext"),
    ) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def mended(oci_cluster: KafkaCluster, aws_cluster: KafkaCluster) -> Iterator[None]:
    """Mends what a failed test left broken: the next one has whole clusters."""
    yield
    for cluster, listener in ((oci_cluster, "sasl_ssl"), (aws_cluster, "ssl")):
        for broker in cluster.broker_ids:
            cluster.proxy(listener, broker).heal()
            try:
                cluster.resume(broker)
            except RigError:
                cluster.restart(broker)


def acked(logs: records.OciLogs) -> int:
    """Records that the source has, as of the last second."""
    return logs.latest["acked"] if logs.latest else 0


def wait_until_written(deployment: Deployment, logs: records.OciLogs, count: int) -> None:
    """Waits until `count` records more are at the source."""
    before = acked(logs)
    deployment.wait(
        lambda: acked(logs) >= before + count, 90, f"{count} records are written after {before}"
    )


def processes(deployment: Deployment) -> list[str | None]:
    """What tells the running programs from later ones; None for one that has ended."""
    assert deployment.server is not None
    children = [deployment.server, *(relay.process for relay in deployment.relays.values())]
    return [process_identity(child.pid) for child in children]


def finish(deployment: Deployment, bridge: str, topics: list[str]) -> records.CheckResult:
    """Waits until all is carried and fails if anything is lost."""
    deployment.wait_until_carried(bridge, topics, 180)
    verdict = deployment.check(topics)
    verdict.assert_clean()
    print(f"{verdict.totals['delivered']} delivered, {verdict.totals.get('duplicate', 0)} twice")
    return verdict


# The way is cut


def cut(deployment: Deployment, logs: records.OciLogs, topic: str, sides: str) -> None:
    """Cuts the ways to the clusters of `sides` until much is written, and mends them."""
    proxies = []
    if "source" in sides:
        proxies += deployment.oci.proxies("sasl_ssl")
    if "target" in sides:
        proxies += deployment.aws.proxies("ssl")
    resets = sum(proxy.counts().reset for proxy in proxies)
    began = time.monotonic()
    for proxy in proxies:
        proxy.cut()
    broken = sum(proxy.counts().reset for proxy in proxies) - resets
    # What had reached the brokers when the way was cut is still appended.
    wait_until_written(deployment, logs, OVERLAP_RECORDS // 2)
    arrived = deployment.arrived([topic])
    wait_until_written(deployment, logs, OVERLAP_RECORDS // 2)
    while_cut = deployment.arrived([topic]) - arrived
    seconds = time.monotonic() - began
    for proxy in proxies:
        proxy.heal()

    # It hit traffic, and it was a cut.
    assert broken > 0
    assert while_cut == 0 or "target" not in sides
    began = time.monotonic()
    deployment.wait_until_more([topic], OVERLAP_RECORDS, 90)
    print(
        f"cut from the {sides}: {broken} connections for {seconds:.1f} s,"
        f" {OVERLAP_RECORDS} more {time.monotonic() - began:.1f} s later"
    )


def run_cuts(deployment: Deployment, turns: list[str]) -> None:
    topic = unique("cut")
    deployment.make_topics(topic, partitions=PARTITIONS)
    deployment.apply_bridge("cuts", [topic], lanes=2)
    before = processes(deployment)
    with deployment.start_logs([topic], rate=RATE) as logs:
        for sides in turns:
            deployment.wait_until_more([topic], OVERLAP_RECORDS)
            cut(deployment, logs, topic, sides)
        logs.stop()
    finish(deployment, "cuts", [topic])
    assert processes(deployment) == before and None not in before


def test_a_cut_way_loses_nothing_and_restarts_nobody(deployment: Deployment) -> None:
    run_cuts(deployment, ["target", "source"])


@pytest.mark.slow
def test_ten_cuts_of_the_way_lose_nothing_and_restart_nobody(deployment: Deployment) -> None:
    turns = ["target", "source", "target and source"] * 3 + ["target"]
    run_cuts(deployment, turns)


# Brokers are bounced


def bounce(
    deployment: Deployment,
    cluster: KafkaCluster,
    broker: int,
    logs: records.OciLogs,
    topic: str,
    is_clean: bool,
) -> None:
    """Takes a broker away under load, and lets it come back."""
    cluster.admin.elect_leaders(topic, range(PARTITIONS))
    cluster.wait_until_in_sync(topic)
    led = [number for number, state in cluster.admin.describe_topic(topic).items()
           if state.leader == broker]
    assert led, f"broker {broker} leads nothing"

    began = time.monotonic()
    if is_clean:
        cluster.terminate(broker)
    else:
        cluster.kill(broker)
    cluster.wait_until_missed(broker)
    # Kafka's admin client waits for the leader that it knew; a new one finds the present one.
    cluster.close()
    arrived = deployment.arrived([topic])
    wait_until_written(deployment, logs, OVERLAP_RECORDS)
    # Two brokers are enough: the records flow on before the third is back.
    deployment.wait(
        lambda: deployment.arrived([topic]) >= arrived + OVERLAP_RECORDS,
        60,
        f"records flow without broker {broker} of {cluster.name}",
        0.5,
    )
    seconds = time.monotonic() - began
    cluster.restart(broker)
    cluster.wait_until_in_sync(topic, 90)
    deployment.wait_until_more([topic], OVERLAP_RECORDS)
    print(f"broker {broker} of {cluster.name}, leader of {led}, was away for {seconds:.1f} s")


def run_bounces(deployment: Deployment, turns: list[tuple[KafkaCluster, int, bool]]) -> None:
    topic = unique("bounce")
    deployment.make_topics(topic, partitions=PARTITIONS)
    deployment.apply_bridge("bounces", [topic], lanes=2)
    before = processes(deployment)
    with deployment.start_logs([topic], rate=RATE) as logs:
        deployment.wait_until_more([topic], OVERLAP_RECORDS)
        for cluster in (deployment.oci, deployment.aws):
            assert cluster.admin.describe_configs(topic)["min.insync.replicas"] == "2"
            states = cluster.admin.describe_topic(topic).values()
            assert {len(state.replicas) for state in states} == {BROKERS}
        for cluster, broker, is_clean in turns:
            bounce(deployment, cluster, broker, logs, topic, is_clean)
        logs.stop()
    finish(deployment, "bounces", [topic])
    assert processes(deployment) == before and None not in before


def test_a_bounced_broker_loses_nothing(deployment: Deployment) -> None:
    run_bounces(deployment, [(deployment.aws, 1, False)])


@pytest.mark.slow
@pytest.mark.parametrize("is_clean", [True, False], ids=["cleanly", "killed"])
def test_all_brokers_bounced_in_turn_lose_nothing(deployment: Deployment, is_clean: bool) -> None:
    turns = [
        (cluster, broker, is_clean)
        for broker in range(1, BROKERS + 1)
        for cluster in (deployment.aws, deployment.oci)
    ]
    run_bounces(deployment, turns)


# One partition is stuck


def restart_small(deployment: Deployment) -> None:
    """Restarts the relay with so little memory that a stuck partition soon fills its share."""
    relay = deployment.relays["one"]
    assert relay.terminate() == 0
    relay.options = ["--memory-limit", "32MB"]
    relay.start()


def rate_of(
    deployment: Deployment, topic: str, count: int, meanwhile: Callable[[], None] = lambda: None
) -> float:
    """Records per second that arrive in `topic`, over the next `count` of them or more."""
    before = deployment.arrived([topic])
    began = time.monotonic()
    meanwhile()
    deployment.wait(
        lambda: deployment.arrived([topic]) >= before + count, 180, f"{count} arrive in {topic}"
    )
    return (deployment.arrived([topic]) - before) / (time.monotonic() - began)


def take_away(cluster: KafkaCluster, broker: int, fault: str) -> None:
    """Kills or stops a broker, and returns when its cluster has noticed."""
    if fault == "killed":
        cluster.kill(broker)
    else:
        cluster.pause(broker)
    # A client that talks to it would wait for its answer.
    cluster.close()

    def is_missed() -> bool:
        try:
            live = cluster.admin.describe_cluster()["brokers"]
        except AdminError:
            return False
        return broker not in {peer["id"] for peer in live}

    wait_until(is_missed, 120, f"{cluster.name} does not miss broker {broker}", every=0.2)


def run_stuck(deployment: Deployment, fault: str, rate: float, count: int) -> None:
    """The broker that alone has one target partition goes away; its neighbours are on others."""
    restart_small(deployment)
    half, free = unique("half"), unique("free")
    deployment.make_topics(half, partitions=2)
    deployment.make_topics(free, partitions=4)
    alone = {"min.insync.replicas": 1, "max.message.bytes": 2 << 20}
    deployment.aws.admin.create_topic(half, replicas={0: [3], 1: [1]}, configs=alone)
    deployment.aws.admin.create_topic(
        free, replicas={0: [1], 1: [2], 2: [1], 3: [2]}, configs=alone
    )
    deployment.apply_bridge("stuck", [half, free])
    before = processes(deployment)
    with deployment.start_logs([half, free], rate=rate) as logs:
        deployment.wait_until_more([half, free], count // 4)
        speed = rate_of(deployment, free, count)
        written = deployment.oci.admin.list_offsets(half)
        arrived = deployment.aws.admin.list_offsets(half)
        speed_beside = rate_of(
            deployment, free, count, lambda: take_away(deployment.aws, 3, fault)
        )
        assert deployment.aws.admin.describe_topic(half)[0].leader == -1
        overlap = deployment.oci.admin.list_offsets(half)[0] - written[0]
        at_speed_beside = len(deployment.aws.admin.read(half, 1, offset=arrived[1], limit=1000))
        lag = sum(deployment.source_ends([free]).values()) - deployment.arrived([free])
        if fault == "killed":
            deployment.aws.restart(3)
        else:
            deployment.aws.resume(3)
        began = time.monotonic()
        deployment.wait(
            lambda: deployment.aws.admin.list_offsets(half)[0] > written[0] + OVERLAP_RECORDS,
            90,
            "the stuck partition goes on by itself",
        )
        seconds = time.monotonic() - began
        logs.stop()
    print(
        f"neighbours of a stuck partition ({fault}): {speed:.0f} records/s before,"
        f" {speed_beside:.0f} beside it, {lag} behind; {overlap} written for it;"
        f" it went on after {seconds:.1f} s"
    )
    finish(deployment, "stuck", [half, free])
    assert processes(deployment) == before and None not in before

    assert overlap > OVERLAP_RECORDS and "partition is parked" in relay_log(deployment)
    assert speed_beside > RATIO_MIN * speed
    assert at_speed_beside == 1000
    assert lag < 5 * rate


def relay_log(deployment: Deployment) -> str:
    return deployment.relays["one"].log.read_text(errors="replace")


def test_a_stuck_partition_leaves_its_neighbours_at_speed(deployment: Deployment) -> None:
    run_stuck(deployment, "killed", rate=4000, count=12_000)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["killed", "stopped"])
def test_a_partition_stuck_for_long_leaves_its_neighbours_at_speed(
    deployment: Deployment, fault: str
) -> None:
    run_stuck(deployment, fault, rate=8000, count=160_000)
