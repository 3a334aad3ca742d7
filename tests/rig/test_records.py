"""The record checker judges every proof, so here it is judged itself: by mistakes on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rig import records
from rig.kafka import KafkaCluster
from rig.processes import RigError, wait_until

# Each kind of mistake is made in a partition of its own; and what the judge must call it.
MISTAKES = {
    "drop": ("lost", ""),
    "swap": ("reorder", "after a later record"),
    "alter_key": ("corrupt", "key: "),
    "alter_value": ("corrupt", "value: "),
    "alter_header": ("corrupt", "headers: "),
    "alter_timestamp": ("corrupt", "timestamp: "),
    "null_key_to_empty": ("corrupt", "key: null became empty"),
    "null_value_to_empty": ("corrupt", "value: null became empty"),
    "empty_value_to_null": ("corrupt", "value: empty became null"),
    "drop_header": ("corrupt", "headers: "),
    "null_header_to_empty": ("corrupt", "headers: "),
    "swap_headers": ("corrupt", "headers: "),
    "phantom": ("phantom", "equals no record"),
    "duplicate": (None, ""),
}
# How the checker counts the source's batches where it sees the segments.
CODECS = {f"batches_{codec}" for codec in ("none", "gzip", "snappy", "lz4", "zstd")}
PARTITION = {kind: number for number, kind in enumerate(MISTAKES)}
# The header that a relay adds may make a batch larger than the source's maximum.
ROOM = {"max.message.bytes": 1048588 + 65536}


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    with KafkaCluster("records", properties={"log.cleaner.backoff.ms": 200}) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def client(cluster: KafkaCluster) -> dict[str, str]:
    return cluster.java_properties("plaintext")


@pytest.fixture(scope="module")
def hard(cluster: KafkaCluster, client: dict[str, str]) -> dict[str, Any]:
    """The manifest of a hard load in the topic `hard`."""
    cluster.admin.create_topic("hard", len(MISTAKES))
    return records.load(client, "hard", records=12_000, largest=5)


def make_topic(
    cluster: KafkaCluster, topic: str, partitions: int = len(MISTAKES), **configs: object
) -> None:
    cluster.admin.create_topic(topic, partitions, configs={**ROOM, **configs})


def only(result: records.CheckResult, partition: int) -> dict[str, Any]:
    """The one finding of a partition."""
    [finding] = [row for row in result.findings if row["partition"] == partition]
    return finding


# A faithful copy


@pytest.fixture(scope="module")
def faithful(cluster: KafkaCluster, client: dict[str, str], hard: dict[str, Any]) -> str:
    """The mapping to a faithful copy of `hard`, with provenance headers."""
    make_topic(cluster, "faithful.hard")
    records.copy(client, client, ["hard"], mapping="faithful.{topic}", provenance=True)
    return "faithful.{topic}"


@pytest.mark.parametrize("sees_segments", [False, True])
def test_a_faithful_copy_is_clean_and_every_offset_accounted_for(
    cluster: KafkaCluster,
    client: dict[str, str],
    hard: dict[str, Any],
    faithful: str,
    sees_segments: bool,
) -> None:
    folders = [cluster.data_folder(1)] if sees_segments else []

    result = records.check(client, client, ["hard"], mapping=faithful, log_folders=folders)

    result.assert_clean()
    totals = result.totals
    assert totals["delivered"] == totals["provenance_right"] == hard["records"]
    assert totals["aborted"] == hard["aborted"] > 0
    assert totals["control"] > 0
    assert totals["delivered"] + totals["aborted"] + totals["control"] == totals["offsets"]
    assert totals["offsets"] == sum(cluster.admin.list_offsets("hard").values())
    assert hard["largest_bytes"] > 1_000_000
    if sees_segments:
        assert {name for name in totals if name.startswith("batches_")} == CODECS


def test_records_of_aborted_transactions_are_phantoms(
    cluster: KafkaCluster, client: dict[str, str], hard: dict[str, Any]
) -> None:
    make_topic(cluster, "uncommitted.hard")
    records.copy(
        client, client, ["hard"], mapping="uncommitted.{topic}", isolation="read_uncommitted"
    )

    result = records.check(client, client, ["hard"], mapping="uncommitted.{topic}")

    assert {finding["class"] for finding in result.findings} == {"phantom"}
    assert result.totals["phantom"] == hard["aborted"]
    assert "aborted transaction" in result.findings[0]["detail"]


# Mistakes


@pytest.fixture(scope="module")
def mistaken(
    cluster: KafkaCluster, client: dict[str, str], hard: dict[str, Any]
) -> dict[str, list[int]]:
    """The source offsets that each kind of mistake was made at, in `mistaken.hard`."""
    make_topic(cluster, "mistaken.hard")
    mutations = [
        {
            "kind": kind,
            "topic": "hard",
            "partition": number,
            "index": 300,
            "count": {"drop": 7, "duplicate": 25}.get(kind, 1),
        }
        for kind, number in PARTITION.items()
    ]
    report = records.copy(client, client, ["hard"], mapping="mistaken.{topic}", mutations=mutations)
    return {row["kind"]: row["offsets"] for row in report["mutations"]}


@pytest.fixture(scope="module")
def judged(client: dict[str, str], mistaken: dict[str, list[int]]) -> records.CheckResult:
    return records.check(client, client, ["hard"], mapping="mistaken.{topic}")


@pytest.mark.parametrize("kind", [kind for kind, (name, _) in MISTAKES.items() if name])
def test_a_mistake_is_found_and_named(
    judged: records.CheckResult, mistaken: dict[str, list[int]], kind: str
) -> None:
    name, detail = MISTAKES[kind]

    finding = only(judged, PARTITION[kind])

    assert finding["class"] == name
    assert detail in finding["detail"]
    assert finding["count"] == len(mistaken[kind])
    if kind != "phantom":
        assert finding["source_from"] == mistaken[kind][0]


def test_duplicates_are_counted_where_they_stand(
    judged: records.CheckResult, mistaken: dict[str, list[int]]
) -> None:
    row = judged.partition("hard", PARTITION["duplicate"])

    assert judged.totals["duplicate"] == 25
    [run] = row["duplicate_runs"]
    assert (run["count"], run["target_from"], run["target_to"]) == (25, 301, 326)
    assert run["source_to"] == mistaken["duplicate"][0] + 1
    assert not [finding for finding in judged.findings if finding["class"] == "duplicate"]


def test_declared_gaps_checkpoints_and_limits_of_duplicates_are_heeded(
    client: dict[str, str], mistaken: dict[str, list[int]]
) -> None:
    dropped = mistaken["drop"]
    delivered = mistaken["swap"][0]
    gaps = [
        {
            "topic": "hard",
            "partition": PARTITION["drop"],
            "from": dropped[0],
            "to": dropped[-1] + 1,
        },
        {"topic": "hard", "partition": PARTITION["swap"], "from": delivered, "to": delivered + 1},
    ]
    # What lies at or beyond `to` need not have arrived yet.
    to = {"hard": {PARTITION["alter_value"]: mistaken["alter_value"][0]}}

    result = records.check(
        client,
        client,
        ["hard"],
        mapping="mistaken.{topic}",
        gaps=gaps,
        to=to,
        duplicates_max=24,
    )

    assert PARTITION["drop"] not in {finding.get("partition") for finding in result.findings}
    assert result.partition("hard", PARTITION["drop"])["counts"]["gap"] == 7
    classes = {
        finding["class"]
        for finding in result.findings
        if finding.get("partition") == PARTITION["swap"]
    }
    # One of the swapped arrived though it was declared as a gap: that is no honest gap.
    assert classes == {"reorder", "overdeclared-gap"}
    counts = result.partition("hard", PARTITION["alter_value"])["counts"]
    assert counts["unseen"] == 1 and counts["lost"] == 0
    assert [row["count"] for row in result.findings if row["class"] == "duplicate"] == [25]
    with pytest.raises(AssertionError, match="findings"):
        result.assert_clean()


# What the source no longer has


@pytest.mark.parametrize(
    "has_provenance", [pytest.param(False, marks=pytest.mark.slow), True]
)
def test_expired_records_are_unverifiable_and_silent_gaps_found(
    cluster: KafkaCluster, client: dict[str, str], has_provenance: bool
) -> None:
    topic = f"expired-{has_provenance}"
    cluster.admin.create_topic(topic, 3)
    make_topic(cluster, f"late.{topic}", 3)
    records.load(client, topic, records=3_000, shape="random120")
    cluster.admin.delete_records(topic, {1: 300, 2: 300})
    records.copy(client, client, [topic], mapping="late.{topic}", provenance=has_provenance)
    cluster.admin.delete_records(topic, {0: 300})

    gaps = [{"topic": topic, "partition": 2, "from": 0, "to": 300}]
    result = records.check(client, client, [topic], mapping="late.{topic}", gaps=gaps)

    delivered_before, silent, declared = (
        result.partition(topic, number)["counts"] for number in range(3)
    )
    assert delivered_before["unverifiable"] == delivered_before["expired_delivered"] == 300
    assert declared["gap"] == 300
    assert silent["undeclared_gap"] == 300
    [finding] = result.findings
    assert (finding["class"], finding["partition"]) == ("undeclared-gap", 1)
    assert (finding["source_from"], finding["source_to"]) == (0, 300)


def test_holes_of_compaction_are_told_from_losses(
    cluster: KafkaCluster, client: dict[str, str]
) -> None:
    cluster.admin.create_topic("keyed", 2, configs={"cleanup.policy": "compact"})
    make_topic(cluster, "early.keyed", 2)
    make_topic(cluster, "late.keyed", 2)
    written = records.load(client, "keyed", records=4_000, mode="compacted", keys=50)["records"]
    records.copy(client, client, ["keyed"], mapping="early.{topic}", provenance=True)
    records.compact(cluster.admin, cluster.data_folder(1), "keyed")
    end = cluster.admin.list_offsets("keyed")
    records.copy(
        client,
        client,
        ["keyed"],
        mapping="late.{topic}",
        mutations=[{"kind": "drop", "topic": "keyed", "partition": 1, "index": 3}],
    )

    early = records.check(
        client,
        client,
        ["keyed"],
        mapping="early.{topic}",
        log_folders=[cluster.data_folder(1)],
        to={"keyed": {0: written // 2, 1: written // 2}},
    )
    late = records.check(client, client, ["keyed"], mapping="late.{topic}", to={"keyed": end})

    early.assert_clean()
    # What came before the cleaner did cannot be compared any more.
    assert early.totals["compacted"] == early.totals["unverifiable"] > 3_000
    assert late.totals["control_or_compacted"] >= early.totals["compacted"]
    assert [(finding["class"], finding["count"]) for finding in late.findings] == [("lost", 1)]


@pytest.mark.slow
def test_an_open_transaction_is_judged_only_when_it_ends(
    cluster: KafkaCluster, client: dict[str, str]
) -> None:
    cluster.admin.create_topic("open", 4)
    make_topic(cluster, "copy.open", 4)
    with records.start_load(client, "open", records=2_000, leave_open=True, largest=0) as load:
        written = load.wait_until_open()
        records.copy(client, client, ["open"], mapping="copy.{topic}")
        while_open = records.check(client, client, ["open"], mapping="copy.{topic}")
        manifest = load.finish(is_committed=True)
    afterwards = records.check(client, client, ["open"], mapping="copy.{topic}")

    while_open.assert_clean()
    assert while_open.totals["open"] > written["open"] == 50
    assert {finding["class"] for finding in afterwards.findings} == {"lost"}
    assert afterwards.totals["lost"] == manifest["records"] - while_open.totals["delivered"]


# When there is no verdict


def test_nothing_to_judge_by_is_void_and_not_clean(
    cluster: KafkaCluster, client: dict[str, str]
) -> None:
    cluster.admin.create_topic("empty", 1)

    result = records.check(client, client, ["empty"])
    absent = records.check(client, client, ["absent"])

    assert result.verdict == absent.verdict == "void"
    with pytest.raises(AssertionError, match="only 0 records"):
        result.assert_clean()


def test_a_program_that_fails_is_an_error_with_its_words(client: dict[str, str]) -> None:
    with pytest.raises(RigError, match="no-such-option"):
        records.load(client, "empty", records=1, no_such_option=1)


# The log generator


TOPICS = {"flow": ["flow-1", "flow-2"], "custom": "app", "service": "service", "audit": "audit"}
NAMES = ["flow-1", "flow-2", "app", "service", "audit"]


@pytest.fixture(scope="module")
def log_topics(cluster: KafkaCluster) -> None:
    for name in NAMES:
        cluster.admin.create_topic(name, 2)
        make_topic(cluster, f"oci.{name}", 2)


@pytest.mark.usefixtures("log_topics")
def test_generated_logs_are_counted_at_the_target(client: dict[str, str]) -> None:
    with records.start_oci_logs(
        client, TOPICS, rate=0, count=4_000, seed=7, producers=2, run="counted"
    ) as logs:
        summary = logs.wait(60)
    records.copy(
        client,
        client,
        NAMES,
        mapping="oci.{topic}",
        mutations=[
            {"kind": "drop", "topic": "flow-1", "partition": 0, "index": 20, "count": 3},
            {"kind": "duplicate", "topic": "app", "partition": 1, "index": 50, "count": 5},
        ],
    )

    counts = records.count(client, summary, mapping="oci.{topic}")

    assert summary["acked"] == summary["generated"] == 4_000
    assert (counts["arrived"], counts["missing"], counts["duplicates"]) == (3_997, 3, 5)
    assert counts["missing_by_topic"]["flow-1"] == 3
    shares = {
        name: sum(row["acked"] for row in summary["partitions"] if row["topic"] == name) / 4_000
        for name in NAMES
    }
    assert shares["flow-1"] + shares["flow-2"] == pytest.approx(0.60, abs=0.05)
    assert shares["audit"] == pytest.approx(0.05, abs=0.02)


def test_the_same_seed_makes_the_same_logs(cluster: KafkaCluster, client: dict[str, str]) -> None:
    # The fixed time is long ago: retention must not see it.
    cluster.admin.create_topic("seeded", 2, configs={"retention.ms": -1})
    for _ in range(2):
        options = {"seed": 3, "run": "same", "start_ms": 1_750_000_000_000, "bad": 0.02}
        with records.start_oci_logs(
            client, {"flow": "seeded", "custom": "seeded"}, count=500, rate=0, **options
        ) as logs:
            logs.wait(60)

    result = records.check(client, client, ["seeded"])

    assert result.totals["source_records"] == 1_000
    assert result.totals["indistinguishable"] == 500


@pytest.mark.usefixtures("log_topics")
def test_the_generator_obeys_and_ends_with_its_caller(client: dict[str, str]) -> None:
    with records.start_oci_logs(client, TOPICS, rate=50) as logs:
        wait_until(lambda: logs.latest, 20, "no line of counts")
        logs.set_rate(3_000)
        wait_until(lambda: logs.latest["acked_per_second"] > 1_000, 20, "the rate has not risen")
        summary = logs.stop()

    assert summary["errors"] == []
    assert summary["acked"] == summary["generated"] > 1_000
