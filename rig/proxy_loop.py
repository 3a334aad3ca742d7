"""The event loop that carries the bytes of a fault proxy: one thread, sockets that never block."""

from __future__ import annotations

import errno
import random
import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

from rig.ports import HOST
from rig.processes import RigError
from rig.proxy_rules import Rules, Way

T = TypeVar("T")

# Small enough that a fault holds back what is sent from now on and not a megabyte later.
_SOCKET_BUFFER = 256 << 10
_READ_AT_ONCE = 256 << 10
# Linger for 0 s: closing sends RST in place of FIN.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Counts:
    """What a proxy has seen and done since its start; by these a test shows that a fault bit.

    `reset` counts connections that a fault has reset, `to_server` and `to_client` forwarded bytes.
    """

    accepted: int
    open: int
    refused_by_server: int
    reset: int
    corrupted: int
    to_server: int
    to_client: int


@dataclass(eq=False)
class _Pipe:
    """One way of one connection; the queue holds (due, bytes), and None for bytes is the end."""

    source: socket.socket
    target: socket.socket
    rules: Rules
    queue: deque[tuple[float, memoryview | None]] = field(default_factory=deque)
    queued: int = 0
    last_due: float = 0
    is_at_end: bool = False
    is_done: bool = False
    is_blocked: bool = False
    wake_at: float | None = None

    def room(self) -> int:
        return self.rules.queue_max() - self.queued

    def wants_to_read(self) -> bool:
        return not self.is_at_end and not self.rules.is_stalled and self.room() > 0

    def wants_to_write(self) -> bool:
        return self.is_blocked and not self.rules.is_stalled


@dataclass(eq=False)
class _Connection:
    client: socket.socket
    server: socket.socket
    pipes: tuple[_Pipe, _Pipe]
    is_connected: bool = False

    def events(self, end: socket.socket) -> int:
        if not self.is_connected:
            return selectors.EVENT_WRITE if end is self.server else 0
        events = 0
        for pipe in self.pipes:
            if pipe.source is end and pipe.wants_to_read():
                events |= selectors.EVENT_READ
            if pipe.target is end and pipe.wants_to_write():
                events |= selectors.EVENT_WRITE
        return events


class Loop:
    """The event loop behind a proxy. All but `call` and `end` runs on its own thread."""

    def __init__(self, target: tuple[str, int], port: int, seed: int) -> None:
        self._target = target
        self._port = port
        self._random = random.Random(seed)
        self._rules = {way: Rules() for way in Way}
        self._connections: set[_Connection] = set()
        self._sleeping: set[tuple[_Connection, _Pipe]] = set()
        self._buffer = memoryview(bytearray(_READ_AT_ONCE))
        self._accepted = self._refused = self._resets = self._corrupted = 0
        self._selector = selectors.DefaultSelector()
        self._actions: deque[tuple[Callable[[], object], Future]] = deque()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ, self._run_actions)
        self._is_ending = False
        self._listener: socket.socket | None = None
        self._listen()
        self._thread = threading.Thread(target=self._run, name=f"rig-proxy-{port}", daemon=True)
        self._thread.start()

    def call(self, action: Callable[[], T]) -> T:
        """Runs `action` on the loop's thread and returns its result."""
        if not self._thread.is_alive():
            raise RigError(f"the proxy on port {self._port} is closed")
        done: Future[T] = Future()
        self._actions.append((action, done))
        self._wake_writer.send(b"\0")
        return done.result(10)

    def end(self) -> None:
        """Ends the loop; a second call does nothing."""
        if self._thread.is_alive():
            self.call(self._end)
            self._thread.join()

    # Faults

    def redirect(self, target: tuple[str, int]) -> None:
        self._target = target

    def cut(self) -> None:
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None
        self.reset_all()

    def reset_all(self) -> None:
        for connection in list(self._connections):
            self._reset(connection)

    def change(self, ways: Iterable[Way], change: Callable[[Rules], None]) -> None:
        for way in ways:
            change(self._rules[way])
        self._look_again()

    def heal(self) -> None:
        for rules in self._rules.values():
            rules.heal()
        for connection in self._connections:
            for pipe in connection.pipes:
                pipe.queue = deque((0.0, data) for _, data in pipe.queue)
                pipe.last_due = 0
        self._listen()
        self._look_again()

    def counts(self) -> Counts:
        return Counts(
            accepted=self._accepted,
            open=len(self._connections),
            refused_by_server=self._refused,
            reset=self._resets,
            corrupted=self._corrupted,
            to_server=self._rules[Way.TO_SERVER].forwarded,
            to_client=self._rules[Way.TO_CLIENT].forwarded,
        )

    # The loop

    def _run(self) -> None:
        while not self._is_ending:
            for key, events in self._selector.select(self._until_next_wake()):
                # A reset may have closed the socket of a later event of this round.
                if key.fileobj.fileno() >= 0:
                    key.data(events)
            self._wake_sleepers()

    def _run_actions(self, _: int) -> None:
        self._wake_reader.recv(4096)
        while self._actions:
            action, done = self._actions.popleft()
            try:
                done.set_result(action())
            except BaseException as error:  # The caller's thread raises it.
                done.set_exception(error)

    def _end(self) -> None:
        self.cut()
        self._is_ending = True
        self._selector.close()
        self._wake_reader.close()
        self._wake_writer.close()

    def _until_next_wake(self) -> float | None:
        if not self._sleeping:
            return None
        return max(0.0, min(pipe.wake_at for _, pipe in self._sleeping) - time.monotonic())

    def _wake_sleepers(self) -> None:
        now = time.monotonic()
        for connection, pipe in [one for one in self._sleeping if one[1].wake_at <= now]:
            if connection in self._connections:
                self._write(connection, pipe)
                self._watch(connection)

    def _look_again(self) -> None:
        for connection in list(self._connections):
            for pipe in connection.pipes:
                if connection in self._connections and connection.is_connected:
                    self._write(connection, pipe)
            self._watch(connection)

    # Connections

    def _listen(self) -> None:
        if self._listener is not None:
            return
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _prepare(listener)
        listener.bind((HOST, self._port))
        listener.listen(512)
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ, self._accept)

    def _accept(self, _: int) -> None:
        try:
            client, _address = self._listener.accept()
        except OSError:  # It went away again before we came.
            return
        _prepare(client)
        server = socket.socket()
        _prepare(server)
        outcome = server.connect_ex(self._target)
        connection = _Connection(
            client,
            server,
            (
                _Pipe(client, server, self._rules[Way.TO_SERVER]),
                _Pipe(server, client, self._rules[Way.TO_CLIENT]),
            ),
        )
        self._accepted += 1
        self._connections.add(connection)
        if outcome in (0, errno.EINPROGRESS):
            self._watch(connection)
        else:
            self._give_up(connection)

    def _on_event(self, connection: _Connection, end: socket.socket, events: int) -> None:
        if not connection.is_connected:
            if end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._give_up(connection)
                return
            connection.is_connected = True
        for pipe in connection.pipes:
            if (
                pipe.target is end
                and events & selectors.EVENT_WRITE
                and connection in self._connections
            ):
                self._write(connection, pipe)
            if (
                pipe.source is end
                and events & selectors.EVENT_READ
                and connection in self._connections
            ):
                self._read(connection, pipe)
        self._watch(connection)

    def _watch(self, connection: _Connection) -> None:
        """Tells the selector what this connection waits for now, or lets go of a finished one."""
        if connection not in self._connections:
            return
        if all(pipe.is_done for pipe in connection.pipes):
            self._forget(connection)
            return
        for end in (connection.client, connection.server):
            events = connection.events(end)
            key = self._selector.get_map().get(end)
            if key is None:
                if events:
                    self._selector.register(end, events, self._handler(connection, end))
            elif not events:
                self._selector.unregister(end)
            elif key.events != events:
                self._selector.modify(end, events, key.data)

    def _handler(self, connection: _Connection, end: socket.socket) -> Callable[[int], None]:
        return lambda events: self._on_event(connection, end, events)

    def _give_up(self, connection: _Connection) -> None:
        """The server cannot be reached: the client hears of it as it would without a proxy."""
        self._refused += 1
        self._abort(connection)

    def _reset(self, connection: _Connection) -> None:
        """A reset of our doing; one that an end has sent is passed on by `_abort`."""
        self._resets += 1
        self._abort(connection)

    def _abort(self, connection: _Connection) -> None:
        for end in (connection.client, connection.server):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._forget(connection)

    def _forget(self, connection: _Connection) -> None:
        for end in (connection.client, connection.server):
            if end in self._selector.get_map():
                self._selector.unregister(end)
            end.close()
        self._connections.discard(connection)
        self._sleeping -= {(connection, pipe) for pipe in connection.pipes}

    # Bytes

    def _read(self, connection: _Connection, pipe: _Pipe) -> None:
        if not pipe.wants_to_read():
            return
        try:
            count = pipe.source.recv_into(self._buffer, min(pipe.room(), _READ_AT_ONCE))
        except BlockingIOError:
            return
        except OSError:
            self._abort(connection)
            return
        pipe.is_at_end = count == 0
        due = 0.0
        if pipe.rules.delay:
            due = time.monotonic() + pipe.rules.delay + pipe.rules.jitter * self._random.random()
            due = pipe.last_due = max(due, pipe.last_due)
        pipe.queue.append((due, self._buffer[:count] if count else None))
        pipe.queued += count
        self._write(connection, pipe)
        if count and pipe.queue:
            # What could not go at once must not stay in the buffer that the next read overwrites.
            due, rest = pipe.queue.pop()
            pipe.queue.append((due, memoryview(bytearray(rest))))

    def _write(self, connection: _Connection, pipe: _Pipe) -> None:
        """Sends what is due and allowed, and notes what the rest waits for."""
        self._sleeping.discard((connection, pipe))
        pipe.wake_at, pipe.is_blocked = None, False
        while pipe.queue and not pipe.rules.is_stalled:
            now = time.monotonic()
            due, data = pipe.queue[0]
            if due > now:
                self._sleep(connection, pipe, due)
                return
            if data is None:
                self._finish(connection, pipe)
                return
            allowed, when = pipe.rules.allowance(len(data), now)
            if allowed == 0 and pipe.rules.cut_left != 0:
                self._sleep(connection, pipe, when)
                return
            if not self._send(connection, pipe, data, allowed):
                return

    def _send(self, connection: _Connection, pipe: _Pipe, data: memoryview, allowed: int) -> bool:
        """Sends up to `allowed` bytes of the first in the queue; False when no more can go now."""
        rules = pipe.rules
        if rules.corrupt_left is not None and rules.corrupt_left < allowed:
            data[rules.corrupt_left] ^= self._random.randint(1, 255)
            rules.corrupt_left = None
            self._corrupted += 1
        try:
            sent = pipe.target.send(data[:allowed]) if allowed else 0
        except BlockingIOError:
            pipe.is_blocked = True
            return False
        except OSError:
            self._abort(connection)
            return False
        rules.passed(sent)
        pipe.queued -= sent
        if sent < len(data):
            pipe.queue[0] = (0.0, data[sent:])
        else:
            pipe.queue.popleft()
        if rules.cut_left == 0:
            rules.cut_left = None
            self._reset(connection)
            return False
        return True

    def _sleep(self, connection: _Connection, pipe: _Pipe, until: float) -> None:
        pipe.wake_at = until
        self._sleeping.add((connection, pipe))

    def _finish(self, connection: _Connection, pipe: _Pipe) -> None:
        pipe.queue.clear()
        pipe.is_done = True
        try:
            pipe.target.shutdown(socket.SHUT_WR)
        except OSError:  # The other end has gone for good.
            self._abort(connection)


def _prepare(end: socket.socket) -> None:
    end.setblocking(False)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
