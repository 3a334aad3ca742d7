"""The proof: whatever a Kafka source may hold arrives as it was, and every offset is accounted for.

Records of every size and shape, transactions of every fate, holes of compaction and a deleted head.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from deployment import Deployment, unique

from rig import records

# Each source offset is one of these, and nothing else.
CLASSES = ("delivered", "control", "compacted", "aborted", "gap")
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
PARTITIONS = 12


@pytest.fixture
def eager_cleaner(deployment: Deployment) -> Iterator[None]:
    """The source's cleaner looks for work several times a second, not every 15 s."""
    setting = "log.cleaner.backoff.ms"
    deployment.oci.admin.alter_configs("1", {setting: 200}, resource="broker")
    yield
    deployment.oci.admin.alter_configs("1", {setting: None}, resource="broker")


def segments(deployment: Deployment) -> Path:
    """Where the source's broker keeps its logs."""
    return deployment.oci.state / "broker-1" / "data"


def make_compacted(deployment: Deployment, count: int) -> str:
    """A topic that the cleaner has made holes in."""
    topic = unique("compacted")
    deployment.oci.admin.create_topic(topic, 3, configs={"cleanup.policy": "compact"})
    client = deployment.oci.java_properties("plaintext")
    records.load(client, topic, records=count, mode="compacted", keys=count // 20)
    records.compact(deployment.oci.admin, segments(deployment), topic)
    return topic


def start_headless(deployment: Deployment, count: int) -> tuple[str, records.Load]:
    """A topic without its first half, where a transaction is open."""
    topic = unique("headless")
    deployment.oci.admin.create_topic(topic, 4)
    client = deployment.oci.java_properties("plaintext")
    load = records.start_load(client, topic, records=count, leave_open=True, seed=2)
    load.wait_until_open()
    ends = deployment.oci.admin.list_offsets(topic)
    deployment.oci.admin.delete_records(topic, {number: end // 2 for number, end in ends.items()})
    return topic, load


def assert_held_back(deployment: Deployment, topic: str) -> None:
    """Waits until all is carried but what an open transaction holds back, and judges that."""
    ends = deployment.oci.admin.list_offsets(topic)
    starts = {topic: deployment.oci.admin.list_offsets(topic, "earliest")}
    open_in = range(len(ends) // 4)

    def reached() -> dict[int, int]:
        return {key[1]: offset or 0 for key, offset in deployment.checkpoints("proof").items()
                if key[0] == topic}

    deployment.wait(
        lambda: all(reached().get(number, 0) >= end for number, end in ends.items()
                    if number not in open_in),
        600,
        f"{topic} is carried but for the partitions {open_in}",
        0.5,
    )
    verdict = deployment.assert_once([topic], start=starts, to={topic: reached()})
    assert verdict.totals["open"] > 0, verdict.describe()
    for number in open_in:
        stable = verdict.partition(topic, number)["source_stable_end"]
        assert stable < ends[number]
        deployment.wait(
            lambda number=number, stable=stable: reached()[number] == stable,
            60,
            f"{topic}/{number} is carried up to the open transaction at {stable}",
            0.5,
        )


def run_proof(deployment: Deployment, count: int, largest: int) -> None:
    """`count` hard records, and a tenth of that in each of the other topics."""
    compacted = make_compacted(deployment, count // 10)
    headless, headless_load = start_headless(deployment, count // 10)
    hard = unique("hard")
    deployment.oci.admin.create_topic(hard, PARTITIONS)
    topics = [hard, compacted, headless]
    starts = {headless: deployment.oci.admin.list_offsets(headless, "earliest")}
    assert min(starts[headless].values()) > 0

    deployment.apply_bridge("proof", topics, lanes=3)
    client = deployment.oci.java_properties("plaintext")
    with (
        headless_load,
        records.start_load(
            client, hard, records=count, leave_open=True, largest=largest
        ) as load,
    ):
        assert_held_back(deployment, headless)
        headless_load.finish(is_committed=False)
        load.wait_until_open(1800)
        assert_held_back(deployment, hard)
        manifest = load.finish(is_committed=True)
    deployment.wait_until_carried("proof", topics, 600)

    # A start at the earliest record is no gap, whatever was there before.
    assert deployment.gaps("proof") == []
    verdict = deployment.assert_once(
        topics, start=starts, log_folders=[segments(deployment)], seconds=1800
    )
    totals = verdict.totals
    print(verdict.describe(), f"in {verdict.document['seconds']:.0f} s")
    assert sum(totals.get(name, 0) for name in CLASSES) == totals["offsets"], totals
    assert totals["provenance_right"] == totals["delivered"] == totals["source_records"]
    assert totals.get("unverifiable", 0) == totals.get("indistinguishable", 0) == 0, totals
    # What was to be hard was hard.
    assert manifest["transactions"]["committed"] > 10 < manifest["transactions"]["aborted"]
    assert manifest["largest_bytes"] > 1_000_000
    rows = [verdict.partition(hard, number) for number in range(PARTITIONS)]
    assert sum(row["counts"]["delivered"] for row in rows) == manifest["records"]
    assert sum(row["counts"]["aborted"] for row in rows) == manifest["aborted"] > 0
    assert all(row["counts"][f"batches_{codec}"] > 0 for row in rows for codec in CODECS)
    for number in range(3):
        assert verdict.partition(compacted, number)["counts"]["compacted"] > 100


@pytest.mark.usefixtures("eager_cleaner")
def test_every_offset_of_a_hard_source_is_accounted_for(deployment: Deployment) -> None:
    run_proof(deployment, 30_000, largest=10)


@pytest.mark.slow
@pytest.mark.usefixtures("eager_cleaner")
def test_every_offset_of_a_million_hard_records_is_accounted_for(deployment: Deployment) -> None:
    # As many as are a million without those of aborted transactions.
    run_proof(deployment, 1_100_000, largest=60)
