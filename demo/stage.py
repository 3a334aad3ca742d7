"""The clusters and programs of the demo: how they start, and how they end."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from rig import presets, records
from rig.admin import AdminError
from rig.kafka import KafkaCluster
from rig.processes import Child, RigError, process_identity, wait_until
from rig.search_checker import Key, SearchCheckResult, Source, check
from rig.search_client import SearchError
from rig.search_engine import OPENSEARCH, SearchEngine

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "deploy/examples/bridges.yaml"
SEARCH_EXAMPLE = ROOT / "deploy/examples/search.yaml"
# In the examples, the addresses of the two clusters and of the engine.
EXAMPLE_OCI, EXAMPLE_AWS = "127.0.0.1:19092", "127.0.0.1:29092"
EXAMPLE_SEARCH = "https://127.0.0.1:19200"

TOPICS = {"audit": 2, "vcn-backend": 4, "vcn-frontend": 4}
KINDS = {"audit": "audit", "flow": ["vcn-backend", "vcn-frontend"]}
MAPPING = "oci.{topic}"
INDEXES = "oci-*"
LETTERS = "drawbridge-dead-letters"
RELAYS = {
    "relay-fra": {"cloud": "oci", "region": "fra"},
    "relay-lhr": {"cloud": "oci", "region": "lhr"},
    "relay-iad": {"cloud": "aws", "region": "iad"},
}

_START_SECONDS = 30.0
_END_SECONDS = 5.0
_KILL_SECONDS = 15.0


class Stage:
    """Everything that runs in the demo; its files are in one folder.

    All processes are children of this one, so that they end with it, however it ends.
    """

    def __init__(self, state: Path, programs: Path) -> None:
        """Runs nothing yet. `state` exists and is empty; `programs` is where ours are built."""
        self.state = state
        self.oci = presets.oci_cluster(state / "oci")
        self.aws = presets.aws_cluster(state / "aws")
        # In a temporary folder: where that is, the rig decides by what engines can live with.
        self.search = SearchEngine(OPENSEARCH)
        self.context = state / "server" / "admin.context"
        self.definitions = state / "bridges.yaml"
        self.search_definitions = state / "search.yaml"
        self.cli = [programs / "drawbridge", "--context", self.context]
        self._programs = programs
        self._children: dict[str, Child] = {}
        self._generator: records.OciLogs | None = None
        self._pool = ThreadPoolExecutor(thread_name_prefix="stage")

    def start(self, rate: int, say: Callable[[str], None]) -> None:
        """Starts all of it, as much as possible at once; returns when logs are being written."""
        aws = self.later(self.aws.start)
        control = self.later(self._start_server_and_relays)
        # It waits for its topics; by then its program is compiled.
        generator = self.later(lambda: self.start_generator(rate))
        self._write_definitions()
        self.oci.start()
        say(f"source: Kafka at {self.oci.bootstrap('sasl_ssl')[0]}, SASL_SSL with PLAIN")
        # Before the bridge: the first survey then finds all of them.
        for topic, partitions in TOPICS.items():
            self.oci.admin.create_topic(topic, partitions)
        aws.result()
        say(f"target: Kafka at {self.aws.bootstrap('ssl')[0]}, TLS with client certificates")
        control.result()
        say(f"server, and relays {', '.join(RELAYS)}, enrolled with the cloud that they are in")
        self.run([*self.cli, "apply", "-f", self.definitions])
        say(f"applied: {self.definitions}")
        generator.result()
        say(f"the generator writes {rate:,} log records per second to {', '.join(TOPICS)}")

    def start_search(self, say: Callable[[str], None]) -> None:
        """Starts the search engine and a bridge to it; returns when that is applied."""
        self.search.start()
        say(f"target: OpenSearch at {self.search.url}, with a user's password")
        # Audit logs have labels as fields, without end: only these are indexed.
        searched = {"type": "keyword", "source": "keyword", "@timestamp": "date"}
        properties = {name: {"type": kind} for name, kind in searched.items()}
        self.search.client.put_template(
            "oci-logs", [INDEXES], mappings={"dynamic": False, "properties": properties}
        )
        user, password = next(iter(self.search.credentials.users.items()))
        words = ["--kind", "basic", "--username", user, "--password-file", "-"]
        self.run([*self.cli, "credential", "set", "search-user", *words], secret=password)
        text = SEARCH_EXAMPLE.read_text()
        if EXAMPLE_SEARCH not in text:
            raise RigError(f"{SEARCH_EXAMPLE} has no {EXAMPLE_SEARCH} to be replaced")
        self.search_definitions.write_text(text.replace(EXAMPLE_SEARCH, self.search.url))
        shutil.copy(self.search.certificates.root, self.state / "search-ca.pem")
        self.run([*self.cli, "apply", "-f", self.search_definitions])
        say(f"applied: {self.search_definitions}; relay-iad carries it")

    def start_generator(self, rate: int) -> None:
        """Starts to write logs to the source, numbered so that each can be accounted for."""
        source = self.oci.java_properties("plaintext")
        self._generator = records.start_oci_logs(source, KINDS, rate=rate)

    def stop_generator(self) -> dict[str, Any]:
        """Ends the logs and returns what was written."""
        assert self._generator is not None
        return self._generator.stop()

    def written(self) -> int:
        """How many records lie at the source, by its own word."""
        return _records(self.oci, TOPICS)

    def arrived(self) -> int | None:
        """How many records lie at the target, by its own word; None if it does not answer."""
        try:
            wanted = {MAPPING.format(topic=topic) for topic in TOPICS}
            return _records(self.aws, wanted.intersection(self.aws.admin.list_topics()))
        except AdminError:
            return None

    def count(self, summary: dict[str, Any]) -> dict[str, int]:
        """Reads the target and says what of a generator's summary is there."""
        return records.count(self.aws.java_properties("plaintext"), summary, mapping=MAPPING)

    def documents(self) -> int | None:
        """Documents and dead letters of the engine, by its own word; None if it does not answer."""
        try:
            self.search.client.refresh()
            return self.search.client.count(f"{INDEXES},{LETTERS}")
        except (SearchError, OSError):
            return None

    def count_documents(self) -> SearchCheckResult:
        """Compares every record of the source with every document and dead letter of the engine."""
        self.search.client.refresh()
        origins = (letter.source["drawbridge"] for letter in self.search.client.documents(LETTERS))
        refused = {Key(it["topic"], int(it["partition"]), int(it["offset"])) for it in origins}
        source = Source(self.oci.java_properties("plaintext"), TOPICS)
        return check(source, self.search.client.documents(INDEXES), elsewhere=refused)

    def later(self, work: Callable[[], Any]) -> Future[Any]:
        """Does `work` beside the main thread."""
        return self._pool.submit(work)

    def check(self) -> None:
        """Fails if one of our programs has ended."""
        for name in self.ended():
            child = self._children[name]
            raise RigError(f"{name} has ended with {child.exit_code}:\n{child.log_tail(10)}")

    def ended(self) -> set[str]:
        """Those of our programs that have ended, of themselves or by somebody's hand."""
        return {name for name, child in self._children.items() if not child.is_running}

    def pids(self) -> dict[str, int]:
        """The process ids of our programs by name."""
        return {name: child.pid for name, child in self._children.items()}

    def run(self, command: Sequence[str | Path], secret: str | None = None) -> str:
        """Runs a command to its end and returns what it says; a secret is its standard input."""
        words = [str(word) for word in command]
        done = subprocess.run(words, input=secret or "", capture_output=True, text=True)
        if done.returncode != 0:
            raise RigError(f"{shlex.join(words)} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout

    def end(self) -> list[str]:
        """Ends every process that this one has started, and returns when all are gone.

        Names those of our programs that had to be killed: a relay waits long for a target that is
        down, and whoever ends the demo does not.
        """
        relays = [child for name, child in self._children.items() if name in RELAYS]
        server = [child for name, child in self._children.items() if name not in RELAYS]
        killed: list[str] = []
        try:
            # The relays first: they hand their last checkpoints to the server.
            for group in (relays, server):
                killed += _terminated(group)
        finally:
            _end_children()
            self.search.stop()
        return killed

    def _start_server_and_relays(self) -> None:
        server = self._launch(
            "drawbridge-server",
            "drawbridge-server",
            *("--state", self.context.parent),
            *("--api-listen", "127.0.0.1:0", "--relay-listen", "127.0.0.1:0"),
        )

        def is_up() -> bool:
            self.check()
            return self.context.exists()

        wait_until(is_up, _START_SECONDS, f"the server does not start; see {server.log}")
        self._store_credentials()
        for name, labels in RELAYS.items():
            self._start_relay(name, labels)

    def _store_credentials(self) -> None:
        oci = ["--kind", "sasl-plain", "--username", presets.OCI_USER, "--password-file", "-"]
        self.run([*self.cli, "credential", "set", "oci-user", *oci], secret=presets.OCI_TOKEN)
        client = self.aws.certificates.client()
        aws = ["--kind", "mtls", "--certificate", client.certificate, "--key", client.key]
        self.run([*self.cli, "credential", "set", "aws-client", *aws])

    def _start_relay(self, name: str, labels: Mapping[str, str]) -> None:
        """Enrols a relay as the CLI says that it is done, and starts it."""
        words = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
        token = self.run([*self.cli, "relay", "token", "create", name, *words, "-o", "json"])
        answer = json.loads(token)
        program, *options = shlex.split(answer["enroll_command"])
        state = self.state / name
        options[options.index("--state") + 1] = str(state)
        self.run([self._programs / program, *options], secret=answer["token"])
        self._launch(name, "drawbridge-relay", "run", "--state", state)

    def _launch(self, name: str, program: str, *options: str | Path) -> Child:
        log = self.state / "logs" / f"{name}.log"
        child = Child.start([self._programs / program, *options], name=name, log=log)
        self._children[name] = child
        return child

    def _write_definitions(self) -> None:
        """The example as it is, with the addresses and the CAs of the demo's clusters."""
        text = EXAMPLE.read_text()
        for example, own in (
            (EXAMPLE_OCI, self.oci.bootstrap("sasl_ssl")),
            (EXAMPLE_AWS, self.aws.bootstrap("ssl")),
        ):
            if example not in text:
                raise RigError(f"{EXAMPLE} has no {example} to put an address in its place")
            text = text.replace(example, own[0])
        self.definitions.write_text(text)
        for name, cluster in (("oci-ca.pem", self.oci), ("aws-ca.pem", self.aws)):
            shutil.copy(cluster.certificates.root, self.state / name)


def _records(cluster: KafkaCluster, topics: Iterable[str]) -> int:
    return sum(sum(cluster.admin.list_offsets(topic).values()) for topic in topics)


def _terminated(group: list[Child]) -> list[str]:
    """Ends programs together, and names those that had to be killed."""
    for child in group:
        child.signal(signal.SIGTERM)
        child.resume()
    deadline = time.monotonic() + _END_SECONDS
    while any(child.is_running for child in group) and time.monotonic() < deadline:
        time.sleep(0.02)
    late = [child for child in group if child.is_running]
    for child in late:
        child.kill()
    return [child.name for child in late]


def _end_children() -> None:
    """SIGKILL for all children: brokers and Java programs have nothing to save here."""

    def are_gone() -> bool:
        alive = [pid for pid in _children() if process_identity(pid)]
        for pid in alive:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not alive

    wait_until(are_gone, _KILL_SECONDS, "some processes do not end")


def _children() -> list[int]:
    children: list[int] = []
    for thread in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # The thread has just ended.
            children += map(int, (thread / "children").read_text().split())
    return children
