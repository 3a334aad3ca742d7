"""Processes that die under load lose nothing, and repeat at most what was on its way."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest
from deployment import Deployment, unique

from rig import records

# A kill with less on its way proves nothing, and does not count.
IN_FLIGHT_MIN = 1000
RATE = 3000
# Of what a relay may hold, three eighths may be on their way, each record with what is kept beside
# it: that is the window of all lanes together, and all that may come twice after a kill.
MEMORY_LIMIT = 32 << 20
WINDOW_BYTES = MEMORY_LIMIT // 8 * 3
BESIDE_EACH_RECORD = 800
# Slower than the logs are written, as they are compressed, so that the windows fill.
TARGET_BYTES_PER_SECOND = 40_000
# Between a confirmation by the target and the database's COMMIT, each with the passage to die at:
# not the first, so that the windows are full again, nor many, as one confirmation covers a batch.
RELAY_FAILPOINTS = (
    ("lane.confirmed", 5),
    ("session.before_commit", 3),
    ("journal.before_write", 10),
    ("journal.after_write", 10),
)
SERVER_FAILPOINT = ("store.checkpoint_written", 3)
ANY_MOMENT = "any moment"


@dataclass(frozen=True)
class Kill:
    """What was on its way when a process died, and the ends of the target's logs after it."""

    at: str
    in_flight: int
    target_ends: dict[int, int]

    @property
    def counts(self) -> bool:
        """Whether it hit enough."""
        return self.in_flight >= IN_FLIGHT_MIN

    @property
    def is_between(self) -> bool:
        """Whether it came between the target's confirmation and the database's COMMIT for sure."""
        return self.at != ANY_MOMENT


@pytest.fixture
def slow_target(deployment: Deployment) -> Iterator[None]:
    """The target takes less than is written, so that much is on its way at any moment."""
    deployment.limit_target(TARGET_BYTES_PER_SECOND)
    yield
    deployment.limit_target(None)


def in_flight(deployment: Deployment) -> int:
    """Records on their way as last reported; 0 while the server does not answer."""
    answer = deployment.cli("-o", "json", "checkpoints", "kills", is_checked=False)
    if answer.returncode != 0:
        return 0
    return sum(row["in_flight"] or 0 for row in json.loads(answer.stdout)["checkpoints"])


def wait_until_loaded(deployment: Deployment) -> int:
    """Waits until enough is on its way, and returns how much."""
    # What is shown now may be a dead relay's last word.
    stale = in_flight(deployment)
    return deployment.wait(
        lambda: (found := in_flight(deployment)) != stale and found >= IN_FLIGHT_MIN and found,
        60,
        f"{IN_FLIGHT_MIN} records are on their way",
    )


def in_flight_at_death(deployment: Deployment, has_died: Callable[[], bool], what: str) -> int:
    """Waits for a death, and returns what was last reported to be on its way; 0 if nothing was."""
    stale, newest = in_flight(deployment), 0

    def look() -> bool:
        nonlocal newest
        found = in_flight(deployment)
        if has_died():
            return True
        if found != stale:
            newest = found or newest
        return False

    deployment.wait(look, 90, what, 0.1)
    return newest


def kill_relay(deployment: Deployment, topic: str, failpoint: tuple[str, int]) -> list[Kill]:
    """Kills a loaded relay from outside, has the next one die at a failpoint, and starts it."""
    relay = deployment.relays["one"]
    seen = wait_until_loaded(deployment)
    relay.kill()
    first = Kill(ANY_MOMENT, seen, deployment.aws.admin.list_offsets(topic))
    name, passage = failpoint
    relay.start(failpoints=f"{name}=kill:{passage}")
    seen = in_flight_at_death(
        deployment, lambda: not relay.process.is_running, f"the relay dies at {name}"
    )
    assert relay.process.exit_code == -9, relay.process.log_tail()
    second = Kill(name, seen, deployment.aws.admin.list_offsets(topic))
    relay.start()
    return [first, second]


def kill_server(deployment: Deployment, topic: str, failpoint: tuple[str, int]) -> list[Kill]:
    """Kills the server beside a loaded relay, has the next one die at a failpoint, and starts it.

    While it is away the flow goes on.
    """
    seen = wait_until_loaded(deployment)
    deployment.kill_server()
    first = Kill(ANY_MOMENT, seen, deployment.aws.admin.list_offsets(topic))
    deployment.wait_until_more([topic], 500)
    name, passage = failpoint
    deployment.start_server(failpoints=f"{name}=kill:{passage}")
    seen = in_flight_at_death(deployment, deployment.server_died, f"the server dies at {name}")
    assert deployment.server is not None and deployment.server.exit_code == -9
    second = Kill(name, seen, deployment.aws.admin.list_offsets(topic))
    deployment.wait_until_more([topic], 500)
    deployment.start_server()
    deployment.wait(
        lambda: deployment.relay_state("one") == "CONNECTED", 60, "the relay is back", 0.5
    )
    return [first, second]


def repeated_after(verdict: records.CheckResult, topic: str, kills: list[Kill]) -> list[int]:
    """Duplicates after each kill and before the next, by their places at the target."""
    repeated = [0] * (len(kills) + 1)
    for partition in range(4):
        for run in verdict.partition(topic, partition)["duplicate_runs"]:
            kill = sum(one.target_ends[partition] <= run["target_from"] for one in kills)
            repeated[kill] += run["count"]
    assert sum(repeated) == verdict.totals.get("duplicate", 0), "more runs than are listed"
    assert repeated[0] == 0, "duplicates before the first kill"
    return repeated[1:]


def restart_small(deployment: Deployment) -> None:
    """Restarts the relay with a window that is soon full."""
    relay = deployment.relays["one"]
    assert relay.terminate() == 0
    relay.options = ["--memory-limit", f"{MEMORY_LIMIT >> 20}MB"]
    relay.start()


def window_records(deployment: Deployment, topic: str) -> int:
    """How many records of a topic a window takes at most, by the smallest of a sample."""
    sample = [
        record
        for partition in range(4)
        for record in deployment.oci.admin.read(topic, partition, offset=0, limit=1000)
    ]
    smallest = min(len(record.key or b"") + len(record.value or b"") for record in sample)
    return WINDOW_BYTES // (smallest + BESIDE_EACH_RECORD)


def run_kills(
    deployment: Deployment,
    count: int,
    kill: Callable[[Deployment, str, tuple[str, int]], list[Kill]],
    failpoints: Sequence[tuple[str, int]],
) -> list[int]:
    """`count` kills that count, every second at a failpoint; returns the duplicates of each."""
    topic = unique("kills")
    deployment.make_topics(topic, partitions=4)
    restart_small(deployment)
    deployment.apply_bridge("kills", [topic], lanes=2)
    # Every second kill is at a failpoint, and at least every second of these has to count.
    between_min = max(1, count // 4)
    kills: list[Kill] = []
    with deployment.start_logs([topic], rate=RATE) as logs:
        for failpoint in itertools.cycle(failpoints):
            kills += kill(deployment, topic, failpoint)
            deployment.wait_until_more([topic], 1)
            counting = [one for one in kills if one.counts]
            between = sum(one.is_between for one in counting)
            if len(counting) >= count and between >= between_min:
                break
            assert len(kills) < 2 * count + 2, f"too many kills were void: {kills}"
        wait_until_loaded(deployment)
        logs.stop()
    deployment.limit_target(None)
    deployment.wait_until_carried("kills", [topic], 180)

    verdict = deployment.check([topic])
    verdict.assert_clean()
    repeated = repeated_after(verdict, topic, kills)
    for one, twice in zip(kills, repeated, strict=True):
        print(f"killed at {one.at}: {one.in_flight} on their way, {twice} came twice")
    window = window_records(deployment, topic)
    print(
        f"{len(kills)} kills, {len(counting)} count, {between} of them between confirmation and"
        f" COMMIT; {verdict.totals['delivered']} records, {sum(repeated)} duplicates, at most"
        f" {window} after each kill"
    )
    for one, twice in zip(kills, repeated, strict=True):
        assert one.in_flight <= window, one
        assert twice <= window, (one, twice)
    return repeated


def run_kills_of_relay(deployment: Deployment, count: int) -> None:
    repeated = run_kills(deployment, count, kill_relay, RELAY_FAILPOINTS)
    # Otherwise no kill hit anything on its way, and this test showed nothing.
    assert sum(repeated) > 0


def run_kills_of_server(deployment: Deployment, count: int) -> None:
    repeated = run_kills(deployment, count, kill_server, (SERVER_FAILPOINT,))
    # The relay went on all the time: nothing was sent twice.
    assert sum(repeated) == 0


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
