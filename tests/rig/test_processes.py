"""Children end when told to, and never outlive whoever started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rig.processes import Child, RigError, process_identity, wait_until

ROOT = Path(__file__).resolve().parents[2]


def sleeper(tmp_path: Path) -> Child:
    return Child.start(["sleep", "600"], name="sleeper", log=tmp_path / "log")


def shell(tmp_path: Path, script: str) -> Child:
    return Child.start(["sh", "-c", script], name="shell", log=tmp_path / "log")


def test_a_child_dies_with_a_killed_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time; from pathlib import Path; from rig.processes import Child\n"
            f"print(Child.start(['sleep', '600'], name='x', log=Path('{tmp_path}/log')).pid)\n"
            "time.sleep(600)",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    child = int(parent.stdout.readline())
    assert process_identity(child) is not None

    parent.send_signal(signal.SIGKILL)
    parent.wait()

    wait_until(lambda: process_identity(child) is None, 5, "the child lives on")


def test_a_child_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    started: list[Child] = []
    thread = threading.Thread(target=lambda: started.append(sleeper(tmp_path)))
    thread.start()
    thread.join()

    # A signal tied to the thread would come at once; give it the time of a process's life.
    shell(tmp_path, "exit 0").wait(5)

    assert started[0].is_running
    started[0].kill()


def test_the_output_is_in_the_log(tmp_path: Path) -> None:
    child = shell(tmp_path, "echo one; echo two >&2")

    assert child.wait(5) == 0

    assert child.log_tail() == "one\ntwo"


def test_stop_kills_what_does_not_heed_sigterm(tmp_path: Path) -> None:
    child = shell(tmp_path, "trap '' TERM; echo ready; while :; do sleep 1; done")
    wait_until(lambda: child.log_tail() == "ready", 5, "the trap is not set")

    assert child.stop(0.3) == -signal.SIGKILL


def test_terminate_fails_on_a_hang(tmp_path: Path) -> None:
    child = shell(tmp_path, "trap '' TERM; echo ready; while :; do sleep 1; done")
    wait_until(lambda: child.log_tail() == "ready", 5, "the trap is not set")

    with pytest.raises(RigError, match="has not ended"):
        child.terminate(0.3)

    child.kill()


def test_stop_reaches_the_whole_group(tmp_path: Path) -> None:
    child = shell(tmp_path, "sleep 600 & echo $!; wait")
    grandchild = int(wait_until(child.log_tail, 5, "no grandchild"))

    child.stop()

    wait_until(lambda: process_identity(grandchild) is None, 5, "the grandchild lives on")


def test_a_paused_child_can_be_stopped(tmp_path: Path) -> None:
    child = sleeper(tmp_path)
    child.pause()
    state = Path(f"/proc/{child.pid}/stat")
    wait_until(lambda: state.read_text().split()[2] == "T", 5, "it does not pause")

    assert child.stop(5) == -signal.SIGTERM


def test_signals_to_a_dead_child_go_nowhere(tmp_path: Path) -> None:
    child = shell(tmp_path, "exit 3")
    child.wait(5)

    child.signal(signal.SIGTERM)

    assert child.exit_code == 3


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(RigError, match="the moon"):
        wait_until(lambda: False, 0.1, "the moon")
