"""Records into real OpenSearch and real Elasticsearch: each once, and the refused ones kept."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from deployment import Deployment, unique

from rig.access import ClusterAccess
from rig.search_checker import Key, Source, check, cluster_key
from rig.search_client import SearchClient
from rig.search_engine import ENGINES, SearchEngine

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

    def assert_once(self, topics: list[str], elsewhere: frozenset[Key] = frozenset()) -> None:
        """All records of the topics are there once, but for those that are dead letters."""
        self.client.refresh()
        pattern = ",".join(f"logs-{topic}-*" for topic in topics)
        source = Source(self.deployment.oci.java_properties("plaintext"), topics)
        verdict = check(source, self.client.documents(pattern), elsewhere=elsewhere)
        verdict.assert_clean()

    def letters(self, topic: str) -> list[dict[str, Any]]:
        """The dead letters of a topic."""
        self.client.refresh()
        return [
            document.source
            for document in self.client.documents(LETTERS)
            if document.source["drawbridge"]["topic"] == topic
        ]


@pytest.fixture(scope="module", params=ENGINES)
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


def counted(searching: Searching, topic: str) -> int:
    searching.client.refresh()
    return searching.client.count(f"logs-{topic}-*")


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


