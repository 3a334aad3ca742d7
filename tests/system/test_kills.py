"""Processes that die under load lose nothing, and repeat at most what was on its way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from deployment import Deployment, Relay, unique

# A kill with less on its way proves nothing.
IN_FLIGHT_MIN = 1000
# What a relay may have on its way: its default memory limit over the smallest record with its
# bookkeeping.
WINDOW_RECORDS = 256 * 1024 * 1024 // 512
# Slower than the logs are written, as they are compressed, so that the windows fill.
TARGET_BYTES_PER_SECOND = 40_000


@pytest.fixture
def slow_target(deployment: Deployment) -> Iterator[None]:
    """The target takes less than is written, so that much is on its way at any moment."""
    deployment.limit_target(TARGET_BYTES_PER_SECOND)
    yield
    deployment.limit_target(None)


def wait_until_loaded(deployment: Deployment) -> None:
    deployment.wait(
        lambda: deployment.in_flight("kills") >= IN_FLIGHT_MIN,
        60,
        f"{IN_FLIGHT_MIN} records are on their way",
    )


def wait_until_dead_by_failpoint(relay: Relay) -> None:
    assert relay.process.wait(60) == -9


def run_kills_of_relay(deployment: Deployment, kills: int) -> None:
    """Half of the kills from outside, half right after a confirmation by the target."""
    relay = deployment.relays["one"]
    topic = unique("relay-kills")
    deployment.make_topics(topic, partitions=4)
    deployment.apply_bridge("kills", [topic], lanes=2)
    with deployment.start_logs([topic], rate=3000) as logs:
        for kill in range(kills):
            if kill % 2 == 0:
                wait_until_loaded(deployment)
                relay.kill()
                relay.start()
            else:
                wait_until_loaded(deployment)
                relay.kill()
                relay.start(failpoints="lane.confirmed=kill:5")
                wait_until_dead_by_failpoint(relay)
                relay.start()
            deployment.wait_until_more([topic], 1)
        wait_until_loaded(deployment)
        logs.stop()
    deployment.limit_target(None)
    deployment.wait_until_carried("kills", [topic])

    verdict = deployment.check([topic], duplicates_max=2 * kills * WINDOW_RECORDS)
    verdict.assert_clean()
    # Otherwise no kill hit anything on its way, and this test showed nothing.
    assert verdict.totals.get("duplicate", 0) > 0, verdict.describe()
    print(f"{kills} kills, {verdict.totals['duplicate']} duplicates")


def run_kills_of_server(deployment: Deployment, kills: int) -> None:
    """Half of the kills from outside, half between a checkpoint's write and its commit."""
    topic = unique("server-kills")
    deployment.make_topics(topic, partitions=4)
    deployment.apply_bridge("kills", [topic], lanes=2)
    with deployment.start_logs([topic], rate=3000) as logs:
        for kill in range(kills):
            wait_until_loaded(deployment)
            deployment.kill_server()
            if kill % 2 == 1:
                deployment.start_server(failpoints="store.checkpoint_written=kill:5")
                deployment.wait(deployment.server_died, 60, "the server dies at its failpoint")
            deployment.wait_until_more([topic], 500)
            deployment.start_server()
            deployment.wait(
                lambda: deployment.relay_state("one") == "CONNECTED", 60, "the relay is back", 0.5
            )
        logs.stop()
    deployment.limit_target(None)
    deployment.wait_until_carried("kills", [topic])
    # The relay went on all the time: nothing was sent twice.
    deployment.assert_once([topic])


@pytest.mark.usefixtures("slow_target")
def test_a_killed_relay_loses_nothing(deployment: Deployment) -> None:
    run_kills_of_relay(deployment, 2)


@pytest.mark.usefixtures("slow_target")
def test_a_killed_server_loses_nothing(deployment: Deployment) -> None:
    run_kills_of_server(deployment, 2)


@pytest.mark.slow
@pytest.mark.usefixtures("slow_target")
def test_a_relay_killed_twenty_times_loses_nothing(deployment: Deployment) -> None:
    run_kills_of_relay(deployment, 20)


@pytest.mark.slow
@pytest.mark.usefixtures("slow_target")
def test_a_server_killed_twenty_times_loses_nothing(deployment: Deployment) -> None:
    run_kills_of_server(deployment, 20)
