"""Records that an engine refuses: kept byte for byte, shown with their reason, brought in later."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from deployment import unique
from searching import SECONDS, Searching, keys_of

from rig.search_checker import Key
from rig.strict_bulk_server import StrictBulkServer


@pytest.mark.both_engines
def test_refused_records_are_kept_byte_for_byte(searching: Searching) -> None:
    topic = unique("refused")
    searching.deployment.make_topics(topic, partitions=1)
    searching.client.put_template(
        topic, [f"logs-{topic}-*"], mappings={"properties": {"n": {"type": "long"}}}
    )
    values = [f'{{"n": {number}}}' for number in range(400)]
    bad = {number: f'{{"n": "text {number}"}}' for number in range(7, 400, 40)}
    values = [bad.get(number, value) for number, value in enumerate(values)]
    searching.deployment.oci.admin.produce(
        topic, [{"value": value.encode(), "key": b"\xff", "partition": 0} for value in values]
    )
    searching.apply(topic, [topic])
    searching.deployment.wait_until_carried(topic, [topic])

    letters = searching.letters(topic)
    kept = {int(letter["drawbridge"]["offset"]): letter["value"] for letter in letters}
    assert kept == bad
    assert all(base64.b64decode(letter["key_base64"]) == b"\xff" for letter in letters)
    searching.assert_once([topic], frozenset(Key(topic, 0, number) for number in bad))

    [group] = searching.deployment.cli_json("dead-letters", "list", topic)["groups"]
    assert group["records"] == len(bad), group
    assert "mapper_parsing_exception" in group["error"], group
    assert {letter["drawbridge-error-group"] for letter in letters} == {group["error"]}
    shown = searching.deployment.call("stream.StreamService", "ListDeadLetters", bridge=topic)
    assert [one.records for one in shown.groups] == [len(bad)]
    [stream] = searching.deployment.cli_json("get", "streams", topic)["streams"]
    assert stream["status"]["dead_letters"] == len(bad)


def test_no_more_records_become_dead_letters_than_the_bridge_lets(searching: Searching) -> None:
    topic = unique("limited")
    deployment = searching.deployment
    deployment.make_topics(topic, partitions=1)
    searching.client.put_template(
        topic, [f"logs-{topic}-*"], mappings={"properties": {"n": {"type": "long"}}}
    )
    bad = frozenset(Key(topic, 0, number) for number in range(9, 2000, 10))
    deployment.oci.admin.produce(
        topic,
        [
            {"value": f'{{"n": {n if n % 10 != 9 else "false"}}}'.encode(), "partition": 0}
            for n in range(2000)
        ],
    )
    searching.apply(topic, [topic], dead_letter_max_percent=5)
    deployment.wait_until_shown(
        topic,
        "RECORD_REFUSED",
        side="target",
        says=("more than 5 %", "dead_letter_max_percent"),
        seconds=30,
    )
    # Of those records that had been read by then.
    kept = len(searching.letters(topic))
    assert 20 <= kept <= 100, kept

    searching.apply(topic, [topic], dead_letter_max_percent=20)
    deployment.wait_until_carried(topic, [topic])
    assert keys_of(topic, searching.letters(topic)) == bad
    searching.assert_once([topic], bad)


def refuse_some(searching: Searching, topic: str, count: int, every: int) -> dict[int, str]:
    """Delivers records into an index that refuses some of them: their values by offset."""
    searching.deployment.make_topics(topic, partitions=1)
    searching.client.put_template(
        topic, [f"logs-{topic}-*"], mappings={"properties": {"n": {"type": "long"}}}
    )
    values = [f'{{"n": {number}}}' for number in range(count)]
    bad = {number: f'{{"n": "text {number}"}}' for number in range(7, count, every)}
    searching.deployment.oci.admin.produce(
        topic,
        [{"value": bad.get(n, value).encode(), "partition": 0} for n, value in enumerate(values)],
    )
    searching.apply(topic, [topic])
    searching.deployment.wait_until_carried(topic, [topic])
    assert len(searching.letters(topic)) == len(bad)
    return bad


def mend_mapping(searching: Searching, topic: str) -> None:
    """From now on the indexes of the topic take what they refused."""
    searching.client.put_mapping(
        f"logs-{topic}-*", {"n": {"type": "long", "ignore_malformed": True}}
    )


def test_dead_letters_are_brought_in_when_their_cause_is_mended(searching: Searching) -> None:
    topic = unique("retried")
    bad = refuse_some(searching, topic, count=4000, every=3)
    deployment = searching.deployment

    shown = deployment.cli_json("dead-letters", "show", f"{topic}/{topic}", "--limit", 2)
    assert shown["total"] == len(bad)
    [letter, _] = shown["letters"]
    assert base64.b64decode(letter["value"]).decode() == bad[int(letter["offset"])]
    assert "mapper_parsing_exception" in letter["reason"]
    [group] = deployment.cli_json("dead-letters", "list", topic)["groups"]

    refused = deployment.cli("dead-letters", "retry", topic, is_checked=False)
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert f"{len(bad):,} refused again" in refused.stdout
    searching.assert_once([topic], frozenset(Key(topic, 0, number) for number in bad))
    attempts = {int(letter["drawbridge-error-attempts"]) for letter in searching.letters(topic)}
    assert attempts == {2}

    mend_mapping(searching, topic)
    other = deployment.cli("dead-letters", "retry", topic, "--reason", "of no group")
    assert other.stdout == "0 brought in\n"
    retried = deployment.cli("dead-letters", "retry", topic, "--reason", group["error"])
    assert retried.stdout == f"{len(bad):,} brought in\n"
    assert not searching.letters(topic)
    searching.assert_once([topic])
    [group] = deployment.cli_json("dead-letters", "list", topic)["groups"]
    assert (group["records"], group["retried"]) == (len(bad), len(bad))
    [stream] = deployment.cli_json("get", "streams", topic)["streams"]
    assert stream["status"].get("dead_letters", 0) == 0


def test_letters_are_counted_once_when_their_bridge_is_made_anew(searching: Searching) -> None:
    topic = unique("anew")
    bad = refuse_some(searching, topic, count=400, every=40)
    deployment = searching.deployment
    deployment.cli("delete", "bridge", topic)
    searching.apply(topic, [topic])
    deployment.wait_until_carried(topic, [topic])

    assert len(searching.letters(topic)) == len(bad)
    [group] = deployment.cli_json("dead-letters", "list", topic)["groups"]
    assert (group["records"], group.get("retried", 0)) == (len(bad), 0)

    mend_mapping(searching, topic)
    assert deployment.cli("dead-letters", "retry", topic).stdout == f"{len(bad)} brought in\n"
    [group] = deployment.cli_json("dead-letters", "list", topic)["groups"]
    assert (group["records"], group["retried"]) == (len(bad), len(bad))
    searching.assert_once([topic])


def test_dead_letters_in_a_topic_are_kept_and_brought_in(searching: Searching) -> None:
    """In a topic of the source's cluster: each record as it came, and why."""
    topic, dead = unique("posted"), unique("dead")
    deployment, admin = searching.deployment, searching.deployment.oci.admin
    deployment.make_topics(topic, partitions=1)
    searching.client.put_template(
        topic, [f"logs-{topic}-*"], mappings={"properties": {"n": {"type": "long"}}}
    )
    bad = {number: f'{{"n": "text {number}"}}'.encode() for number in range(7, 4000, 4)}
    first_ms = int(time.time() * 1000) - 3_600_000
    admin.produce(
        topic,
        [
            {
                "value": bad.get(number, f'{{"n": {number}}}'.encode()),
                "key": b"\xff",
                "headers": [["own", b"\x00"], ["own", None]],
                "timestamp": first_ms + number,
                "partition": 0,
            }
            for number in range(4000)
        ],
    )
    searching.apply(topic, [topic], dead_letter_topic=dead)
    deployment.wait_until_carried(topic, [topic])

    searching.assert_once([topic], frozenset(Key(topic, 0, number) for number in bad))
    assert not searching.letters(topic), "and in no index"
    posted = admin.read(dead)
    assert len(posted) == len(bad)
    for record in posted:
        told = dict(record.headers)
        number = int(told["drawbridge-error-offset"])
        assert record.value == bad[number]
        assert (record.key, record.timestamp) == (b"\xff", first_ms + number)
        assert record.headers[:2] == [("own", b"\x00"), ("own", None)]
        assert b"mapper_parsing_exception" in told["drawbridge-error-reason"]
    settings = admin.describe_configs(dead)
    assert settings["retention.ms"] == "-1", "what is old is kept as well"

    shown = deployment.cli_json("dead-letters", "show", f"{topic}/{topic}", "--limit", 2)
    assert shown["total"] == len(bad)
    assert base64.b64decode(shown["letters"][0]["value"]) == bad[int(shown["letters"][0]["offset"])]
    refused = deployment.cli("dead-letters", "retry", topic, is_checked=False)
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert f"{len(bad):,} refused again" in refused.stdout

    mend_mapping(searching, topic)
    [group] = deployment.cli_json("dead-letters", "list", topic)["groups"]
    retried = deployment.cli("dead-letters", "retry", topic, "--reason", group["error"])
    assert retried.stdout == f"{len(bad):,} brought in\n"
    searching.assert_once([topic])
    [group] = deployment.cli_json("dead-letters", "list", topic)["groups"]
    assert (group["records"], group["retried"]) == (len(bad), len(bad))
    assert deployment.cli_json("dead-letters", "show", topic).get("total", 0) == 0
    assert deployment.cli("dead-letters", "retry", topic).stdout == "0 brought in\n"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"retention.ms": 60_000}, "retention.ms to -1"),
        ({"retention.bytes": 1_000_000}, "retention.bytes to -1"),
        ({"cleanup.policy": "compact"}, "cleanup.policy to delete"),
    ],
    ids=["by time", "by size", "by key"],
)
def test_a_topic_that_would_not_keep_dead_letters_is_named(
    searching: Searching, settings: dict[str, Any], says: str
) -> None:
    topic, dead = unique("unkept"), unique("dead")
    deployment = searching.deployment
    deployment.make_topics(topic)
    deployment.write_logs([topic], 100)
    deployment.oci.admin.create_topic(dead, 1, configs=settings)
    searching.apply(topic, [topic], dead_letter_topic=dead)
    try:
        deployment.wait_until_shown(
            topic, "GUARANTEE_UNSUPPORTED", side="target", says=[dead, says], seconds=SECONDS
        )
        assert searching.arrived(f"logs-{topic}-*") == 0
    finally:
        deployment.cli("delete", "bridge", topic)


def test_a_retry_of_dead_letters_loses_none_to_an_engine_that_goes_away(
    searching: Searching,
) -> None:
    topic = unique("unfinished")
    refuse_some(searching, topic, count=60, every=5)
    mend_mapping(searching, topic)
    searching.engine.terminate()
    retried = searching.deployment.cli("dead-letters", "retry", topic, is_checked=False)
    assert retried.returncode == 1 and "search" in retried.stderr, retried.stderr
    searching.engine.restart()

    assert searching.deployment.cli("dead-letters", "retry", topic).returncode == 0
    searching.assert_once([topic])


def test_what_is_counted_together_is_not_asked_for_apart(searching: Searching) -> None:
    topic = unique("others")
    searching.deployment.make_topics(topic)
    searching.apply(topic, [topic])
    for verb in ("show", "retry"):
        refused = searching.deployment.cli(
            "dead-letters", verb, topic, "--reason", "other errors", is_checked=False
        )
        assert refused.returncode == 1 and "leave it out" in refused.stderr, refused.stderr


def test_letters_of_a_topic_that_never_was_are_not_found(searching: Searching) -> None:
    topic = unique("known")
    searching.deployment.make_topics(topic)
    searching.produce(topic, ['{"n": 1}'])
    searching.apply(topic, [topic])
    searching.deployment.wait_until_carried(topic, [topic])
    for verb in ("list", "show", "retry"):
        known = searching.deployment.cli("dead-letters", verb, f"{topic}/{topic}")
        assert known.returncode == 0, known.stderr
        unknown = searching.deployment.cli("dead-letters", verb, f"{topic}/typo", is_checked=False)
        assert unknown.returncode == 1 and "NOT_FOUND" in unknown.stderr, unknown.stderr
        nobody = searching.deployment.cli("dead-letters", verb, "/", is_checked=False)
        assert nobody.returncode == 2 and "FIELD_INVALID" in nobody.stderr, nobody.stderr


def test_dead_letters_are_of_bridges_into_engines(searching: Searching) -> None:
    deployment = searching.deployment
    topic = unique("kafka")
    deployment.make_topics(topic)
    deployment.apply_bridge(topic, [topic])
    for verb in ("show", "retry"):
        refused = deployment.cli("dead-letters", verb, topic, is_checked=False)
        assert refused.returncode == 1 and "no dead letters" in refused.stderr, refused.stderr
        unknown = deployment.cli("dead-letters", verb, "typo", is_checked=False)
        assert unknown.returncode == 1 and "typo" in unknown.stderr, unknown.stderr


# So many of a partition are bad records, and one more is a storm.
BEFORE_A_STORM = 19


def test_no_record_is_written_off_when_all_are_refused(searching: Searching) -> None:
    topic = unique("storm")
    searching.deployment.make_topics(topic, partitions=1)
    index = f"logs-{topic}"
    searching.client.create_index(index, mappings={"properties": {"n": {"type": "long"}}})
    searching.deployment.oci.admin.produce(
        topic, [{"value": f'{{"n": "text {n}"}}'.encode(), "partition": 0} for n in range(500)]
    )
    searching.apply(topic, [topic], index="logs-{topic}")
    searching.deployment.wait_until_shown(
        topic, "RECORD_REFUSED", side="target", says=["none is written off"], seconds=SECONDS
    )
    assert len(searching.letters(topic)) <= BEFORE_A_STORM


@pytest.mark.both_engines
def test_no_record_is_written_off_for_a_pipeline_that_quotes_each(searching: Searching) -> None:
    """Each reason is another one, and all have one cause."""
    topic = unique("grok")
    searching.deployment.make_topics(topic, partitions=1)
    grok = {"field": "message", "patterns": ["^%{IP:address} %{WORD:verb}$"]}
    searching.client.put_pipeline(topic, [{"grok": grok}])
    searching.client.put_template(
        topic, [f"logs-{topic}-*"], settings={"index.default_pipeline": topic}
    )
    searching.deployment.oci.admin.produce(
        topic, [{"value": f"[{n}] a line of {n}".encode(), "partition": 0} for n in range(500)]
    )
    searching.apply(topic, [topic])
    searching.deployment.wait_until_shown(
        topic, "RECORD_REFUSED", side="target", says=["none is written off"], seconds=SECONDS
    )
    letters = searching.letters(topic)
    assert len(letters) <= BEFORE_A_STORM
    assert len({letter["drawbridge-error-group"] for letter in letters}) <= 1

    searching.client.put_pipeline(topic, [])
    searching.deployment.wait_until_carried(topic, [topic], 120)
    searching.assert_once([topic], keys_of(topic, searching.letters(topic)))


@pytest.mark.both_engines
def test_bad_records_side_by_side_are_kept_and_hold_nobody_up(searching: Searching) -> None:
    """More of them in a row than a storm needs: at the start of a log, and in its midst."""
    topic, deployment = unique("row"), searching.deployment
    deployment.make_topics(topic, partitions=2)
    searching.client.put_template(
        topic, [f"logs-{topic}-*"], mappings={"properties": {"n": {"type": "long"}}}
    )
    good = [f'{{"n": {number}}}' for number in range(1000)]
    bad = [f'{{"n": "text {number}"}}' for number in range(150)]
    for partition, values in enumerate([bad + good, good + bad + good]):
        deployment.oci.admin.produce(
            topic, [{"value": value.encode(), "partition": partition} for value in values]
        )
    searching.apply(topic, [topic])
    deployment.wait_until_carried(topic, [topic], 120)

    letters = searching.letters(topic)
    assert sorted(letter["value"] for letter in letters) == sorted(2 * bad)
    searching.assert_once([topic], keys_of(topic, letters))


GOOD, WRONG = '{"n": 1}', '{"n": "text"}'


@pytest.mark.both_engines
@pytest.mark.parametrize("is_anew", [False, True], ids=["a row of 25", "one in ten, made again"])
def test_bad_records_do_not_block_a_name_that_rolls_over(
    searching: Searching, is_anew: bool
) -> None:
    topic, deployment = unique("rolling"), searching.deployment
    deployment.make_topics(topic, partitions=1)
    name = searching.make_rolling(topic)
    values = [
        WRONG if (n % 10 == 3 if is_anew else 100 <= n < 125) else GOOD for n in range(1000)
    ]
    searching.produce(topic, values)
    for _ in range(2 if is_anew else 1):
        searching.apply(topic, [topic], index="logs-{topic}")
        deployment.wait_until_carried(topic, [topic], 60)
        if is_anew:
            deployment.cli("delete", "bridge", topic)
            searching.client.rollover(name)
    letters = searching.letters(topic)
    assert len(letters) == values.count(WRONG)
    searching.assert_once([topic], keys_of(topic, letters), pattern=f"{name}-0*")


@pytest.mark.slow
def test_large_bad_records_side_by_side_do_not_block_for_good(searching: Searching) -> None:
    """Of which a fetch holds one or two."""
    topic, deployment = unique("large"), searching.deployment
    deployment.make_topics(topic, partitions=1)
    searching.client.put_template(
        topic, [f"logs-{topic}-*"], mappings={"properties": {"n": {"type": "long"}}}
    )
    padding = "x" * 900_000
    for _ in range(25):
        searching.produce(topic, [f'{{"n": "text", "text": "{padding}"}}'])
    searching.produce(topic, [GOOD] * 500)
    searching.apply(topic, [topic])
    deployment.wait_until_carried(topic, [topic], 120)
    assert len(searching.letters(topic)) == 25


@pytest.mark.both_engines
@pytest.mark.parametrize(
    "text",
    ["this cluster currently has [1000]/[1000] maximum normal shards open",
     "pipeline with id [logs] does not exist"],
    ids=["shards", "pipeline"],
)
def test_a_bad_record_may_quote_an_engine(searching: Searching, text: str) -> None:
    """As the logs of an engine do."""
    topic, deployment = unique("quote"), searching.deployment
    deployment.make_topics(topic, partitions=1)
    searching.client.put_template(
        topic, [f"logs-{topic}-*"], mappings={"properties": {"n": {"type": "long"}}}
    )
    searching.produce(topic, [GOOD] * 100 + [json.dumps({"n": text})] + [GOOD] * 100)
    searching.apply(topic, [topic])
    deployment.wait_until_carried(topic, [topic], 60)
    assert [letter["drawbridge"]["offset"] for letter in searching.letters(topic)] == ["100"]


def test_a_record_that_a_script_fails_at_is_a_dead_letter(searching: Searching) -> None:
    topic, deployment = unique("script"), searching.deployment
    deployment.make_topics(topic, partitions=1)
    searching.client.put_pipeline(
        topic, [{"script": {"source": "ctx.size = ctx.message.length()"}}]
    )
    searching.client.put_template(
        topic, [f"logs-{topic}-*"], settings={"index.default_pipeline": topic}
    )
    line = '{"message": "x"}'
    searching.produce(topic, [line] * 100 + [GOOD] + [line] * 99)
    searching.apply(topic, [topic])
    deployment.wait_until_carried(topic, [topic], 60)
    assert len(searching.letters(topic)) == 1


def test_a_retry_writes_into_no_other_cluster(searching: Searching) -> None:
    topic, dead, deployment = unique("retried"), unique("dead"), searching.deployment
    deployment.make_topics(topic, partitions=1)
    searching.client.put_template(
        topic, [f"logs-{topic}-*"], mappings={"properties": {"n": {"type": "long"}}}
    )
    searching.produce(topic, [WRONG if n % 10 == 7 else GOOD for n in range(100)])
    searching.apply(topic, [topic], dead_letter_topic=dead)
    deployment.wait_until_carried(topic, [topic])
    with StrictBulkServer(cluster_uuid="b3RoZXI") as other:
        elsewhere = {"opensearch": {"addresses": [other.url]}}
        deployment.apply({
            "endpoints": {**deployment.endpoints(), "search": elsewhere},
            "bridges": {topic: searching.bridge([topic], dead_letter_topic=dead)},
        })
        refused = deployment.cli("dead-letters", "retry", topic, is_checked=False)
        assert refused.returncode != 0 and "correct the endpoint" in refused.stderr, refused.stderr
        assert not other.bulks
    searching.apply(topic, [topic], dead_letter_topic=dead)
    [group] = deployment.cli_json("dead-letters", "list", topic)["groups"]
    assert group["records"] == 10, group


@pytest.mark.both_engines
def test_what_a_pipeline_throws_away_is_counted(searching: Searching) -> None:
    topic, deployment = unique("dropped"), searching.deployment
    deployment.make_topics(topic, partitions=1)
    searching.client.put_pipeline(topic, [{"drop": {"if": "ctx.n % 10 == 0"}}])
    searching.client.put_template(
        topic, [f"logs-{topic}-*"], settings={"index.default_pipeline": topic}
    )
    deployment.oci.admin.produce(
        topic, [{"value": f'{{"n": {n}}}'.encode(), "partition": 0} for n in range(100)]
    )
    searching.apply(topic, [topic])
    deployment.wait_until_carried(topic, [topic], 60)

    assert searching.arrived(f"logs-{topic}-*") == 90
    [group] = deployment.cli_json("dead-letters", "list", topic)["groups"]
    assert group["records"] == 10 and "pipeline" in group["error"], group


def test_an_index_that_hides_dead_letters_is_named(searching: Searching) -> None:
    """As the next letter makes it, when somebody has deleted it."""
    topic, index = unique("hidden"), unique("hiding")
    searching.deployment.make_topics(topic, partitions=1)
    searching.client.create_index(
        index, mappings={"properties": {"drawbridge-error-bridge": {"type": "text"}}}
    )
    searching.apply(topic, [topic], dead_letter_index=index)
    searching.deployment.wait_until_shown(
        topic, "BROKER_ERROR", side="target", says=[index, "_reindex"], seconds=SECONDS
    )
    for verb in ("show", "retry"):
        refused = searching.deployment.cli("dead-letters", verb, topic, is_checked=False)
        assert refused.returncode != 0 and "_reindex" in refused.stderr, refused.stderr


# What an index of these fields refuses, and takes when it is told to ignore what is malformed.
KINDS = {"n": "long", "at": "date", "from": "ip", "small": "short", "ratio": "float"}
BAD = {"n": "text", "at": "yesterday", "from": "nowhere", "small": 70_000, "ratio": "much"}


@pytest.mark.slow
def test_ten_thousand_bad_records_of_a_million_are_kept_and_brought_in(
    searching: Searching,
) -> None:
    topic = unique("kinds")
    records_wanted, every = 1_000_000, 100
    deployment = searching.deployment
    deployment.make_topics(topic, partitions=4)
    properties = {name: {"type": kind} for name, kind in KINDS.items()}
    searching.client.put_template(
        topic, [f"logs-{topic}-*"], mappings={"dynamic": False, "properties": properties}
    )
    bad: dict[str, str] = {}
    for first in range(0, records_wanted, 20_000):
        batch = []
        for number in range(first, first + 20_000):
            record: dict[str, Any] = {"number": number}
            if number % every == 0:
                field = list(BAD)[number // every % len(BAD)]
                record[field] = BAD[field]
                bad[json.dumps(record)] = field
            batch.append({"value": json.dumps(record).encode(), "partition": number // every % 4})
        deployment.oci.admin.produce(topic, batch)
    searching.apply(topic, [topic])
    deployment.wait_until_carried(topic, [topic], 900)

    letters = searching.letters(topic)
    assert sorted(letter["value"] for letter in letters) == sorted(bad)
    for letter in letters:
        assert f"[{bad[letter['value']]}]" in letter["drawbridge-error-reason"], letter
    groups = deployment.cli_json("dead-letters", "list", topic)["groups"]
    assert sum(group["records"] for group in groups) == len(bad)
    assert len({group["error"] for group in groups}) >= len(KINDS)
    searching.assert_once([topic], keys_of(topic, letters))

    for name, kind in KINDS.items():
        searching.client.put_mapping(
            f"logs-{topic}-*", {name: {"type": kind, "ignore_malformed": True}}
        )
    retried = deployment.cli("dead-letters", "retry", topic, seconds=300)
    assert retried.stdout == f"{len(bad):,} brought in\n"
    assert not searching.letters(topic)
    searching.assert_once([topic])
