"""What the benches share: a relay with its server, and what a program costs while it copies."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rig.processes import Child, RigError, wait_until

START_SECONDS = 300
COPY_SECONDS = 1800
FAILURES = (RigError, OSError, subprocess.SubprocessError)


@dataclass(frozen=True)
class Copy:
    """What was seen of one contender's copy of a load."""

    startup_seconds: float
    seconds: float
    payload_bytes: float
    cpu_seconds: float
    peak_rss_mib: float


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_rss_mib(pid: int) -> float:
    """The most memory that a process ever had resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RigError(f"process {pid} shows no peak of its memory")


def measure(
    child: Child, started: float, arrived: Callable[[], int], records: int, payload_bytes: int
) -> Copy:
    """Watches a program that was started at `started` until `arrived` says that all is there."""

    def has(count: int) -> bool:
        if not child.is_running:
            raise RigError(f"{child.name} ended with {child.exit_code}: {child.log_tail()}")
        return arrived() >= count

    wait_until(lambda: has(1), START_SECONDS, f"{child.name}: not a record has arrived")
    began, first, cpu = time.monotonic(), arrived(), cpu_seconds(child.pid)
    wait_until(lambda: has(records), COPY_SECONDS, f"{child.name}: not all have arrived", 0.1)
    return Copy(
        startup_seconds=began - started,
        seconds=time.monotonic() - began,
        payload_bytes=payload_bytes * (records - first) / records,
        cpu_seconds=cpu_seconds(child.pid) - cpu,
        peak_rss_mib=peak_rss_mib(child.pid),
    )


@dataclass(frozen=True)
class RunningRelay:
    """A relay that has a bridge to run, and when it was started."""

    child: Child
    started: float


@contextmanager
def running_relay(
    programs: Path, folder: Path, definitions: str, memory_mib: int
) -> Iterator[RunningRelay]:
    """A server, and a relay beside it with these definitions applied."""
    state = Path(tempfile.mkdtemp(dir=folder, prefix="drawbridge-"))
    context = state / "server" / "admin.context"
    listen = ["--api-listen", "127.0.0.1:0", "--relay-listen", "127.0.0.1:0"]
    server = Child.start(
        [str(programs / "drawbridge-server"), "--state", str(state / "server"), *listen],
        name="server",
        log=state / "server.log",
    )
    relay: Child | None = None
    try:
        wait_until(context.exists, 30, "the server")
        cli = [str(programs / "drawbridge"), "--context", str(context)]
        made = subprocess.run(
            [*cli, "-o", "json", "relay", "token", "create", "bench"],
            check=True,
            capture_output=True,
            text=True,
        )
        token = json.loads(made.stdout)
        address = context.read_text().splitlines()[0].split()[1]
        relay_program = str(programs / "drawbridge-relay")
        enrol = [relay_program, "enroll", "--state", str(state / "relay"), "--server", address]
        subprocess.run(
            [*enrol, "--ca-pin", token["ca_pin"], "--token-file", "-"],
            input=token["token"],
            text=True,
            check=True,
            capture_output=True,
        )
        file = state / "bridges.yaml"
        file.write_text(definitions)
        started = time.monotonic()
        relay = Child.start(
            [relay_program, "run", "--state", str(state / "relay")]
            + ["--memory-limit", f"{memory_mib}MB"],
            name="relay",
            log=state / "relay.log",
        )
        subprocess.run([*cli, "apply", "-f", str(file)], check=True, capture_output=True)
        yield RunningRelay(relay, started)
    finally:
        if relay:
            relay.stop()
        server.stop()
        shutil.rmtree(state, ignore_errors=True)


def reason(error: Exception) -> str:
    """Why something failed, with what a program said about it."""
    said = getattr(error, "stderr", None)
    return f"{error}: {said}" if said else str(error)


def write_results(path: Path, content: dict[str, object]) -> None:
    """Replaces the file as a whole: whoever reads it while the bench runs sees no half."""
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(json.dumps(content, indent=1) + "\n")
    draft.replace(path)
