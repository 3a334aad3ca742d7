"""The strict server keeps documents by id, refuses what is forbidden, and misbehaves as told."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rig.bulk_faults import KINDS
from rig.certificates import Certificates
from rig.processes import RigError, wait_until
from rig.search_client import SearchClient, SearchError, api_key, basic
from rig.strict_bulk_server import PRODUCTS, StrictBulkServer

NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def server() -> Iterator[StrictBulkServer]:
    with StrictBulkServer(stream_patterns=("ds-*",)) as server:
        yield server


def lines(*ids: str, op: str = "create", index: str = "logs", **meta: Any) -> bytes:
    """A bulk body of one small document per id."""
    rows = []
    for id in ids:
        rows.append(json.dumps({op: {"_index": index, "_id": id, **meta}}))
        rows.append(json.dumps({"@timestamp": 1, "id": id}))
    return "".join(f"{row}\n" for row in rows).encode()


class Answer:
    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def items(self) -> list[dict[str, Any]]:
        return [outcome for item in json.loads(self.body)["items"] for outcome in item.values()]

    @property
    def statuses(self) -> list[int]:
        return [item["status"] for item in self.items]


def send(
    server: StrictBulkServer,
    body: Any,
    headers: dict[str, str] | None = None,
    path: str = "/_bulk",
    method: str = "POST",
) -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, body, NDJSON if headers is None else headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())


def control(server: StrictBulkServer, method: str, path: str, body: Any = None) -> bytes:
    """One request to the control port."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.control_url + path, data, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        return answer.read()


# A well-behaved sink


def test_keeps_documents_by_id_and_answers_409_to_a_second_create(server: StrictBulkServer) -> None:
    assert send(server, lines("a", "b")).statuses == [201, 201]

    again = send(server, lines("b", "c"))

    assert again.statuses == [409, 201]
    assert again.items[0]["error"]["type"] == "version_conflict_engine_exception"
    assert {id: len(found) for id, found in server.sources().items()} == {"a": 1, "b": 1, "c": 1}
    assert server.sources()["a"] == [b'{"@timestamp": 1, "id": "a"}']
    assert server.violations == []


def test_takes_and_gives_gzip(server: StrictBulkServer) -> None:
    ids = [str(number) for number in range(100)]
    headers = {**NDJSON, "Content-Encoding": "gzip", "Accept-Encoding": "gzip"}

    answer = send(server, gzip.compress(lines(*ids)), headers)

    assert answer.headers["Content-Encoding"] == "gzip"
    assert Answer(200, {}, gzip.decompress(answer.body)).statuses == [201] * 100
    assert server.bulks[0].body == lines(*ids)


def test_filter_path_keeps_what_it_names(server: StrictBulkServer) -> None:
    path = "/_bulk?filter_path=took,errors,items.*.status,items.*.error"
    send(server, lines("a"))

    answer = send(server, lines("a", "b"), path=path)

    first, second = answer.items
    assert set(first) == {"status", "error"}
    assert second == {"status": 201}


def test_a_connection_is_kept(server: StrictBulkServer) -> None:
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc, timeout=10)
    with contextlib.closing(connection):
        for id in "ab":
            connection.request("POST", "/_bulk", lines(id), NDJSON)
            connection.getresponse().read()

    assert [one.connection for one in server.bulks] == [1, 1]


def test_external_versions_only_go_up(server: StrictBulkServer) -> None:
    server.allows_external_versions = True

    def put(version: int) -> list[int]:
        body = lines("a", op="index", version=version, version_type="external")
        return send(server, body).statuses

    assert [put(5), put(5), put(7)] == [[201], [409], [200]]
    assert server.violations == []


# What is forbidden


def test_a_search_finds_ids_in_all_that_stands_behind_a_name(server: StrictBulkServer) -> None:
    server.store.add_stream_pattern("logs")
    client = SearchClient(server.url)
    client.create("logs", {"one": {"@timestamp": 1}})
    client.rollover("logs")
    client.create("logs", {"two": {"@timestamp": 2}})
    indexes = client.call("GET", "logs,none/_settings/index.uuid?ignore_unavailable=true")
    assert list(indexes) == [".ds-logs-000001", ".ds-logs-000002"]
    query = {"query": {"ids": {"values": ["one", "two", "three"]}}}
    hits = client.call("POST", "logs/_search", query)["hits"]["hits"]
    assert [hit["_id"] for hit in hits] == ["one", "two"]
    with pytest.raises(SearchError, match="none"):
        client.call("GET", "none/_settings")


@pytest.mark.parametrize(
    ("body", "headers", "status", "violation"),
    [
        (lines("a")[:-1], NDJSON, 400, "no newline"),
        (b"", NDJSON, 400, "an empty body"),
        (lines("a"), {"Content-Type": "text/plain"}, 406, "Content-Type text/plain"),
        (lines("a"), {**NDJSON, "Content-Encoding": "gzip"}, 400, "broken gzip"),
        (lines("a"), {**NDJSON, "Content-Encoding": "br"}, 415, "Content-Encoding br"),
        (b"hello\n{}\n", NDJSON, 400, "not JSON"),
        (b"[]\n{}\n", NDJSON, 400, "no object"),
        (b'{"create":{},"index":{}}\n{}\n', NDJSON, 400, "one member"),
        (b'{"create":{"_index":"i","_id":"a"}}\n', NDJSON, 400, "no document follows"),
        (b'{"create":{"_id":"a"}}\n{}\n', NDJSON, 400, "without an index"),
        (b'{"create":{"_index":"i"}}\n{}\n', NDJSON, 400, "without an id"),
        (lines("a", _type="_doc"), NDJSON, 400, "_type"),
        (lines("a", spice="hot"), NDJSON, 400, "spice"),
        (lines("a", version=1), NDJSON, 400, "create with a version"),
        (lines("a" * 513), NDJSON, 400, "512 bytes"),
        (lines("a", op="index"), NDJSON, 400, "index in place of create"),
        (lines("a", op="update"), NDJSON, 400, "update in place of create"),
    ],
)
def test_refuses_the_whole_request(
    server: StrictBulkServer, body: bytes, headers: dict[str, str], status: int, violation: str
) -> None:
    answer = send(server, body, headers)

    assert answer.status == status
    [found] = server.violations
    assert violation in found
    assert server.sources() == {}


def test_refuses_a_chunked_body(server: StrictBulkServer) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        assert send(server, iter([lines("a")])).status == 411

    assert server.violations == ["1: a chunked body"]
    assert server.sources() == {}


def test_refuses_a_body_without_a_length(server: StrictBulkServer) -> None:
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc, timeout=10)
    with contextlib.closing(connection):
        connection.putrequest("POST", "/_bulk")
        connection.putheader("Content-Type", "application/x-ndjson")
        connection.endheaders()
        assert connection.getresponse().status == 411

    assert server.violations == ["1: no Content-Length"]


def test_a_raw_newline_in_a_document_breaks_the_framing(server: StrictBulkServer) -> None:
    answer = send(server, b'{"create":{"_index":"i","_id":"a"}}\n{"m":\n1}\n')

    assert answer.status == 400
    assert server.sources() == {}


@pytest.mark.parametrize("document", [b"[1]", b"5", b"hello", b'{"a":"\xff"}', b'{"a":1,"a":2}'])
def test_a_bad_document_is_one_items_fault(server: StrictBulkServer, document: bytes) -> None:
    body = b'{"create":{"_index":"i","_id":"a"}}\n' + document + b"\n" + lines("b")

    answer = send(server, body)

    assert answer.statuses == [400, 201]
    assert answer.items[0]["error"]["type"] == "mapper_parsing_exception"
    assert answer.items[0]["error"]["caused_by"]["type"]


def test_sees_a_filter_path_that_hides_successes(server: StrictBulkServer) -> None:
    send(server, lines("a"), path="/_bulk?filter_path=items.*.error")

    assert server.violations == ["1: filter_path leaves out the status of items"]


def test_a_parameter_of_another_product_is_refused(server: StrictBulkServer) -> None:
    path = "/_bulk?require_data_stream=true"

    assert send(server, lines("a"), path=path).status == 400
    server.product = "elasticsearch-9"
    assert send(server, lines("a"), path=path).status == 200


def test_a_body_that_is_too_large_is_refused_with_413(server: StrictBulkServer) -> None:
    server.max_content_length = 1000

    assert send(server, lines(*map(str, range(100)))).status == 413
    assert send(server, lines("a")).status == 200


@pytest.mark.parametrize("index", ["Logs", "_logs", "a b", "a#b", "a" * 256, ".."])
def test_an_index_name_that_is_none_is_refused(server: StrictBulkServer, index: str) -> None:
    [item] = send(server, lines("a", index=index)).items

    assert item["error"]["type"] == "invalid_index_name_exception"


def test_an_index_is_not_made_where_that_is_forbidden(server: StrictBulkServer) -> None:
    server.store.creates_indexes = False

    assert send(server, lines("a")).statuses == [404]


# Data streams


def test_a_data_stream_takes_only_create_and_needs_a_timestamp(server: StrictBulkServer) -> None:
    server.requires_ids = False
    body = lines("a", index="ds-1") + lines("b", index="ds-1", op="index")
    body += b'{"create":{"_index":"ds-1","_id":"c"}}\n{}\n'

    answer = send(server, body)

    assert answer.statuses == [201, 400, 400]
    assert answer.items[0]["_index"] == ".ds-ds-1-000001"


def test_ids_are_unique_only_until_a_rollover(server: StrictBulkServer) -> None:
    client = SearchClient(server.url)
    client.bulk(lines("a", index="ds-1"))
    assert client.rollover("ds-1") == ".ds-ds-1-000002"

    assert client.bulk(lines("a", index="ds-1"))["errors"] is False

    assert len(server.sources()["a"]) == 2
    assert client.data_stream("ds-1")["generation"] == 2


def test_mget_finds_a_document_in_an_earlier_backing_index(server: StrictBulkServer) -> None:
    client = SearchClient(server.url)
    client.bulk(lines("a", index="ds-1"))
    client.rollover("ds-1")

    wanted = [{"_index": f".ds-ds-1-00000{number}", "_id": "a"} for number in (1, 2)]
    answer = client.call("POST", "_mget", {"docs": wanted})

    assert [one["found"] for one in answer["docs"]] == [True, False]


# Faults


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("throttle", 429),
        ("unavailable", 503),
        ("too-large", 413),
        ("bad-request", 400),
        ("unauthorized", 401),
        ("forbidden", 403),
        ("status", 500),
    ],
)
def test_refuses_once_and_then_no_more(server: StrictBulkServer, kind: str, status: int) -> None:
    server.fail(kind)

    assert send(server, lines("a")).status == status
    assert server.sources() == {}
    assert send(server, lines("a")).statuses == [201]


def test_a_throttled_request_is_told_when_to_come_again(server: StrictBulkServer) -> None:
    server.fail("throttle", retry_after="7")
    server.fail("status", status=302)

    assert send(server, lines("a")).headers["Retry-After"] == "7"
    assert send(server, lines("a")).status == 302


def test_a_fault_waits_and_lasts_as_long_as_it_is_told(server: StrictBulkServer) -> None:
    server.fail("throttle", times=2, skip=1)

    assert [send(server, lines(str(n))).status for n in range(4)] == [200, 429, 429, 200]


def test_a_fault_without_end_ends_when_it_is_healed(server: StrictBulkServer) -> None:
    fault = server.fail("unavailable", times=None)
    assert [send(server, lines("a")).status for _ in range(3)] == [503] * 3

    server.heal(fault)

    assert send(server, lines("a")).status == 200


@pytest.mark.parametrize(
    ("kind", "status", "type"),
    [
        ("item-throttle", 429, "es_rejected_execution_exception"),
        ("item-unavailable", 503, "unavailable_shards_exception"),
        ("item-mapping", 400, "mapper_parsing_exception"),
        ("item-field-limit", 400, "illegal_argument_exception"),
        ("item-conflict", 409, "version_conflict_engine_exception"),
        ("flood-stage", 429, "cluster_block_exception"),
        ("read-only", 403, "cluster_block_exception"),
        ("shard-limit", 400, "validation_exception"),
        ("index-closed", 400, "index_closed_exception"),
        ("index-missing", 404, "index_not_found_exception"),
    ],
)
def test_refuses_the_items_that_fit(
    server: StrictBulkServer, kind: str, status: int, type: str
) -> None:
    server.fail(kind, ids="bad-*")

    answer = send(server, lines("a", "bad-1", "b", "bad-2"))

    assert answer.statuses == [201, status, 201, status]
    assert json.loads(answer.body)["errors"] is True
    assert answer.items[1]["error"]["type"] == type
    assert set(server.sources()) == {"a", "b"}


def test_refuses_no_more_items_than_it_is_told(server: StrictBulkServer) -> None:
    server.fail("item-throttle", items_max=1)

    assert send(server, lines("a", "b", "c")).statuses == [429, 201, 201]


def test_a_document_can_go_to_the_failure_store(server: StrictBulkServer) -> None:
    server.fail("failure-store", ids="a")

    first, second = send(server, lines("a", "b")).items

    assert (first["status"], first["failure_store"]) == (201, "used")
    assert "failure_store" not in second


@pytest.mark.parametrize("kind", ["html", "empty"])
def test_an_answer_of_somebody_else_stores_nothing(server: StrictBulkServer, kind: str) -> None:
    server.fail(kind)

    answer = send(server, lines("a"))

    assert answer.status == 200
    assert answer.body == b"" or answer.headers["Content-Type"] == "text/html"
    assert server.sources() == {}


def test_an_empty_answer_may_come_after_the_documents_were_stored(server: StrictBulkServer) -> None:
    server.fail("empty-applied")

    assert send(server, lines("a")).body == b""

    assert set(server.sources()) == {"a"}


@pytest.mark.parametrize(
    ("kind", "ids"),
    [
        ("too-few-items", ["a", "b"]),
        ("too-many-items", ["a", "b", "c", "c"]),
        ("shuffled-items", ["b", "c", "a"]),
    ],
)
def test_the_items_are_not_those_of_the_request(
    server: StrictBulkServer, kind: str, ids: list[str]
) -> None:
    server.fail(kind)

    answer = send(server, lines("a", "b", "c"))

    assert [item["_id"] for item in answer.items] == ids
    assert set(server.sources()) == {"a", "b", "c"}


def test_it_can_claim_that_there_were_no_errors(server: StrictBulkServer) -> None:
    server.fail("claims-no-errors")
    server.fail("item-throttle")

    answer = send(server, lines("a"))

    assert json.loads(answer.body)["errors"] is False
    assert answer.statuses == [429]


@pytest.mark.parametrize(
    "kind", ["truncated", "cut-in-answer", "apply-then-reset", "apply-then-stall"]
)
def test_an_answer_that_is_cut_leaves_the_documents_stored(
    server: StrictBulkServer, kind: str
) -> None:
    server.fail(kind, seconds=0.1)

    with pytest.raises((http.client.HTTPException, OSError)):
        send(server, lines("a"))

    assert set(server.sources()) == {"a"}
    assert send(server, lines("a")).statuses == [409]


def test_an_answer_that_stops_in_the_middle_of_gzip_or_json(server: StrictBulkServer) -> None:
    server.fail("truncated-gzip")
    server.fail("not-json")

    with pytest.raises(EOFError):
        gzip.decompress(send(server, lines("a")).body)
    with pytest.raises(ValueError, match="Unterminated|Expecting"):
        json.loads(send(server, lines("b")).body)
    assert set(server.sources()) == {"a", "b"}


def test_a_request_that_is_cut_stores_nothing(server: StrictBulkServer) -> None:
    server.fail("cut-in-request")

    with pytest.raises((http.client.HTTPException, OSError)):
        send(server, lines("a"))

    assert server.sources() == {}
    assert send(server, lines("a")).statuses == [201]


@pytest.mark.parametrize("kind", ["slow", "trickle"])
def test_a_slow_answer_comes_whole_and_healing_ends_the_wait(
    server: StrictBulkServer, kind: str
) -> None:
    fault = server.fail(kind, times=None, seconds=60)
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(send(server, lines("a"))))
    thread.start()
    server.wait_for_bulks(1)

    while thread.is_alive():
        server.heal(fault)
        thread.join(0.01)

    assert answers[0].statuses == [201]


def test_a_rollover_between_two_attempts_doubles_what_is_not_looked_for(
    server: StrictBulkServer,
) -> None:
    server.fail("apply-then-reset")
    server.fail("rollover")
    with pytest.raises((http.client.HTTPException, OSError)):
        send(server, lines("a", index="ds-1"))

    assert send(server, lines("a", index="ds-1")).statuses == [201]

    assert len(server.sources()["a"]) == 2


def test_a_request_that_is_carried_out_late_goes_where_it_would_have_gone(
    server: StrictBulkServer,
) -> None:
    send(server, lines("a", index="ds-1"))
    fault = server.fail("apply-late", seconds=60)
    with pytest.raises((http.client.HTTPException, OSError)):
        send(server, lines("b", index="ds-1"))
    assert list(server.tasks.values()) == [""]
    assert "b" not in server.sources()

    [index] = server.store.roll_over("ds-1")
    server.heal(fault)

    wait_until(lambda: not server.tasks, 10, "it is carried out")
    assert "b" in server.sources(".ds-ds-1-000001")
    assert "b" not in server.sources(index)


def test_a_fault_has_a_name() -> None:
    with StrictBulkServer() as server, pytest.raises(RigError, match="shuffled-items"):
        server.fail("bad-mood")
    assert len(KINDS) == len(set(KINDS))


# Access, versions, control


@pytest.mark.parametrize("product", PRODUCTS)
def test_says_what_it_is(product: str) -> None:
    with StrictBulkServer(product) as server:
        answer = send(server, None, {}, "/", "GET")

    expected = PRODUCTS[product]
    assert answer.status == (200 if expected else 404)
    if expected:
        assert json.loads(answer.body)["version"] == expected
    is_elastic = product in ("elasticsearch-8", "elasticsearch-9", "serverless")
    assert (answer.headers["X-Elastic-Product"] is not None) == is_elastic


def test_https_with_credentials_that_change_in_mid_flow(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    with StrictBulkServer(
        certificates=certificates, users={"me": "old"}, api_keys={"id": "key"}
    ) as server:
        good = SearchClient(server.url, ca=server.ca, authorization=basic("me", "old"))
        assert good.version()["number"]
        SearchClient(server.url, ca=server.ca, authorization=api_key("id", "key")).version()
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            SearchClient(server.url, ca=certificates.foreign_root).version()

        server.credentials.users["me"] = "new"

        with pytest.raises(SearchError, match="401"):
            good.bulk(lines("a"))


def test_listens_again_where_it_was(server: StrictBulkServer) -> None:
    send(server, lines("a"))

    server.go_away()
    with pytest.raises(ConnectionRefusedError):
        send(server, lines("b"))
    server.start()

    assert send(server, lines("a", "b")).statuses == [409, 201]


def test_a_canned_answer(server: StrictBulkServer) -> None:
    server.answer("GET", "/_nodes/stats", 200, {"nodes": {}})

    assert SearchClient(server.url).call("GET", "/_nodes/stats?human") == {"nodes": {}}


def test_another_process_can_do_the_same(server: StrictBulkServer) -> None:
    assert json.loads(control(server, "GET", "/"))["url"] == server.url
    control(server, "POST", "/faults", {"kind": "item-mapping", "ids": "b"})
    assert json.loads(control(server, "GET", "/faults"))[0]["kind"] == "item-mapping"
    control(server, "POST", "/settings", {"product": "opensearch-3", "users": {}})

    send(server, lines("a", "b"))
    send(server, b"hello\n")

    [document] = control(server, "GET", "/documents?index=logs").splitlines()
    assert json.loads(document)["_id"] == "a"
    assert json.loads(control(server, "GET", "/requests"))[0]["faults"] == ["item-mapping"]
    assert len(json.loads(control(server, "GET", "/violations"))) == 1
    control(server, "DELETE", "/requests")
    control(server, "DELETE", "/documents")
    assert (server.requests, server.sources(), server.product) == ([], {}, "opensearch-3")
    with pytest.raises(urllib.error.HTTPError):
        control(server, "POST", "/faults", {"kind": "throttle", "mood": "bad"})


def test_runs_from_the_shell(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "rig", "bulk-server", "up", "--user", "me=secret"]
    command += ["--certificates", str(tmp_path), "--product", "elasticsearch-8"]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
    try:
        # The document's own end is the only brace at the start of a line.
        document = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")
        client = SearchClient(
            document["url"], ca=Path(document["ca"]), authorization=basic("me", "secret")
        )
        assert client.version()["number"] == "8.17.0"
    finally:
        process.terminate()
        process.stdout.close()
    assert process.wait(10) == 0
