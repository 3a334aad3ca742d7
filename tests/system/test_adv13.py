"""Reproductions of what adv13 found; each test FAILS while the defect is there."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from deployment import unique
from searching import Searching, keys_of

from rig.search_checker import Key, Source, check
from rig.strict_bulk_server import StrictBulkServer

LONG = {"properties": {"n": {"type": "long"}}}


def make_rolling(searching: Searching, topic: str, **alias: object) -> str:
    """An alias with one index behind it, which can be rolled over."""
    name, client = f"logs-{topic}", searching.client
    first = f"{name}-000001"
    client.create_index(first, mappings=LONG)
    action = {"index": first, "alias": name, "is_write_index": True, **alias}
    client.call("POST", "_aliases", {"actions": [{"add": action}]})
    return name


def produce(searching: Searching, topic: str, values: list[str]) -> None:
    searching.deployment.oci.admin.produce(
        topic, [{"value": value.encode(), "partition": 0} for value in values]
    )


# 1 CRITICAL: silent loss
def test_a_topic_made_anew_while_its_bridge_was_deleted_loses_nothing(searching: Searching) -> None:
    topic, deployment, admin = unique("anew"), searching.deployment, searching.deployment.oci.admin
    deployment.make_topics(topic, partitions=1)
    produce(searching, topic, ['{"life":"old"}'] * 100)
    searching.apply(topic, [topic], index="logs-{topic}")
    deployment.wait_until_carried(topic, [topic])
    deployment.cli("delete", "bridge", topic)
    admin.delete_topic(topic)
    deployment.wait(lambda: topic not in admin.list_topics(), 30, "the topic is gone")
    time.sleep(1)
    deployment.make_topics(topic, partitions=1)
    produce(searching, topic, ['{"life":"new"}'] * 60)
    searching.apply(topic, [topic], index="logs-{topic}")
    deployment.wait_until_carried(topic, [topic], 40)
    searching.client.refresh()
    lives = [one.source["life"] for one in searching.client.documents(f"logs-{topic}")]
    assert not deployment.conditions(topic)
    assert (lives.count("old"), lives.count("new")) == (100, 60)


# 2 CRITICAL: records written off into a cluster that is not the bridge's
def test_a_retry_writes_into_no_other_cluster(searching: Searching) -> None:
    topic, dead, deployment = unique("wr"), unique("dead"), searching.deployment
    deployment.make_topics(topic, partitions=1)
    searching.client.put_template(topic, [f"logs-{topic}-*"], mappings=LONG)
    produce(searching, topic, ['{"n":"t"}' if n % 10 == 7 else '{"n":1}' for n in range(200)])
    searching.apply(topic, [topic], dead_letter_topic=dead)
    deployment.wait_until_carried(topic, [topic])
    with StrictBulkServer(cluster_uuid="b3RoZXI") as other:
        deployment.apply({
            "endpoints": {
                **deployment.endpoints(), "search": {"opensearch": {"addresses": [other.url]}}
            },
            "bridges": {topic: searching.bridge([topic], dead_letter_topic=dead)},
        })
        deployment.wait_until_shown(
            topic, "SOURCE_CHANGED", side="target", says=["addresses"], seconds=20
        )
        retried = deployment.cli("dead-letters", "retry", topic, is_checked=False)
        print(retried)
        written = len(other.bulks)
    searching.apply(topic, [topic], dead_letter_topic=dead)
    searching.client.put_mapping(
        f"logs-{topic}-*", {"n": {"type": "long", "ignore_malformed": True}}
    )
    time.sleep(3)
    deployment.cli("dead-letters", "retry", topic, is_checked=False)
    assert searching.arrived(f"logs-{topic}-*") == 200, "some are in the other cluster only"
    assert not written


# 3 CRITICAL: duplicates, nothing said
@pytest.mark.parametrize("how", ["closed", "filtered"])
def test_what_cannot_be_searched_behind_an_alias_is_not_taken_for_missing(
    searching: Searching, how: str
) -> None:
    topic, deployment, client = unique("hid"), searching.deployment, searching.client
    deployment.make_topics(topic, partitions=4)
    alias = {"filter": {"term": {"level": "none"}}} if how == "filtered" else {}
    name = make_rolling(searching, topic, **alias)
    searching.apply(topic, [topic], index="logs-{topic}")
    relay = deployment.relays["one"]
    with deployment.start_logs([topic], rate=1000) as logs:
        searching.wait_until_more(f"{name}-000001", 1500)
        relay.kill()
        relay.start(failpoints="opensearch.answered=kill:3")
        deployment.wait(lambda: not relay.process.is_running, 60, "the relay dies")
        client.rollover(name)
        if how == "closed":
            client.close_index(f"{name}-000001")
        relay.start(failpoints="none=sleep:0")
        time.sleep(4)
        logs.stop()
    deployment.wait_until_carried(topic, [topic])
    said = deployment.conditions(topic)
    client.open_index(f"{name}-000001")
    time.sleep(2)
    client.refresh()
    source = Source(deployment.oci.java_properties("plaintext"), [topic])
    verdict = check(source, client.documents(f"{name}-0*"))
    assert not verdict.classes, (said, verdict.describe())


# 4 HIGH: a data stream or alias is blocked for good
@pytest.mark.parametrize("is_anew", [False, True], ids=["a row of 25", "one in ten, made again"])
def test_bad_records_do_not_block_a_rolling_index_for_good(
    searching: Searching, is_anew: bool
) -> None:
    """Seen as well, not each time, after a kill of the relay (a data stream, one in ten bad)."""
    topic, deployment = unique("row"), searching.deployment
    deployment.make_topics(topic, partitions=1)
    make_rolling(searching, topic)
    is_bad = [n % 10 == 3 if is_anew else 100 <= n < 125 for n in range(2000)]
    produce(searching, topic, ['{"n":"t"}' if bad else '{"n":1}' for bad in is_bad])
    searching.apply(topic, [topic], index="logs-{topic}")
    deployment.wait_until_carried(topic, [topic], 45)
    if is_anew:
        deployment.cli("delete", "bridge", topic)
        time.sleep(2)
        searching.apply(topic, [topic], index="logs-{topic}")
        deployment.wait_until_carried(topic, [topic], 45)
    bad = frozenset(Key(topic, 0, n) for n, one in enumerate(is_bad) if one)
    assert keys_of(topic, searching.letters(topic)) == bad


# 5 HIGH: the same in a plain index where records are large
@pytest.mark.slow
def test_a_row_of_large_bad_records_does_not_block_for_good(searching: Searching) -> None:
    topic, deployment = unique("bigrow"), searching.deployment
    deployment.make_topics(topic, partitions=1)
    searching.client.put_template(
        topic, [f"logs-{topic}"], mappings={"dynamic": False, **LONG}
    )
    for _ in range(25):
        produce(searching, topic, ['{"n":"t","pad":"%s"}' % ("x" * 900_000)])
    for _ in range(20):
        produce(searching, topic, ['{"n":1}'] * 100)
    searching.apply(topic, [topic], index="logs-{topic}")
    deployment.wait_until_carried(topic, [topic], 150)
    assert len(searching.letters(topic)) == 25


# 6 HIGH: one log line blocks its partition for good
@pytest.mark.parametrize("text", [
    "this cluster currently has [1000]/[1000] maximum normal shards open",
    "pipeline with id [x] does not exist",
])
def test_a_bad_record_may_quote_an_engine(searching: Searching, text: str) -> None:
    topic, deployment = unique("poison"), searching.deployment
    deployment.make_topics(topic, partitions=1)
    searching.client.put_template(topic, [f"logs-{topic}-*"], mappings=LONG)
    values = ['{"n":1}'] * 300
    values[100] = '{"n":"%s"}' % text
    produce(searching, topic, values)
    searching.apply(topic, [topic])
    try:
        deployment.wait_until_carried(topic, [topic], 20)
        assert len(searching.letters(topic)) == 1
    finally:
        deployment.cli("delete", "bridge", topic)


# 7 MEDIUM: one record that a pipeline's script fails at blocks its partition for good
def test_a_record_that_a_script_fails_at_is_a_dead_letter(searching: Searching) -> None:
    topic, deployment = unique("script"), searching.deployment
    deployment.make_topics(topic, partitions=1)
    searching.client.put_pipeline(topic, [{"script": {"source": "ctx.size = ctx.msg.length()"}}])
    searching.client.put_template(
        topic, [f"logs-{topic}-*"], settings={"index.default_pipeline": topic}
    )
    values = ['{"msg":"a"}'] * 200
    values[50] = '{"other":"a"}'
    produce(searching, topic, values)
    searching.apply(topic, [topic])
    try:
        deployment.wait_until_carried(topic, [topic], 20)
    finally:
        deployment.cli("delete", "bridge", topic)
