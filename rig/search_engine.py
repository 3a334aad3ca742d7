"""Real OpenSearch and Elasticsearch of one node on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rig import jars
from rig.access import write_properties
from rig.certificates import Certificates
from rig.https_front import Credentials, HttpsFront
from rig.kafka import QUICK_START
from rig.ports import HOST, PortReservation
from rig.processes import Child, RigError, wait_until
from rig.search_client import SearchClient, api_key, basic

OPENSEARCH = "opensearch-2.19.1"
ELASTICSEARCH = "elasticsearch-7.10.2"
ENGINES = (OPENSEARCH, ELASTICSEARCH)

_START_SECONDS = 180.0
_STOP_SECONDS = 30.0
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108


def _temporary_folder(name: str) -> Path:
    """A folder for an engine's data, which the engines refuse to keep where no mount is seen.

    In a chroot into a plain folder, as newcomers' machines are imitated by, Java sees the root as
    part of no mount; shared memory is one of its own there too.
    """
    prefix = f"drawbridge-rig-{name}-"
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    if any(folder.is_relative_to(mount) for mount in mounts):
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix=prefix, dir=_SHARED_MEMORY))


class SearchEngine:
    """A node of a real engine behind an HTTPS front. A context manager: starts, and stops.

    `url` is for the programs under test: TLS by `certificates`, and a credential of `credentials`.
    `plain_url` leads to the engine itself; it is the judge's way in, and `client` uses it. For a
    broken network put a FaultProxy in front of `address`. Methods may be called from any thread,
    but not two of start, stop, kill, terminate, restart at once. When a start fails, a temporary
    folder stays to be looked at.
    """

    def __init__(
        self,
        engine: str = OPENSEARCH,
        name: str = "search",
        *,
        settings: Mapping[str, object] | None = None,
        users: Mapping[str, str] | None = None,
        api_keys: Mapping[str, str] | None = None,
        requires_certificate: bool = False,
        state: Path | None = None,
        heap: str = "512m",
        jvm_options: Iterable[str] = QUICK_START,
    ) -> None:
        """Reserves the ports; nothing runs before `start`.

        `settings` are laid over those of the node, such as thread_pool.write.queue_size or
        http.max_content_length; changes come into force at a restart. `users` and `api_keys` (ids
        with keys) may come in by `url`; there is one of each if none is given.

        Without `state` all is kept in a temporary folder, which `stop` removes. A bench that wants
        the engine at full speed gives no `jvm_options`.
        """
        if engine not in ENGINES:
            raise RigError(f"no engine {engine}; there are {', '.join(ENGINES)}")
        self.engine = engine
        self.name = name
        self.settings = dict(settings or {})
        self._is_temporary = state is None
        self.state = Path(state or _temporary_folder(name)).absolute()
        self.certificates = Certificates(self.state / "certificates")
        self.credentials = Credentials(
            {"drawbridge": "drawbridge-password"} if users is None else users,
            {"drawbridge-key": "drawbridge-secret"} if api_keys is None else api_keys,
        )
        self._jvm_options = [f"-Xms{heap}", f"-Xmx{heap}", "-XX:+ExitOnOutOfMemoryError"]
        self._jvm_options += ["-Dlog4j.shutdownHookEnabled=false", *jvm_options]
        self._plain_port = PortReservation.take()
        self._transport_port = PortReservation.take()
        self._front_port = PortReservation.take()
        self.front = HttpsFront(
            (HOST, self._plain_port.number),
            self._front_port,
            self.certificates,
            self.credentials,
            requires_certificate=requires_certificate,
        )
        self.client = SearchClient(self.plain_url)
        self._child: Child | None = None

    def __enter__(self) -> SearchEngine:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """https, with a credential."""
        return self.front.url

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `url`."""
        return HOST, self._front_port.number

    @property
    def plain_url(self) -> str:
        """The engine itself, without TLS and without users."""
        return f"http://{HOST}:{self._plain_port.number}"

    @property
    def basic(self) -> str:
        """The Authorization header of the first user."""
        return basic(*next(iter(self.credentials.users.items())))

    @property
    def api_key(self) -> str:
        """The Authorization header of the first API key."""
        return api_key(*next(iter(self.credentials.api_keys.items())))

    @property
    def has_data_streams(self) -> bool:
        return self.engine == OPENSEARCH

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.is_running

    @property
    def log_file(self) -> Path:
        """What the engine prints: warnings and worse."""
        return self.state / "engine.log"

    def start(self, seconds: float = _START_SECONDS) -> SearchEngine:
        """Starts the engine, on what data there is, and returns when it serves."""
        if self.is_running:
            raise RigError(f"{self.name} runs already")
        try:
            self._child = self._launch()
            self.wait_until_ready(seconds)
            self.front.open()
        except BaseException:
            self._end_process(is_hasty=True)
            raise
        return self

    def stop(self) -> None:
        """Ends everything; data and ports stay for another `start` if the state folder was given.

        With $DRAWBRIDGE_RIG_KEEP a temporary folder stays too, to be looked at.
        """
        self._end_process(is_hasty=self._is_temporary)
        if not self._is_temporary:
            return
        for port in (self._plain_port, self._transport_port, self._front_port):
            port.release()
        if not os.environ.get("DRAWBRIDGE_RIG_KEEP"):
            shutil.rmtree(self.state, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL; connections are reset and refused from then on."""
        self._running().kill()
        self.front.close()

    def terminate(self, seconds: float = _STOP_SECONDS) -> None:
        """A clean shutdown; fails if it takes longer than `seconds`."""
        self._running().terminate(seconds)
        self.front.close()

    def restart(self, seconds: float = _START_SECONDS) -> None:
        """Starts it again, on its ports and data, ending it cleanly first if it runs."""
        if self.is_running:
            self.terminate()
        self.start(seconds)

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nobody answers."""
        self._running().pause()

    def resume(self) -> None:
        """SIGCONT."""
        self._running().resume()

    def wait_until_ready(self, seconds: float = _START_SECONDS) -> None:
        """Waits until the engine serves and has all that it held."""

        def is_ready() -> bool:
            if not self.is_running:
                raise RigError(f"{self.name}: the engine has ended")
            return self.client.is_ready()

        try:
            wait_until(is_ready, seconds, f"{self.name}: the engine is not ready")
        except RigError as error:
            tail = self._child.log_tail() if self._child else ""
            raise RigError(f"{error}\n{self.log_file}:\n{tail}") from None

    def to_json(self) -> dict[str, Any]:
        """All that another process needs to reach this engine."""
        return {
            "name": self.name,
            "engine": self.engine,
            "url": self.url,
            "plain_url": self.plain_url,
            "ca": str(self.certificates.root),
            "users": self.credentials.users,
            "api_keys": self.credentials.api_keys,
            "state": str(self.state),
            **({"pid": self.pid} if self.is_running else {}),
        }

    def _launch(self) -> Child:
        recipe = jars.recipe(self.engine)
        class_path = jars.class_path(self.engine)
        self.state.mkdir(parents=True, exist_ok=True)
        settings = write_properties(self.state / "node.properties", self._node_settings())
        return Child.start(
            [
                jars.java(),
                *self._jvm_options,
                *jars.logging_options(self.engine),
                "-cp",
                class_path,
                recipe / "SearchNode.java",
                settings,
            ],
            name=self.name,
            log=self.log_file,
            folder=self.state,
        )

    def _node_settings(self) -> dict[str, object]:
        return {
            "node.name": self.name,
            "cluster.name": self.name,
            "path.home": self.state,
            "path.data": self.state / "data",
            "path.logs": self.state / "logs",
            "network.host": HOST,
            "http.port": self._plain_port.number,
            "transport.port": self._transport_port.number,
            "discovery.type": "single-node",
            # Otherwise a machine with a full disk has an engine that takes nothing.
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            **self.settings,
        }

    def _running(self) -> Child:
        if self._child is None or not self._child.is_running:
            raise RigError(f"{self.name} does not run")
        return self._child

    def _end_process(self, is_hasty: bool) -> None:
        if self._child is not None:
            self._child.signal(signal.SIGKILL if is_hasty else signal.SIGTERM)
            self._child.stop(_STOP_SECONDS)
        self.front.close()
