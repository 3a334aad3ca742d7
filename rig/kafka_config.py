"""The server.properties of a broker of the rig."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rig.access import INTERNAL, MECHANISMS, Listener, jaas
from rig.certificates import Certificates
from rig.ports import HOST


@dataclass(frozen=True)
class BoundListener:
    """A listener of one broker: the port that it binds, and the one that clients are told."""

    listener: Listener
    port: int
    advertised_port: int


def server_properties(
    *,
    node: int,
    voters: Mapping[int, int],
    internal_port: int,
    listeners: Iterable[BoundListener],
    data: Path,
    certificates: Certificates,
    users: Mapping[str, str],
    super_users: Iterable[str] | None,
    overrides: Mapping[str, object],
) -> dict[str, object]:
    """All properties of broker `node`; `voters` is the controller port of every node."""
    bound = list(listeners)
    properties = {
        **_roles(node, voters, internal_port, bound, data),
        **_small_cluster(len(voters)),
    }
    for one in bound:
        properties |= _security(one.listener, users)
    if any(one.listener.protocol != "plaintext" for one in bound):
        properties |= _tls(certificates)
    if super_users is not None:
        properties |= _authorizer(super_users)
    return {**properties, **overrides}


def _roles(
    node: int, voters: Mapping[int, int], internal_port: int, bound: list[BoundListener], data: Path
) -> dict[str, object]:
    names = [(INTERNAL, "plaintext", internal_port, internal_port)]
    names += [
        (one.listener.name, one.listener.protocol, one.port, one.advertised_port) for one in bound
    ]
    listening = [f"{name.upper()}://{HOST}:{port}" for name, _, port, _ in names]
    protocols = [f"{name.upper()}:{protocol.upper()}" for name, protocol, _, _ in names]
    return {
        "process.roles": "broker,controller",
        "node.id": node,
        "controller.quorum.voters": ",".join(
            f"{voter}@{HOST}:{port}" for voter, port in voters.items()
        ),
        "listeners": ",".join([*listening, f"CONTROLLER://{HOST}:{voters[node]}"]),
        "advertised.listeners": ",".join(
            f"{name.upper()}://{HOST}:{port}" for name, _, _, port in names
        ),
        "listener.security.protocol.map": ",".join([*protocols, "CONTROLLER:PLAINTEXT"]),
        "inter.broker.listener.name": INTERNAL.upper(),
        "controller.listener.names": "CONTROLLER",
        "log.dirs": data,
    }


def _small_cluster(brokers: int) -> dict[str, object]:
    """What a cluster of one or three needs to work at all, and to be quick and frugal in tests.

    What shapes the records (sizes, timestamps, codecs) stays as Kafka ships it.
    """
    factor = min(brokers, 3)
    in_sync = 2 if factor == 3 else 1
    return {
        "auto.create.topics.enable": "false",
        "default.replication.factor": factor,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": factor,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": factor,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": factor,
        "share.coordinator.state.topic.min.isr": in_sync,
        "group.initial.rebalance.delay.ms": 0,
        # Retention is seen to bite within seconds, not after the usual five minutes.
        "log.retention.check.interval.ms": 1000,
        "log.initial.task.delay.ms": 1000,
        # A killed broker may register again only when its old session is over (default 9 s).
        "broker.heartbeat.interval.ms": 1000,
        "broker.session.timeout.ms": 5000,
        # The cleaner's buffer is 128 MB by default: a quarter of the heap.
        "log.cleaner.dedupe.buffer.size": 16 << 20,
    }


def _security(listener: Listener, users: Mapping[str, str]) -> dict[str, object]:
    prefix = f"listener.name.{listener.name.lower()}"
    if listener.protocol == "ssl":
        return {f"{prefix}.ssl.client.auth": "required"}
    if listener.protocol != "sasl_ssl":
        return {}
    properties: dict[str, object] = {f"{prefix}.sasl.enabled.mechanisms": ",".join(MECHANISMS)}
    for mechanism in MECHANISMS:
        passwords = {f"user_{user}": password for user, password in users.items()}
        options = passwords if mechanism == "PLAIN" else {}
        properties[f"{prefix}.{mechanism.lower()}.sasl.jaas.config"] = jaas(mechanism, options)
    return properties


def _tls(certificates: Certificates) -> dict[str, object]:
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": certificates.server("broker").bundle,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": certificates.root,
    }


def _authorizer(super_users: Iterable[str]) -> dict[str, object]:
    # Brokers and the rig's admin come in by plaintext, so ANONYMOUS may do everything.
    return {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": ";".join(["User:ANONYMOUS", *super_users]),
    }
