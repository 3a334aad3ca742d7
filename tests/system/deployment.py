"""Whole programs under test: a server, relays, the CLI, and the API as automation calls it."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc

from rig import presets, records
from rig.access import ClusterAccess
from rig.certificates import KeyPair
from rig.processes import Child, wait_until

API_SECONDS = 20.0
START_SECONDS = 30.0
CARRY_SECONDS = 90.0


def program(name: str) -> Path:
    """One of the programs under test, from $DRAWBRIDGE_BIN."""
    folder = os.environ.get("DRAWBRIDGE_BIN")
    if not folder:
        raise RuntimeError("DRAWBRIDGE_BIN has to name the folder of the programs under test")
    return Path(folder) / name


def library_of(relay: Path) -> str:
    """The version of librdkafka that a relay's program runs on."""
    told = subprocess.run([relay, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\(librdkafka (\d+\.\d+\.\d+): .*sasl_scram.*\)", told)
    assert found is not None, told
    return found[1]


def numbers(version: str) -> tuple[int, ...]:
    """A version as its numbers, to compare it."""
    return tuple(map(int, version.split(".")))


def stubs(module: str) -> ModuleType:
    """A generated module of the API, as `stubs("bridge_pb2")`, from $DRAWBRIDGE_PROTO."""
    folder = os.environ.get("DRAWBRIDGE_PROTO")
    if not folder:
        raise RuntimeError("DRAWBRIDGE_PROTO has to name the folder of the generated stubs")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return __import__(f"drawbridge.v1.{module}", fromlist=[module])


def unique(stem: str) -> str:
    """A name that no other test has."""
    return f"{stem}-{uuid.uuid4().hex[:8]}"


class Relay:
    """An enrolled relay; its process comes and goes."""

    def __init__(self, deployment: Deployment, name: str, state: Path) -> None:
        self.name = name
        self.state = state
        self.log = deployment.folder / f"{name}.log"
        # A test may put another build of it here.
        self.program = program("drawbridge-relay")
        # Further options of `drawbridge-relay run`.
        self.options: list[str] = []
        self._deployment = deployment
        self.child: Child | None = None

    @property
    def process(self) -> Child:
        """The process of the last start."""
        assert self.child is not None, f"{self.name} was not started"
        return self.child

    def start(self, failpoints: str = "") -> Relay:
        """Starts it and returns when the server counts it among the connected.

        With `failpoints` it returns at once: it may die before that.
        """
        self.child = Child.start(
            [self.program, "run", "--state", self.state, *self.options],
            name=self.name,
            log=self.log,
            environment={"DRAWBRIDGE_FAILPOINTS": failpoints},
        )
        if not failpoints:
            self._deployment.wait(
                lambda: self._deployment.relay_state(self.name) == "CONNECTED",
                START_SECONDS,
                f"{self.name} is connected",
            )
        return self

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        return self.process.terminate(45)

    def enrol(self, token: Mapping[str, Any], api: str) -> subprocess.CompletedProcess[str]:
        """Runs the line that `relay token create` gave, with a state folder of the test's."""
        _, *options = shlex.split(token["enroll_command"])
        options[options.index("--state") + 1] = str(self.state)
        options[options.index("--server") + 1] = api
        return subprocess.run(
            [self.program, *options],
            input=token["token"],
            capture_output=True,
            text=True,
            timeout=30,
        )


class Deployment:
    """A server with its relays between the two preset clusters; everything ends with `close`."""

    def __init__(
        self,
        folder: Path,
        oci: ClusterAccess,
        aws: ClusterAccess,
        server_options: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.oci = oci
        self.aws = aws
        self.relays: dict[str, Relay] = {}
        self.state = folder / "server"
        self.context = self.state / "admin.context"
        self.server_log = folder / "server.log"
        self._server_options = list(server_options)
        self._addresses: list[str] = []
        # Where relays reach the server, since it listens.
        self.relay_port = 0
        self.server: Child | None = None

    # Processes

    def start_server(self, failpoints: str = "") -> None:
        """Starts the server, and again on the ports that it had; returns when it answers."""
        ports = self._addresses or [
            "--api-listen", "127.0.0.1:0", "--relay-listen", "127.0.0.1:0",
        ]
        self.server = Child.start(
            [program("drawbridge-server"), "--state", self.state, *ports, *self._server_options],
            name="server",
            log=self.server_log,
            environment={"DRAWBRIDGE_FAILPOINTS": failpoints},
        )
        self.wait(
            lambda: self.server_died() or self.context.exists() and self._remember_addresses(),
            START_SECONDS,
            "the server listens",
        )
        assert failpoints or not self.server_died(), self.server.log_tail()
        if not failpoints:
            self.wait(
                lambda: self.cli("get", "endpoints", is_checked=False).returncode == 0,
                START_SECONDS,
                "the server answers",
            )

    def kill_server(self) -> None:
        """SIGKILL."""
        assert self.server is not None
        self.server.kill()

    def stop_server(self) -> None:
        """SIGTERM; returns when it has ended as it should."""
        assert self.server is not None
        assert self.server.terminate(START_SECONDS) == 0, self.server.log_tail()

    def server_died(self) -> bool:
        """Whether the server has ended."""
        return self.server is not None and not self.server.is_running

    def add_relay(self, name: str, **labels: str) -> Relay:
        """Enrols a relay; it does not run yet."""
        relay = Relay(self, name, self.folder / name)
        words = [word for pair in labels.items() for word in ("--label", "=".join(pair))]
        token = self.cli_json("relay", "token", "create", name, *words)
        enrolled = relay.enrol(token, self.api)
        assert enrolled.returncode == 0, enrolled.stderr
        self.relays[name] = relay
        return relay

    def relay_state(self, name: str) -> str | None:
        """CONNECTED, DISCONNECTED or REVOKED; None while the server does not answer."""
        answer = self.cli("-o", "json", "relay", "list", is_checked=False)
        if answer.returncode != 0:
            return None
        rows = json.loads(answer.stdout)["relays"]
        return next((row["state"] for row in rows if row["name"] == name), None)

    def close(self) -> None:
        """Ends every process that this started."""
        for relay in self.relays.values():
            if relay.child is not None and relay.child.is_running:
                relay.child.kill()
        if self.server is not None and self.server.is_running:
            self.server.kill()

    def logs(self) -> str:
        """The ends of all logs, for whoever looks into a failure."""
        paths = sorted(self.folder.glob("*.log"))
        return "\n".join(f"--- {path.name}\n{_ending(path)}" for path in paths)

    # The CLI

    @property
    def api(self) -> str:
        """host:port of the API."""
        return self.context_line("server")

    def cli(
        self, *words: object, text: str | None = None, is_checked: bool = True, seconds: float = 40
    ) -> subprocess.CompletedProcess[str]:
        """Runs `drawbridge WORDS…`."""
        command = [str(program("drawbridge")), "--context", str(self.context), *map(str, words)]
        result = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=seconds, check=False
        )
        if is_checked:
            assert result.returncode == 0, f"{words}: {result.returncode}\n{result.stderr}"
        return result

    def cli_json(self, *words: object) -> Any:
        """What `drawbridge -o json WORDS…` prints."""
        return json.loads(self.cli("-o", "json", *words).stdout)

    def apply(self, definitions: Mapping[str, Any] | str, **options: Any) -> Any:
        """Applies definitions (JSON is YAML) and returns the process, its output not looked at."""
        text = definitions if isinstance(definitions, str) else json.dumps(definitions)
        return self.cli("-o", "json", "apply", "-f", "-", text=text, **options)

    # Definitions

    def set_credential(
        self,
        name: str,
        kind: str,
        *,
        user: str = presets.OCI_USER,
        password: str = presets.OCI_TOKEN,
        pair: KeyPair | None = None,
    ) -> None:
        """Stores one credential: a user with a password, or a key pair for `mtls`."""
        path = self.folder / f"{name}.password"
        path.touch(mode=0o600)
        path.write_text(password + "\n")
        words = ["--username", user, "--password-file", path]
        if pair is not None:
            words = ["--certificate", pair.certificate, "--key", pair.key]
        self.cli("credential", "set", name, "--kind", kind, *words)

    def set_credentials(
        self, password: str = presets.OCI_TOKEN, user: str = presets.OCI_USER
    ) -> None:
        """Stores `oci-user` and `aws-client`."""
        path = self.folder / "password"
        path.touch(mode=0o600)
        path.write_text(password + "\n")
        self.cli(
            "credential", "set", "oci-user", "--kind", "sasl-plain",
            "--username", user, "--password-file", path,
        )
        pair = self.aws.certificates.client("drawbridge")
        self.cli(
            "credential", "set", "aws-client", "--kind", "mtls",
            "--certificate", pair.certificate, "--key", pair.key,
        )

    def endpoints(self) -> dict[str, Any]:
        """The two clusters, as a file of definitions has them."""
        return {
            "oci": self.endpoint(self.oci, "sasl_ssl", "oci-user", profile="oci-streaming"),
            "aws": self.endpoint(self.aws, "ssl", "aws-client"),
        }

    def endpoint(
        self, cluster: ClusterAccess, listener: str, credential: str | None, **changes: Any
    ) -> dict[str, Any]:
        """One endpoint; `changes` replace its fields, None takes one away."""
        fields = {
            "bootstrap": cluster.bootstrap(listener),
            "profile": "kafka",
            "ca": str(cluster.certificates.root),
            "credential": credential,
            **changes,
        }
        return {"kafka": {name: value for name, value in fields.items() if value is not None}}

    def bridge(
        self,
        topics: Sequence[str],
        *,
        mapping: str = "{topic}",
        lanes: int = 1,
        start: str = "earliest",
        placement: Mapping[str, str] | None = None,
        target: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """A bridge from oci to aws."""
        return {
            "source": {"endpoint": "oci", "topics": list(topics), "start": start},
            "target": {"endpoint": "aws", "topic": mapping, **(target or {})},
            "placement": dict(placement or {}),
            "lanes": lanes,
        }

    def apply_bridge(self, name: str, topics: Sequence[str], **options: Any) -> Any:
        """Applies both endpoints and one bridge; returns the answer."""
        definitions = {
            "endpoints": self.endpoints(),
            "bridges": {name: self.bridge(topics, **options)},
        }
        return json.loads(self.apply(definitions).stdout)

    # What it says

    def checkpoints(self, stream: str) -> dict[tuple[str, int], int | None]:
        """The checkpoint of each partition of a bridge, or of BRIDGE/TOPIC."""
        rows = self.cli_json("checkpoints", stream)["checkpoints"]
        return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}

    def owners(self, bridge: str, topic: str) -> list[str | None]:
        """The relay of each partition of a stream; None: it has none."""
        rows = self.cli_json("get", "partitions", f"{bridge}/{topic}")["partitions"]
        return [row.get("relay") or None for row in rows]

    def gaps(self, stream: str) -> list[dict[str, Any]]:
        """The declared gaps, as `rig.records.check` takes them."""
        rows = self.cli_json("gaps", stream)["gaps"]
        return [
            {
                "topic": row["topic"],
                "partition": row["partition"],
                "from": row["from_offset"],
                "to": row["to_offset"],
            }
            for row in rows
        ]

    def conditions(self, bridge: str) -> list[dict[str, Any]]:
        """What is wrong with a bridge and its streams at present."""
        found = self.cli_json("get", "bridges", bridge)["bridges"][0]["status"]["conditions"]
        streams = self.cli_json("get", "streams", bridge)["streams"]
        return found + [row for stream in streams for row in stream["status"]["conditions"]]

    def reasons(self, bridge: str) -> set[str]:
        """The reasons among the conditions."""
        return {row["reason"] for row in self.conditions(bridge)}

    def motions(self, bridge: str) -> set[str]:
        """What the streams of a bridge do: DELIVERING, HALTED…"""
        rows = self.cli_json("get", "streams", bridge)["streams"]
        return {row["status"]["motion"] for row in rows}

    def api_conditions(self, bridge: str) -> list[dict[str, Any]]:
        """As `conditions`, by the API: automation must not have to run the CLI."""
        name_of = stubs("reason_pb2").Reason.Name
        found = self.call("bridge.BridgeService", "GetBridge", name=bridge).status.conditions
        streams = self.call("stream.StreamService", "ListStreams", bridge=bridge).streams
        rows = [*found, *(row for stream in streams for row in stream.status.conditions)]
        return [
            {
                "side": row.side,
                "reason": name_of(row.reason).removeprefix("REASON_"),
                "text": row.text,
                "topic": row.topic,
                "partition": row.partition if row.HasField("partition") else None,
            }
            for row in rows
        ]

    def wait_until_shown(
        self, bridge: str, reason: str, *, side: str, says: Sequence[str], seconds: float
    ) -> dict[str, Any]:
        """Waits until CLI and API show a condition, and returns it.

        Its text must have every part of `says`: what it is about, and what to do.
        """
        started_at = time.monotonic()

        def shown(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
            return next((row for row in rows if row["reason"] == reason), None)

        self.wait(
            lambda: shown(self.conditions(bridge)) and shown(self.api_conditions(bridge)),
            seconds,
            f"{bridge} shows {reason}",
            0.5,
        )
        found = shown(self.api_conditions(bridge))
        assert found is not None, f"{reason} comes and goes: {self.conditions(bridge)}"
        print(f"{reason} after {time.monotonic() - started_at:.1f} s: {found['text']}")
        assert found["side"] == side, found
        assert all(part in found["text"] for part in says), (says, found["text"])
        for words in (["describe", "bridge", bridge], ["status"]):
            told = self.cli(*words).stdout
            assert reason in told, f"{words} does not show {reason}:\n{told}"
        return found

    def wait_until_well(self, bridge: str, seconds: float = 15) -> None:
        """Waits until neither CLI nor API shows anything wrong with a bridge."""
        self.wait(
            lambda: not self.conditions(bridge) and not self.api_conditions(bridge),
            seconds,
            f"nothing is wrong with {bridge} any more",
            0.5,
        )

    # The API

    @property
    def authority(self) -> str:
        """The CA of the API's certificate, as the context has it."""
        return "".join(_block(self.context.read_text(), "ca"))

    @functools.cached_property
    def channel(self) -> grpc.Channel:
        """A channel that trusts the context's CA and sends its token."""
        credentials = grpc.composite_channel_credentials(
            grpc.ssl_channel_credentials(self.authority.encode()),
            grpc.access_token_call_credentials(self.context_line("token")),
        )
        return grpc.secure_channel(self.api, credentials)

    def call(self, service: str, method: str, **fields: Any) -> Any:
        """Calls the API: `call("bridge.BridgeService", "GetBridge", name="x")`."""
        module, _, name = service.partition(".")
        messages = stubs(f"{module}_pb2")
        stub = getattr(stubs(f"{module}_pb2_grpc"), f"{name}Stub")(self.channel)
        request = getattr(messages, f"{method}Request")(**fields)
        return getattr(stub, method)(request, timeout=API_SECONDS)

    # Conditions

    def wait(
        self, condition: Callable[[], Any], seconds: float, what: str, every: float = 0.2
    ) -> Any:
        """The first truthy value of `condition`."""
        return wait_until(condition, seconds, what, every)

    def source_ends(
        self, topics: Iterable[str], source: ClusterAccess | None = None
    ) -> dict[tuple[str, int], int]:
        """The end of each partition at the source."""
        return {
            (topic, partition): offset
            for topic in topics
            for partition, offset in (source or self.oci).admin.list_offsets(topic).items()
        }

    def wait_until_carried(
        self,
        bridge: str,
        topics: Sequence[str],
        seconds: float = CARRY_SECONDS,
        *,
        source: ClusterAccess | None = None,
    ) -> None:
        """Waits until the checkpoints are at the ends of the source's logs.

        Only a moment to judge at: whether all arrived is for `check` to say.
        """
        ends = self.source_ends(topics, source)

        def is_carried() -> bool:
            reached = self.checkpoints(bridge)
            return all((reached.get(key) or 0) >= end for key, end in ends.items())

        self.wait(is_carried, seconds, f"{bridge} is carried to {ends}", 0.5)

    def arrived(self, topics: Iterable[str], mapping: str = "{topic}") -> int:
        """Records at the target, by the ends of its logs; 0 for a topic that is not there yet."""
        total = 0
        for topic in topics:
            name = mapping.replace("{topic}", topic)
            try:
                total += sum(self.aws.admin.list_offsets(name).values())
            except Exception as error:
                if "UnknownTopic" not in str(error):
                    raise
        return total

    def check(
        self,
        topics: Sequence[str],
        *,
        mapping: str = "{topic}",
        source: ClusterAccess | None = None,
        target: ClusterAccess | None = None,
        **options: Any,
    ) -> records.CheckResult:
        """The judge's verdict on what of the source's topics is at the target."""
        return records.check(
            (source or self.oci).java_properties("plaintext"),
            (target or self.aws).java_properties("plaintext"),
            topics,
            mapping=mapping,
            **options,
        )

    def assert_once(
        self, topics: Sequence[str], *, mapping: str = "{topic}", **options: Any
    ) -> records.CheckResult:
        """Fails unless every record arrived as it was, in order, once."""
        verdict = self.check(topics, mapping=mapping, duplicates_max=0, **options)
        verdict.assert_clean()
        return verdict

    # The clusters

    def make_topics(self, *topics: str, partitions: int = 2) -> None:
        """Makes topics at the source."""
        for topic in topics:
            self.oci.admin.create_topic(topic, partitions)

    def write_logs(self, topics: Sequence[str], count: int) -> None:
        """Writes `count` numbered logs and returns when all are acknowledged."""
        self.start_logs(topics, rate=0, count=count).wait(120)

    def start_logs(
        self, topics: Sequence[str], rate: float = 2000, count: int | None = None
    ) -> records.OciLogs:
        """Starts to write numbered logs."""
        client = self.oci.java_properties("plaintext")
        return records.start_oci_logs(client, {"custom": list(topics)}, rate=rate, count=count)

    def wait_until_more(self, topics: Sequence[str], count: int, seconds: float = 60) -> None:
        """Waits until `count` records more are at the target."""
        before = self.arrived(topics)
        self.wait(
            lambda: self.arrived(topics) >= before + count,
            seconds,
            f"{count} more records arrive after {before}",
            0.5,
        )

    def limit_target(self, bytes_per_second: float | None) -> None:
        """Lets the target take no more than that from the relays; None: all that it can."""
        quota = {"producer_byte_rate": bytes_per_second}
        self.aws.admin.alter_quotas({"user": "CN=drawbridge"}, quota)

    def in_flight(self, bridge: str) -> int:
        """Records sent and not confirmed, as the relays last reported them."""
        rows = self.cli_json("checkpoints", bridge)["checkpoints"]
        return sum(row["in_flight"] or 0 for row in rows)

    # Parts

    def _remember_addresses(self) -> bool:
        for line in self.server_log.read_text().splitlines():
            if '"server is ready"' in line:
                self.relay_port = int(json.loads(line)["relay_port"])
                self._addresses = [
                    "--api-listen", self.api, "--relay-listen", f"127.0.0.1:{self.relay_port}",
                ]
        return bool(self._addresses)

    def context_line(self, key: str) -> str:
        lines = self.context.read_text().splitlines()
        return next(line.split(maxsplit=1)[1] for line in lines if line.startswith(f"{key}:"))


@contextmanager
def with_one_relay(
    folder: Path, oci: ClusterAccess, aws: ClusterAccess
) -> Iterator[Deployment]:
    """A deployment that runs, with its credentials and the relay `one`."""
    deployment = Deployment(folder, oci, aws)
    try:
        deployment.start_server()
        deployment.set_credentials()
        deployment.add_relay("one", cloud="oci").start()
        yield deployment
    finally:
        deployment.close()


def _block(text: str, key: str) -> list[str]:
    """The lines of `key: |` in a context file."""
    lines = text.splitlines()
    block = []
    for line in lines[lines.index(f"{key}: |") + 1:]:
        if not line.startswith(" "):
            break
        block.append(line.strip() + "\n")
    return block


def _ending(path: Path, lines: int = 60) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
