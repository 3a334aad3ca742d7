"""How clients reach a running cluster: addresses, users, certificates, client properties."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.admin import ClusterAdmin
from rig.certificates import Certificates, KeyPair
from rig.processes import RigError

PROTOCOLS = ("plaintext", "sasl_ssl", "ssl")
# Brokers among themselves and the rig's own admin use it; it never runs through a proxy.
INTERNAL = "internal"


@dataclass(frozen=True)
class Listener:
    """A way into a cluster. With `is_proxied` clients see a FaultProxy per broker and nothing else.

    Several listeners may share a protocol under different names, as two paths to one cluster.
    """

    name: str
    protocol: str = ""
    is_proxied: bool = False

    def __post_init__(self) -> None:
        if not self.protocol:
            object.__setattr__(self, "protocol", self.name)
        if self.protocol not in PROTOCOLS:
            raise RigError(f"listener {self.name}: protocol is one of {', '.join(PROTOCOLS)}")
        if not re.fullmatch("[a-z0-9_]+", self.name):
            raise RigError(f"listener {self.name}: small letters, digits and _ make a name")
        if self.name in (INTERNAL, "controller"):
            raise RigError(f"the rig itself has a listener named {self.name}")


class ClusterAccess:
    """A cluster as its clients see it. A process that did not start it makes one by `from_json`."""

    def __init__(
        self,
        *,
        name: str,
        version: str,
        state: Path,
        listeners: Mapping[str, Listener],
        addresses: Mapping[str, list[str]],
        users: Mapping[str, str],
    ) -> None:
        self.name = name
        self.version = version
        self.state = state
        self.listeners = dict(listeners)
        self.users = dict(users)
        self.certificates = Certificates(state / "certificates")
        self._addresses = dict(addresses)
        self._admin: ClusterAdmin | None = None
        self._admin_guard = threading.Lock()

    def bootstrap(self, listener: str) -> list[str]:
        """host:port of each broker."""
        if listener not in self._addresses:
            raise RigError(
                f"{self.name} has no listener {listener}; it has {', '.join(self.listeners)}"
            )
        return list(self._addresses[listener])

    def java_properties(
        self,
        listener: str,
        *,
        user: str | None = None,
        password: str | None = None,
        mechanism: str = "PLAIN",
        certificate: KeyPair | None = None,
    ) -> dict[str, str]:
        """Properties of a Java client; by default the first user, or a good certificate."""
        protocol = self._protocol(listener)
        properties = {
            "bootstrap.servers": ",".join(self.bootstrap(listener)),
            "security.protocol": protocol.upper(),
        }
        if protocol != "plaintext":
            properties |= {
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(self.certificates.root),
            }
        if protocol == "ssl":
            bundle = (certificate or self.certificates.client()).bundle
            properties |= {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(bundle)}
        if protocol == "sasl_ssl":
            user, password = self._credential(user, password)
            properties |= {
                "sasl.mechanism": mechanism,
                "sasl.jaas.config": jaas(mechanism, {"username": user, "password": password}),
            }
        return properties

    def librdkafka_properties(
        self,
        listener: str,
        *,
        user: str | None = None,
        password: str | None = None,
        mechanism: str = "PLAIN",
        certificate: KeyPair | None = None,
    ) -> dict[str, str]:
        """As `java_properties`, in librdkafka's names."""
        protocol = self._protocol(listener)
        properties = {
            "bootstrap.servers": ",".join(self.bootstrap(listener)),
            "security.protocol": protocol,
        }
        if protocol != "plaintext":
            properties["ssl.ca.location"] = str(self.certificates.root)
        if protocol == "ssl":
            pair = certificate or self.certificates.client()
            properties |= {
                "ssl.certificate.location": str(pair.certificate),
                "ssl.key.location": str(pair.key),
            }
        if protocol == "sasl_ssl":
            user, password = self._credential(user, password)
            properties |= {
                "sasl.mechanisms": mechanism,
                "sasl.username": user,
                "sasl.password": password,
            }
        return properties

    @property
    def admin(self) -> ClusterAdmin:
        """The admin process of this cluster, started when first asked for; it may do everything."""
        with self._admin_guard:
            if self._admin is None:
                self._admin = ClusterAdmin(
                    f"kafka-{self.version}",
                    self._admin_log(),
                    {**self.java_properties(INTERNAL), **_ADMIN_TIMEOUTS},
                )
            return self._admin

    def close(self) -> None:
        """Ends what this process started to reach the cluster; the cluster itself goes on."""
        with self._admin_guard:
            if self._admin is not None:
                self._admin.close()
                self._admin = None

    def to_json(self) -> dict[str, Any]:
        """All that another process needs to reach this cluster."""
        return {
            "name": self.name,
            "version": self.version,
            "state": str(self.state),
            "listeners": {
                name: {"protocol": listener.protocol, "is_proxied": listener.is_proxied}
                for name, listener in self.listeners.items()
            },
            "addresses": self._addresses,
            "users": self.users,
            "ca": str(self.certificates.root),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ClusterAccess:
        """The access that `to_json` described."""
        return ClusterAccess(
            name=document["name"],
            version=document["version"],
            state=Path(document["state"]),
            listeners={
                name: Listener(name, **rest) for name, rest in document["listeners"].items()
            },
            addresses=document["addresses"],
            users=document["users"],
        )

    def _protocol(self, listener: str) -> str:
        if listener == INTERNAL:
            return "plaintext"
        self.bootstrap(listener)
        return self.listeners[listener].protocol

    def _credential(self, user: str | None, password: str | None) -> tuple[str, str]:
        user = user or next(iter(self.users))
        return user, password if password is not None else self.users.get(user, "")

    def _admin_log(self) -> Path:
        # Several processes may share one cluster, each with an admin process of its own.
        return self.state / f"admin-{os.getpid()}.log"


# A dead broker must not hold a call for the client's usual minute.
_ADMIN_TIMEOUTS = {
    "request.timeout.ms": "10000",
    "default.api.timeout.ms": "30000",
    "reconnect.backoff.max.ms": "200",
    "socket.connection.setup.timeout.ms": "2000",
}

_LOGIN_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}
MECHANISMS = tuple(_LOGIN_MODULES)


def jaas(mechanism: str, options: Mapping[str, str]) -> str:
    """A JAAS configuration line; the quotes let a name hold slashes."""
    words = "".join(f' "{name}"="{value}"' for name, value in options.items())
    return f"{_LOGIN_MODULES[mechanism]} required{words};"


def write_properties(path: Path, properties: Mapping[str, object]) -> Path:
    """Writes a Java properties file that only its owner can read, and returns its path."""
    lines = [f"{name}={str(value)}\n".replace("\\", "\\\\") for name, value in properties.items()]
    path.touch(mode=0o600)
    path.write_text("".join(lines))
    return path
