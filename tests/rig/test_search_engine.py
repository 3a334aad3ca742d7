"""The real engines: what tests of a sink need of them."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import urllib.parse
from collections.abc import Callable, Iterator

import pytest

from rig.certificates import Certificates
from rig.processes import RigError, process_identity
from rig.proxy import FaultProxy
from rig.search_client import Number, SearchClient, SearchError, api_key, basic
from rig.search_engine import ELASTICSEARCH, ENGINES, OPENSEARCH, SearchEngine

StartEngine = Callable[..., SearchEngine]


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[SearchEngine]:
    with SearchEngine(request.param) as engine:
        yield engine


@pytest.fixture
def client(engine: SearchEngine) -> Iterator[SearchClient]:
    """Without the indexes of the test before."""
    engine.client.call("DELETE", "logs*")
    yield engine.client


def outside(engine: SearchEngine, authorization: str | None) -> SearchClient:
    """As the programs under test come in."""
    return SearchClient(engine.url, ca=engine.certificates.root, authorization=authorization)


def connect(engine: SearchEngine) -> http.client.HTTPSConnection:
    """A connection to the front, for requests by hand."""
    context = ssl.create_default_context(cafile=str(engine.certificates.root))
    netloc = urllib.parse.urlsplit(engine.url).netloc
    return http.client.HTTPSConnection(netloc, context=context, timeout=60)


def test_is_the_version_that_was_asked_for(engine: SearchEngine) -> None:
    version = engine.client.version()

    assert f"{version.get('distribution', 'elasticsearch')}-{version['number']}" == engine.engine


def test_a_second_create_is_a_conflict(client: SearchClient) -> None:
    assert [one["status"] for one in client.create("logs", {"a": {}, "b": {}})] == [201, 201]

    assert [one["status"] for one in client.create("logs", {"b": {}, "c": {}})] == [409, 201]


def test_iterates_over_all_documents_with_exact_numbers(client: SearchClient) -> None:
    body = b"".join(
        b'{"create":{"_index":"logs-%d","_id":"%d"}}\n{"n":1.50,"i":%d}\n' % (n % 2, n, n)
        for n in range(25)
    )
    client.bulk(body)
    client.refresh("logs-*")

    found = list(client.documents("logs-*", page=10))

    assert {(one.index, one.id) for one in found} == {(f"logs-{n % 2}", str(n)) for n in range(25)}
    assert {one.source["n"] for one in found} == {Number("1.50")}
    assert client.count("logs-*") == 25
    assert client.count("logs-*", {"range": {"i": {"gte": 20}}}) == 5
    assert client.get("logs-1", "3") == {"n": 1.5, "i": 3}
    assert client.get("logs-1", "4") is None


def test_https_basic_and_api_key(engine: SearchEngine) -> None:
    for authorization in (engine.basic, engine.api_key):
        assert outside(engine, authorization).version()["number"]

    for wrong in (None, basic("drawbridge", "wrong"), api_key("nobody", "x"), "Bearer x", "Basic"):
        with pytest.raises(SearchError) as refused:
            outside(engine, wrong).version()
        assert (refused.value.status, refused.value.type) == (401, "security_exception")
    foreign = SearchClient(engine.url, ca=engine.certificates.foreign_root)
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        foreign.version()


def test_a_credential_is_judged_anew_at_each_request(engine: SearchEngine) -> None:
    client = outside(engine, engine.basic)
    password = engine.credentials.users["drawbridge"]
    engine.credentials.users["drawbridge"] = "rotated"
    with pytest.raises(SearchError, match="401"):
        client.version()

    engine.credentials.users["drawbridge"] = password

    assert client.version()


def test_a_body_without_a_length_is_refused_by_the_front(engine: SearchEngine) -> None:
    with contextlib.closing(connect(engine)) as connection:
        connection.request("POST", "/_bulk", iter([b"{}\n"]), {"Authorization": engine.basic})
        assert connection.getresponse().status == 411


def test_a_connection_through_the_front_is_kept_and_large_bodies_pass(
    engine: SearchEngine, client: SearchClient
) -> None:
    headers = {"Authorization": engine.basic, "Content-Type": "application/x-ndjson"}
    with contextlib.closing(connect(engine)) as connection:
        for id in ("a", "b"):
            body = b'{"create":{"_index":"logs","_id":"%s"}}\n{"m":"%s"}\n' % (
                id.encode(),
                b"x" * 3_000_000,
            )
            connection.request("POST", "/_bulk", body, headers)
            first = connection.sock
            [item] = json.loads(connection.getresponse().read())["items"]
            assert item["create"]["status"] == 201
            assert connection.sock is first

    assert len(client.get("logs", "b")["m"]) == 3_000_000


# Conditions on demand


def refusal(client: SearchClient, index: str = "logs", id: str = "new") -> tuple[int, str]:
    """Status and type of the error that a new document gets."""
    [item] = client.create(index, {id: {"a": 1}})
    return item["status"], item["error"]["type"]


def test_conditions_that_an_operator_must_mend(client: SearchClient) -> None:
    client.create_index("logs")

    client.set_flood_stage("logs")
    assert refusal(client) == (429, "cluster_block_exception")
    client.set_flood_stage("logs", False)
    client.set_write_block("logs")
    assert refusal(client) == (403, "cluster_block_exception")
    client.set_write_block("logs", False)
    client.close_index("logs")
    assert refusal(client) == (400, "index_closed_exception")
    client.open_index("logs")
    client.set_shard_limit(1)
    assert refusal(client, "logs-2") == (400, "validation_exception")
    client.set_shard_limit(None)
    client.put_cluster_settings({"action.auto_create_index": "false"})
    assert refusal(client, "logs-3") == (404, "index_not_found_exception")
    client.put_cluster_settings({"action.auto_create_index": None})

    assert [one["status"] for one in client.create("logs", {"new": {}})] == [201]
    client.delete_index("logs")
    assert not client.index_exists("logs")


def test_bad_records(client: SearchClient) -> None:
    client.put_template("logs", ["logs*"], mappings={"properties": {"a": {"type": "ip"}}})
    assert refusal(client) == (400, "mapper_parsing_exception")
    client.delete_template("logs")
    client.create_index("logs-few", settings={"index.mapping.total_fields.limit": 1})
    client.put_mapping("logs-few", {"b": {"type": "long"}})
    assert refusal(client, "logs-few") == (400, "illegal_argument_exception")


def test_a_pipeline_that_rewrites_ids(client: SearchClient) -> None:
    client.put_pipeline("rewrite", [{"set": {"field": "_id", "value": "mine"}}])
    client.create_index("logs", settings={"index.default_pipeline": "rewrite"})

    client.create("logs", {"yours": {}})

    assert client.get("logs", "mine") == {}


# Life and death


@pytest.mark.slow
@pytest.mark.parametrize("name", ENGINES)
def test_keeps_documents_through_kill_and_clean_stop(
    start_search_engine: StartEngine, name: str
) -> None:
    engine = start_search_engine(name, settings={"http.max_content_length": "100kb"})
    engine.client.create("logs", {"a": {}})
    url, first = engine.url, engine.pid
    client = outside(engine, engine.basic)
    with pytest.raises(SearchError, match="413"):
        client.create("logs", {"large": {"m": "x" * 200_000}})

    engine.kill()
    assert process_identity(first) is None
    with pytest.raises(OSError, match="refused"):
        client.version()
    with pytest.raises(RigError, match="does not run"):
        engine.pause()
    engine.restart()
    assert engine.url == url
    assert client.get("logs", "a") == {}

    engine.restart()
    assert client.get("logs", "a") == {}
    log = engine.log_file
    engine.stop()
    assert not log.exists()


@pytest.mark.slow
def test_a_paused_engine_answers_nothing_until_it_goes_on(
    start_search_engine: StartEngine,
) -> None:
    engine = start_search_engine(ELASTICSEARCH, settings={"thread_pool.write.queue_size": 1})
    proxy = FaultProxy(engine.address)

    engine.pause()
    with pytest.raises(OSError, match="timed out"):
        outside(engine, engine.basic).call("GET", "/", seconds=0.5)
    engine.resume()
    assert outside(engine, engine.basic).version()

    with contextlib.closing(proxy):
        through = SearchClient(
            f"https://127.0.0.1:{proxy.port}",
            ca=engine.certificates.root,
            authorization=engine.basic,
        )
        assert through.version()
        proxy.cut()
        with pytest.raises(OSError, match="refused|reset"):
            through.version()


def test_data_streams_and_client_certificates(start_search_engine: StartEngine) -> None:
    engine = start_search_engine(OPENSEARCH, requires_certificate=True)
    client = engine.client
    client.put_template("ds", ["ds-*"], is_data_stream=True)
    client.create("ds-1", {"a": {"@timestamp": 1}})

    assert client.rollover("ds-1") == ".ds-ds-1-000002"
    assert [one["status"] for one in client.create("ds-1", {"a": {"@timestamp": 1}})] == [201]
    client.refresh("ds-1")
    assert sorted(one.index[-1] for one in client.documents("ds-1")) == ["1", "2"]
    assert client.data_stream("ds-1")["generation"] == 2
    client.delete_data_stream("ds-1")

    with pytest.raises(OSError):  # noqa: PT011 - as an alert or as a reset
        outside(engine, engine.basic).version()


def test_a_failed_start_says_why(start_search_engine: StartEngine) -> None:
    with pytest.raises(RigError, match="no.such.setting"):
        start_search_engine(ELASTICSEARCH, settings={"no.such.setting": 1})
    with pytest.raises(RigError, match="opensearch-2.19.1"):
        start_search_engine("solr")


def test_the_certificate_files_are_those_of_the_engine(engine: SearchEngine) -> None:
    document = engine.to_json()

    assert document["ca"] == str(Certificates(engine.state / "certificates").root)
    assert document["url"].startswith("https://127.0.0.1:")
    assert document["pid"] == engine.pid
