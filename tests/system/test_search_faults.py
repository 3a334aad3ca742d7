"""Records into a strict engine that does what real ones will not do on demand: each once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from deployment import Deployment, unique, with_one_relay

from rig.access import ClusterAccess
from rig.proxy import FaultProxy
from rig.search_checker import Key, Source, check
from rig.strict_bulk_server import StrictBulkServer

LETTERS = "drawbridge-dead-letters"

# What an engine, or what is before it, does wrong in passing: the stream goes on by itself.
PASSING = [
    "throttle", "unavailable", "too-large", "status", "html", "empty", "empty-applied", "truncated",
    "truncated-gzip", "not-json", "too-few-items", "too-many-items", "apply-then-reset",
    "apply-then-stall", "cut-in-request", "cut-in-answer", "slow", "trickle", "item-throttle",
    "item-circuit-breaker", "item-unavailable", "item-status", "unauthorized", "forbidden",
    "flood-stage", "read-only", "shard-limit", "index-closed", "index-missing",
]
# What it says of items that fail, in the same answer.
SPOILED = ["claims-no-errors", "shuffled-items"]


@pytest.fixture(scope="module")
def strict() -> Iterator[StrictBulkServer]:
    with StrictBulkServer() as server:
        yield server


@pytest.fixture(scope="module")
def deployed(
    tmp_path_factory: pytest.TempPathFactory,
    oci_cluster: ClusterAccess,
    aws_cluster: ClusterAccess,
    strict: StrictBulkServer,
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("strict")
    with with_one_relay(folder, oci_cluster, aws_cluster) as deployment:
        yield deployment


def start(deployed: Deployment, strict: StrictBulkServer, topic: str) -> None:
    """A bridge of the topic into the strict engine."""
    deployed.make_topics(topic, partitions=2)
    apply(deployed, strict.url, topic)


def apply(deployed: Deployment, address: str, topic: str) -> None:
    deployed.apply({
        "endpoints": {
            **deployed.endpoints(),
            "strict": {"opensearch": {"addresses": [address]}},
        },
        "bridges": {
            topic: {
                "source": {"endpoint": "oci", "topics": [topic]},
                "target": {"endpoint": "strict", "index": "logs-{topic}"},
            }
        },
    })


def place(engine: StrictBulkServer) -> tuple[str, int]:
    """Where an engine listens."""
    url = urlsplit(engine.url)
    assert url.hostname and url.port
    return url.hostname, url.port


def assert_once(
    deployed: Deployment,
    strict: StrictBulkServer,
    topic: str,
    elsewhere: frozenset[Key] = frozenset(),
) -> None:
    source = Source(deployed.oci.java_properties("plaintext"), [topic])
    documents = strict.documents(f"*logs-{topic}*")
    check(source, documents, elsewhere=elsewhere).assert_clean()
    assert not strict.violations


def letters(strict: StrictBulkServer, topic: str) -> list[int]:
    """Offsets of the dead letters of a topic with one partition's worth of numbers."""
    kept = [json.loads(stored) for one in strict.sources(LETTERS).values() for stored in one]
    return [one["drawbridge"]["offset"] for one in kept if one["drawbridge"]["topic"] == topic]


def test_no_answer_loses_or_repeats_a_record(
    deployed: Deployment, strict: StrictBulkServer
) -> None:
    topic = unique("faults")
    start(deployed, strict, topic)
    with deployed.start_logs([topic], rate=300) as logs:
        for kind in PASSING:
            strict.fail(kind, seconds=0.5, items_max=3)
            deployed.wait(lambda: not strict.script.left(), 60, f"{kind} has met a request")
        for kind in SPOILED:
            strict.fail("item-throttle", items_max=3, ids=f"*{topic}*")
            strict.fail(kind, ids=f"*{topic}*")
            deployed.wait(lambda: not strict.script.left(), 60, f"{kind} has met a request")
        logs.stop()
    deployed.wait_until_carried(topic, [topic])
    assert_once(deployed, strict, topic)
    assert not letters(strict, topic)


def test_what_an_engine_keeps_among_its_failures_is_counted(
    deployed: Deployment, strict: StrictBulkServer
) -> None:
    topic = unique("diverted")
    start(deployed, strict, topic)
    strict.fail("failure-store", items_max=1, ids=f"*{topic}*")
    deployed.write_logs([topic], 200)
    deployed.wait_until_carried(topic, [topic])
    [group] = deployed.cli_json("dead-letters", "list", topic)["groups"]
    assert group["records"] == 1 and "failure_store" in group["error"], group


def test_an_address_of_another_engine_gets_no_record(
    deployed: Deployment, strict: StrictBulkServer
) -> None:
    topic = unique("elsewhere")
    start(deployed, strict, topic)
    with (
        StrictBulkServer(cluster_uuid="b3RoZXI") as other,
        deployed.start_logs([topic], rate=300) as logs,
    ):
        deployed.wait(
            lambda: len(strict.sources(f"logs-{topic}")) > 300, 30, "records flow"
        )
        apply(deployed, other.url, topic)
        deployed.wait_until_shown(
            topic, "SOURCE_CHANGED", side="target", says=["addresses"], seconds=15
        )
        stored = strict.sources(f"logs-{topic}")
        deployed.wait(
            lambda: "HALTED" in deployed.motions(topic) or "BLOCKED" in deployed.motions(topic),
            15,
            "the stream is held",
        )
        assert not other.bulks
        apply(deployed, strict.url, topic)
        deployed.wait(
            lambda: len(strict.sources(f"logs-{topic}")) > len(stored), 30, "records flow again"
        )
        logs.stop()
    deployed.wait_until_carried(topic, [topic])
    assert_once(deployed, strict, topic)


def test_an_address_that_leads_to_another_engine_by_now_delivers_nothing(
    deployed: Deployment, strict: StrictBulkServer
) -> None:
    """Its connections have ended while nothing was sent, as a name that is moved ends them."""
    topic = unique("moved")
    deployed.make_topics(topic, partitions=2)
    with (
        StrictBulkServer(cluster_uuid="b3RoZXI") as other,
        FaultProxy(place(strict)) as proxy,
    ):
        apply(deployed, f"http://{proxy.address}", topic)
        deployed.write_logs([topic], 200)
        deployed.wait_until_carried(topic, [topic])
        proxy.redirect(place(other))
        proxy.reset()
        deployed.write_logs([topic], 200)
        deployed.wait_until_shown(
            topic, "SOURCE_CHANGED", side="target", says=["addresses"], seconds=15
        )
        proxy.redirect(place(strict))
        proxy.reset()
        deployed.wait_until_carried(topic, [topic], 60)
        assert_once(deployed, strict, topic)
        deployed.cli("delete", "bridge", topic)


def test_a_rollover_under_ambiguity_repeats_nothing(
    deployed: Deployment, strict: StrictBulkServer
) -> None:
    topic = unique("stream")
    strict.store.add_stream_pattern(f"logs-{topic}")
    start(deployed, strict, topic)
    with deployed.start_logs([topic], rate=300) as logs:
        for _ in range(3):
            strict.fail("apply-then-reset")
            strict.fail("rollover")
            deployed.wait(lambda: not strict.script.left(), 60, "the stream has rolled over")
        logs.stop()
    deployed.wait_until_carried(topic, [topic])
    assert len(strict.store.indexes(f"logs-{topic}")) > 1
    assert_once(deployed, strict, topic)


def test_a_request_that_is_carried_out_late_repeats_nothing(
    deployed: Deployment, strict: StrictBulkServer
) -> None:
    topic = unique("late")
    strict.store.add_stream_pattern(f"logs-{topic}")
    start(deployed, strict, topic)
    with deployed.start_logs([topic], rate=300) as logs:
        for _ in range(3):
            # The relay dies with it on its way, and the stream rolls over before it is written.
            strict.fail("apply-late", seconds=8)
            deployed.wait(lambda: strict.tasks, 60, "the engine is late")
            deployed.relays["one"].kill()
            strict.store.roll_over()
            deployed.relays["one"].start()
            deployed.wait(lambda: not strict.tasks, 60, "the engine has done it")
        logs.stop()
    deployed.wait_until_carried(topic, [topic])
    assert len(strict.store.indexes(f"logs-{topic}")) > 1
    assert_once(deployed, strict, topic)


def test_only_refused_items_are_dead_letters(
    deployed: Deployment, strict: StrictBulkServer
) -> None:
    topic = unique("items")
    strict.fail("item-mapping", times=None, ids="*7", index=f"logs-{topic}")
    start(deployed, strict, topic)
    deployed.write_logs([topic], 400)
    deployed.wait_until_carried(topic, [topic])
    strict.heal()

    ends = deployed.source_ends([topic])
    refused = frozenset(
        Key(topic, partition, offset)
        for (_, partition), end in ends.items()
        for offset in range(7, end, 10)
    )
    assert len(letters(strict, topic)) == len(refused)
    assert_once(deployed, strict, topic, refused)
    groups = deployed.cli_json("dead-letters", "list", topic)["groups"]
    assert sum(group["records"] for group in groups) == len(refused)
