"""The session that several test processes share."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rig import session
from rig.processes import RigError, process_identity, wait_until

ROOT = Path(__file__).resolve().parents[2]


def rig(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rig", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.slow
def test_a_session_is_shared_and_stopped_from_the_shell(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert rig("session", "start", folder).stdout == f"{tmp_path / 'session.json'}\n"
    documents = json.loads((tmp_path / "session.json").read_text())["clusters"]
    brokers = [pid for document in documents.values() for pid in document["pids"].values()]

    clusters = session.clusters(tmp_path)
    assert clusters["oci"].admin.login(clusters["oci"].java_properties("sasl_ssl"))["brokers"]
    clusters["oci"].close()
    assert "a session runs" in rig("session", "start", folder).stderr

    assert rig("session", "stop", folder).returncode == 0
    assert [process_identity(pid) for pid in brokers] == [None, None]
    with pytest.raises(RigError, match="no session runs"):
        session.clusters(tmp_path)
    assert rig("session", "stop", folder).returncode == 0


@pytest.mark.slow
def test_a_session_ends_with_its_owner_and_when_killed(tmp_path: Path) -> None:
    owner = subprocess.Popen(["sleep", "600"])
    session.start(tmp_path, owner.pid)
    server = json.loads((tmp_path / "session.json").read_text())["pid"]

    owner.kill()
    owner.wait()
    wait_until(lambda: process_identity(server) is None, 60, "the session outlives its owner")

    session.start(tmp_path)
    document = json.loads((tmp_path / "session.json").read_text())
    os.kill(document["pid"], signal.SIGKILL)
    broker = document["clusters"]["oci"]["pids"]["1"]
    wait_until(lambda: process_identity(broker) is None, 5, "a broker outlives its session")


def test_a_folder_without_session_is_told() -> None:
    with pytest.raises(RigError, match="session start"):
        session.clusters(ROOT)
