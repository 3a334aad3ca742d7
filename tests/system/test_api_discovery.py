"""What the API port tells to whoever asks: its health always, its methods only where wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import grpc
import pytest
from deployment import API_SECONDS, Deployment, stubs, unique

MODULES = ("bridge", "credential", "endpoint", "relay_admin", "stream")
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
HEALTH = "/grpc.health.v1.Health/Check"
# For anybody who may know every channel, socket and server of the process.
CHANNELZ = "/grpc.channelz.v1.Channelz/GetServers"

# As their messages are on the wire: these services need no stubs of their own.
LIST_SERVICES = b"\x3a\x00"
SERVING = b"\x08\x01"


def file_containing(symbol: str) -> bytes:
    return b"\x22" + bytes([len(symbol)]) + symbol.encode()


def ask(channel: grpc.Channel, question: bytes) -> bytes:
    """What the reflection service answers to one question."""
    answers = channel.stream_stream(REFLECTION)(iter([question]), timeout=API_SECONDS)
    return b"".join(answers)


def services() -> dict[str, list[str]]:
    """All services that operators may call, with their methods."""
    return {
        service.full_name: [method.name for method in service.methods]
        for module in MODULES
        for service in stubs(f"{module}_pb2").DESCRIPTOR.services_by_name.values()
    }


@pytest.fixture
def stranger(deployment: Deployment) -> Iterator[grpc.Channel]:
    """A channel without a token, as a load balancer's probe has it."""
    with grpc.secure_channel(
        deployment.api, grpc.ssl_channel_credentials(deployment.authority.encode())
    ) as channel:
        yield channel


@pytest.fixture
def relay_port(deployment: Deployment) -> Iterator[grpc.Channel]:
    """A channel to the port for relays, with the certificate of one."""
    state = deployment.relays["one"].state
    identity = (state / "identity.pem").read_bytes()
    credentials = grpc.ssl_channel_credentials(
        (state / "ca.pem").read_bytes(), private_key=identity, certificate_chain=identity
    )
    with grpc.secure_channel((state / "server").read_text().strip(), credentials) as channel:
        yield channel


def test_the_health_service_answers_whoever_asks(stranger: grpc.Channel) -> None:
    check = stranger.unary_unary(HEALTH)
    assert check(b"", timeout=API_SECONDS) == SERVING
    with pytest.raises(grpc.RpcError) as refused:
        check(b"\x0a\x07nothing", timeout=API_SECONDS)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_methods_are_not_listed_by_default(
    deployment: Deployment, relay_port: grpc.Channel
) -> None:
    """Not even to the administrator, nor to a relay; nor are the insides of the process."""
    for channel in (deployment.channel, relay_port):
        with pytest.raises(grpc.RpcError) as refused:
            ask(channel, LIST_SERVICES)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED, refused.value
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary(CHANNELZ)(b"", timeout=API_SECONDS)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED, refused.value


def test_methods_are_listed_where_the_server_was_told_to(
    start_deployment: Callable[..., Deployment],
) -> None:
    deployment = start_deployment(server_options=("--reflection",))
    listed = ask(deployment.channel, LIST_SERVICES)
    wanted = services()
    assert len(wanted) >= len(MODULES), wanted
    for name, methods in wanted.items():
        assert name.encode() in listed, (name, listed)
        described = ask(deployment.channel, file_containing(name))
        for method in methods:
            assert method.encode() in described, (name, method)
    # Relays' own service is not on this port.
    assert b"RelaySessionService" not in listed, listed
    # Knowing a method is not being let in.
    bridge = stubs("bridge_pb2")
    with grpc.secure_channel(
        deployment.api, grpc.ssl_channel_credentials(deployment.authority.encode())
    ) as channel, pytest.raises(grpc.RpcError) as refused:
        stubs("bridge_pb2_grpc").BridgeServiceStub(channel).GetBridge(
            bridge.GetBridgeRequest(name=unique("bridge")), timeout=API_SECONDS
        )
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED, refused.value
