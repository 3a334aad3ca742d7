"""Records that can be accounted for: written to a source, judged at a target.

The writers and the judge are single-file Java programs on Apache's own client, so that the judge
shares no code with what it judges; this module runs them. A cluster is named by the properties of a
Java client, as `KafkaCluster.java_properties(listener)` gives them.

From a shell: `python3 -m rig.records OciLogs --bootstrap …` runs one of the programs as it is.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig import jars
from rig.access import write_properties
from rig.admin import ClusterAdmin
from rig.processes import Child, RigError, wait_until

_JARS = "kafka-4.1.1"
_JAVA = Path(__file__).with_name("java")

Client = Mapping[str, str]
# {"topic": {partition: offset}}
Offsets = Mapping[str, Mapping[int, int]]


def command(program: str, *options: str | Path) -> list[str | Path]:
    """The command line that runs `program`, the name of a file in java/ without its ending."""
    return [
        jars.java(),
        "-Xmx1g",
        "-XX:+UseParallelGC",
        # The optimizing compiler doubles the CPU of a short run, and only pays in a long one.
        *([] if program == "OciLogs" or "--shape" in options else ["-XX:TieredStopAtLevel=1"]),
        *jars.logging_options(_JARS),
        "-cp",
        jars.class_path(_JARS),
        _JAVA / f"{program}.java",
        *options,
    ]


class _Program:
    """A running Java program: its lines of JSON, and a folder for its files that goes with it."""

    def __init__(self, program: str, clients: Mapping[str, Client], options: Sequence[str]) -> None:
        """`clients` become the options --NAME (the address) and --NAME-properties (a file)."""
        self._folder = tempfile.TemporaryDirectory(prefix="drawbridge-records-")
        self.folder = Path(self._folder.name)
        self.lines: list[dict[str, Any]] = []
        self._arrived = threading.Condition()
        self._is_at_end = False
        arguments = list(options)
        for name, client in clients.items():
            prefix = "" if name == "bootstrap" else f"{name}-"
            path = write_properties(self.folder / f"{name}.properties", client)
            arguments += [f"--{name}", client["bootstrap.servers"]]
            arguments += [f"--{prefix}properties", str(path)]
        self.child = Child.start(
            command(program, *arguments), name=program, log=self.folder / "log", is_piped=True
        )
        self._reader = threading.Thread(target=self._read_lines, name=f"rig-{program}", daemon=True)
        self._reader.start()

    def wait_for_line(self, event: str, seconds: float) -> dict[str, Any]:
        """The first line of that event."""
        def first() -> dict[str, Any] | None:
            return next((line for line in self.lines if line.get("event") == event), None)

        with self._arrived:
            self._arrived.wait_for(lambda: first() or self._is_at_end, seconds)
            line = first()
        if line is None:
            raise RigError(f"{self.child.name} did not say {event}:\n{self.child.log_tail()}")
        return line

    def tell(self, line: str) -> None:
        """Writes one line to its stdin."""
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()

    def finish(self, seconds: float) -> tuple[int, dict[str, Any]]:
        """Closes stdin, waits for the end and returns the exit code and the last line."""
        try:
            if not self.child.stdin.closed:
                self.child.stdin.close()
            code = self.child.wait(seconds)
            self._reader.join(10)
            if not self.lines:
                raise RigError(
                    f"{self.child.name} ended with {code}, mute:\n{self.child.log_tail()}"
                )
            return code, self.lines[-1]
        finally:
            self.close()

    def close(self) -> None:
        """Ends the program if it still runs, and removes its files."""
        if self.child.is_running:
            self.child.kill()
        self._folder.cleanup()

    def _read_lines(self) -> None:
        for text in self.child.stdout:
            with self._arrived:
                self.lines.append(json.loads(text))
                self._arrived.notify_all()
        with self._arrived:
            self._is_at_end = True
            self._arrived.notify_all()


def _options(values: Mapping[str, object]) -> list[str]:
    """--name value for each value; a flag for True, nothing for None and False."""
    words: list[str] = []
    for name, value in values.items():
        if value is None or value is False:
            continue
        words.append(f"--{name.replace('_', '-')}")
        if value is not True:
            words.append(str(value))
    return words


# Writing logs


class OciLogs:
    """A running generator of OCI logs; a context manager that stops it."""

    def __init__(self, program: _Program) -> None:
        self._program = program
        self._summary: dict[str, Any] | None = None

    def __enter__(self) -> OciLogs:
        return self

    def __exit__(self, *error: object) -> None:
        if self._summary is None:
            self.stop()

    @property
    def latest(self) -> dict[str, Any] | None:
        """The newest line of counts, a second old at most: generated, acked, failed, topics."""
        seconds = (line for line in reversed(self._program.lines) if line["event"] == "second")
        return next(seconds, None)

    def set_rate(self, records_per_second: float) -> None:
        """Changes the total rate; 0 is as fast as it goes."""
        self._program.tell(f"rate {records_per_second}")

    def stop(self, seconds: float = 60) -> dict[str, Any]:
        """Ends the generator and returns its summary."""
        return self.wait(seconds)

    def wait(self, seconds: float) -> dict[str, Any]:
        """Waits for its end, of itself if it has a count or a duration, and returns its summary."""
        if self._summary is None:
            _, line = self._program.finish(seconds)
            if line["event"] != "summary":
                raise RigError("the generator ended without a summary")
            self._summary = line
        return self._summary


def start_oci_logs(
    client: Client,
    topics: Mapping[str, str | Sequence[str]],
    *,
    rate: float = 1000,
    count: int | None = None,
    duration: float | None = None,
    **options: object,
) -> OciLogs:
    """Starts the generator and returns when it writes.

    `topics` names the topics of each kind (flow, custom, service, audit); kinds left out are not made.
    It ends by itself after `count` records or `duration` seconds, else with `stop`. Further options
    are those of the program: seed, run, producers, compression, linger_ms, bad, spread, start_ms.
    """
    pairs = [f"{kind}:{topic}" for kind, names in topics.items()
             for topic in ([names] if isinstance(names, str) else names)]
    values = {
        "topics": ",".join(pairs),
        "rate": rate,
        "count": count,
        "duration": duration,
        "until_stdin_closes": count is None and duration is None,
        **options,
    }
    program = _Program("OciLogs", {"bootstrap": client}, _options(values))
    try:
        program.wait_for_line("start", 120)
    except RigError:
        program.close()
        raise
    return OciLogs(program)


# Hard records, and many


class Load:
    """A load under way; with `leave_open` a transaction is open until `finish`."""

    def __init__(self, program: _Program) -> None:
        self._program = program

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *error: object) -> None:
        self._program.close()

    def wait_until_open(self, seconds: float = 300) -> dict[str, Any]:
        """Returns when all else is written, with the manifest as it is then."""
        return self._program.wait_for_line("open", seconds)

    def finish(self, *, is_committed: bool = False, seconds: float = 600) -> dict[str, Any]:
        """Ends the open transaction, if there is one, and returns the manifest."""
        if is_committed:
            self._program.tell("commit")
        code, line = self._program.finish(seconds)
        if code != 0 or line["event"] != "manifest":
            raise RigError(f"the load ended with {code}: {line}")
        return line


def start_load(client: Client, topic: str, **options: object) -> Load:
    """Starts to fill `topic`; see `load` for the options."""
    words = _options({"topic": topic, **options})
    return Load(_Program("RecordLoad", {"bootstrap": client}, words))


def load(
    client: Client, topic: str, *, records: int, seconds: float = 600, **options: object
) -> dict[str, Any]:
    """Fills an existing topic and returns the manifest: what each partition holds.

    mode="proof" (the default) writes what is hard to carry: options seed, transactions (their
    share), largest (how many of maximum size), odd_header_names. mode="compacted" overwrites `keys`
    keys. shape="json1k", "random1000" or "random120" preloads for a bench: compression, threads.
    """
    return start_load(client, topic, records=records, **options).finish(seconds=seconds)


def copy(
    source: Client,
    target: Client,
    topics: Iterable[str],
    *,
    mapping: str = "{topic}",
    mutations: Iterable[Mapping[str, Any]] = (),
    isolation: str = "read_committed",
    provenance: bool = False,
    seconds: float = 600,
) -> dict[str, Any]:
    """Copies topics as a relay should, but for `mutations`.

    These are rows of kind, topic, partition, index (the how-manieth record, from 0) and count.
    Returns how many records it wrote, and the mutations with the source offsets that they hit.
    """
    with tempfile.TemporaryDirectory(prefix="drawbridge-copy-") as folder:
        values = {
            "topics": ",".join(topics),
            "mapping": mapping,
            "mutations": _file(folder, "mutations.json", [dict(row) for row in mutations]),
            "isolation": isolation,
            "provenance": provenance,
        }
        program = _Program("RecordCopy", {"source": source, "target": target}, _options(values))
        code, line = program.finish(seconds)
    if code != 0:
        raise RigError(f"the copy ended with {code}: {line}")
    return line


def compact(admin: ClusterAdmin, data_folder: Path, topic: str, seconds: float = 60) -> None:
    """Has the cleaner go over all that is in a topic now, and waits for it.

    `data_folder` is the log.dirs of the one broker that has the topic.
    """
    eager = {"segment.ms": 200, "min.cleanable.dirty.ratio": 0.01, "delete.retention.ms": 0}
    admin.alter_configs(topic, eager)
    wanted = admin.list_offsets(topic)
    checkpoint = data_folder / "cleaner-offset-checkpoint"

    def is_clean() -> bool:
        # The active segment is never cleaned; a later record makes it an older one.
        admin.produce(topic, [{"key": "last", "value": "last", "partition": n} for n in wanted])
        rows = (
            [line.split() for line in checkpoint.read_text().splitlines()[2:]]
            if checkpoint.exists()
            else []
        )
        cleaned = {int(number): int(offset) for name, number, offset in rows if name == topic}
        return all(cleaned.get(number, 0) >= offset for number, offset in wanted.items())

    wait_until(is_clean, seconds, f"{topic} is not compacted", every=0.3)
    # Whoever judges the topic next shall not read segments under the cleaner's hands.
    admin.alter_configs(topic, dict.fromkeys(eager))


# Judging


@dataclass(frozen=True)
class CheckResult:
    """The judge's document: `verdict` is clean, findings or void (it could not be judged)."""

    document: dict[str, Any]

    @property
    def verdict(self) -> str:
        return self.document["verdict"]

    @property
    def findings(self) -> list[dict[str, Any]]:
        """What is wrong, by class: lost, corrupt, phantom, reorder, duplicate, undeclared-gap, …"""
        return self.document.get("findings", [])

    @property
    def totals(self) -> dict[str, int]:
        """Counts over all partitions: delivered, control, aborted, compacted, gap, duplicate, …"""
        return self.document.get("totals", {})

    def partition(self, topic: str, number: int) -> dict[str, Any]:
        """Bounds, counts and runs of duplicates of one source partition."""
        return next(row for row in self.document["partitions"]
                    if row["topic"] == topic and row["partition"] == number)

    def assert_clean(self) -> None:
        """Fails unless it was judged and nothing is wrong."""
        if self.verdict != "clean":
            raise AssertionError(self.describe())

    def describe(self) -> str:
        """The verdict for a person."""
        lines = [f"verdict: {self.verdict}", *self.document.get("void_reasons", []),
                 json.dumps(self.totals), *(json.dumps(finding) for finding in self.findings[:20])]
        more = self.document.get("findings_total", 0) - 20
        return "\n".join([*lines, *([f"… and {more} more"] if more > 0 else [])])


def check(
    source: Client,
    target: Client,
    topics: Iterable[str] | None = None,
    *,
    topic_regex: str | None = None,
    mapping: str = "{topic}",
    gaps: Iterable[Mapping[str, Any]] = (),
    start: Offsets | str | None = None,
    to: Offsets | None = None,
    target_start: Offsets | None = None,
    log_folders: Iterable[Path] = (),
    seconds: float = 600,
    **options: object,
) -> CheckResult:
    """Reads both clusters and judges whether every record arrived as it was.

    `mapping` makes a target topic's name of a source topic's. `gaps` are the declared ones: rows of
    topic, partition, from, to (the first offset after it). Offsets are judged from `start` (0; or
    "log-start") to `to` (the last stable offset): give checkpoints as `to` while a relay runs.
    `log_folders` are the log.dirs of the source's brokers; with them offsets without a record are
    told apart exactly. Further options are those of the program: headers="none",
    timestamps="ignore", timestamp_type="same", order="none", duplicates_max, records_min,
    gaps_may_arrive, provenance="ignore".
    """
    with tempfile.TemporaryDirectory(prefix="drawbridge-check-") as folder:
        values = {
            "topics": ",".join(topics) if topics is not None else None,
            "topic_regex": topic_regex,
            "mapping": mapping,
            "gaps": _file(folder, "gaps.json", [dict(gap) for gap in gaps]),
            "from": start if isinstance(start, str) else _file(folder, "from.json", start),
            "to": _file(folder, "to.json", to),
            "target_from": _file(folder, "target-from.json", target_start),
            "source_log_dirs": ",".join(str(path) for path in log_folders) or None,
            **options,
        }
        program = _Program("RecordChecker", {"source": source, "target": target}, _options(values))
        _, document = program.finish(seconds)
    return CheckResult(document)


def count(
    target: Client, summary: Mapping[str, Any], *, mapping: str = "{topic}", seconds: float = 600
) -> dict[str, int]:
    """Counts at the target alone what a generator's `summary` says was written to the source.

    Returns generated, acked, arrived (distinct), missing, duplicates, arrived_unacked, foreign
    (records without a number of that run) and missing_ranges.
    """
    with tempfile.TemporaryDirectory(prefix="drawbridge-count-") as folder:
        values = {"summary": _file(folder, "summary.json", summary), "mapping": mapping}
        _, line = _Program("RecordCount", {"target": target}, _options(values)).finish(seconds)
    return line


def _file(folder: str, name: str, value: object) -> Path | None:
    """A file with `value` as JSON; None if there is nothing to say."""
    if not value:
        return None
    path = Path(folder, name)
    path.write_text(json.dumps(value))
    return path


def main(arguments: Sequence[str]) -> None:
    """Becomes one of the programs."""
    if not arguments:
        programs = sorted(path.stem for path in _JAVA.glob("*.java") if path.stem != "ClusterAdmin")
        raise SystemExit(f"usage: python3 -m rig.records {{{','.join(programs)}}} [--option …]")
    words = [str(word) for word in command(arguments[0], *arguments[1:])]
    os.execvp(words[0], words)


if __name__ == "__main__":
    main(sys.argv[1:])
