"""Measures the way into a search engine: `/usr/bin/python3 -m bench.search --help`.

The relay, from Kafka, beside a bare libcurl loop that sends the same documents as prepared requests
to the same engine, in alternation: documents/s, CPU-seconds per GB of values (of the program alone)
and peak resident memory. Ends with 1 when something could not be run, whatever the figures.
"""

from __future__ import annotations

import argparse
import gzip
import json
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.measuring import FAILURES, Copy, measure, reason, running_relay, write_results
from bench.report import DRAWBRIDGE, FLOOR, Spread
from rig import records
from rig.kafka import KafkaCluster
from rig.processes import Child
from rig.search_client import Number
from rig.search_engine import ENGINES, OPENSEARCH, SearchEngine

ROOT = Path(__file__).resolve().parent.parent
TOPIC = "bench"
INDEX = f"logs-{TOPIC}"
# As the sink aims at.
BULK_BYTES = 5 << 20
BULK_DOCUMENTS = 5000


@dataclass
class Bench:
    """A cluster with a topic, an engine, and what both contenders are given alike."""

    source: KafkaCluster
    engine: SearchEngine
    folder: Path
    programs: Path
    memory_mib: int
    in_flight: int
    records: int
    payload_bytes: int

    @property
    def bulks(self) -> Path:
        """The prepared requests."""
        return self.folder / "bulks"


@dataclass(frozen=True)
class Run:
    """One contender's turn; rounds count from 1."""

    round: int
    contender: str
    documents_per_second: float
    cpu_seconds_per_gb: float
    peak_rss_mib: float


def arrived(bench: Bench) -> int:
    """Documents that were made, be they searchable or not."""
    if not bench.engine.client.index_exists(INDEX):
        return 0
    path = f"{INDEX}/_stats/indexing?filter_path=_all.primaries.indexing.index_total"
    found = bench.engine.client.call("GET", path)
    return found["_all"]["primaries"]["indexing"]["index_total"] if found else 0


def clear(bench: Bench) -> None:
    """No index; a template keeps the engine from looking into the documents."""
    if bench.engine.client.index_exists(INDEX):
        bench.engine.client.delete_index(INDEX)
    bench.engine.client.put_template(
        "bench", [INDEX], settings={"refresh_interval": "30s"}, mappings={"dynamic": False}
    )


def run_drawbridge(bench: Bench) -> Copy:
    """The relay, with a server beside it that is not counted."""
    definitions = json.dumps({
        "endpoints": {
            "a": {"kafka": {"bootstrap": bench.source.bootstrap("plaintext"), "tls": False}},
            "b": {"opensearch": {"addresses": [bench.engine.plain_url]}},
        },
        "bridges": {
            "bench": {
                "source": {"endpoint": "a", "topics": [TOPIC]},
                "target": {"endpoint": "b", "index": "logs-{topic}"},
            }
        },
    })
    with running_relay(bench.programs, bench.folder, definitions, bench.memory_mib) as relay:
        return measure(
            relay.child, relay.started, lambda: arrived(bench), bench.records, bench.payload_bytes
        )


def run_floor(bench: Bench) -> Copy:
    """The bare loop."""
    started = time.monotonic()
    child = Child.start(
        [
            str(bench.programs / "bulk_floor"),
            bench.engine.plain_url,
            str(bench.bulks),
            str(bench.in_flight),
        ],
        name="bulk-floor",
        log=bench.folder / "bulk_floor.log",
    )
    try:
        return measure(child, started, lambda: arrived(bench), bench.records, bench.payload_bytes)
    finally:
        child.stop()


CONTENDERS: dict[str, Callable[[Bench], Copy]] = {FLOOR: run_floor, DRAWBRIDGE: run_drawbridge}


def prepare(bench: Bench) -> None:
    """Makes the requests of the bare loop of the documents that the relay has written."""
    clear(bench)
    run_drawbridge(bench)
    bench.engine.client.refresh(INDEX)
    with bench.bulks.open("wb") as file:
        for body in bodies(bench):
            packed = gzip.compress(body, 1)
            file.write(struct.pack("!I", len(packed)) + packed)


def plain(value: Any) -> Any:
    """The value with its numbers as numbers: a judge's client keeps their spelling."""
    if isinstance(value, Number):
        return float(value) if any(c in value for c in ".eE") else int(value)
    if isinstance(value, dict):
        return {name: plain(its) for name, its in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def bodies(bench: Bench) -> Iterator[bytes]:
    """The documents in the index as requests that make them anew."""
    body, count = bytearray(), 0
    for document in bench.engine.client.documents(INDEX):
        action = {"create": {"_index": document.index, "_id": document.id}}
        body += json.dumps(action).encode() + b"\n"
        body += json.dumps(plain(document.source), ensure_ascii=False).encode() + b"\n"
        count += 1
        if len(body) >= BULK_BYTES or count >= BULK_DOCUMENTS:
            yield bytes(body)
            body, count = bytearray(), 0
    if body:
        yield bytes(body)


def run_once(bench: Bench, number: int, contender: str) -> Run:
    """One contender's turn."""
    clear(bench)
    copy = CONTENDERS[contender](bench)
    documents = bench.records * copy.payload_bytes / bench.payload_bytes
    return Run(
        round=number,
        contender=contender,
        documents_per_second=documents / copy.seconds,
        cpu_seconds_per_gb=copy.cpu_seconds / (copy.payload_bytes / 1e9),
        peak_rss_mib=copy.peak_rss_mib,
    )


def table(runs: list[Run]) -> str:
    """Medians of both, and the ratios of the relay to the bare loop within the rounds."""
    lines = [f"{'':24}{FLOOR:>12}{DRAWBRIDGE:>14}   ratio"]
    for title, field in (
        ("documents/s", "documents_per_second"),
        ("CPU-s/GB", "cpu_seconds_per_gb"),
        ("peak RSS MiB", "peak_rss_mib"),
    ):
        by_contender = {
            name: {run.round: getattr(run, field) for run in runs if run.contender == name}
            for name in CONTENDERS
        }
        own, other = by_contender[DRAWBRIDGE], by_contender[FLOOR]
        ratio = Spread.of([own[n] / other[n] for n in sorted(own.keys() & other.keys())])
        medians = [Spread.of(list(by_contender[name].values())) for name in (FLOOR, DRAWBRIDGE)]
        cells = ["-" if one is None else f"{one.median:.1f}" for one in medians]
        said = (
            "-" if ratio is None
            else f"{ratio.median:.2f} ({ratio.lowest:.2f}..{ratio.highest:.2f})"
        )
        lines.append(f"{title:24}{cells[0]:>12}{cells[1]:>14}   {said}")
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.search", description=__doc__)
    parser.add_argument("--programs", type=Path, default=ROOT / "build/release/bin")
    parser.add_argument("--engine", choices=ENGINES, default=OPENSEARCH)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--records", type=int, default=300_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--in-flight", type=int, default=2, help="requests of the bare loop at once")
    parser.add_argument("--memory-mb", type=int, default=256, help="limit, of 2^20 bytes each")
    parser.add_argument("--results", type=Path, help="JSON file, rewritten after each run")
    return parser.parse_args()


def main() -> int:
    """Runs what the command line asks for."""
    asked = parse()
    runs: list[Run] = []
    failed = False
    with tempfile.TemporaryDirectory(prefix="drawbridge-bench-") as folder, KafkaCluster(
        "source", heap="1g", jvm_options=(), properties={"log.retention.ms": "-1"}
    ) as source, SearchEngine(asked.engine, heap="2g", jvm_options=()) as engine:
        source.admin.create_topic(TOPIC, asked.partitions)
        client = source.java_properties("plaintext")
        manifest = records.load(
            client, TOPIC, records=asked.records, shape="json1k", compression="lz4"
        )
        total = sum(source.admin.list_offsets(TOPIC, "latest").values())
        bench = Bench(source, engine, Path(folder), asked.programs, asked.memory_mb,
                      asked.in_flight, total, manifest["bytes"])
        prepare(bench)
        for number in range(1, asked.rounds + 1):
            names = list(CONTENDERS)
            for contender in names if number % 2 else reversed(names):
                try:
                    run = run_once(bench, number, contender)
                except FAILURES as error:
                    print(f"round {number}, {contender}: {reason(error)}", flush=True)
                    failed = True
                    continue
                runs.append(run)
                print(
                    f"round {number}, {contender}: {run.documents_per_second:.0f} documents/s,"
                    f" {run.cpu_seconds_per_gb:.2f} CPU-s/GB, {run.peak_rss_mib:.0f} MiB",
                    flush=True,
                )
                if asked.results:
                    content = {"engine": asked.engine, "runs": [asdict(one) for one in runs]}
                    write_results(asked.results, content)
    print("\n" + table(runs))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
