"""Partitions pass from one relay to the other."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from deployment import Deployment, Relay, unique

# From a relay's death to the other one's first delivery.
FAILOVER_SECONDS = 55
RATE = 3000
# What the dead one had sent and the server had not stored: seconds of the logs, as the target keeps
# up with them.
REPEATED_MAX = 3 * RATE


def start(start_deployment: Callable[..., Deployment], topic: str) -> Deployment:
    """Two relays that share the partitions of a bridge `handover`."""
    deployment = start_deployment("one", "two")
    deployment.make_topics(topic, partitions=4)
    deployment.apply_bridge("handover", [topic])

    def is_shared() -> bool:
        rows = deployment.cli_json("checkpoints", "handover")["checkpoints"]
        return len(rows) == 4 and {row["relay"] for row in rows} == {"one", "two"}

    deployment.wait(is_shared, 60, "both relays hold partitions", 0.5)
    return deployment


def wait_until_taken_over(deployment: Deployment, heir: Relay, seconds: float) -> None:
    """Waits until one relay holds all partitions."""
    deployment.wait(
        lambda: {row["relay"] for row in deployment.cli_json("checkpoints", "handover")[
            "checkpoints"]} == {heir.name},
        seconds,
        f"{heir.name} holds everything",
        0.5,
    )


def test_a_planned_handover_loses_and_repeats_nothing(
    start_deployment: Callable[..., Deployment],
) -> None:
    topic = unique("handover")
    deployment = start(start_deployment, topic)
    one, two = deployment.relays["one"], deployment.relays["two"]
    with deployment.start_logs([topic], rate=RATE) as logs:
        deployment.wait_until_more([topic], 3000)
        assert one.terminate() == 0
        wait_until_taken_over(deployment, two, 20)
        deployment.wait_until_more([topic], 3000)
        one.start()
        deployment.wait_until_more([topic], 3000)
        assert two.terminate() == 0
        wait_until_taken_over(deployment, one, 20)
        deployment.wait_until_more([topic], 3000)
        logs.stop()
    deployment.wait_until_carried("handover", [topic])
    deployment.assert_once([topic])


@pytest.mark.slow
def test_the_other_relay_takes_over_from_a_dead_one(
    start_deployment: Callable[..., Deployment],
) -> None:
    topic = unique("failover")
    deployment = start(start_deployment, topic)
    one, two = deployment.relays["one"], deployment.relays["two"]
    orphans = {
        row["partition"]
        for row in deployment.cli_json("checkpoints", "handover")["checkpoints"]
        if row["relay"] == one.name
    }
    with deployment.start_logs([topic], rate=RATE) as logs:
        deployment.wait_until_more([topic], 3000)
        one.kill()
        killed_at = time.monotonic()
        ends = deployment.aws.admin.list_offsets(topic)

        def delivers_again() -> bool:
            now = deployment.aws.admin.list_offsets(topic)
            return all(now[partition] > ends[partition] for partition in orphans)

        deployment.wait(delivers_again, FAILOVER_SECONDS, "the orphans are delivered again")
        print(f"delivered again after {time.monotonic() - killed_at:.1f} s")
        wait_until_taken_over(deployment, two, 10)
        logs.stop()
    deployment.wait_until_carried("handover", [topic])
    verdict = deployment.check([topic], duplicates_max=REPEATED_MAX)
    verdict.assert_clean()
    print(f"{verdict.totals.get('duplicate', 0)} of {verdict.totals['delivered']} came twice")
