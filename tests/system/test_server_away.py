"""Records flow while the server is away, and the checkpoints catch up when it is back."""

from __future__ import annotations

import time

import pytest
from deployment import Deployment, unique

# Records per second, and how many seconds of them the target may be behind on a busy machine: that
# many at most are missing from the same rate as before.
RATE = 1000
BEHIND_SECONDS = 3


def run_without_server(deployment: Deployment, seconds: float) -> None:
    topic = unique("away")
    deployment.make_topics(topic, partitions=3)
    deployment.apply_bridge("away", [topic])
    relay = deployment.relays["one"].process
    with deployment.start_logs([topic], rate=RATE) as logs:
        deployment.wait_until_more([topic], 2000)
        deployment.kill_server()
        away_from = time.monotonic()
        before, behind = deployment.arrived([topic]), 0

        def is_over() -> bool:
            nonlocal behind
            written = logs.latest["acked"] if logs.latest else 0
            behind = max(behind, written - deployment.arrived([topic]))
            return time.monotonic() - away_from >= seconds

        deployment.wait(is_over, seconds + 30, "the time is over", 1)
        arrived = deployment.arrived([topic]) - before
        away = time.monotonic() - away_from
        deployment.start_server()
        logs.stop()
    print(f"{arrived / away:.0f} records/s for {away:.0f} s without a server, {behind} behind")
    # Without traffic there was nothing to see.
    assert arrived > 0.8 * RATE * seconds
    assert behind < BEHIND_SECONDS * RATE
    deployment.wait_until_carried("away", [topic])
    assert relay.is_running
    deployment.assert_once([topic])


def test_records_flow_while_the_server_is_away(deployment: Deployment) -> None:
    run_without_server(deployment, 20)


@pytest.mark.slow
def test_records_flow_while_the_server_is_away_for_two_minutes(deployment: Deployment) -> None:
    run_without_server(deployment, 120)
