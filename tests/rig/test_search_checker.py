"""The checker of search engines catches what is missing, altered, doubled or made up."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from rig import records
from rig.kafka import KafkaCluster
from rig.processes import RigError
from rig.search_checker import Key, Record, Source, check, cluster_key, content_of
from rig.search_client import Document, exact_json

TOPICS = {"flow": "flow", "audit": "audit"}
ODD_VALUES = [
    b'{"data":{"n":1.50,"big":12345678901234567890,"e":1e5},"list":[1,{"b":2,"a":1}]}',
    b'{"@timestamp":"of its own","drawbridge":{"mood":"good"}}',
    b"not json",
    b"[1,2]",
    b"",
    None,
    b'{"m":"\xff"}',
    '{"m":"käse\\u0000"}'.encode(),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    with KafkaCluster("search-check") as cluster:
        for topic in TOPICS.values():
            cluster.admin.create_topic(topic, 2)
        cluster.admin.create_topic("odd")
        client = cluster.java_properties("plaintext")
        with records.start_oci_logs(client, TOPICS, rate=0, count=2000) as logs:
            assert logs.wait(120)["acked"] == 2000
        cluster.admin.produce("odd", ODD_VALUES)
        yield cluster


@pytest.fixture(scope="module")
def client(cluster: KafkaCluster) -> dict[str, str]:
    return cluster.java_properties("plaintext")


class Kept(Source):
    """Records that were read once; reading them takes seconds."""

    def __init__(self, cluster_id: str, kept: list[Record]) -> None:
        self.cluster_id = cluster_id
        self.kept = kept

    def __iter__(self) -> Iterator[Record]:
        return iter(self.kept)


@pytest.fixture(scope="module")
def source(client: dict[str, str]) -> Kept:
    """All records of the cluster."""
    source = Source(client, [*TOPICS.values(), "odd"])
    kept = list(source)
    return Kept(source.cluster_id, kept)


@pytest.fixture(scope="module")
def odd(source: Kept) -> Kept:
    """Those of the topic `odd`."""
    return Kept(source.cluster_id, [one for one in source.kept if one.topic == "odd"])


@pytest.fixture(scope="module")
def key(source: Kept) -> str:
    return cluster_key(source.cluster_id)


def document(record: Record, key: str, epoch: int = 1, index: str = "logs") -> Document:
    """As a sink would store it."""
    own = {
        "cluster": key,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "source_epoch": epoch,
        "ingested_at": "2026-01-01T00:00:00Z",
    }
    content = content_of(record)
    nested = {**content.get("drawbridge", {}), **own}
    content = {"@timestamp": record.timestamp, **content, "drawbridge": nested}
    id = f"{key}:{epoch}:{record.topic}:{record.partition}:{record.offset}"
    return Document(index, id, copy.deepcopy(content))


@pytest.fixture
def documents(source: Kept, key: str) -> list[Document]:
    """All records, stored as they should be."""
    return [document(record, key) for record in source]


def test_reads_the_source_as_it_was_written(odd: Kept, source: Kept) -> None:
    assert [one.value for one in odd] == ODD_VALUES
    assert [one.offset for one in odd] == list(range(len(ODD_VALUES)))
    assert {(one.topic, one.partition) for one in source} == {
        *((topic, partition) for topic in TOPICS for partition in (0, 1)),
        ("odd", 0),
    }


def test_all_stored_once_and_unaltered_is_clean(
    client: dict[str, str], documents: list[Document]
) -> None:
    source = Source(client, [*TOPICS.values(), "odd"])

    result = check(source, reversed(documents), epochs={"odd": 1})

    result.assert_clean()
    assert result.counts["delivered"] == result.counts["source"] == 2000 + len(ODD_VALUES)


def test_a_missing_document(source: Kept, documents: list[Document]) -> None:
    gone = documents.pop(700)

    result = check(source, documents)

    assert result.classes == {"missing": 1}
    assert gone.id.endswith(result.findings[0]["name"])
    with pytest.raises(AssertionError, match="missing"):
        result.assert_clean()


def test_an_altered_document(source: Kept, documents: list[Document]) -> None:
    documents[700].source["type"] = "something else"

    result = check(source, documents)

    assert result.classes == {"altered": 1}
    assert result.findings[0]["name"] == documents[700].id
    assert "type: " in result.findings[0]["detail"]
    assert "became 'something else'" in result.findings[0]["detail"]


@pytest.mark.parametrize("has_own_fields", [True, False])
def test_documents_with_the_contents_of_each_other(
    source: Kept, documents: list[Document], has_own_fields: bool
) -> None:
    one, other = documents[700], documents[701]
    documents[700] = Document("logs", one.id, other.source)
    documents[701] = Document("logs", other.id, one.source)
    if not has_own_fields:
        del one.source["drawbridge"], other.source["drawbridge"]

    assert check(source, documents).classes == {"altered": 2}


@pytest.mark.parametrize("other", [{"index": "logs-2"}, {"epoch": 2}])
def test_a_doubled_document(
    source: Kept, documents: list[Document], key: str, other: dict[str, Any]
) -> None:
    documents.append(document(source.kept[700], key, **other))

    assert check(source, documents).classes == {"doubled": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"data": exact_json('{"n":1.5,"big":12345678901234567890,"e":1e5}')},
        {"data": exact_json('{"n":"1.50","big":12345678901234567890,"e":1e5}')},
        {"list": exact_json('[{"a":1,"b":2},1]')},
        {"extra": None},
        {"drawbridge": {"offset": 1}},
        {"drawbridge": {"topic": "flow"}},
    ],
)
def test_small_alterations(odd: Kept, key: str, change: dict[str, Any]) -> None:
    documents = [document(record, key) for record in odd]
    documents[0].source.update(change)

    assert check(odd, documents).classes == {"altered": 1}


def test_a_document_without_a_timestamp(odd: Kept, key: str) -> None:
    documents = [document(record, key) for record in odd]
    del documents[0].source["@timestamp"]

    assert check(odd, documents).classes == {"altered": 1}


def test_documents_that_no_record_stands_behind(
    source: Kept, documents: list[Document], key: str
) -> None:
    ids = ("auto", f"{key}:1:odd:0:99", f"{key}:1:odd:7:0", f"{'0' * 16}:1:odd:0:1")
    documents += [Document("logs", id, {}) for id in ids]

    assert check(source, documents).classes == {"phantom": 4}


def test_all_of_a_topic_have_one_epoch(odd: Kept, key: str) -> None:
    documents = [document(record, key, epoch=2) for record in odd]

    check(odd, documents).assert_clean()
    assert check(odd, documents, epochs={"odd": 1}).classes == {"altered": len(ODD_VALUES)}


def test_dead_letters_are_elsewhere_and_not_in_the_index_too(
    source: Kept, documents: list[Document]
) -> None:
    dead = [Key("odd", 0, 2), Key("odd", 0, 3)]
    without = [one for one in documents if not one.id.endswith(":odd:0:2")]

    result = check(source, without, elsewhere=dead)

    assert result.classes == {"unexpected": 1}
    assert result.counts["elsewhere"] == 1


def test_a_document_must_be_in_the_index_of_its_record(source: Kept, key: str) -> None:
    wanted = [document(record, key, index=f"logs-{record.topic}") for record in source]

    check(source, wanted, index_of=lambda one: f"logs-{one.topic}").assert_clean()
    result = check(source, wanted, index_of=lambda one: "logs-odd")

    assert result.classes == {"altered": 2000}
    assert "and not in logs-odd" in json.dumps(result.findings)


def test_an_empty_source_is_not_clean() -> None:
    with pytest.raises(AssertionError):
        check(Kept("x", []), []).assert_clean()


def test_a_source_that_cannot_be_read_is_no_verdict(client: dict[str, str]) -> None:
    with pytest.raises(RigError, match="no topic no-such-topic"):
        check(Source(client, ["no-such-topic"]), [])
