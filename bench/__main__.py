"""Measures replicators side by side: `/usr/bin/python3 -m bench --help`.

Every contender copies the same topic from one cluster to another, in alternation, and is measured
from its first record at the target to its last: MB/s, CPU-seconds per GB (user and system, of the
replicator alone), and peak resident memory. Absolute figures of a small machine say little; the
ratios within one round say more. Ends with 1 when something could not be run, whatever the figures.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import report
from bench.measuring import FAILURES, Copy, measure, reason, running_relay, write_results
from bench.report import DRAWBRIDGE, FLOOR, MIRROR_MAKER, Failure, Run
from rig import jars, records
from rig.admin import AdminError
from rig.kafka import KafkaCluster
from rig.processes import Child, RigError, wait_until

ROOT = Path(__file__).resolve().parent.parent
MIRROR_MAKER_SETTINGS = Path(__file__).resolve().parent / "mirror_maker.properties"
# As many as three rounds copy in half an hour on 2 cores: a JVM becomes faster for many seconds.
LOADS = {"json1k": 6_000_000, "random1000": 3_000_000, "random120": 9_000_000}
ROUNDS = 3
QUICK_SHARE = 30


@dataclass
class Bench:
    """Two clusters, a place for state, and what every contender is given alike."""

    source: KafkaCluster
    target: KafkaCluster
    folder: Path
    programs: Path
    partitions: int
    memory_mib: int
    compression: str
    jar_set: str


@dataclass(frozen=True)
class Load:
    """A topic of the source that is filled and waits to be copied."""

    name: str
    topic: str
    records: int
    payload_bytes: int


def arrived(bench: Bench, topic: str) -> int:
    """Records at the target, markers included."""
    return sum(bench.target.admin.list_offsets(topic, "latest").values())


def copied(bench: Bench, load: Load, child: Child, started: float) -> Copy:
    """Watches a replicator that was started at `started` until all records are there."""
    return measure(
        child, started, lambda: arrived(bench, load.topic), load.records, load.payload_bytes
    )


def run_floor(bench: Bench, load: Load) -> Copy:
    """The bare loop."""
    started = time.monotonic()
    child = Child.start(
        [
            str(bench.programs / "floor"),
            bench.source.bootstrap("plaintext")[0],
            bench.target.bootstrap("plaintext")[0],
            load.topic,
            str(bench.partitions),
            str(bench.memory_mib),
            bench.compression,
        ],
        name="floor",
        log=bench.folder / "floor.log",
    )
    try:
        return copied(bench, load, child, started)
    finally:
        child.stop()


def run_drawbridge(bench: Bench, load: Load) -> Copy:
    """The relay, with a server beside it that is not counted."""
    endpoint = "{{ kafka: {{ bootstrap: [{}], tls: false }} }}"
    definitions = (
        "endpoints:\n"
        f"  a: {endpoint.format(bench.source.bootstrap('plaintext')[0])}\n"
        f"  b: {endpoint.format(bench.target.bootstrap('plaintext')[0])}\n"
        "bridges:\n"
        "  bench:\n"
        f"    source: {{ endpoint: a, topics: [{load.topic}] }}\n"
        f"    target: {{ endpoint: b, compression: {bench.compression} }}\n"
    )
    with running_relay(bench.programs, bench.folder, definitions, bench.memory_mib) as relay:
        return copied(bench, load, relay.child, relay.started)


def run_mirror_maker(bench: Bench, load: Load) -> Copy:
    """MirrorMaker 2, tuned, at least once."""
    settings = bench.folder / "mirror_maker.properties"
    settings.write_text(
        MIRROR_MAKER_SETTINGS.read_text()
        .replace("@SOURCE@", bench.source.bootstrap("plaintext")[0])
        .replace("@TARGET@", bench.target.bootstrap("plaintext")[0])
        .replace("@TOPIC@", load.topic)
        .replace("@TASKS@", str(bench.partitions))
        .replace("@COMPRESSION@", bench.compression)
    )
    started = time.monotonic()
    child = Child.start(
        [jars.java(), "-server", "-Xms512m", "-Xmx2g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]
        + [*jars.logging_options(bench.jar_set), "-cp", jars.class_path(bench.jar_set)]
        + ["org.apache.kafka.connect.mirror.MirrorMaker", str(settings), "--clusters", "B"],
        name="mirror-maker",
        log=bench.folder / "mirror_maker.log",
    )
    try:
        return copied(bench, load, child, started)
    finally:
        child.stop()


CONTENDERS: dict[str, Callable[[Bench, Load], Copy]] = {
    FLOOR: run_floor,
    DRAWBRIDGE: run_drawbridge,
    MIRROR_MAKER: run_mirror_maker,
}


def create_topic(cluster: KafkaCluster, topic: str, partitions: int) -> None:
    """Creates a topic and waits until the broker shows it: it answers before it knows it itself."""
    cluster.admin.create_topic(topic, partitions, configs={"max.message.bytes": "16777216"})

    def is_known() -> bool:
        try:
            return len(cluster.admin.list_offsets(topic, "latest")) == partitions
        except AdminError as error:
            if error.name != "UnknownTopicOrPartitionException":
                raise
            return False

    wait_until(is_known, 60, f"{topic} to be known to its broker")


def clear_target(bench: Bench, topic: str) -> None:
    """An empty target topic, and none of what MirrorMaker 2 keeps about earlier runs."""
    for known in bench.target.admin.list_topics():
        bench.target.admin.delete_topic(known)
    wait_until(lambda: not bench.target.admin.list_topics(), 60, "the target to be empty")
    create_topic(bench.target, topic, bench.partitions)
    # Nobody's time goes to the disk for what the one before has left.
    os.sync()


def preload(bench: Bench, name: str, count: int) -> Load:
    """Fills the source topic of a load."""
    topic = f"bench-{name}"
    create_topic(bench.source, topic, bench.partitions)
    client = bench.source.java_properties("plaintext")
    manifest = records.load(client, topic, records=count, shape=name, compression="lz4")
    total = sum(bench.source.admin.list_offsets(topic, "latest").values())
    return Load(name, topic, total, manifest["bytes"])


def order(contenders: list[str], round_number: int) -> list[str]:
    """Each round begins with another contender, so that none is always the first or the last."""
    turn = (round_number - 1) % len(contenders)
    return contenders[turn:] + contenders[:turn]


def run_once(bench: Bench, load: Load, round_number: int, contender: str) -> Run | Failure:
    """One contender's turn."""
    try:
        clear_target(bench, load.topic)
        copy = CONTENDERS[contender](bench, load)
    except FAILURES as error:
        return Failure(load.name, round_number, contender, reason(error))
    return Run(
        load=load.name,
        round=round_number,
        contender=contender,
        startup_seconds=copy.startup_seconds,
        seconds=copy.seconds,
        mb_per_second=copy.payload_bytes / copy.seconds / 1e6,
        cpu_seconds_per_gb=copy.cpu_seconds / (copy.payload_bytes / 1e9),
        peak_rss_mib=copy.peak_rss_mib,
    )


def conditions(asked: argparse.Namespace) -> dict[str, object]:
    """What the figures were measured on and with."""
    relay = subprocess.run(
        [asked.programs / "drawbridge-relay", "--version"],
        check=True,
        capture_output=True,
        text=True,
    )
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "relay": relay.stdout.strip(),
        "kafka": asked.kafka,
        "cores": os.cpu_count(),
        "cpu": models[0] if models else platform.machine(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "kernel": platform.release(),
        "memory_limit_mib": asked.memory_mb,
        "partitions": asked.partitions,
        "compression": asked.compression,
        "rounds": asked.rounds,
        "records": ", ".join(f"{load} {records_of(asked, load)}" for load in asked.loads),
    }


def records_of(asked: argparse.Namespace, load: str) -> int:
    """How many records a load has."""
    return asked.records or LOADS[load] // (QUICK_SHARE if asked.quick else 1)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--programs", type=Path, default=ROOT / "build/release/bin")
    parser.add_argument("--loads", nargs="+", choices=LOADS, default=list(LOADS))
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}; fewer are not judged")
    parser.add_argument("--records", type=int, help="of each load, in place of its usual number")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one round of few records, to see that all runs; too little for a verdict",
    )
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--memory-mb", type=int, default=256, help="limit, of 2^20 bytes each")
    parser.add_argument("--compression", default="lz4")
    parser.add_argument("--kafka", default="4.1.1")
    parser.add_argument("--results", type=Path, help="JSON file, rewritten after each run")
    asked = parser.parse_args()
    asked.rounds = asked.rounds or (1 if asked.quick else ROUNDS)
    return asked


def main() -> int:
    """Runs what the command line asks for."""
    asked = parse()
    measured_on = conditions(asked)
    for name, value in measured_on.items():
        print(f"{name}: {value}", flush=True)
    runs: list[Run] = []
    failures: list[Failure] = []

    def note(result: Run | Failure) -> None:
        (runs if isinstance(result, Run) else failures).append(result)
        print(report.line(result), flush=True)
        if asked.results:
            found = report.document(runs, failures, asked.loads, asked.memory_mb)
            write_results(asked.results, {"conditions": measured_on, **found})

    broker = {
        "message.max.bytes": "16777216",
        "log.retention.ms": "-1",
        # The topic of the run before is not to be written out while the next one runs.
        "log.segment.delete.delay.ms": "0",
    }
    options = {"version": asked.kafka, "heap": "1g", "jvm_options": (), "properties": broker}
    with tempfile.TemporaryDirectory(prefix="drawbridge-bench-") as folder, KafkaCluster(
        "source", **options
    ) as source, KafkaCluster("target", **options) as target:
        bench = Bench(source, target, Path(folder), asked.programs, asked.partitions,
                      asked.memory_mb, asked.compression, f"kafka-{asked.kafka}")
        for name in asked.loads:
            try:
                load = preload(bench, name, records_of(asked, name))
            except FAILURES as error:
                note(Failure(name, 0, "source", reason(error)))
                continue
            for number in range(1, asked.rounds + 1):
                for contender in order(asked.contenders, number):
                    note(run_once(bench, load, number, contender))
            source.admin.delete_topic(load.topic)
    print("\n" + report.text(runs, failures, asked.loads, asked.memory_mb))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
