"""Real Kafka clusters of one or three brokers on loopback."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from rig import jars
from rig.access import INTERNAL, MECHANISMS, ClusterAccess, Listener, write_properties
from rig.admin import AdminError
from rig.kafka_config import BoundListener, server_properties
from rig.ports import HOST, PortReservation
from rig.processes import Child, RigError, wait_until
from rig.proxy import FaultProxy

VERSIONS = ("4.1.1", "3.9.1")
# Half the CPU of a start goes to the optimizing compiler, which a test never profits from.
QUICK_START = ("-XX:TieredStopAtLevel=1",)

_START_SECONDS = 180.0
_STOP_SECONDS = 30.0


@dataclass
class _Broker:
    id: int
    folder: Path
    internal: PortReservation = field(default_factory=PortReservation.take)
    controller: PortReservation = field(default_factory=PortReservation.take)
    ports: dict[str, PortReservation] = field(default_factory=dict)
    proxy_ports: dict[str, PortReservation] = field(default_factory=dict)
    proxies: dict[str, FaultProxy] = field(default_factory=dict)
    child: Child | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "broker.log"

    def advertised_port(self, listener: str) -> int:
        return self.proxy_ports.get(listener, self.ports[listener]).number

    def open_proxies(self) -> None:
        for listener, port in self.proxy_ports.items():
            if listener not in self.proxies:
                target = (HOST, self.ports[listener].number)
                self.proxies[listener] = FaultProxy(target, port=port, seed=self.id)

    def close_proxies(self) -> None:
        for proxy in self.proxies.values():
            proxy.close()
        self.proxies.clear()

    def release_ports(self) -> None:
        for port in (
            self.internal,
            self.controller,
            *self.ports.values(),
            *self.proxy_ports.values(),
        ):
            port.release()

    def running(self) -> Child:
        if self.child is None or not self.child.is_running:
            raise RigError(f"broker {self.id} does not run")
        return self.child


class KafkaCluster(ClusterAccess):
    """A KRaft cluster whose brokers are controllers too. A context manager: starts, and stops.

    Broker ids count from 1. Methods may be called from any thread, but not two on one broker at
    once. Changes of `properties` and of PLAIN `users` come into force when a broker is restarted.
    When a start fails, a temporary folder stays to be looked at.
    """

    def __init__(
        self,
        name: str = "kafka",
        *,
        listeners: Iterable[str | Listener] = ("plaintext",),
        brokers: int = 1,
        version: str = VERSIONS[0],
        users: Mapping[str, str] | None = None,
        super_users: Iterable[str] | None = None,
        properties: Mapping[str, object] | None = None,
        state: Path | None = None,
        heap: str = "512m",
        jvm_options: Iterable[str] = QUICK_START,
    ) -> None:
        """Reserves the ports; nothing runs before `start`.

        `users` can log in by PLAIN and SCRAM. `super_users` (as "User:admin") switches the
        authorizer on; without it everybody may do everything. `properties` are laid over those of
        every broker.

        Without `state` all is kept in a temporary folder, which `stop` removes. A bench that wants
        brokers at full speed gives no `jvm_options`.
        """
        if brokers not in (1, 3):
            raise RigError("a cluster has one broker or three")
        if version not in VERSIONS:
            raise RigError(f"no Kafka {version}; there are {', '.join(VERSIONS)}")
        if any(set('",\\[]') & set(user + password) for user, password in (users or {}).items()):
            raise RigError('users and passwords hold none of " , \\ [ ]')
        self._is_temporary = state is None
        folder = Path(state or tempfile.mkdtemp(prefix=f"drawbridge-rig-{name}-")).absolute()
        chosen = [Listener(one) if isinstance(one, str) else one for one in listeners]
        self._brokers = {id: _Broker(id, folder / f"broker-{id}") for id in range(1, brokers + 1)}
        for broker in self._brokers.values():
            broker.ports = {one.name: PortReservation.take() for one in chosen}
            broker.proxy_ports = {
                one.name: PortReservation.take() for one in chosen if one.is_proxied
            }
        super().__init__(
            name=name,
            version=version,
            state=folder,
            listeners={listener.name: listener for listener in chosen},
            addresses=self._all_addresses(chosen),
            users={"drawbridge": "drawbridge-password"} if users is None else users,
        )
        self._super_users = None if super_users is None else list(super_users)
        self.properties = dict(properties or {})
        self._jvm_options = [f"-Xmx{heap}", "-XX:+ExitOnOutOfMemoryError", *jvm_options]

    def __enter__(self) -> KafkaCluster:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def broker_ids(self) -> list[int]:
        """All brokers, running or not."""
        return list(self._brokers)

    def start(self, seconds: float = _START_SECONDS) -> KafkaCluster:
        """Starts all brokers and returns when every one of them serves and knows all others."""
        if any(broker.child and broker.child.is_running for broker in self._brokers.values()):
            raise RigError(f"{self.name} runs already")
        try:
            self._format_storage()
            for broker in self._brokers.values():
                broker.open_proxies()
                self._launch(broker)
            for id in self._brokers:
                self.wait_until_ready(id, knows=self._brokers, seconds=seconds)
        except BaseException:
            self._end_processes(is_hasty=True)
            raise
        return self

    def stop(self) -> None:
        """Ends everything; data and ports stay for another `start` if the state folder was given.

        With $DRAWBRIDGE_RIG_KEEP a temporary folder stays too, to be looked at.
        """
        self._end_processes(is_hasty=self._is_temporary)
        if not self._is_temporary:
            return
        for broker in self._brokers.values():
            broker.release_ports()
        if not os.environ.get("DRAWBRIDGE_RIG_KEEP"):
            shutil.rmtree(self.state, ignore_errors=True)

    def kill(self, broker: int) -> None:
        """SIGKILL; returns when the process is gone."""
        self._brokers[broker].running().kill()

    def terminate(self, broker: int, seconds: float = 60) -> None:
        """A clean shutdown; fails if it takes longer than `seconds`."""
        self._brokers[broker].running().terminate(seconds)

    def restart(self, broker: int, seconds: float = _START_SECONDS) -> None:
        """Starts a broker again, on its ports and data, ending it cleanly first if it runs."""
        child = self._brokers[broker].child
        if child is not None and child.is_running:
            child.terminate(60)
        self._launch(self._brokers[broker])
        self.wait_until_ready(broker, seconds=seconds)

    def pause(self, broker: int) -> None:
        """SIGSTOP: its sockets stay open and nobody answers."""
        self._brokers[broker].running().pause()

    def resume(self, broker: int) -> None:
        """SIGCONT."""
        self._brokers[broker].running().resume()

    def proxy(self, listener: str, broker: int = 1) -> FaultProxy:
        """The proxy between a broker and the clients of a proxied listener."""
        try:
            return self._brokers[broker].proxies[listener]
        except KeyError:
            raise RigError(
                f"{self.name}: no proxy runs for {listener} of broker {broker}"
            ) from None

    def proxies(self, listener: str) -> list[FaultProxy]:
        """The proxies of all brokers: the whole way into the cluster by a proxied listener."""
        return [self.proxy(listener, broker) for broker in self._brokers]

    def pid(self, broker: int) -> int:
        """The broker's process id."""
        return self._brokers[broker].running().pid

    def data_folder(self, broker: int) -> Path:
        """The broker's log.dirs: a folder per partition, with its segments."""
        return self._brokers[broker].data

    def log_file(self, broker: int) -> Path:
        """What the broker's process prints: warnings and worse."""
        return self._brokers[broker].log

    def wait_until_ready(
        self, broker: int, *, knows: Iterable[int] = (), seconds: float = _START_SECONDS
    ) -> None:
        """Waits until a broker serves, and counts itself and those of `knows` among the live."""
        one = self._brokers[broker]
        wanted = {broker, *knows}
        try:
            wait_until(
                lambda: self._is_serving(one, wanted),
                seconds,
                f"{self.name}: broker {broker} is not ready",
            )
        except RigError as error:
            raise RigError(
                f"{error}\n{one.log}:\n{one.child.log_tail() if one.child else ''}"
            ) from None

    def wait_until_missed(self, broker: int, seconds: float = 60) -> None:
        """Waits until the cluster no longer counts a dead or paused broker among the live.

        Only then do its partitions get other leaders, and unclean elections have a reason.
        """

        def is_missed() -> bool:
            return broker not in {peer["id"] for peer in self.admin.describe_cluster()["brokers"]}

        wait_until(is_missed, seconds, f"{self.name}: nobody misses broker {broker}", every=0.2)

    def wait_until_in_sync(self, topic: str, seconds: float = 60) -> None:
        """Waits until all replicas of a topic are in sync and every partition has a leader."""

        def is_in_sync() -> bool:
            states = self.admin.describe_topic(topic).values()
            return all(s.leader >= 0 and sorted(s.in_sync) == sorted(s.replicas) for s in states)

        wait_until(is_in_sync, seconds, f"{self.name}: {topic} is not in sync", every=0.2)

    def to_json(self) -> dict[str, Any]:
        """As of ClusterAccess, and the process ids of the brokers that run."""
        children = {id: broker.child for id, broker in self._brokers.items()}
        pids = {str(id): child.pid for id, child in children.items() if child and child.is_running}
        return {**super().to_json(), "pids": pids}

    def _all_addresses(self, listeners: Iterable[Listener]) -> dict[str, list[str]]:
        brokers = self._brokers.values()
        addresses = {
            listener.name: [f"{HOST}:{broker.advertised_port(listener.name)}" for broker in brokers]
            for listener in listeners
        }
        return {**addresses, INTERNAL: [f"{HOST}:{broker.internal.number}" for broker in brokers]}

    def _format_storage(self) -> None:
        """Formats the storage of the brokers that have none."""
        cluster_id = self._cluster_id()
        for broker in self._brokers.values():
            if not (broker.data / "meta.properties").exists():
                scram = [
                    _scram_user(mechanism, user, password)
                    for mechanism in MECHANISMS
                    if mechanism != "PLAIN"
                    for user, password in self.users.items()
                ]
                self.admin.format(self._write_configuration(broker), cluster_id, scram)

    def _cluster_id(self) -> str:
        for broker in self._brokers.values():
            meta = broker.data / "meta.properties"
            if meta.exists():
                lines = dict(line.partition("=")[::2] for line in meta.read_text().splitlines())
                return lines["cluster.id"]
        # A leading dash would look like an option to StorageTool.
        return "A" + base64.urlsafe_b64encode(os.urandom(16)).decode()[1:21] + "Q"

    def _write_configuration(self, broker: _Broker) -> Path:
        broker.folder.mkdir(parents=True, exist_ok=True)
        bound = [
            BoundListener(listener, broker.ports[name].number, broker.advertised_port(name))
            for name, listener in self.listeners.items()
        ]
        return write_properties(
            broker.folder / "server.properties",
            server_properties(
                node=broker.id,
                voters={id: peer.controller.number for id, peer in self._brokers.items()},
                internal_port=broker.internal.number,
                listeners=bound,
                data=broker.data,
                certificates=self.certificates,
                users=self.users,
                super_users=self._super_users,
                overrides=self.properties,
            ),
        )

    def _launch(self, broker: _Broker) -> None:
        name = f"kafka-{self.version}"
        configuration = self._write_configuration(broker)
        broker.child = Child.start(
            [
                jars.java(),
                *self._jvm_options,
                *jars.logging_options(name),
                "-cp",
                jars.class_path(name),
                "kafka.Kafka",
                configuration,
            ],
            name=f"{self.name} broker {broker.id}",
            log=broker.log,
            folder=broker.folder,
        )

    def _is_serving(self, broker: _Broker, wanted: set[int]) -> bool:
        if broker.child is None or not broker.child.is_running:
            raise RigError(f"{self.name}: broker {broker.id} has ended")
        # The broker itself is asked: the others may still count it alive from before its death.
        own_address = f"{HOST}:{broker.internal.number}"
        if not _accepts(broker.internal.number):
            return False
        try:
            view = self.admin.login({"bootstrap.servers": own_address}, seconds=10)
        except AdminError:
            return False
        return view["controller"] >= 0 and wanted <= {peer["id"] for peer in view["brokers"]}

    def _end_processes(self, is_hasty: bool) -> None:
        self.close()
        for broker in self._brokers.values():
            broker.close_proxies()
        children = [broker.child for broker in self._brokers.values() if broker.child is not None]
        for child in children:
            # All at once, or the last of three would wait for a quorum that has gone.
            child.signal(signal.SIGKILL if is_hasty else signal.SIGTERM)
        for child in children:
            child.stop(_STOP_SECONDS)


def _scram_user(mechanism: str, user: str, password: str) -> str:
    return f"{mechanism}=[name={user},password={password}]"


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
