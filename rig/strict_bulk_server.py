"""A server of `_bulk` that refuses all that the sink must not do, and misbehaves when told to.

It takes the part of OpenSearch or Elasticsearch where a real one cannot be made to do what is
wanted, and says of every request whether it kept to the rules. `violations` must be empty at the
end of a test of a well-behaved sink.

A second port is for control by other processes: GET and DELETE /requests, /documents, /violations,
/faults; POST /faults, /settings, /rollover, /stream-patterns.
"""

from __future__ import annotations

import contextlib
import gzip
import http.server
import json
import socket
import socketserver
import threading
import time
import urllib.parse
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from rig.bulk_faults import ITEM_REFUSALS, REFUSALS, SPOILS, Fault, FaultScript
from rig.bulk_store import ID_MAX, Action, BulkStore, ItemError, Stored
from rig.certificates import Certificates
from rig.https_front import Credentials, reset, server_context
from rig.ports import HOST, PortReservation
from rig.processes import RigError, wait_until
from rig.search_client import Document, exact_json

# What GET / says; None is a 404, as Serverless answers.
PRODUCTS: dict[str, dict[str, str] | None] = {
    "opensearch-1": {"distribution": "opensearch", "number": "1.3.13"},
    "opensearch-2": {"distribution": "opensearch", "number": "2.19.1"},
    "opensearch-3": {"distribution": "opensearch", "number": "3.1.0"},
    # compatibility.override_main_response_version
    "opensearch-2-as-7.10.2": {"number": "7.10.2"},
    "elasticsearch-7": {"number": "7.10.2", "build_flavor": "default"},
    "elasticsearch-8": {"number": "8.17.0", "build_flavor": "default"},
    "elasticsearch-9": {"number": "9.1.0", "build_flavor": "default"},
    "serverless": None,
}
_BODIES_MAX = 64 << 20
_META_NAMES = {
    "_index", "_id", "_type", "version", "version_type", "routing", "pipeline", "require_alias",
    "require_data_stream", "op_type", "if_seq_no", "if_primary_term", "dynamic_templates",
}
_PARAMETERS = {
    "filter_path", "pipeline", "refresh", "timeout", "routing", "require_alias", "error_trace",
    "wait_for_active_shards", "pretty", "human",
}
_HTML = b"<html><head><title>Sign in</title></head><body>The proxy asks who you are.</body></html>"


@dataclass
class Recorded:
    """One request as it came, and what became of it."""

    number: int
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    connection: int
    received_at: float
    body_bytes: int = 0
    # After decompression; None when the recorded bodies would be too many.
    body: bytes | None = None
    actions: int = 0
    # 0: none was sent.
    status: int = 0
    faults: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "body": None if self.body is None else self.body.decode("latin-1")}


class _Refused(Exception):
    """The whole request is refused."""

    def __init__(self, status: int, type: str, reason: str, violation: str | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.type = type
        self.reason = reason
        self.violation = violation

    def body(self) -> bytes:
        error = {"type": self.type, "reason": self.reason}
        return _json({"error": {"root_cause": [error], **error}, "status": self.status})


class StrictBulkServer:
    """The server; a context manager: starts, and stops.

    Settings may be changed at any time: `product`, `credentials`, `max_content_length` (of the
    body as it is sent), `requires_ids`, `allows_external_versions`, `store.creates_indexes`.
    """

    def __init__(
        self,
        product: str = "opensearch-2",
        *,
        certificates: Certificates | None = None,
        requires_certificate: bool = False,
        users: Mapping[str, str] | None = None,
        api_keys: Mapping[str, str] | None = None,
        max_content_length: int = 100 << 20,
        requires_ids: bool = True,
        allows_external_versions: bool = False,
        stream_patterns: tuple[str, ...] = (),
        cluster_uuid: str = "c3RyaWN0",
    ) -> None:
        """Plain HTTP, or TLS with `certificates`. Without users and keys everybody may come in."""
        self.product = product
        self.credentials = Credentials(users, api_keys)
        self.max_content_length = max_content_length
        self.requires_ids = requires_ids
        self.allows_external_versions = allows_external_versions
        self.certificates = certificates
        self.cluster_uuid = cluster_uuid
        self.store = BulkStore()
        for pattern in stream_patterns:
            self.store.add_stream_pattern(pattern)
        self.script = FaultScript()
        self._context = certificates and server_context(
            certificates, requires_certificate=requires_certificate
        )
        self._guard = threading.Condition()
        self._requests: list[Recorded] = []
        self._bodies_left = _BODIES_MAX
        self._canned: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._numbers = 0
        self._tasks: dict[int, str] = {}
        self._port = PortReservation.take()
        self._control_port = PortReservation.take()
        self._server: _Server | None = None
        self._control: _Server | None = None

    def __enter__(self) -> StrictBulkServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._port.release()
        self._control_port.release()

    @property
    def product(self) -> str:
        """What it says it is, one of PRODUCTS."""
        return self._product

    @product.setter
    def product(self, name: str) -> None:
        if name not in PRODUCTS:
            raise RigError(f"no product {name}; there are {', '.join(PRODUCTS)}")
        self._product = name

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://{HOST}:{self._port.number}"

    @property
    def control_url(self) -> str:
        return f"http://{HOST}:{self._control_port.number}"

    @property
    def ca(self) -> Path | None:
        return self.certificates.root if self.certificates else None

    def start(self) -> StrictBulkServer:
        """Listens, again on the same port after a `stop`; documents and records are kept."""
        self._server = _Server(self._port.number, _BulkHandler, self, self._context)
        if self._control is None:
            self._control = _Server(self._control_port.number, _ControlHandler, self, None)
        return self

    def stop(self) -> None:
        """Ends all connections and refuses new ones; control ends too."""
        self.script.heal()
        self.go_away()
        if self._control is not None:
            self._control.end()
            self._control = None

    def go_away(self) -> None:
        """Ends all connections and refuses new ones until `start`; control goes on."""
        if self._server is not None:
            self._server.end()
            self._server = None

    # What it shall do wrong

    def fail(self, kind: str, times: int | None = 1, **options: Any) -> Fault:
        """Adds a fault; see Fault for the options. `heal` ends one of `times=None`."""
        return self.script.add(Fault(kind, times, **options))

    def heal(self, fault: Fault | None = None) -> None:
        """Takes one fault away, or all."""
        self.script.heal(fault)

    def answer(self, method: str, path: str, status: int, body: Any) -> None:
        """A canned answer to every request of that method and path (without its query)."""
        data = body if isinstance(body, bytes) else _json(body)
        with self._guard:
            self._canned[method, path] = (status, data)

    # What has happened

    @property
    def requests(self) -> list[Recorded]:
        """All requests so far, in the order in which they came."""
        with self._guard:
            return list(self._requests)

    @property
    def bulks(self) -> list[Recorded]:
        """The bulk requests so far."""
        return [one for one in self.requests if one.path.endswith("/_bulk")]

    @property
    def violations(self) -> list[str]:
        """What broke the rules, with the number of the request."""
        return [f"{one.number}: {text}" for one in self.requests for text in one.violations]

    def forget(self) -> None:
        """Forgets the requests, not the documents."""
        with self._guard:
            self._requests.clear()
            self._bodies_left = _BODIES_MAX

    def wait_for_bulks(self, count: int, seconds: float = 30) -> list[Recorded]:
        """Waits until that many bulk requests have been dealt with."""
        wait_until(
            lambda: sum(one.status != 0 or bool(one.faults) for one in self.bulks) >= count,
            seconds,
            f"{count} bulk requests; {len(self.bulks)} came",
        )
        return self.bulks

    def sources(self, pattern: str = "*") -> dict[str, list[bytes]]:
        """By id, the documents of the indexes that fit: more than one if it was stored twice."""
        found: dict[str, list[bytes]] = {}
        for _, id, stored in self.store.documents(pattern):
            found.setdefault(id, []).append(stored.source)
        return found

    def documents(self, pattern: str = "*") -> Iterator[Document]:
        """Every document of the indexes that fit, as SearchClient.documents gives them."""
        for index, id, stored in self.store.documents(pattern):
            yield Document(index, id, exact_json(stored.source))

    def to_json(self) -> dict[str, Any]:
        """All that another process needs to reach it."""
        return {
            "product": self.product,
            "url": self.url,
            "control_url": self.control_url,
            "ca": str(self.ca) if self.ca else None,
            "users": self.credentials.users,
            "api_keys": self.credentials.api_keys,
        }

    # For the handlers

    def record(self, recorded: Recorded) -> Recorded:
        """Keeps a request and numbers it."""
        with self._guard:
            self._numbers += 1
            recorded.number = self._numbers
            self._requests.append(recorded)
        return recorded

    def keep_body(self, recorded: Recorded, body: bytes) -> None:
        """Keeps a body while there is room."""
        with self._guard:
            if len(body) <= self._bodies_left:
                self._bodies_left -= len(body)
                recorded.body = body

    @property
    def tasks(self) -> dict[int, str]:
        """What it works on after it has hung up: the X-Opaque-Id of each by its number."""
        with self._guard:
            return dict(self._tasks)

    @contextlib.contextmanager
    def working_on(self, name: str) -> Iterator[None]:
        """Lists a task for as long as it lasts."""
        with self._guard:
            self._numbers += 1
            number = self._numbers
            self._tasks[number] = name
        try:
            yield
        finally:
            with self._guard:
                del self._tasks[number]

    def canned(self, method: str, path: str) -> tuple[int, bytes] | None:
        with self._guard:
            return self._canned.get((method, path))


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A thread per connection; `end` ends all of them."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, handler: type, owner: StrictBulkServer, context: Any) -> None:
        self.owner = owner
        self._context = context
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._connections = 0
        super().__init__((HOST, port), handler)
        self._thread = threading.Thread(
            target=self.serve_forever, args=(0.05,), name="rig-strict-bulk", daemon=True
        )
        self._thread.start()

    def server_bind(self) -> None:
        # HTTPServer would ask the resolver for the name of the host.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def next_connection(self) -> int:
        with self._guard:
            self._connections += 1
            return self._connections

    def finish_request(self, request: socket.socket, client_address: Any) -> None:
        """Runs in the connection's thread, so a slow handshake holds nobody up."""
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context:
            request.settimeout(10)
            request = self._context.wrap_socket(request, server_side=True)
            request.settimeout(None)
        with self._guard:
            self._open.add(request)
        try:
            super().finish_request(request, client_address)
        finally:
            with self._guard:
                self._open.discard(request)
            if self._context:
                request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that ends is no news here."""

    def end(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
        with self._guard:
            left = list(self._open)
        for connection in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(http.server.BaseHTTPRequestHandler):
    """What both ports have in common."""

    protocol_version = "HTTP/1.1"
    server: _Server

    @property
    def owner(self) -> StrictBulkServer:
        return self.server.owner

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are recorded, not printed."""

    def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        named = {"Content-Type": "application/json; charset=UTF-8", **(headers or {})}
        named.setdefault("Content-Length", str(len(body)))
        for name, value in named.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def hang_up(self) -> None:
        """A reset in place of an answer."""
        self.close_connection = True
        # Unsent bytes must not follow, nor the stream's own goodbye.
        self.wfile = _Nowhere()
        reset(self.connection)


class _Nowhere:
    closed = False

    def write(self, data: bytes) -> int:
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


class _BulkHandler(_Handler):
    """The port of the engine."""

    def setup(self) -> None:
        super().setup()
        self._connection_number = self.server.next_connection()

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def do_any(self) -> None:
        path, _, query = self.path.partition("?")
        parameters = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self._recorded = self.owner.record(
            Recorded(
                0,
                self.command,
                urllib.parse.unquote(path),
                parameters,
                {name.lower(): value for name, value in self.headers.items()},
                self._connection_number,
                time.time(),
            )
        )
        self._taken: list[Fault] = []
        try:
            self._dispatch(urllib.parse.unquote(path), parameters)
        except _Refused as refused:
            if refused.violation:
                self._recorded.violations.append(refused.violation)
            self._reply(refused.status, refused.body())

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_any  # noqa: N815 - names of the base class

    def _dispatch(self, path: str, query: dict[str, str]) -> None:
        is_bulk = path == "/_bulk" or path.endswith("/_bulk")
        body = self._read_body(is_bulk)
        if not self.owner.credentials.admit(self.headers.get("Authorization")):
            raise _Refused(401, "security_exception", "unable to authenticate")
        canned = self.owner.canned(self.command, path)
        if canned is not None:
            self._reply(*canned)
        elif is_bulk and self.command in ("POST", "PUT"):
            self._bulk(path, query, body)
        else:
            self._other(path, query, body)

    # Reading

    def _read_body(self, is_bulk: bool) -> bytes:
        """The body as it came, or a refusal; a connection that is out of step is closed."""
        if "Transfer-Encoding" in self.headers:
            self.close_connection = True
            raise _Refused(411, "length_required", "Content-Length", "a chunked body")
        lengths = self.headers.get_all("Content-Length", [])
        if self.command in ("POST", "PUT") and is_bulk and not lengths:
            self.close_connection = True
            raise _Refused(411, "length_required", "Content-Length", "no Content-Length")
        if len(lengths) > 1 or (lengths and not lengths[0].isdigit()):
            self.close_connection = True
            raise _Refused(400, "bad_request", "Content-Length", "not one Content-Length")
        length = int(lengths[0]) if lengths else 0
        self._recorded.body_bytes = length
        if length > self.owner.max_content_length:
            self._skip(length)
            raise _Refused(413, "content_too_long_exception", "entity content is too long")
        return self._cut(length) if self._cuts(is_bulk) else self._exactly(length)

    def _cuts(self, is_bulk: bool) -> bool:
        return is_bulk and any(fault.kind == "cut-in-request" for fault in self.owner.script.left())

    def _cut(self, length: int) -> bytes:
        """Reads the body in two parts, and hangs up between them if the fault's time has come."""
        first = self._exactly(length // 2)
        fault = self.owner.script.take_kind("cut-in-request")
        if fault is None:
            return first + self._exactly(length - len(first))
        self._recorded.faults.append(fault.kind)
        self.hang_up()
        raise ConnectionAbortedError

    def _exactly(self, length: int) -> bytes:
        body = self.rfile.read(length)
        if len(body) != length:
            raise ConnectionAbortedError
        return body

    def _skip(self, length: int) -> None:
        while length > 0:
            length -= len(self._exactly(min(length, 1 << 16)))

    # Bulk

    def _bulk(self, path: str, query: dict[str, str], body: bytes) -> None:
        self._check_head(query)
        body = self._decoded(body)
        self.owner.keep_body(self._recorded, body)
        default_index = path[1:-len("/_bulk")].strip("/") or None
        actions = self._actions(body, default_index)
        self._recorded.actions = len(actions)
        self._check_actions(actions)
        self._taken = self.owner.script.take([(one.index, one.id or "") for one in actions])
        self._recorded.faults += [fault.kind for fault in self._taken]
        other = next((fault for fault in self._taken if fault.kind not in ITEM_REFUSALS), None)
        if other is not None and other.kind in REFUSALS:
            self._refuse(other)
            return
        if other is not None and not SPOILS[other.kind]:
            self._spoil(other, {"took": 1, "errors": False, "items": []}, query)
            return
        if other is not None and other.kind == "rollover":
            self.owner.store.roll_over()
        if other is not None and other.kind == "apply-late":
            self._apply_late(other, actions)
            return
        items = self._apply(actions)
        answer = {
            "took": 1,
            "errors": any("error" in outcome for item in items for outcome in item.values()),
            "items": items,
        }
        if other is not None and other.kind != "rollover":
            self._spoil(other, answer, query)
        else:
            self._reply(200, _json(_filtered(answer, query.get("filter_path"))))

    def _check_head(self, query: dict[str, str]) -> None:
        content_type = self.headers.get("Content-Type", "").split(";")[0].strip().lower()
        if content_type != "application/x-ndjson":
            raise _Refused(
                406,
                "media_type_header_exception",
                f"Content-Type header [{content_type}] is not supported",
                f"Content-Type {content_type or 'missing'}",
            )
        known = _PARAMETERS | (
            {"require_data_stream"}
            if self.owner.product in ("elasticsearch-8", "elasticsearch-9")
            else set()
        )
        for name in query.keys() - known:
            raise _Refused(
                400,
                "illegal_argument_exception",
                f"request [/_bulk] contains unrecognized parameter: [{name}]",
                f"the parameter {name}, which {self.owner.product} does not know",
            )
        paths = query.get("filter_path")
        if paths is not None and not {"items", "items.*.status"} & set(paths.split(",")):
            self._recorded.violations.append("filter_path leaves out the status of items")

    def _decoded(self, body: bytes) -> bytes:
        encoding = self.headers.get("Content-Encoding", "identity").lower()
        if encoding == "gzip":
            try:
                body = gzip.decompress(body)
            except (OSError, EOFError, zlib.error):
                raise _Refused(400, "zip_exception", "Not in GZIP format", "broken gzip") from None
        elif encoding != "identity":
            raise _Refused(415, "unsupported", encoding, f"Content-Encoding {encoding}")
        if not body:
            raise _Refused(400, "parse_exception", "request body is required", "an empty body")
        if not body.endswith(b"\n"):
            raise _Refused(
                400,
                "illegal_argument_exception",
                "The bulk request must be terminated by a newline [\\n]",
                "no newline at the end",
            )
        return body

    def _actions(self, body: bytes, default_index: str | None) -> list[Action]:
        lines = body.split(b"\n")[:-1]
        actions: list[Action] = []
        at = 0
        while at < len(lines):
            op, meta = self._action_line(lines[at], at + 1)
            at += 1
            source = None
            if op != "delete":
                if at == len(lines):
                    raise _malformed(at, "no document follows the last action")
                source = lines[at]
                at += 1
            index = meta.get("_index", default_index)
            if not isinstance(index, str):
                raise _invalid("index is missing", "an action without an index")
            actions.append(
                Action(op, index, meta.get("_id"), source, meta.get("version"),
                       meta.get("version_type"))
            )
            if source is not None:
                self._check_source(source, at)
        return actions

    def _action_line(self, line: bytes, number: int) -> tuple[str, dict[str, Any]]:
        try:
            action = json.loads(line)
        except (ValueError, RecursionError):
            raise _malformed(number, "an action line that is not JSON") from None
        if not isinstance(action, dict) or len(action) != 1:
            raise _malformed(number, "an action line that is no object of one member")
        [(op, meta)] = action.items()
        if op not in ("create", "index", "update", "delete") or not isinstance(meta, dict):
            raise _malformed(number, f"the action {op}")
        unknown = meta.keys() - _META_NAMES
        if "_type" in meta or unknown:
            name = "_type" if "_type" in meta else sorted(unknown)[0]
            raise _Refused(
                400,
                "illegal_argument_exception",
                f"Action/metadata line [{number}] contains an unknown parameter [{name}]",
                f"{name} in an action line",
            )
        return op, meta

    def _check_source(self, source: bytes, number: int) -> None:
        """Only what a sink has in its own hands: whether it is an object, on one line, in UTF-8."""
        if not source.startswith(b"{") or not source.endswith(b"}") or b"\r" in source:
            self._recorded.violations.append(f"line {number}: a document that is no object")
        else:
            try:
                source.decode()
            except UnicodeDecodeError:
                self._recorded.violations.append(f"line {number}: a document that is not UTF-8")

    def _check_actions(self, actions: list[Action]) -> None:
        """What makes the engines refuse a whole request because of one action, and own rules."""
        for number, action in enumerate(actions, 1):
            if action.op == "create" and (action.version is not None or action.version_type):
                raise _invalid(
                    f"{number}: create operations only support internal versioning. use index "
                    "instead",
                    "create with a version",
                )
            if action.id is not None and len(str(action.id).encode()) > ID_MAX:
                raise _invalid(
                    f"{number}: id is too long, must be no longer than {ID_MAX} bytes",
                    "an id of more than 512 bytes",
                )
            self._check_operation(number, action)

    def _check_operation(self, number: int, action: Action) -> None:
        if not self.owner.requires_ids:
            return
        if action.id is None:
            raise _invalid(f"{number}: an id is required here", "an action without an id")
        is_versioned = action.version is not None and action.version_type == "external"
        if action.op in ("create",) or (
            action.op == "index" and is_versioned and self.owner.allows_external_versions
        ):
            return
        raise _invalid(
            f"{number}: {action.op} is not allowed here", f"{action.op} in place of create"
        )

    def _apply(self, actions: list[Action]) -> list[dict[str, Any]]:
        refusals = [fault for fault in self._taken if fault.kind in ITEM_REFUSALS]
        left = [fault.items_max for fault in refusals]
        items = []
        for action in actions:
            outcome: dict[str, Any]
            chosen = None
            for at, fault in enumerate(refusals):
                if left[at] != 0 and fault.fits_item(action.index, action.id or ""):
                    chosen = fault
                    left[at] = None if left[at] is None else left[at] - 1
                    break
            index = self.owner.store.write_index(action.index)
            try:
                if chosen is not None and chosen.kind != "failure-store":
                    status, type, reason, cause = chosen.item_refusal()
                    raise ItemError(status, type, reason, cause)
                outcome = self.owner.store.apply(action)
                if chosen is not None:
                    outcome["failure_store"] = "used"
            except ItemError as error:
                outcome = {
                    "_index": index,
                    "_id": action.id,
                    "status": error.status,
                    "error": error.document(index),
                }
            if self.owner.product == "elasticsearch-7":
                outcome["_type"] = "_doc"
            items.append({action.op: outcome})
        return items

    def _apply_late(self, fault: Fault, actions: list[Action]) -> None:
        """As an engine that is busy: it has chosen the indexes, and works on for nobody."""
        store = self.owner.store
        chosen = [replace(one, index=store.write_index(one.index)) for one in actions]
        with self.owner.working_on(self.headers.get("X-Opaque-Id", "")):
            self.hang_up()
            self.owner.script.pause(fault.seconds)
            self._apply(chosen)

    # Answering

    def _refuse(self, fault: Fault) -> None:
        status, type, reason = fault.refusal()
        headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
        if fault.kind == "too-large":
            self._reply(status, b"", headers)
            return
        self._reply(status, _Refused(status, type, reason).body(), headers)

    def _spoil(self, fault: Fault, answer: dict[str, Any], query: dict[str, str]) -> None:
        answer = _filtered(_SPOILED_ITEMS.get(fault.kind, dict)(answer), query.get("filter_path"))
        body = _json(answer)
        kind = fault.kind
        if kind == "html":
            self._reply(200, _HTML, {"Content-Type": "text/html"})
        elif kind in ("empty", "empty-applied"):
            self._reply(200, b"")
        elif kind == "not-json":
            self._reply(200, body[: len(body) // 2])
        elif kind == "truncated-gzip":
            packed = gzip.compress(body)
            self._reply(200, packed[: len(packed) // 2], {"Content-Encoding": "gzip"})
        elif kind == "truncated":
            self.close_connection = True
            self._reply(200, body[: len(body) // 2], {"Content-Length": str(len(body))})
        elif kind == "cut-in-answer":
            self._reply(200, body[: len(body) // 2], {"Content-Length": str(len(body))})
            self.wfile.flush()
            self.hang_up()
        elif kind == "apply-then-reset":
            self.hang_up()
        elif kind == "apply-then-stall":
            self.owner.script.pause(fault.seconds)
            self.hang_up()
        elif kind == "slow":
            self.owner.script.pause(fault.seconds)
            self._reply(200, body)
        elif kind == "trickle":
            self._trickle(body, fault.seconds)
        else:
            self._reply(200, body)

    def _trickle(self, body: bytes, seconds: float) -> None:
        pieces = 20
        size = len(body) // pieces + 1
        self._reply(200, body[:size], {"Content-Length": str(len(body))})
        for start in range(size, len(body), size):
            self.owner.script.pause(seconds / pieces)
            self.wfile.write(body[start : start + size])
            self.wfile.flush()

    def _reply(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self._recorded.status = status
        extra = dict(headers or {})
        if self.owner.product in ("elasticsearch-8", "elasticsearch-9", "serverless"):
            extra.setdefault("X-Elastic-Product", "Elasticsearch")
        if status == 401:
            extra["WWW-Authenticate"] = 'Basic realm="rig"'
        if (
            status == 200
            and "gzip" in self.headers.get("Accept-Encoding", "")
            and "Content-Encoding" not in extra
            and "Content-Length" not in extra
            and len(body) > 1400
        ):
            body = gzip.compress(body, 1)
            extra["Content-Encoding"] = "gzip"
        self.send(status, body, extra)

    # All else that a sink asks

    def _other(self, path: str, query: dict[str, str], body: bytes) -> None:
        parts = [urllib.parse.unquote(part) for part in path.split("/") if part]
        store = self.owner.store
        if not parts:
            self._root()
        elif parts == ["_cluster", "health"]:
            self._reply(200, _json({"status": "green", "number_of_nodes": 1, "timed_out": False}))
        elif parts == ["_tasks"]:
            self._tasks(query)
        elif parts[0] == "_data_stream" and len(parts) == 2:
            self._data_stream(parts[1])
        elif parts[-1] == "_rollover" and self.command == "POST":
            if store.data_stream(parts[0]) is None:
                raise _not_found(parts[0])
            [index] = store.roll_over(parts[0])
            self._reply(200, _json({"acknowledged": True, "rolled_over": True, "new_index": index}))
        elif parts[-1] == "_mget":
            self._mget(parts[0] if len(parts) == 2 else None, body)
        elif parts[-1] == "_count":
            count = sum(1 for _ in store.documents(parts[0] if len(parts) == 2 else "*"))
            self._reply(200, _json({"count": count, "_shards": {"total": 1, "failed": 0}}))
        elif len(parts) == 1 and self.command == "PUT":
            store.create_index(parts[0])
            self._reply(200, _json({"acknowledged": True, "index": parts[0]}))
        elif len(parts) in (2, 3) and parts[1] == "_settings" and self.command == "GET":
            found = self._named(parts[0], query)
            self._reply(200, _json({one: {"settings": {}} for one in found}))
        elif len(parts) == 2 and parts[1] == "_search":
            self._search(self._named(parts[0], query), body)
        elif parts[-1] == "_refresh":
            self._reply(200, _json({"_shards": {"total": 1, "successful": 1, "failed": 0}}))
        elif len(parts) == 3 and parts[1] == "_doc" and self.command in ("GET", "HEAD"):
            found = _got(parts[0], parts[2], store.get(parts[0], parts[2]))
            self._reply(200 if found["found"] else 404, _json(found))
        else:
            raise _Refused(
                400,
                "illegal_argument_exception",
                f"no handler found for uri [{path}] and method [{self.command}]",
            )

    def _named(self, names: str, query: dict[str, str]) -> list[str]:
        """The indexes behind a list of names."""
        found = []
        for name in names.split(","):
            indexes = self.owner.store.indexes(name)
            if not indexes and query.get("ignore_unavailable") != "true":
                raise _not_found(name)
            found += indexes
        return found

    def _search(self, indexes: list[str], body: bytes) -> None:
        """A search for ids; there is no other."""
        asked = json.loads(body)
        hits = [
            {"_index": index, "_id": id}
            for id in asked["query"]["ids"]["values"]
            for index in indexes
            if self.owner.store.get(index, id) is not None
        ]
        answer = {"timed_out": False, "_shards": {"total": 1, "failed": 0}, "hits": {"hits": hits}}
        self._reply(200, _json(answer))

    def _root(self) -> None:
        version = PRODUCTS[self.owner.product]
        if version is None:
            raise _Refused(404, "not_found", "no such resource")
        self._reply(
            200,
            _json(
                {
                    "name": "strict",
                    "cluster_name": "strict",
                    "cluster_uuid": self.owner.cluster_uuid,
                    "version": version,
                    "tagline": "The OpenSearch Project: https://opensearch.org/"
                    if self.owner.product.startswith("opensearch")
                    else "You Know, for Search",
                }
            ),
        )

    def _tasks(self, query: dict[str, str]) -> None:
        if query.get("actions") != "indices:data/write/bulk*":
            raise _Refused(400, "illegal_argument_exception", f"no such actions: {query}")
        tasks = {
            f"strict:{number}": {"headers": {"X-Opaque-Id": name} if name else {}}
            for number, name in self.owner.tasks.items()
        }
        nodes = {"strict": {"tasks": tasks}} if tasks else {}
        self._reply(200, _json(_filtered({"nodes": nodes}, query.get("filter_path"))))

    def _data_stream(self, name: str) -> None:
        if self.command == "PUT":
            self.owner.store.create_data_stream(name)
            self._reply(200, _json({"acknowledged": True}))
            return
        stream = self.owner.store.data_stream(name)
        if stream is None:
            raise _not_found(name)
        self._reply(200, _json({"data_streams": [stream]}))

    def _mget(self, default_index: str | None, body: bytes) -> None:
        try:
            request = json.loads(body)
            wanted = [(one.get("_index", default_index), one["_id"])
                      for one in request.get("docs", [])]
            wanted += [(default_index, id) for id in request.get("ids", [])]
        except (ValueError, KeyError, AttributeError):
            raise _Refused(400, "parse_exception", "docs or ids", "a malformed _mget") from None
        docs = [_got(index, id, self.owner.store.get(index, id)) for index, id in wanted]
        self._reply(200, _json({"docs": docs}))


class _ControlHandler(_Handler):
    """The port by which another process tells what to do, and asks what happened."""

    def do_GET(self) -> None:  # noqa: N802 - a name of the base class
        owner = self.owner
        path, _, query = self.path.partition("?")
        if path == "/":
            self.send(200, _json(owner.to_json()))
        elif path == "/requests":
            self.send(200, _json([one.to_json() for one in owner.requests]))
        elif path == "/violations":
            self.send(200, _json(owner.violations))
        elif path == "/faults":
            self.send(200, _json([asdict(fault) for fault in owner.script.left()]))
        elif path == "/documents":
            pattern = dict(urllib.parse.parse_qsl(query)).get("index", "*")
            self.send(200, b"".join(_line(*one) for one in owner.store.documents(pattern)))
        else:
            self.send(404, b"{}")

    def do_DELETE(self) -> None:  # noqa: N802 - a name of the base class
        acts = {
            "/faults": self.owner.heal,
            "/requests": self.owner.forget,
            "/documents": self.owner.store.clear,
        }
        act = acts.get(self.path)
        if act is not None:
            act()
        self.send(404 if act is None else 200, b"{}")

    def do_POST(self) -> None:  # noqa: N802 - a name of the base class
        try:
            document = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
            self.send(200, _json(self._obey(document)))
        except (KeyError, TypeError, ValueError, AttributeError, RigError) as error:
            self.send(400, _json({"error": str(error)}))

    def _obey(self, document: dict[str, Any]) -> Any:
        owner = self.owner
        if self.path == "/faults":
            return asdict(owner.script.add(Fault.from_json(document)))
        if self.path == "/rollover":
            return owner.store.roll_over(document.get("data_stream"))
        if self.path == "/stream-patterns":
            owner.store.add_stream_pattern(document["pattern"])
            return {}
        if self.path == "/answers":
            owner.answer(*(document[name] for name in ("method", "path", "status", "body")))
            return {}
        if self.path == "/settings":
            for name, value in document.items():
                self._set(name, value)
            return {}
        raise RigError(f"no {self.path}")

    def _set(self, name: str, value: Any) -> None:
        if name in ("users", "api_keys"):
            setattr(self.owner.credentials, name, dict(value))
        elif name == "creates_indexes":
            self.owner.store.creates_indexes = bool(value)
        elif name in ("product", "max_content_length", "requires_ids", "allows_external_versions"):
            setattr(self.owner, name, value)
        else:
            raise RigError(f"no setting {name}")


def _too_few(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "items": answer["items"][:-1]}


def _too_many(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "items": [*answer["items"], *answer["items"][-1:]]}


def _shuffled(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "items": answer["items"][1:] + answer["items"][:1]}


def _without_errors(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "errors": False}


_SPOILED_ITEMS = {
    "too-few-items": _too_few,
    "too-many-items": _too_many,
    "shuffled-items": _shuffled,
    "claims-no-errors": _without_errors,
}


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _line(index: str, id: str, stored: Stored) -> bytes:
    row = {"_index": index, "_id": id, "conflicts": stored.conflicts}
    return _json(row)[:-1] + b',"_source":' + stored.source + b"}\n"


def _got(index: str, id: str, found: tuple[str, Stored] | None) -> dict[str, Any]:
    if found is None:
        return {"_index": index, "_id": id, "found": False}
    real, stored = found
    return {
        "_index": real,
        "_id": id,
        "_version": stored.version,
        "found": True,
        "_source": json.loads(stored.source),
    }


def _malformed(number: int, violation: str) -> _Refused:
    return _Refused(
        400, "illegal_argument_exception", f"Malformed action/metadata line [{number}]", violation
    )


def _invalid(reason: str, violation: str) -> _Refused:
    return _Refused(
        400, "action_request_validation_exception", f"Validation Failed: {reason};", violation
    )


def _not_found(name: str) -> _Refused:
    return _Refused(404, "index_not_found_exception", f"no such index [{name}]")


def _filtered(answer: dict[str, Any], filter_path: str | None) -> dict[str, Any]:
    """The answer under `filter_path`, as far as bulk answers need it; an empty item stays out."""
    if filter_path is None:
        return answer
    paths = [path.split(".") for path in filter_path.split(",")]
    kept = _kept(answer, paths)
    return kept if isinstance(kept, dict) else {}


def _kept(value: Any, paths: list[list[str]]) -> Any:
    """What the paths reach in a value; None if it is nothing."""
    if any(not path for path in paths):
        return value
    if isinstance(value, list):
        rows = [_kept(one, paths) for one in value]
        return [row for row in rows if row is not None] or None
    if not isinstance(value, dict):
        return None
    kept = {}
    for name, member in value.items():
        further = [path[1:] for path in paths if path[0] in (name, "*")]
        if further:
            inner = _kept(member, further)
            if inner is not None:
                kept[name] = inner
    return kept or None
