"""Each fault of the proxy is shown to bite, and to end when it is healed."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from rig.proxy import FaultProxy, Way


class EchoServer:
    """Sends back what it gets; `connections` are its ends."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> tuple[str, int]:
        return self.listener.getsockname()

    def close(self) -> None:
        if self.listener.fileno() < 0:
            return
        # Wakes the thread in accept, which close alone would not.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, connection: socket.socket) -> None:
        try:
            while data := connection.recv(1 << 16):
                connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@pytest.fixture
def server() -> Iterator[EchoServer]:
    server = EchoServer()
    yield server
    server.close()


@pytest.fixture
def proxy(server: EchoServer) -> Iterator[FaultProxy]:
    with FaultProxy(server.address, seed=7) as proxy:
        yield proxy


def connect(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def receive(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = client.recv(count - len(data))
        if not part:
            break
        data += part
    return data


def ask(client: socket.socket, data: bytes = b"ping") -> bytes:
    client.sendall(data)
    return receive(client, len(data))


def hears_nothing(client: socket.socket, seconds: float = 0.2) -> bool:
    client.settimeout(seconds)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(10)
    return False


def test_forwards_every_byte_both_ways(proxy: FaultProxy) -> None:
    data = os.urandom(8 << 20)
    with connect(proxy) as client:
        threading.Thread(
            target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)), daemon=True
        ).start()

        echoed = receive(client, len(data))

        assert hashlib.sha256(echoed).digest() == hashlib.sha256(data).digest()
        assert client.recv(1) == b""
    assert proxy.counts().to_server == proxy.counts().to_client == len(data)


def test_tells_the_client_that_the_server_refuses(server: EchoServer, proxy: FaultProxy) -> None:
    server.close()

    # The reset may come as early as in connect.
    with pytest.raises(ConnectionResetError), connect(proxy) as client:
        client.recv(1)

    assert proxy.counts().refused_by_server == 1


def test_cut_resets_and_refuses_until_healed(proxy: FaultProxy) -> None:
    with connect(proxy) as client:
        ask(client)

        proxy.cut()

        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    assert proxy.counts().reset == 1
    proxy.heal()
    with connect(proxy) as client:
        assert ask(client) == b"ping"


def test_reset_welcomes_new_connections(proxy: FaultProxy) -> None:
    with connect(proxy) as client:
        ask(client)

        proxy.reset()

        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with connect(proxy) as client:
        assert ask(client) == b"ping"


@pytest.mark.parametrize("way", [None, Way.TO_SERVER, Way.TO_CLIENT])
def test_stall_holds_bytes_back_until_healed(proxy: FaultProxy, way: Way | None) -> None:
    with connect(proxy) as client:
        ask(client)
        proxy.stall(way)

        client.sendall(b"ping")

        assert hears_nothing(client)
        reached_server = proxy.counts().to_server == 8
        assert reached_server == (way is Way.TO_CLIENT)
        proxy.heal()
        assert receive(client, 4) == b"ping"


def test_stall_accepts_new_connections(proxy: FaultProxy) -> None:
    proxy.stall()

    with connect(proxy) as client:
        client.sendall(b"ping")

        assert hears_nothing(client)
        proxy.heal()
        assert receive(client, 4) == b"ping"


def test_stall_hides_that_the_server_is_gone(server: EchoServer, proxy: FaultProxy) -> None:
    with connect(proxy) as client:
        ask(client)
        proxy.stall()

        server.connections[0].shutdown(socket.SHUT_RDWR)

        assert hears_nothing(client)
        proxy.heal()
        assert client.recv(1) == b""


def test_delay_adds_to_the_round_trip_on_each_way(proxy: FaultProxy) -> None:
    with connect(proxy) as client:
        ask(client)
        proxy.delay(0.1)

        started = time.monotonic()
        ask(client)

        assert time.monotonic() - started >= 0.2


def test_delay_of_one_way_leaves_the_other_alone(proxy: FaultProxy) -> None:
    with connect(proxy) as client:
        ask(client)
        proxy.delay(60, way=Way.TO_CLIENT)

        client.sendall(b"ping")

        assert hears_nothing(client)
        assert proxy.counts().to_server == 8


def test_jitter_keeps_the_order_of_bytes(proxy: FaultProxy) -> None:
    numbers = b"".join(number.to_bytes(2, "big") for number in range(200))
    proxy.delay(0.01, jitter=0.05)
    with connect(proxy) as client:
        for at in range(0, len(numbers), 2):
            client.sendall(numbers[at : at + 2])

        assert receive(client, len(numbers)) == numbers


def test_a_window_bounds_what_is_under_way(proxy: FaultProxy) -> None:
    proxy.delay(0.05, way=Way.TO_SERVER, window=10_000)
    with connect(proxy) as client:
        started = time.monotonic()
        ask(client, bytes(50_000))

        # Five windows, each of which takes the way once.
        assert time.monotonic() - started >= 0.24


def test_heal_releases_what_was_delayed(proxy: FaultProxy) -> None:
    proxy.delay(60)
    with connect(proxy) as client:
        client.sendall(b"ping")
        assert hears_nothing(client)

        proxy.heal()

        assert receive(client, 4) == b"ping"


def test_throttle_limits_all_connections_together(proxy: FaultProxy) -> None:
    proxy.throttle(200_000, Way.TO_SERVER)
    with connect(proxy) as one, connect(proxy) as other:
        started = time.monotonic()
        one.sendall(bytes(50_000))
        other.sendall(bytes(50_000))
        receive(one, 50_000)
        receive(other, 50_000)

        assert 0.45 <= time.monotonic() - started < 2


def test_cut_after_lets_exactly_so_many_bytes_through_once(proxy: FaultProxy) -> None:
    proxy.cut_after(10, Way.TO_CLIENT)
    with connect(proxy) as client:
        client.sendall(bytes(100))

        assert receive(client, 10) == bytes(10)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert proxy.counts().to_client == 10
    assert proxy.counts().to_server == 100
    with connect(proxy) as client:
        assert ask(client, bytes(100)) == bytes(100)


def test_cut_after_spares_the_other_connections(proxy: FaultProxy) -> None:
    with connect(proxy) as client, connect(proxy) as bystander:
        ask(bystander)
        proxy.cut_after(2, Way.TO_SERVER)

        client.sendall(b"ping")

        with pytest.raises(ConnectionResetError):
            while client.recv(4):
                pass
        assert ask(bystander) == b"ping"


def test_corrupt_after_damages_one_byte(proxy: FaultProxy) -> None:
    proxy.corrupt_after(3, Way.TO_SERVER)
    with connect(proxy) as client:
        echoed = ask(client, bytes(10))

        assert [at for at, byte in enumerate(echoed) if byte] == [3]
        assert proxy.counts().corrupted == 1
        assert ask(client, bytes(10)) == bytes(10)


def test_the_seed_decides_the_damage(server: EchoServer) -> None:
    def damage(seed: int) -> bytes:
        with FaultProxy(server.address, seed=seed) as proxy:
            proxy.corrupt_after(0, Way.TO_SERVER)
            with connect(proxy) as client:
                return ask(client, bytes(1))

    assert damage(1) == damage(1) != damage(2)


def test_redirect_sends_new_connections_elsewhere(server: EchoServer, proxy: FaultProxy) -> None:
    other = EchoServer()
    try:
        proxy.redirect(other.address)

        with connect(proxy) as client:
            ask(client)

        assert len(other.connections) == 1 and not server.connections
    finally:
        other.close()
