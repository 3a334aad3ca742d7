"""Records flow while the server is away, and the checkpoints catch up when it is back."""

from __future__ import annotations

import time

import pytest
from deployment import Deployment, unique


def run_without_server(deployment: Deployment, seconds: float) -> None:
    topic = unique("away")
    deployment.make_topics(topic, partitions=3)
    deployment.apply_bridge("away", [topic])
    with deployment.start_logs([topic], rate=1000) as logs:
        deployment.wait_until_more([topic], 2000)
        deployment.kill_server()
        away_from = time.monotonic()
        before = deployment.arrived([topic])
        deployment.wait(
            lambda: time.monotonic() - away_from >= seconds, seconds + 5, "the time is over", 1
        )
        # At the rate of the generator, with room for a busy machine.
        assert deployment.arrived([topic]) - before > 0.8 * 1000 * seconds
        deployment.start_server()
        logs.stop()
    deployment.wait_until_carried("away", [topic])
    deployment.assert_once([topic])


def test_records_flow_while_the_server_is_away(deployment: Deployment) -> None:
    run_without_server(deployment, 20)


@pytest.mark.slow
def test_records_flow_while_the_server_is_away_for_two_minutes(deployment: Deployment) -> None:
    run_without_server(deployment, 120)
