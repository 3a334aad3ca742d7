"""HTTPS and access control in front of a plain HTTP server.

The engines that Maven offers speak plain HTTP and know no users; what runs against them has to
speak https, trust a CA and show a credential all the same.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import secrets
import socket
import ssl
import struct
import threading
from collections.abc import Mapping
from typing import BinaryIO

from rig.certificates import Certificates, KeyPair
from rig.ports import HOST, PortReservation

_HANDSHAKE_SECONDS = 10.0
_PIECE = 1 << 16
_HEAD_LINES_MAX = 200


def server_context(
    certificates: Certificates, *, requires_certificate: bool = False, pair: KeyPair | None = None
) -> ssl.SSLContext:
    """TLS of a server on loopback; with `requires_certificate` clients must show one too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain((pair or certificates.server("search")).bundle)
    if requires_certificate:
        context.load_verify_locations(certificates.root)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def reset(connection: socket.socket) -> None:
    """Closes so that the peer sees a reset, not an end."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        connection.close()


class Credentials:
    """Who may come in. All may be changed at any time; the next request is judged by it."""

    def __init__(
        self, users: Mapping[str, str] | None = None, api_keys: Mapping[str, str] | None = None
    ) -> None:
        """Names with passwords, ids with keys. With neither, everybody may come in."""
        self.users = dict(users or {})
        self.api_keys = dict(api_keys or {})

    def admit(self, authorization: str | None) -> bool:
        """Whether this Authorization header opens the door."""
        if not self.users and not self.api_keys:
            return True
        scheme, _, text = (authorization or "").partition(" ")
        known = {"basic": self.users, "apikey": self.api_keys}.get(scheme.lower())
        if known is None:
            return False
        try:
            name, colon, secret = base64.b64decode(text, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        wanted = known.get(name)
        return bool(colon) and wanted is not None and secrets.compare_digest(
            secret.encode(), wanted.encode()
        )


class HttpsFront:
    """Terminates TLS, checks the credential and hands each request on to a plain server.

    `open` and `close` may alternate, on one port. While it is closed connections are refused, and
    when the server behind has gone they are reset, as with a server that does TLS itself. A thread
    per connection; a request's body must have a Content-Length.
    """

    def __init__(
        self,
        target: tuple[str, int],
        port: PortReservation,
        certificates: Certificates,
        credentials: Credentials | None = None,
        *,
        requires_certificate: bool = False,
    ) -> None:
        self.target = target
        self.port = port.number
        self.credentials = credentials or Credentials()
        self._context = server_context(certificates, requires_certificate=requires_certificate)
        self._guard = threading.Lock()
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    def open(self) -> None:
        """Starts to accept; nothing happens when it does so already."""
        with self._guard:
            if self._listener is not None:
                return
            self._listener = socket.create_server((HOST, self.port), backlog=128)
            threading.Thread(
                target=self._accept, args=(self._listener,), name="rig-https-front", daemon=True
            ).start()

    def close(self) -> None:
        """Refuses new connections and ends those that are open."""
        with self._guard:
            listener, self._listener = self._listener, None
            connections, self._connections = self._connections, set()
        if listener is not None:
            # Wakes the thread in accept, which a close alone does not.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(
                target=self._serve, args=(connection,), name="rig-https-front", daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._guard:
            if self._listener is None:
                reset(connection)
                return
        upstream: socket.socket | None = None
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(_HANDSHAKE_SECONDS)
            connection = self._context.wrap_socket(connection, server_side=True)
            connection.settimeout(None)
            with self._guard:
                self._connections.add(connection)
            upstream = socket.create_connection(self.target)
            upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            exchange = _Exchange(connection, upstream, self.credentials)
            while exchange.run():
                pass
            with contextlib.suppress(OSError):
                connection.unwrap()
            connection.close()
        except (OSError, ValueError):
            reset(connection)
        finally:
            with self._guard:
                self._connections.discard(connection)
            if upstream is not None:
                upstream.close()


class _Exchange:
    """Requests and answers of one connection, one after the other."""

    def __init__(
        self, client: socket.socket, server: socket.socket, credentials: Credentials
    ) -> None:
        self._client = client
        self._server = server
        self._from_client = client.makefile("rb", buffering=_PIECE)
        self._from_server = server.makefile("rb", buffering=_PIECE)
        self._credentials = credentials

    def run(self) -> bool:
        """Carries one request and its answer; False when the connection is over."""
        request = _read_head(self._from_client)
        if request is None:
            return False
        start, headers = request
        if "transfer-encoding" in headers:
            return self._refuse(411, "Length Required", "a body needs a Content-Length")
        length = int(headers.get("content-length", "0"))
        if headers.get("expect", "").lower() == "100-continue":
            self._client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self._credentials.admit(headers.get("authorization")):
            _copy(self._from_client, None, length)
            return self._refuse(401, "Unauthorized", "unable to authenticate", is_final=False)
        # The server behind knows no credentials, and must not wait for our leave to be asked.
        passed = {
            name: value
            for name, value in headers.items()
            if name not in ("authorization", "expect", "host")
        }
        passed["host"] = "{}:{}".format(*self._server.getpeername())
        self._server.sendall(_head(start, passed))
        _copy(self._from_client, self._server, length)
        return self._answer(start.split(" ", 1)[0])

    def _answer(self, method: str) -> bool:
        answer = _read_head(self._from_server)
        if answer is None:
            raise ValueError("the server behind has gone")
        start, headers = answer
        self._client.sendall(_head(start, headers))
        if "transfer-encoding" in headers:
            _copy_chunks(self._from_server, self._client)
        elif method != "HEAD":
            _copy(self._from_server, self._client, int(headers.get("content-length", "0")))
        return headers.get("connection", "").lower() != "close"

    def _refuse(self, status: int, phrase: str, reason: str, is_final: bool = True) -> bool:
        body = (
            f'{{"error":{{"type":"security_exception","reason":"{reason}"}},"status":{status}}}'
        ).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        if status == 401:
            headers["www-authenticate"] = 'Basic realm="rig", ApiKey'
        if is_final:
            headers["connection"] = "close"
        self._client.sendall(_head(f"HTTP/1.1 {status} {phrase}", headers) + body)
        return not is_final


def _read_head(stream: BinaryIO) -> tuple[str, dict[str, str]] | None:
    """The first line and the headers in small letters; None at the end of the stream."""
    start = stream.readline(_PIECE)
    if not start:
        return None
    headers: dict[str, str] = {}
    for _ in range(_HEAD_LINES_MAX):
        line = stream.readline(_PIECE)
        if line in (b"\r\n", b"\n"):
            return start.decode("latin-1").rstrip("\r\n"), headers
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            break
        headers[name.strip().lower()] = value.strip()
    raise ValueError("not a head of HTTP")


def _head(start: str, headers: Mapping[str, str]) -> bytes:
    lines = [start, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _copy(source: BinaryIO, target: socket.socket | None, length: int) -> None:
    while length > 0:
        piece = source.read1(min(length, _PIECE))
        if not piece:
            raise ValueError("it ended in the middle")
        if target is not None:
            target.sendall(piece)
        length -= len(piece)


def _copy_chunks(source: BinaryIO, target: socket.socket) -> None:
    """An answer in chunks, as engines give large ones, up to the empty chunk and what follows it."""
    while True:
        head = source.readline(_PIECE)
        target.sendall(head)
        size = int(head.split(b";", 1)[0], 16)
        if size == 0:
            break
        _copy(source, target, size + len(b"\r\n"))
    while (line := source.readline(_PIECE)).strip():
        target.sendall(line)
    target.sendall(b"\r\n")
