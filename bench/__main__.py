"""Measures replicators side by side: `/usr/bin/python3 -m bench --help`.

Every contender copies the same topic from one cluster to another, in alternation, and is measured
from its first record at the target to its last: MB/s, CPU-seconds per GB (user and system, of the
replicator alone), and peak resident memory. Absolute figures of a small machine say little; the
ratios within one run say more.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rig import jars, records
from rig.kafka import KafkaCluster
from rig.processes import Child, wait_until

ROOT = Path(__file__).resolve().parent.parent
MIRROR_MAKER = Path(__file__).resolve().parent / "mirror_maker.properties"
COPY_SECONDS = 1800
LOADS = {"json1k": 1_000_000, "random1000": 1_000_000, "random120": 4_000_000}


@dataclass
class Run:
    """One contender's copy of one load."""

    contender: str
    load: str
    mb_per_second: float
    cpu_seconds_per_gb: float
    peak_rss_mb: float


@dataclass
class Bench:
    """Two clusters, a place for state, and what every contender is given alike."""

    source: KafkaCluster
    target: KafkaCluster
    folder: Path
    programs: Path
    partitions: int
    memory_mb: int
    compression: str
    jar_set: str


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_rss_mb(pid: int) -> float:
    """The most memory that a process ever had resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def arrived(bench: Bench, topic: str) -> int:
    """Records at the target, markers included."""
    return sum(bench.target.admin.list_offsets(topic, "latest").values())


def measure(bench: Bench, name: str, topic: str, total: int, payload: int, child: Child) -> Run:
    """Watches a replicator that has been started until all records are there."""
    wait_until(lambda: arrived(bench, topic) > 0 or not child.is_running, 300, "the first record")
    began, first, before = time.monotonic(), arrived(bench, topic), cpu_seconds(child.pid)
    cpu = before
    rss = 0.0

    def is_done() -> bool:
        nonlocal cpu, rss
        if child.is_running:  # the floor ends by itself
            cpu, rss = cpu_seconds(child.pid), peak_rss_mb(child.pid)
        return arrived(bench, topic) >= total

    wait_until(is_done, COPY_SECONDS, f"{name} to copy {topic}", every=0.1)
    seconds = time.monotonic() - began
    bytes_copied = payload * (total - first) / total
    cpu_per_gb = (cpu - before) / (bytes_copied / 1e9)
    return Run(name, topic, bytes_copied / seconds / 1e6, cpu_per_gb, rss)


def run_floor(bench: Bench, topic: str, total: int, payload: int) -> Run:
    """The bare loop."""
    child = Child.start(
        [
            str(bench.programs / "floor"),
            bench.source.bootstrap("plaintext")[0],
            bench.target.bootstrap("plaintext")[0],
            topic,
            str(bench.partitions),
            str(bench.memory_mb),
            bench.compression,
        ],
        name="floor",
        log=bench.folder / "floor.log",
    )
    try:
        return measure(bench, "floor", topic, total, payload, child)
    finally:
        child.stop()


def run_drawbridge(bench: Bench, topic: str, total: int, payload: int) -> Run:
    """The relay, with a server beside it that is not counted."""
    state = Path(tempfile.mkdtemp(dir=bench.folder, prefix="drawbridge-"))
    context = state / "server" / "admin.context"
    listen = ["--api-listen", "127.0.0.1:0", "--relay-listen", "127.0.0.1:0"]
    server = Child.start(
        [str(bench.programs / "drawbridge-server"), "--state", str(state / "server"), *listen],
        name="server",
        log=state / "server.log",
    )
    relay: Child | None = None
    try:
        wait_until(context.exists, 30, "the server")
        cli = [str(bench.programs / "drawbridge"), "--context", str(context)]
        made = subprocess.run(
            [*cli, "-o", "json", "relay", "token", "create", "bench"],
            check=True,
            capture_output=True,
            text=True,
        )
        token = json.loads(made.stdout)
        address = context.read_text().splitlines()[0].split()[1]
        relay_program = str(bench.programs / "drawbridge-relay")
        enrol = [relay_program, "enroll", "--state", str(state / "relay"), "--server", address]
        subprocess.run(
            [*enrol, "--ca-pin", token["ca_pin"], "--token-file", "-"],
            input=token["token"],
            text=True,
            check=True,
            capture_output=True,
        )
        definition = state / "bridges.yaml"
        endpoint = "{{ kafka: {{ bootstrap: [{}], tls: false }} }}"
        definition.write_text(
            "endpoints:\n"
            f"  a: {endpoint.format(bench.source.bootstrap('plaintext')[0])}\n"
            f"  b: {endpoint.format(bench.target.bootstrap('plaintext')[0])}\n"
            "bridges:\n"
            "  bench:\n"
            f"    source: {{ endpoint: a, topics: [{topic}] }}\n"
            f"    target: {{ endpoint: b, compression: {bench.compression} }}\n"
        )
        relay = Child.start(
            [relay_program, "run", "--state", str(state / "relay")]
            + ["--memory-limit", f"{bench.memory_mb}MB"],
            name="relay",
            log=state / "relay.log",
        )
        subprocess.run([*cli, "apply", "-f", str(definition)], check=True, capture_output=True)
        return measure(bench, "drawbridge", topic, total, payload, relay)
    finally:
        if relay:
            relay.stop()
        server.stop()
        shutil.rmtree(state, ignore_errors=True)


def run_mirror_maker(bench: Bench, topic: str, total: int, payload: int) -> Run:
    """MirrorMaker 2, tuned, at least once."""
    settings = bench.folder / "mirror_maker.properties"
    settings.write_text(
        MIRROR_MAKER.read_text()
        .replace("@SOURCE@", bench.source.bootstrap("plaintext")[0])
        .replace("@TARGET@", bench.target.bootstrap("plaintext")[0])
        .replace("@TOPIC@", topic)
        .replace("@TASKS@", str(bench.partitions))
        .replace("@COMPRESSION@", bench.compression)
    )
    child = Child.start(
        [jars.java(), "-server", "-Xms512m", "-Xmx2g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]
        + [*jars.logging_options(bench.jar_set), "-cp", jars.class_path(bench.jar_set)]
        + ["org.apache.kafka.connect.mirror.MirrorMaker", str(settings), "--clusters", "B"],
        name="mirror-maker",
        log=bench.folder / "mirror_maker.log",
    )
    try:
        return measure(bench, "mirror-maker", topic, total, payload, child)
    finally:
        child.stop()


CONTENDERS: dict[str, Callable[[Bench, str, int, int], Run]] = {
    "floor": run_floor,
    "drawbridge": run_drawbridge,
    "mirror-maker": run_mirror_maker,
}


def clear_target(bench: Bench, topic: str) -> None:
    """An empty target topic, and none of what MirrorMaker 2 keeps about earlier runs."""
    for known in bench.target.admin.list_topics():
        bench.target.admin.delete_topic(known)
    wait_until(lambda: not bench.target.admin.list_topics(), 60, "the target to be empty")
    bench.target.admin.create_topic(
        topic, bench.partitions, configs={"max.message.bytes": "16777216"}
    )


def preload(bench: Bench, load: str, count: int) -> tuple[str, int, int]:
    """Fills the source topic of a load; returns its name, records and bytes."""
    topic = f"bench-{load}"
    bench.source.admin.create_topic(topic, bench.partitions)
    client = bench.source.java_properties("plaintext")
    records.load(client, topic, records=count, shape=load, compression="lz4")
    total = sum(bench.source.admin.list_offsets(topic, "latest").values())
    size = {"json1k": 1033, "random1000": 1000, "random120": 120}[load]
    return topic, total, total * size


def report(runs: list[Run]) -> None:
    """Medians of each contender and load, and their ratios to the floor and to MirrorMaker 2."""
    print(f"\n{'LOAD':16}{'CONTENDER':14}{'RUNS':>5}{'MB/S':>9}{'CPU-S/GB':>10}{'RSS MB':>9}"
          f"{'MB/S : FLOOR':>14}{'CPU : FLOOR':>13}{'CPU : MM2':>11}")
    for load in dict.fromkeys(run.load for run in runs):
        medians = {}
        for name in dict.fromkeys(run.contender for run in runs):
            of = [run for run in runs if run.load == load and run.contender == name]
            medians[name] = (
                statistics.median(run.mb_per_second for run in of),
                statistics.median(run.cpu_seconds_per_gb for run in of),
                max(run.peak_rss_mb for run in of),
                len(of),
            )
        for name, (speed, cpu, rss, count) in medians.items():
            def ratio(other: str, column: int, own: float) -> str:
                return f"{own / medians[other][column]:.2f}" if other in medians else "-"

            print(f"{load:16}{name:14}{count:5}{speed:9.0f}{cpu:10.2f}{rss:9.0f}"
                  f"{ratio('floor', 0, speed):>14}{ratio('floor', 1, cpu):>13}"
                  f"{ratio('mirror-maker', 1, cpu):>11}")


def main() -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--programs", type=Path, default=ROOT / "build/release/bin")
    parser.add_argument("--loads", nargs="+", choices=LOADS, default=list(LOADS))
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--records", type=int, help="of each load, in place of its usual number")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--memory-mb", type=int, default=256)
    parser.add_argument("--compression", default="lz4")
    parser.add_argument("--kafka", default="4.1.1")
    asked = parser.parse_args()
    runs: list[Run] = []
    broker = {"message.max.bytes": "16777216", "log.retention.ms": "-1"}
    options = {"version": asked.kafka, "heap": "1g", "jvm_options": (), "properties": broker}
    with tempfile.TemporaryDirectory(prefix="drawbridge-bench-") as folder, KafkaCluster(
        "source", **options
    ) as source, KafkaCluster("target", **options) as target:
        bench = Bench(source, target, Path(folder), asked.programs, asked.partitions,
                      asked.memory_mb, asked.compression, f"kafka-{asked.kafka}")
        for load in asked.loads:
            topic, total, payload = preload(bench, load, asked.records or LOADS[load])
            for number in range(asked.rounds):
                for name in asked.contenders:
                    clear_target(bench, topic)
                    run = CONTENDERS[name](bench, topic, total, payload)
                    runs.append(run)
                    print(f"{topic} round {number + 1} {name}: {run.mb_per_second:.0f} MB/s, "
                          f"{run.cpu_seconds_per_gb:.2f} CPU-s/GB, {run.peak_rss_mb:.0f} MB",
                          flush=True)
            source.admin.delete_topic(topic)
    report(runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
