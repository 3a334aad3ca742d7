"""Records into real OpenSearch and real Elasticsearch: each is there once, whatever dies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from deployment import library_of, numbers, program, unique
from searching import SECONDS, Searching

from rig.search_checker import Source, cluster_key

# What a log stream holds beside well-formed objects.
ODD_VALUES: list[bytes | None] = [
    b"plain text", b"", None, b"[1,2]", b"7", b'"text"', b'{"a": 1,', b"line\nline", b"\xff\xfe{}",
    b'{\r\n  "pretty": {\n    "printed": true\n  }\n}', b"{}",
    b'{"@timestamp": "2020-01-01T00:00:00Z", "own": true}',
    b'{"create": {"_index": "other"}}\n{"create": {}}', '{"ü": "日本"}'.encode(),
]


# What is delivered


@pytest.mark.both_engines
def test_every_record_is_there_once(searching: Searching) -> None:
    topic = unique("odd")
    searching.deployment.make_topics(topic)
    searching.deployment.oci.admin.produce(topic, [{"value": value} for value in ODD_VALUES])
    searching.apply(topic, [topic])
    searching.deployment.wait_until_carried(topic, [topic])
    searching.assert_once([topic])
    assert not searching.letters(topic)


def test_a_killed_relay_repeats_nothing(searching: Searching) -> None:
    topic = unique("killed")
    searching.deployment.make_topics(topic, partitions=4)
    searching.apply(topic, [topic])
    relay = searching.deployment.relays["one"]
    with searching.deployment.start_logs([topic], rate=1000) as logs:
        for _ in range(3):
            searching.wait_until_more(f"logs-{topic}-*", 1500)
            relay.kill()
            relay.start(failpoints="none=sleep:0")
        logs.stop()
    searching.deployment.wait_until_carried(topic, [topic])
    searching.assert_once([topic])


def make_rolling(searching: Searching, topic: str) -> str:
    """A name with several indexes behind it: a data stream, or an alias where there are none."""
    name = f"logs-{topic}"
    if searching.client.version().get("distribution") == "opensearch":
        searching.client.put_template(topic, [name], is_data_stream=True)
        return name
    first = f"{name}-000001"
    searching.client.create_index(first)
    alias = {"index": first, "alias": name, "is_write_index": True}
    searching.client.call("POST", "_aliases", {"actions": [{"add": alias}]})
    return name


@pytest.mark.both_engines
def test_a_rollover_repeats_nothing(searching: Searching) -> None:
    topic = unique("rolled")
    deployment = searching.deployment
    deployment.make_topics(topic, partitions=4)
    name = make_rolling(searching, topic)
    searching.apply(topic, [topic], index="logs-{topic}")
    relay = deployment.relays["one"]
    with deployment.start_logs([topic], rate=1000) as logs:
        for turn in range(4):
            searching.wait_until_more(name, 1500)
            relay.kill()
            # The next one dies when the engine has confirmed what the server does not know of.
            relay.start(failpoints=f"opensearch.answered=kill:{2 + turn}")
            deployment.wait(lambda: not relay.process.is_running, 60, "the relay dies")
            searching.client.rollover(name)
            relay.start(failpoints="none=sleep:0")
        logs.stop()
    deployment.wait_until_carried(topic, [topic])
    searching.assert_once([topic], pattern=name)


def die_before_a_rollover(searching: Searching, name: str) -> None:
    """The relay dies with requests that nobody knows the outcome of, and the name rolls over."""
    relay = searching.deployment.relays["one"]
    searching.wait_until_more(f"{name}-000001", 1500)
    relay.kill()
    relay.start(failpoints="opensearch.answered=kill:3")
    searching.deployment.wait(lambda: not relay.process.is_running, 60, "the relay dies")
    searching.client.rollover(name)


def test_what_an_alias_hides_is_not_taken_for_missing(searching: Searching) -> None:
    topic, deployment = unique("filtered"), searching.deployment
    deployment.make_topics(topic, partitions=4)
    name = searching.make_rolling(topic, filter={"term": {"level": "none"}})
    searching.apply(topic, [topic], index="logs-{topic}")
    with deployment.start_logs([topic], rate=1000) as logs:
        die_before_a_rollover(searching, name)
        deployment.relays["one"].start(failpoints="none=sleep:0")
        searching.wait_until_more(f"{name}-000002", 500)
        logs.stop()
    deployment.wait_until_carried(topic, [topic])
    searching.assert_once([topic], pattern=f"{name}-0*")


@pytest.mark.both_engines
def test_an_index_that_is_closed_is_waited_for(searching: Searching) -> None:
    topic, deployment = unique("closed"), searching.deployment
    deployment.make_topics(topic, partitions=4)
    name = searching.make_rolling(topic)
    searching.apply(topic, [topic], index="logs-{topic}")
    with deployment.start_logs([topic], rate=1000) as logs:
        die_before_a_rollover(searching, name)
        searching.client.close_index(f"{name}-000001")
        deployment.relays["one"].start(failpoints="none=sleep:0")
        deployment.wait_until_shown(
            topic, "BROKER_ERROR", side="target", says=[f"{name}-000001", "open it"],
            seconds=SECONDS + 15,
        )
        logs.stop()
    searching.client.open_index(f"{name}-000001")
    deployment.wait_until_carried(topic, [topic])
    searching.assert_once([topic], pattern=f"{name}-0*")


@pytest.mark.slow
def test_a_million_records_are_there_once_whatever_dies(searching: Searching) -> None:
    topic = unique("million")
    records_wanted, kills, stops = 1_000_000, 20, 3
    deployment = searching.deployment
    deployment.make_topics(topic, partitions=8)
    name = make_rolling(searching, topic)
    searching.apply(topic, [topic], index="logs-{topic}")
    relay = deployment.relays["one"]
    with deployment.start_logs([topic], rate=20_000, count=records_wanted) as logs:
        for kill in range(1, kills + 1):
            wanted = kill * records_wanted // (kills + 2)
            deployment.wait(
                lambda wanted=wanted: searching.arrived(name) >= wanted, 300, "more arrive"
            )
            relay.kill()
            if kill % 2 == 0:
                relay.start(failpoints="opensearch.answered=kill:5")
                deployment.wait(lambda: not relay.process.is_running, 60, "the relay dies")
            if kill % 4 == 0:
                searching.client.rollover(name)
            if kill % (kills // stops) == 0:
                searching.engine.terminate()
                relay.start(failpoints="none=sleep:0")
                deployment.wait_until_shown(
                    topic, "UNREACHABLE", side="target", says=["search"], seconds=SECONDS + 30
                )
                searching.engine.restart()
            else:
                relay.start(failpoints="none=sleep:0")
        logs.wait(600)
    deployment.wait_until_carried(topic, [topic], 900)
    searching.assert_once([topic], pattern=name)
    assert searching.arrived(name) == records_wanted
    assert not searching.letters(topic)


def test_an_engine_that_was_away_gets_everything(searching: Searching) -> None:
    topic = unique("away")
    searching.deployment.make_topics(topic)
    searching.apply(topic, [topic])
    searching.deployment.write_logs([topic], 500)
    searching.deployment.wait_until_carried(topic, [topic])
    searching.engine.terminate()
    searching.deployment.write_logs([topic], 500)
    searching.deployment.wait_until_shown(
        topic, "UNREACHABLE", side="target", says=["search"], seconds=SECONDS + 10
    )
    searching.engine.restart()
    searching.deployment.wait_until_carried(topic, [topic])
    searching.assert_once([topic])


def test_ids_name_the_cluster(searching: Searching) -> None:
    topic = unique("ids")
    searching.deployment.make_topics(topic, partitions=1)
    searching.deployment.oci.admin.produce(topic, [{"value": b"{}", "partition": 0}])
    searching.apply(topic, [topic])
    searching.deployment.wait_until_carried(topic, [topic])
    searching.client.refresh()
    [document] = searching.client.documents(f"logs-{topic}-*")
    source = Source(searching.deployment.oci.java_properties("plaintext"), [topic])
    list(source)
    assert document.id == f"{cluster_key(source.cluster_id)}:1:{topic}:0:0"


# What bad definitions get


@pytest.mark.parametrize(
    ("changes", "reason", "says"),
    [
        ({"addresses": ["https://127.0.0.1:1"]}, "UNREACHABLE", ["firewalls"]),
        ({"ca": "foreign"}, "TLS_UNTRUSTED", ["CA"]),
        ({"credential": "wrong"}, "AUTHENTICATION_FAILED", ["credential"]),
    ],
    ids=["address", "ca", "password"],
)
def test_an_engine_that_does_not_let_us_in_is_named(
    searching: Searching, changes: dict[str, Any], reason: str, says: list[str]
) -> None:
    name = unique("mistake")
    deployment = searching.deployment
    deployment.make_topics(name)
    deployment.set_credential("wrong", "basic", user="drawbridge", password="not it")
    if changes.get("ca"):
        changes = {"ca": str(searching.engine.certificates.foreign_root)}
    bridge = searching.bridge([name])
    bridge["target"]["endpoint"] = name
    deployment.apply({
        "endpoints": {**deployment.endpoints(), name: searching.endpoint(**changes)},
        "bridges": {name: bridge},
    })
    try:
        deployment.wait_until_shown(name, reason, side="target", says=says, seconds=SECONDS)
        tested = deployment.cli("-o", "json", "endpoint", "test", name, is_checked=False)
        assert tested.returncode == 1, tested
        failed = [row for row in json.loads(tested.stdout)["checks"] if not row["ok"]]
        assert [row["reason"] for row in failed] == [reason], failed
    finally:
        deployment.cli("delete", "bridge", name)


def test_what_is_no_engine_is_named(searching: Searching) -> None:
    deployment = searching.deployment
    port = deployment.oci.bootstrap("plaintext")[0].rpartition(":")[2]
    deployment.apply({
        "endpoints": {
            "kafka-port": {"opensearch": {"addresses": [f"http://127.0.0.1:{port}"]}},
            "good": searching.endpoint(),
        }
    })
    bad = deployment.cli("endpoint", "test", "kafka-port", is_checked=False)
    assert bad.returncode == 1 and "check the address" in bad.stdout, bad
    good = deployment.cli("endpoint", "test", "good")
    assert "we may create documents" in good.stdout, good.stdout


@pytest.mark.both_engines
def test_a_topic_that_was_made_anew_is_carried_beside_what_it_was(searching: Searching) -> None:
    """As `SOURCE_CHANGED` says: out of its bridge, and into one of its own, to the same index."""
    topic = unique("anew")
    deployment, admin = searching.deployment, searching.deployment.oci.admin
    index = {"index": "logs-{topic}"}
    deployment.make_topics(topic, partitions=1)
    admin.produce(topic, [{"value": b'{"life":"old"}', "partition": 0} for _ in range(100)])
    searching.apply(topic, [topic], **index)
    deployment.wait_until_carried(topic, [topic])
    admin.delete_topic(topic)
    deployment.wait(lambda: topic not in admin.list_topics(), 30, "the topic is gone")
    deployment.make_topics(topic, partitions=1)
    admin.produce(topic, [{"value": b'{"life":"new"}', "partition": 0} for _ in range(60)])
    deployment.wait_until_shown(
        topic, "SOURCE_CHANGED", side="source", says=["give it one of its own"], seconds=60
    )

    other = unique("other")
    deployment.make_topics(other)
    bridges = {
        topic: searching.bridge([other], **index),
        f"{topic}-anew": searching.bridge([topic], **index),
    }
    deployment.apply(
        {
            "endpoints": {**deployment.endpoints(), "search": searching.endpoint()},
            "bridges": bridges,
        }
    )
    deployment.wait_until_carried(f"{topic}-anew", [topic])
    searching.client.refresh()
    lives = [document.source["life"] for document in searching.client.documents(f"logs-{topic}")]
    assert (lives.count("old"), lives.count("new")) == (100, 60)


def test_a_topic_that_was_made_anew_while_nobody_carried_it_is_carried(
    searching: Searching,
) -> None:
    """By a bridge that was deleted and made again, into the same index."""
    version = library_of(program("drawbridge-relay"))
    if numbers(version) < (2, 3):
        pytest.skip(f"librdkafka {version} knows nothing of topics' ids")
    topic = unique("meanwhile")
    deployment, admin = searching.deployment, searching.deployment.oci.admin
    for life, count in {"old": 100, "new": 60}.items():
        deployment.make_topics(topic, partitions=1)
        value = json.dumps({"life": life}).encode()
        admin.produce(topic, [{"value": value, "partition": 0} for _ in range(count)])
        searching.apply(topic, [topic], index="logs-{topic}")
        deployment.wait_until_carried(topic, [topic])
        deployment.cli("delete", "bridge", topic)
        admin.delete_topic(topic)
        deployment.wait(lambda: topic not in admin.list_topics(), 30, "the topic is gone")
    searching.client.refresh()
    lives = [document.source["life"] for document in searching.client.documents(f"logs-{topic}")]
    assert (lives.count("old"), lives.count("new")) == (100, 60)


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ({"index": "{topic}"}, "index"),
        ({"index": "logs-{field}"}, "index"),
        ({"index": "Logs"}, "index"),
        ({"topic": "x"}, "topic"),
        ({"compression": "zstd"}, "compression"),
        ({"dead_letter_index": "dead-{topic}"}, "dead_letter_index"),
        ({"dead_letter_topic": "audit"}, "dead_letter_topic"),
        ({"dead_letter_max_percent": -1}, "dead_letter_max_percent"),
        ({"dead_letter_max_percent": 101}, "dead_letter_max_percent"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(
    searching: Searching, target: dict[str, Any], field: str
) -> None:
    definitions = {
        "endpoints": {**searching.deployment.endpoints(), "search": searching.endpoint()},
        "bridges": {"senseless": searching.bridge(["audit"], **target)},
    }
    refused = searching.deployment.apply(definitions, is_checked=False)
    assert refused.returncode != 0, refused
    assert f"target.{field}" in refused.stderr, refused.stderr


def test_an_engine_is_no_source(searching: Searching) -> None:
    definitions = {
        "endpoints": {**searching.deployment.endpoints(), "search": searching.endpoint()},
        "bridges": {
            "back": {
                "source": {"endpoint": "search", "topics": ["audit"]},
                "target": {"endpoint": "aws"},
            }
        },
    }
    refused = searching.deployment.apply(definitions, is_checked=False)
    assert refused.returncode != 0 and "source.endpoint" in refused.stderr, refused
