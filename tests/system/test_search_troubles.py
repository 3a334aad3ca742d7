"""What a real engine does to a stream under load, and what hostile records do to an engine."""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from deployment import unique, with_one_relay
from searching import SECONDS, Searching

from rig.access import ClusterAccess
from rig.search_checker import Key
from rig.search_engine import SearchEngine

PARTITIONS = 4
DAY_MS = 86_400_000


class Trouble(NamedTuple):
    """How an engine comes to take no records of a topic, and how it takes them again."""

    begin: Callable[[Searching, str], None]
    end: Callable[[Searching, str], None]
    reason: str
    says: list[str]


def behind(topic: str) -> str:
    """All indexes of a topic."""
    return f"logs-{topic}-*"


def begin_shard_limit(searching: Searching, topic: str) -> None:
    """No further index can be made, and there are records that need one."""
    searching.client.set_shard_limit(1)
    yesterday = int(time.time() * 1000) - DAY_MS
    searching.deployment.oci.admin.produce(topic, [
        {"value": f"late {number}", "partition": number % PARTITIONS, "timestamp": yesterday}
        for number in range(100)
    ])


TROUBLES = {
    "a full disk": Trouble(
        lambda searching, topic: searching.client.set_flood_stage(behind(topic)),
        lambda searching, topic: searching.client.set_flood_stage(behind(topic), is_on=False),
        "BROKER_ERROR",
        ["disk is full", "cluster_block_exception"],
    ),
    "the shard limit": Trouble(
        begin_shard_limit,
        lambda searching, topic: searching.client.set_shard_limit(None),
        "BROKER_ERROR",
        ["validation_exception", "shards"],
    ),
    "an operator's block": Trouble(
        lambda searching, topic: searching.client.set_write_block(behind(topic)),
        lambda searching, topic: searching.client.set_write_block(behind(topic), is_on=False),
        "BROKER_ERROR",
        ["cluster_block_exception", "index write"],
    ),
    "a closed index": Trouble(
        lambda searching, topic: searching.client.close_index(behind(topic)),
        lambda searching, topic: searching.client.open_index(behind(topic)),
        "BROKER_ERROR",
        ["clos"],
    ),
    "a password that is none any more": Trouble(
        lambda searching, topic: change_password(searching, topic),
        lambda searching, topic: searching.set_password(topic),
        "AUTHENTICATION_FAILED",
        ["credential"],
    ),
}


def change_password(searching: Searching, password: str) -> None:
    """The engine's; the relays have the old one."""
    users = searching.engine.credentials.users
    users[next(iter(users))] = password


def stays_blocked(searching: Searching, topic: str, seconds: float) -> None:
    """Looks for so long that the stream stays blocked, and that nothing is written off."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert "BLOCKED" in searching.deployment.motions(topic)
        assert not searching.letters(topic)
        time.sleep(1)


@pytest.mark.parametrize("seconds", [3, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "kind",
    [
        "a full disk",
        "the shard limit",
        "a password that is none any more",
        pytest.param("an operator's block", marks=pytest.mark.slow),
        pytest.param("a closed index", marks=pytest.mark.slow),
    ],
)
def test_no_record_is_written_off_while_an_engine_takes_none(
    searching: Searching, kind: str, seconds: float
) -> None:
    """Under load: blocked in time, with the cause, and it goes on by itself."""
    topic = unique("trouble")
    trouble = TROUBLES[kind]
    deployment = searching.deployment
    deployment.make_topics(topic, partitions=PARTITIONS)
    searching.apply(topic, [topic], index="logs-{topic}-{+yyyy.MM.dd}")
    with deployment.start_logs([topic], rate=1000) as logs:
        searching.wait_until_more(behind(topic), 1000)
        began = time.monotonic()
        trouble.begin(searching, topic)
        try:
            deployment.wait(
                lambda: "BLOCKED" in deployment.motions(topic), SECONDS, "the stream is blocked"
            )
            left = SECONDS - (time.monotonic() - began)
            deployment.wait_until_shown(
                topic, trouble.reason, side="target", says=trouble.says, seconds=max(left, 3)
            )
            stays_blocked(searching, topic, seconds)
        finally:
            trouble.end(searching, topic)
        searching.wait_until_more(behind(topic), 1000)
        logs.stop()
    deployment.wait_until_carried(topic, [topic])
    searching.assert_once([topic])
    assert not searching.letters(topic)
    deployment.wait_until_well(topic, 30)


@pytest.mark.parametrize("is_made_anew", [True, False], ids=["and made anew", "for good"])
def test_an_index_that_is_deleted_under_load_gets_all_that_comes_after(
    searching: Searching, is_made_anew: bool
) -> None:
    """What was in it is the operator's to lose; nothing later is lost, and nothing written off."""
    topic = unique("deleted")
    deployment = searching.deployment
    deployment.make_topics(topic, partitions=PARTITIONS)
    searching.apply(topic, [topic], index="logs-{topic}")
    index = f"logs-{topic}"
    with deployment.start_logs([topic], rate=1000) as logs:
        searching.wait_until_more(index, 1000)
        if not is_made_anew:
            searching.client.put_cluster_settings({"action.auto_create_index": "false"})
        try:
            searching.client.delete_index(index)
            ends = deployment.source_ends([topic])
            if not is_made_anew:
                deployment.wait_until_shown(
                    topic, "BROKER_ERROR", side="target", says=["index_not_found"],
                    seconds=SECONDS,
                )
                searching.client.create_index(index)
            searching.wait_until_more(index, 1000)
        finally:
            searching.client.put_cluster_settings({"action.auto_create_index": None})
        logs.stop()
    deployment.wait_until_carried(topic, [topic])
    assert not searching.letters(topic)
    searching.client.refresh()
    there = [document.source["drawbridge"] for document in searching.client.documents(index)]
    offsets: dict[int, list[int]] = {partition: [] for partition in range(PARTITIONS)}
    for own in there:
        offsets[int(own["partition"])].append(int(own["offset"]))
    for (_, partition), end in deployment.source_ends([topic]).items():
        later = sorted(offset for offset in offsets[partition] if offset >= ends[topic, partition])
        assert later == list(range(ends[topic, partition], end)), partition
        assert len(set(offsets[partition])) == len(offsets[partition]), partition


def test_a_pipeline_that_names_documents_is_named(searching: Searching) -> None:
    """By a script, in a pipeline that another one calls; one that drops records is told."""
    topic, deployment = unique("piped"), searching.deployment
    deployment.make_topics(topic)
    deployment.write_logs([topic], 100)
    client = searching.client
    client.put_pipeline(f"{topic}-inner", [{"script": {"source": "ctx._id = null"}}])
    client.put_pipeline(f"{topic}-outer", [{"pipeline": {"name": f"{topic}-inner"}}])
    client.put_template(
        topic, [behind(topic)], settings={"index.default_pipeline": f"{topic}-outer"}
    )
    searching.apply(topic, [topic])
    deployment.wait_until_shown(
        topic, "GUARANTEE_UNSUPPORTED", side="target", says=[f"{topic}-inner", "_id"],
        seconds=SECONDS,
    )
    assert searching.arrived(behind(topic)) == 0

    client.put_pipeline(f"{topic}-inner", [{"drop": {"if": "false"}}])
    deployment.wait_until_carried(topic, [topic], 120)
    shown = deployment.wait_until_shown(
        topic, "GUARANTEE_UNSUPPORTED", side="target", says=["drop processor"], seconds=SECONDS
    )
    assert shown["topic"] == topic
    searching.assert_once([topic])

    client.put_pipeline(f"{topic}-inner", [{"set": {"field": "_id", "value": "one"}}])
    deployment.wait(
        lambda: any("_id" in row["text"] for row in deployment.api_conditions(topic)),
        30,
        "a running stream is looked at as well",
    )
    deployment.wait(lambda: "BLOCKED" in deployment.motions(topic), SECONDS, "it is stopped")
    arrived = searching.arrived(behind(topic))
    deployment.write_logs([topic], 100)
    stays_blocked(searching, topic, 3)
    assert searching.arrived(behind(topic)) == arrived

    client.put_pipeline(f"{topic}-inner", [])
    deployment.wait_until_carried(topic, [topic], 120)
    searching.assert_once([topic])


def test_a_pipeline_of_an_index_of_another_day_is_named(searching: Searching) -> None:
    """Which gets what is replayed."""
    topic, deployment, client = unique("oldday"), searching.deployment, searching.client
    deployment.make_topics(topic)
    deployment.write_logs([topic], 100)
    client.put_pipeline(topic, [{"set": {"field": "_routing", "value": "{{_ingest.timestamp}}"}}])
    old = f"logs-{topic}-2020.02"
    client.create_index(old, settings={"index.default_pipeline": topic})
    searching.apply(topic, [topic])
    deployment.wait_until_shown(
        topic, "GUARANTEE_UNSUPPORTED", side="target", says=[old, "_routing"], seconds=SECONDS
    )
    assert searching.arrived(behind(topic)) == 0

    client.call("PUT", f"{old}/_settings", {"index.default_pipeline": "_none"})
    deployment.wait_until_carried(topic, [topic], 120)
    searching.assert_once([topic])


@pytest.mark.both_engines
def test_a_pipeline_of_a_legacy_template_is_named(searching: Searching) -> None:
    """Before the index is there that it would make."""
    topic, deployment, client = unique("legacy"), searching.deployment, searching.client
    deployment.make_topics(topic)
    deployment.write_logs([topic], 100)
    client.put_pipeline(topic, [{"set": {"field": "_id", "value": "one"}}])
    template = {
        "index_patterns": [behind(topic)],
        "order": 7,
        "settings": {"index.default_pipeline": topic, "index.number_of_replicas": 0},
    }
    client.call("PUT", f"_template/{topic}", template)
    searching.apply(topic, [topic])
    deployment.wait_until_shown(
        topic, "GUARANTEE_UNSUPPORTED", side="target", says=[topic, "_id"], seconds=SECONDS
    )
    assert searching.arrived(behind(topic)) == 0

    client.call("DELETE", f"_template/{topic}")
    deployment.wait_until_carried(topic, [topic], 120)
    searching.assert_once([topic])


@pytest.mark.both_engines
def test_a_record_that_an_engine_fails_at_holds_nobody_else_up(searching: Searching) -> None:
    sick, well, deployment = unique("sick"), unique("well"), searching.deployment
    deployment.make_topics(sick, well, partitions=1)
    searching.client.put_pipeline(sick, [{"fail": {"if": "ctx.n == 0", "message": "poisoned"}}])
    searching.client.put_template(
        sick, [behind(sick)], settings={"index.default_pipeline": sick}
    )
    deployment.oci.admin.produce(
        sick, [{"value": f'{{"n": {n}}}'.encode(), "partition": 0} for n in range(100)]
    )
    with deployment.start_logs([well], rate=500) as logs:
        searching.apply(sick, [sick, well], index="logs-{topic}-{+yyyy.MM.dd}")
        deployment.wait_until_shown(
            sick, "BROKER_ERROR", side="target", says=["poisoned"], seconds=45
        )
        deployment.wait(
            lambda: "BLOCKED" in deployment.motions(sick), 45, "the sick stream is blocked"
        )
        searching.wait_until_more(behind(well), 5000, 20)
        logs.stop()
    deployment.wait_until_carried(sick, [well])
    assert not searching.letters(sick)

    searching.client.put_pipeline(sick, [])
    deployment.wait_until_carried(sick, [sick], 120)
    searching.assert_once([sick, well])


@pytest.mark.slow
def test_an_index_without_a_primary_holds_nobody_else_up(searching: Searching) -> None:
    sick, well, deployment = unique("red"), unique("green"), searching.deployment
    deployment.make_topics(sick, well, partitions=1)
    nowhere = "index.routing.allocation.require.zone"
    searching.client.put_template(sick, [behind(sick)], settings={nowhere: "nowhere"})
    deployment.write_logs([sick], 1000)
    with deployment.start_logs([well], rate=500) as logs:
        searching.apply(sick, [sick, well], index="logs-{topic}-{+yyyy.MM.dd}")
        # Two answers of the engine's 20 s, beside which others pass.
        deployment.wait_until_shown(
            sick, "BROKER_ERROR", side="target",
            says=["takes no record for", "primary shard"], seconds=120,
        )
        assert "BLOCKED" in deployment.motions(sick)
        # The engine takes 20 s to say no of the sick one.
        searching.wait_until_more(behind(well), 5000, 18)
        logs.stop()
    deployment.wait_until_carried(sick, [well], 60)
    assert not searching.letters(sick)

    searching.client.put_template(sick, [behind(sick)], settings={})
    searching.client.call("PUT", f"{behind(sick)}/_settings", {nowhere: None})
    deployment.wait_until_carried(sick, [sick], 120)
    searching.assert_once([sick, well])


@pytest.fixture(scope="module")
def crowded(
    tmp_path_factory: pytest.TempPathFactory,
    oci_cluster: ClusterAccess,
    aws_cluster: ClusterAccess,
    engine: SearchEngine,
) -> Iterator[Searching]:
    """An engine of its own that lets one write wait and no more."""
    settings = {"thread_pool.write.size": 1, "thread_pool.write.queue_size": 1}
    folder = tmp_path_factory.mktemp("crowded")
    with (
        SearchEngine(engine.engine, "crowded", settings=settings) as narrow,
        with_one_relay(folder, oci_cluster, aws_cluster) as deployment,
    ):
        yield Searching(deployment, narrow)


@pytest.mark.slow
def test_an_engine_that_pushes_back_gets_every_record_once(crowded: Searching) -> None:
    topic = unique("crowded")
    crowded.deployment.make_topics(topic, partitions=PARTITIONS)
    # A bulk into five shards is five writes at once.
    crowded.client.put_template(topic, [behind(topic)], settings={"number_of_shards": 5})
    crowded.deployment.write_logs([topic], 20_000)
    crowded.apply(topic, [topic])
    crowded.deployment.wait_until_carried(topic, [topic])
    pools = crowded.client.call("GET", "_nodes/stats/thread_pool")["nodes"]
    assert sum(node["thread_pool"]["write"]["rejected"] for node in pools.values()) > 0
    crowded.assert_once([topic])
    assert not crowded.letters(topic)


# What hostile records do

MEGABYTES = 20
# Records that no engine of the rig takes; a JSON document each.
REFUSED = {
    "a clash": '{"n": "text"}',
    "a large clash": json.dumps({"n": "text", "text": "word " * ((MEGABYTES << 20) // 5)}),
    "a thousand new fields": json.dumps({f"f{number}": number for number in range(1500)}),
    "nested 2,000 deep": '{"a":' * 2000 + "1" + "}" * 2000,
    "an object where a number is": '{"n": {"m": 1}}',
    "an empty name": '{"": 1}',
    "a field of the engine's own": '{"_id": "another"}',
    "names twice": '{"twice": 1, "twice": 2}',
}
# What they take, or what goes under `message`.
TAKEN = {
    "a large record": json.dumps({"n": 1, "text": "word " * ((MEGABYTES << 20) // 5)}),
    "a large text": "x" * (MEGABYTES << 20),
    "a name of ours": '{"drawbridge": {"mood": "good"}}',
    "our names": '{"drawbridge.offset": {"m": 1}}',
    "an action": '{"n": 1, "delete": {"_index": "*"}}',
    "half a pair": '{"half": "\\ud800"}',
    "no JSON": '{"n": 1',
    "lines": '{"n":\n1}\n{"delete": {"_index": "*"}}\n',
}


@pytest.mark.parametrize("keeps_in_topic", [False, True], ids=["in an index", "in a topic"])
def test_hostile_records_are_delivered_or_kept(
    searching: Searching, keeps_in_topic: bool
) -> None:
    """Each is in one of both places, byte for byte, and its neighbours are not touched."""
    topic, dead = unique("hostile"), unique("dead")
    deployment, admin = searching.deployment, searching.deployment.oci.admin
    admin.create_topic(topic, 1, configs={"max.message.bytes": 64 << 20})
    searching.client.put_template(
        topic, [behind(topic)], mappings={"properties": {"n": {"type": "long"}}}
    )
    # The first one tells an index how its fields are mapped.
    values = ['{"drawbridge": "x"}', *(f'{{"n": {number}}}' for number in range(1, 400))]
    hostile = {20 * (place + 1): one for place, one in enumerate([*REFUSED, *TAKEN])}
    for offset, name in hostile.items():
        values[offset] = {**REFUSED, **TAKEN}[name]
    for is_large, some in itertools.groupby(values, key=lambda value: len(value) > 1 << 20):
        for batch in ([[one] for one in some] if is_large else [list(some)]):
            admin.produce(topic, [{"value": one.encode(), "partition": 0} for one in batch])
    bridge = searching.bridge([topic], **({"dead_letter_topic": dead} if keeps_in_topic else {}))
    bridge["source"]["endpoint"] = "roomy"  # OCI Streaming takes no record as large
    roomy = deployment.endpoint(deployment.oci, "sasl_ssl", "oci-user", profile="kafka")
    deployment.apply({
        "endpoints": {"roomy": roomy, "search": searching.endpoint()}, "bridges": {topic: bridge}
    })
    deployment.wait_until_carried(topic, [topic])

    refused = {offset for offset, name in hostile.items() if name in REFUSED}
    kept = posted(admin.read(dead)) if keeps_in_topic else indexed(searching.letters(topic))
    assert {hostile[offset] for offset in kept} == {hostile[offset] for offset in refused}
    assert all(kept[offset] == values[offset].encode() for offset in refused)
    searching.assert_once([topic], frozenset(Key(topic, 0, offset) for offset in refused))


def posted(records: list[Any]) -> dict[int, bytes]:
    """The values of dead letters in a topic, by the offsets of their records."""
    told = [(dict(record.headers), record.value) for record in records]
    return {int(headers["drawbridge-error-offset"]): value for headers, value in told}


def indexed(letters: list[dict[str, Any]]) -> dict[int, bytes]:
    """The same for those in an index."""
    return {
        int(letter["drawbridge"]["offset"]): letter["value"].encode()
        if "value" in letter else base64.b64decode(letter["value_base64"])
        for letter in letters
    }
