"""A small client of OpenSearch and Elasticsearch, for what tests ask of an engine."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.processes import RigError, wait_until

_PAGE = 5000
_SCROLL_KEPT = "5m"
_MEMORY_WAIT = 60  # seconds


class SearchError(RigError):
    """The engine refused; `status` is that of HTTP and `type` the engine's name for the error."""

    def __init__(self, request: str, status: int, document: Any) -> None:
        super().__init__(f"{request}: {status} {json.dumps(document)[:2000]}")
        self.status = status
        self.document = document
        error = document.get("error") if isinstance(document, dict) else None
        self.type: str = error.get("type", "") if isinstance(error, dict) else ""


@dataclass(frozen=True)
class Document:
    """A stored document and where it is; numbers in an exact `source` are instances of Number."""

    index: str
    id: str
    source: Any


class Number(str):
    """A number of a JSON text as it was written: 1.0 is not 1.00."""

    def __repr__(self) -> str:
        return str(self)


def exact_json(text: str | bytes) -> Any:
    """The value of a JSON text whose numbers keep their spelling."""
    return json.loads(text, parse_float=Number, parse_int=Number, parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def basic(user: str, password: str) -> str:
    """The Authorization header of a user."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def api_key(id: str, key: str) -> str:
    """The Authorization header of an API key."""
    return "ApiKey " + base64.b64encode(f"{id}:{key}".encode()).decode()


class SearchClient:
    """Calls to one address. Every refusal raises SearchError."""

    def __init__(
        self, url: str, *, ca: Path | None = None, authorization: str | None = None
    ) -> None:
        """Trusts `ca` alone over https; `authorization` is made by `basic` or `api_key`."""
        self.url = url.rstrip("/")
        self._authorization = authorization
        # No proxy of the environment: everything is on loopback.
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if ca is not None:
            context = ssl.create_default_context(cafile=str(ca))
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        seconds: float = 60,
        is_exact: bool = False,
    ) -> Any:
        """Sends one request and returns its JSON; bytes go as NDJSON, all else is made JSON."""
        headers = {"Accept": "application/json"}
        if self._authorization:
            headers["Authorization"] = self._authorization
        if body is not None:
            is_lines = isinstance(body, bytes)
            headers["Content-Type"] = f"application/{'x-ndjson' if is_lines else 'json'}"
            body = body if is_lines else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.url}/{path.lstrip('/')}", body, headers, method=method
        )
        try:
            with self._opener.open(request, timeout=seconds) as answer:
                return _parsed(answer.read(), is_exact)
        except urllib.error.HTTPError as error:
            raise SearchError(f"{method} {path}", error.code, _parsed(error.read())) from None

    def is_ready(self) -> bool:
        """Whether it serves, and every primary shard too."""
        try:
            health = self.call("GET", "_cluster/health", seconds=5)
        except (SearchError, OSError, ValueError):
            return False
        return health["status"] in ("green", "yellow")

    def version(self) -> dict[str, Any]:
        """What the engine says of itself: number, and distribution if it is OpenSearch."""
        return self.call("GET", "/")["version"]

    # Indexes

    def create_index(
        self,
        index: str,
        *,
        settings: Mapping[str, Any] | None = None,
        mappings: Mapping[str, Any] | None = None,
    ) -> None:
        self.call(
            "PUT",
            _quoted(index),
            {"settings": {**_ONE_COPY, **(settings or {})}, "mappings": dict(mappings or {})},
        )

    def delete_index(self, index: str) -> None:
        self.call("DELETE", _quoted(index))

    def close_index(self, index: str) -> None:
        """A closed index refuses documents until `open_index`."""
        self.call("POST", f"{_quoted(index)}/_close")

    def open_index(self, index: str) -> None:
        self.call("POST", f"{_quoted(index)}/_open")

    def index_exists(self, index: str) -> bool:
        try:
            self.call("GET", _quoted(index))
        except SearchError as error:
            if error.status == 404:
                return False
            raise
        return True

    def put_mapping(self, index: str, properties: Mapping[str, Any], **further: Any) -> None:
        """Adds fields to a mapping; `further` are members beside properties, such as dynamic."""
        self.call("PUT", f"{_quoted(index)}/_mapping", {"properties": dict(properties), **further})

    def put_settings(self, index: str, settings: Mapping[str, Any]) -> None:
        self.call("PUT", f"{_quoted(index)}/_settings", dict(settings))

    def put_template(
        self,
        name: str,
        patterns: Iterable[str],
        *,
        settings: Mapping[str, Any] | None = None,
        mappings: Mapping[str, Any] | None = None,
        is_data_stream: bool = False,
        priority: int = 100,
    ) -> None:
        """A composable index template."""
        template = {"settings": {**_ONE_COPY, **(settings or {})}, "mappings": dict(mappings or {})}
        body = {"index_patterns": list(patterns), "priority": priority, "template": template}
        self.call("PUT", f"_index_template/{name}", {**body, **_data_stream(is_data_stream)})

    def delete_template(self, name: str) -> None:
        self.call("DELETE", f"_index_template/{name}")

    def put_pipeline(self, name: str, processors: Iterable[Mapping[str, Any]]) -> None:
        """An ingest pipeline."""
        self.call("PUT", f"_ingest/pipeline/{name}", {"processors": list(processors)})

    # Data streams, which Elasticsearch from Maven does not have

    def data_stream(self, name: str) -> dict[str, Any]:
        """Its generation and backing indexes."""
        return self.call("GET", f"_data_stream/{_quoted(name)}")["data_streams"][0]

    def delete_data_stream(self, name: str) -> None:
        self.call("DELETE", f"_data_stream/{_quoted(name)}")

    def rollover(self, name: str) -> str:
        """Starts the next backing index of a data stream or alias, and returns its name."""
        return self.call("POST", f"{_quoted(name)}/_rollover")["new_index"]

    # Conditions of the cluster

    def set_flood_stage(self, index: str, is_on: bool = True) -> None:
        """The block that a full disk puts on an index, put on or taken off by hand."""
        self.put_settings(index, {"index.blocks.read_only_allow_delete": True if is_on else None})

    def set_write_block(self, index: str, is_on: bool = True) -> None:
        """An operator's block: writes are forbidden."""
        self.put_settings(index, {"index.blocks.write": True if is_on else None})

    def set_shard_limit(self, shards: int | None) -> None:
        """cluster.max_shards_per_node; None is the default of 1000."""
        self.put_cluster_settings({"cluster.max_shards_per_node": shards})

    def put_cluster_settings(self, settings: Mapping[str, Any]) -> None:
        """Transient: forgotten at a restart."""
        self.call("PUT", "_cluster/settings", {"transient": dict(settings)})

    # Documents

    def bulk(self, body: bytes, query: str = "") -> dict[str, Any]:
        """Sends an NDJSON body as it is."""
        return self.call("POST", f"_bulk{'?' + query if query else ''}", body)

    def create(self, index: str, documents: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Creates documents by id and returns what became of each."""
        lines = []
        for id, source in documents.items():
            lines.append(json.dumps({"create": {"_index": index, "_id": id}}))
            lines.append(json.dumps(source))
        items = self.bulk(("\n".join(lines) + "\n").encode())["items"]
        return [item["create"] for item in items]

    def get(self, index: str, id: str) -> Any:
        """The source of one document; None if it is not there."""
        try:
            path = f"{_quoted(index)}/_doc/{urllib.parse.quote(id, safe='')}"
            return self.call("GET", path)["_source"]
        except SearchError as error:
            if error.status == 404:
                return None
            raise

    def refresh(self, index: str = "_all") -> None:
        """Lets searches and counts see all that was written."""
        self.call("POST", f"{_quoted(index)}/_refresh", seconds=300)

    def count(self, index: str = "_all", query: Mapping[str, Any] | None = None) -> int:
        """How many documents a search would find: after `refresh`, all of them."""
        body = {"query": query} if query else None
        answer = self.call("POST" if body else "GET", f"{_quoted(index)}/_count", body, seconds=300)
        _check_shards(answer)
        return answer["count"]

    def documents(
        self, index: str = "_all", *, page: int = _PAGE, query: Mapping[str, Any] | None = None
    ) -> Iterator[Document]:
        """Every document that a search sees, with exact numbers; memory holds one page.

        `index` may be a pattern. Fails if a shard did not answer or the count is not the engine's.
        """
        body = {"size": page, "sort": ["_doc"], "track_total_hits": True}
        if query:
            body["query"] = query
        path = f"{_quoted(index)}/_search?scroll={_SCROLL_KEPT}"
        answer = self._read("POST", path, body)
        total = int(answer["hits"]["total"]["value"])
        found = 0
        try:
            while True:
                _check_shards(answer)
                hits = answer["hits"]["hits"]
                if not hits:
                    break
                found += len(hits)
                for hit in hits:
                    yield Document(hit["_index"], hit["_id"], hit["_source"])
                scroll = {"scroll": _SCROLL_KEPT, "scroll_id": answer["_scroll_id"]}
                answer = self._read("POST", "_search/scroll", scroll)
        finally:
            self._read("DELETE", "_search/scroll", {"scroll_id": answer["_scroll_id"]})
        if found != total:
            raise RigError(f"{index}: {total} documents were announced, {found} came")

    def _read(self, method: str, path: str, body: Any) -> Any:
        """Makes a request again that an engine has no memory to begin: it collects its garbage."""

        def answer() -> Any:
            try:
                return self.call(method, path, body, seconds=300, is_exact=True)
            except SearchError as error:
                if error.status != 429:
                    raise
                return None

        return wait_until(answer, _MEMORY_WAIT, f"{self.url} has memory to answer", every=0.5)


# One node cannot hold a replica.
_ONE_COPY = {"number_of_shards": 1, "number_of_replicas": 0}


def _data_stream(is_wanted: bool) -> dict[str, Any]:
    return {"data_stream": {}} if is_wanted else {}


def _quoted(index: str) -> str:
    return urllib.parse.quote(index, safe="*,")


def _check_shards(answer: Mapping[str, Any]) -> None:
    if answer.get("timed_out") or int(answer["_shards"]["failed"]):
        raise RigError(f"not all shards answered: {json.dumps(answer['_shards'])}")


def _parsed(text: bytes, is_exact: bool = False) -> Any:
    """JSON, or the text itself where it is none."""
    try:
        return exact_json(text) if is_exact else json.loads(text)
    except ValueError:
        return text.decode(errors="replace")
