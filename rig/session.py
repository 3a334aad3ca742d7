"""Both preset clusters in the background, for all pytest processes of one run to share."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from rig import presets
from rig.access import ClusterAccess
from rig.processes import RigError, process_identity, tail, wait_until

ENVIRONMENT = "DRAWBRIDGE_RIG_SESSION"

_START_SECONDS = 300.0
_STOP_SECONDS = 60.0


def start(folder: Path, owner: int | None = None) -> Path:
    """Starts a session in the background, returns its session.json when both clusters are ready.

    It ends by `stop`, or by itself when the process `owner` has ended.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if _server(folder) is not None:
        raise RigError(f"a session runs in {folder}")
    document = _document_path(folder)
    document.unlink(missing_ok=True)
    log = folder / "session.log"
    command = [sys.executable, "-m", "rig", "session", "serve", str(folder)]
    command += ["--owner", str(owner)] if owner else []
    with log.open("ab") as output:
        # Not a Child: it has to outlive this process.
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )

    def is_up() -> bool:
        if server.poll() is not None:
            raise RigError(f"the session did not start:\n{tail(log)}")
        return document.exists()

    try:
        wait_until(is_up, _START_SECONDS, "the session did not start")
    except BaseException:
        server.kill()
        raise
    return document


def serve(folder: Path, owner: int | None = None) -> None:
    """Runs a session in the foreground until SIGTERM, SIGINT or the end of `owner`."""
    is_over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: is_over.set())
    owner_identity = process_identity(owner) if owner else None
    for name in presets.NAMES:  # Topics of an earlier run would grow and confuse.
        shutil.rmtree(folder / name, ignore_errors=True)
    with ExitStack() as stack:
        clusters = {name: presets.cluster(name, folder / name) for name in presets.NAMES}
        for cluster in clusters.values():
            stack.callback(cluster.stop)
            cluster.start()
        stack.callback(_document_path(folder).unlink, missing_ok=True)
        _write_document(folder, {name: cluster.to_json() for name, cluster in clusters.items()})
        while not is_over.wait(1):
            if owner and process_identity(owner) != owner_identity:
                return


def stop(folder: Path) -> None:
    """Ends the session of a folder; nothing happens when there is none."""
    pid = _server(folder)
    if pid is None:
        return
    identity = process_identity(pid)
    os.kill(pid, signal.SIGTERM)
    wait_until(
        lambda: process_identity(pid) != identity,
        _STOP_SECONDS,
        f"the session (pid {pid}) has not ended",
    )


def clusters(folder: Path) -> dict[str, ClusterAccess]:
    """The clusters of a running session by name."""
    if _server(folder) is None:
        raise RigError(
            f"no session runs in {folder}; start one: python3 -m rig session start {folder}"
        )
    documents = json.loads(_document_path(folder).read_text())["clusters"]
    return {name: ClusterAccess.from_json(document) for name, document in documents.items()}


def _document_path(folder: Path) -> Path:
    return folder / "session.json"


def _write_document(folder: Path, clusters: dict[str, object]) -> None:
    pid = os.getpid()
    document = {"pid": pid, "identity": process_identity(pid), "clusters": clusters}
    unfinished = folder / "session.json.unfinished"
    unfinished.touch(mode=0o600)
    unfinished.write_text(json.dumps(document, indent=2) + "\n")
    unfinished.rename(_document_path(folder))


def _server(folder: Path) -> int | None:
    """The process that serves the session of a folder, if it still is that process."""
    try:
        document = json.loads(_document_path(folder).read_text())
    except FileNotFoundError:
        return None
    pid = document["pid"]
    return pid if process_identity(pid) == document["identity"] else None
