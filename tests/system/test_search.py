"""Records into real OpenSearch and real Elasticsearch: each once, and the refused ones kept."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from deployment import Deployment, unique

from rig.access import ClusterAccess
from rig.search_checker import Key, Source, check, cluster_key
from rig.search_client import SearchClient, SearchError
from rig.search_engine import ELASTICSEARCH, OPENSEARCH, SearchEngine

# From the mistake to its name, on a busy machine.
SECONDS = 15
LETTERS = "drawbridge-dead-letters"

# What a log stream holds beside well-formed objects.
ODD_VALUES: list[bytes | None] = [
    b"plain text", b"", None, b"[1,2]", b"7", b'"text"', b'{"a": 1,', b"line\nline", b"\xff\xfe{}",
    b'{\r\n  "pretty": {\n    "printed": true\n  }\n}', b"{}",
    b'{"@timestamp": "2020-01-01T00:00:00Z", "own": true}',
    b'{"create": {"_index": "other"}}\n{"create": {}}', '{"ü": "日本"}'.encode(),
]


class Searching:
    """A deployment with an engine as a further endpoint, and a way to judge what is in it."""

    def __init__(self, deployment: Deployment, engine: SearchEngine) -> None:
        self.deployment = deployment
        self.engine = engine
        self.client: SearchClient = engine.client
        user, password = next(iter(engine.credentials.users.items()))
        deployment.set_credential("search-user", "basic", user=user, password=password)

    def endpoint(self, **changes: Any) -> dict[str, Any]:
        return {
            "opensearch": {
                "addresses": [self.engine.url],
                "ca": str(self.engine.certificates.root),
                "credential": "search-user",
                **changes,
            }
        }

    def bridge(self, topics: list[str], **target: Any) -> dict[str, Any]:
        return {
            "source": {"endpoint": "oci", "topics": topics},
            "target": {"endpoint": "search", "index": "logs-{topic}-{+yyyy.MM}", **target},
        }

    def apply(self, name: str, topics: list[str], **target: Any) -> None:
        self.deployment.apply({
            "endpoints": {**self.deployment.endpoints(), "search": self.endpoint()},
            "bridges": {name: self.bridge(topics, **target)},
        })

    def assert_once(
        self,
        topics: list[str],
        elsewhere: frozenset[Key] = frozenset(),
        *,
        pattern: str | None = None,
    ) -> None:
        """All records of the topics are there once, but for those that are dead letters."""
        self.client.refresh()
        pattern = pattern or ",".join(f"logs-{topic}-*" for topic in topics)
        source = Source(self.deployment.oci.java_properties("plaintext"), topics)
        verdict = check(source, self.client.documents(pattern), elsewhere=elsewhere)
        verdict.assert_clean()

    def letters(self, topic: str) -> list[dict[str, Any]]:
        """The dead letters of a topic that are in the index of them."""
        self.client.refresh()
        if not self.client.index_exists(LETTERS):
            return []
        return [
            document.source
            for document in self.client.documents(LETTERS)
            if document.source["drawbridge"]["topic"] == topic
        ]


# What both engines show in every check; the rest runs on Elasticsearch among what takes longer.
ON_BOTH = {
    "test_every_record_is_there_once",
    "test_refused_records_are_kept_byte_for_byte",
    "test_a_rollover_repeats_nothing",
    "test_no_record_is_written_off_for_a_full_disk",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs each test on both engines."""
    if "engine" not in metafunc.fixturenames:
        return
    marks = [] if metafunc.function.__name__ in ON_BOTH else [pytest.mark.slow]
    engines = [OPENSEARCH, pytest.param(ELASTICSEARCH, marks=marks)]
    metafunc.parametrize("engine", engines, indirect=True, scope="module")


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> Iterator[SearchEngine]:
    with SearchEngine(request.param) as engine:
        yield engine


@pytest.fixture(scope="module")
def searching(
    tmp_path_factory: pytest.TempPathFactory,
    oci_cluster: ClusterAccess,
    aws_cluster: ClusterAccess,
    engine: SearchEngine,
) -> Iterator[Searching]:
    """One deployment for all that need none of their own; each test has names of its own."""
    folder = tmp_path_factory.mktemp("search")
    deployment = Deployment(folder, oci_cluster, aws_cluster)
    try:
        deployment.start_server()
        deployment.set_credentials()
        deployment.add_relay("one", cloud="oci").start()
        yield Searching(deployment, engine)
    finally:
        deployment.close()


# What is delivered


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
            before = counted(searching, topic)
            searching.deployment.wait(
                lambda before=before: counted(searching, topic) >= before + 1500, 60, "more arrive"
            )
            relay.kill()
            relay.start(failpoints="none=sleep:0")
        logs.stop()
    searching.deployment.wait_until_carried(topic, [topic])
    searching.assert_once([topic])


def counted(searching: Searching, topic: str, pattern: str = "logs-{}-*") -> int:
    searching.client.refresh()
    return searching.client.count(pattern.format(topic))


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


def test_a_rollover_repeats_nothing(searching: Searching) -> None:
    topic = unique("rolled")
    deployment = searching.deployment
    deployment.make_topics(topic, partitions=4)
    name = make_rolling(searching, topic)
    searching.apply(topic, [topic], index="logs-{topic}")
    relay = deployment.relays["one"]
    with deployment.start_logs([topic], rate=1000) as logs:
        for turn in range(4):
            before = arrived_behind(searching, name)
            deployment.wait(
                lambda before=before: arrived_behind(searching, name) >= before + 1500,
                60,
                "more arrive",
            )
            relay.kill()
            # The next one dies when the engine has confirmed what the server does not know of.
            relay.start(failpoints=f"opensearch.answered=kill:{2 + turn}")
            deployment.wait(lambda: not relay.process.is_running, 60, "the relay dies")
            wait_until_written(searching)
            searching.client.rollover(name)
            relay.start(failpoints="none=sleep:0")
        logs.stop()
    deployment.wait_until_carried(topic, [topic])
    searching.assert_once([topic], pattern=name)


def wait_until_written(searching: Searching) -> None:
    """Waits until the engine has done what it had taken of a relay that died."""
    path = "_tasks?actions=indices:data/write/bulk*&filter_path=nodes.*.tasks.*.action"
    searching.deployment.wait(
        lambda: not searching.client.call("GET", path), 60, "the engine still writes"
    )


def arrived_behind(searching: Searching, name: str) -> int:
    """How many documents are there; 0 before the first."""
    try:
        searching.client.refresh(name)
        return searching.client.count(name)
    except SearchError as error:
        if error.status == 404:
            return 0
        raise


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
                lambda wanted=wanted: arrived_behind(searching, name) >= wanted, 300, "more arrive"
            )
            relay.kill()
            if kill % 2 == 0:
                relay.start(failpoints="opensearch.answered=kill:5")
                deployment.wait(lambda: not relay.process.is_running, 60, "the relay dies")
            if kill % 4 == 0:
                wait_until_written(searching)
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
    assert counted(searching, topic, "logs-{}") == records_wanted
    assert not searching.letters(topic)


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
            batch.append({"value": json.dumps(record).encode(), "partition": number % 4})
        deployment.oci.admin.produce(topic, batch)
    searching.apply(topic, [topic])
    deployment.wait_until_carried(topic, [topic], 900)

    letters = searching.letters(topic)
    assert sorted(letter["value"] for letter in letters) == sorted(bad)
    groups = deployment.cli_json("dead-letters", "list", topic)["groups"]
    assert sum(group["records"] for group in groups) == len(bad)
    assert len({group["error"] for group in groups}) >= len(KINDS)
    keys = frozenset(
        Key(topic, own["partition"], own["offset"])
        for own in ({k: int(v) for k, v in letter["drawbridge"].items() if k in
                     ("partition", "offset")} for letter in letters)
    )
    searching.assert_once([topic], keys)

    for name, kind in KINDS.items():
        searching.client.put_mapping(
            f"logs-{topic}-*", {name: {"type": kind, "ignore_malformed": True}}
        )
    retried = deployment.cli("dead-letters", "retry", topic, seconds=300)
    assert retried.stdout == f"{len(bad):,} brought in\n"
    assert not searching.letters(topic)
    searching.assert_once([topic])


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


# What is refused


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


def test_a_topic_that_would_not_keep_dead_letters_is_named(searching: Searching) -> None:
    topic, dead = unique("unkept"), unique("dead")
    deployment = searching.deployment
    deployment.make_topics(topic)
    deployment.write_logs([topic], 100)
    deployment.oci.admin.create_topic(dead, 1, configs={"retention.ms": 60_000})
    searching.apply(topic, [topic], dead_letter_topic=dead)
    try:
        deployment.wait_until_shown(
            topic, "GUARANTEE_UNSUPPORTED", side="target", says=[dead, "retention.ms to -1"],
            seconds=SECONDS,
        )
        assert counted(searching, topic) == 0
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


def test_no_record_is_written_off_for_a_full_disk(searching: Searching) -> None:
    topic = unique("full")
    searching.deployment.make_topics(topic, partitions=1)
    searching.apply(topic, [topic])
    searching.deployment.write_logs([topic], 200)
    searching.deployment.wait_until_carried(topic, [topic])
    searching.client.set_flood_stage(f"logs-{topic}-*")
    searching.deployment.write_logs([topic], 200)
    shown = searching.deployment.wait_until_shown(
        topic, "BROKER_ERROR", side="target", says=["disk is full"], seconds=SECONDS
    )
    assert "cluster_block_exception" in shown["text"]
    searching.deployment.wait(
        lambda: "BLOCKED" in searching.deployment.motions(topic), SECONDS, "the stream is blocked"
    )

    searching.client.set_flood_stage(f"logs-{topic}-*", is_on=False)
    searching.deployment.wait_until_carried(topic, [topic])
    searching.assert_once([topic])
    assert not searching.letters(topic)


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
    assert len(searching.letters(topic)) < 100


# What bad input gets


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


