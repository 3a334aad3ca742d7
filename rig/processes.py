"""Child processes that never outlive the rig, and the one way to wait for a condition."""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO, TypeVar

T = TypeVar("T")

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec nothing may allocate or import.
_LIBC = ctypes.CDLL(None, use_errno=True)


class RigError(Exception):
    """Something that the rig was asked for did not come about; the text is meant for a person."""


def wait_until(condition: Callable[[], T], seconds: float, what: str, every: float = 0.05) -> T:
    """Returns the first truthy value of `condition`, or fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise RigError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(every)


def tail(path: Path, lines: int = 30) -> str:
    """The last lines of a log file; empty when there is none."""
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def process_identity(pid: int) -> str | None:
    """What tells a process from a later one with the same id; None when it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name may hold spaces and parentheses: the fields start after the last one.
    fields = stat.rpartition(")")[2].split()
    state, start_ticks = fields[0], fields[19]
    return None if state in "ZX" else f"{boot}/{start_ticks}"


class Child:
    """A process in a group of its own that gets SIGKILL when this process ends, however it ends.

    Start it with `Child.start`. Methods may be called from any thread.
    """

    def __init__(self, process: subprocess.Popen[str], name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self.pid = process.pid
        self._process = process
        self._reaping = threading.Lock()

    @classmethod
    def start(
        cls,
        command: Sequence[str | Path],
        *,
        name: str,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        is_piped: bool = False,
    ) -> Child:
        """Starts `command`; its output is appended to `log`, but stdout is a pipe if `is_piped`.

        `environment` is laid over that of this process.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = _spawn(
                [str(word) for word in command],
                stdin=subprocess.PIPE if is_piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if is_piped else output,
                stderr=output,
                cwd=folder,
                env={**os.environ, **(environment or {})},
                text=True,
            )
        return cls(process, name, log)

    @property
    def stdin(self) -> IO[str]:
        """The child's input; only of a child that was started with `is_piped`."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> IO[str]:
        """The child's output; only of a child that was started with `is_piped`."""
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative is the signal that ended it."""
        with self._reaping:
            return self._process.poll()

    @property
    def is_running(self) -> bool:
        return self.exit_code is None

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the whole group; nothing happens when the child is gone."""
        with self._reaping:
            # Not yet reaped, so neither its id nor its group's can belong to anyone else.
            if self._process.poll() is None:
                os.killpg(self.pid, number)

    def pause(self) -> None:
        """SIGSTOP: the process keeps its sockets and answers nothing."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    def kill(self) -> int:
        """SIGKILL; returns when the process is gone."""
        self.signal(signal.SIGKILL)
        return self.wait(10)

    def terminate(self, seconds: float = 30) -> int:
        """SIGTERM; fails when the process has not ended in time: a hang at shutdown is a fault."""
        self._ask_to_end()
        return self.wait(seconds)

    def stop(self, seconds: float = 10) -> int:
        """SIGTERM, and SIGKILL for whatever of the group is left after `seconds`."""
        self._ask_to_end()
        try:
            return self.wait(seconds)
        except RigError:
            return self.kill()

    def wait(self, seconds: float) -> int:
        """Waits for the end and returns the exit code."""
        wait_until(
            lambda: not self.is_running,
            seconds,
            f"{self.name} (pid {self.pid}) has not ended",
            0.01,
        )
        code = self.exit_code
        assert code is not None
        return code

    def log_tail(self, lines: int = 30) -> str:
        """The last lines that it wrote."""
        return tail(self.log, lines)

    def _ask_to_end(self) -> None:
        self.signal(signal.SIGTERM)
        # A stopped process sees SIGTERM only once it goes on.
        self.signal(signal.SIGCONT)


def _spawn(command: list[str], **options: object) -> subprocess.Popen[str]:
    return _Spawner.of_this_process().run(command, options)


class _Spawner:
    """The one thread that forks.

    The kernel sends PDEATHSIG when the *thread* that forked ends, so a child started from a
    short-lived thread would die with that thread. This one lives as long as the process.
    """

    _current: _Spawner | None = None
    _guard = threading.Lock()

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._requests: queue.SimpleQueue[tuple[list[str], dict[str, object], Future]] = (
            queue.SimpleQueue()
        )
        threading.Thread(target=self._serve, name="rig-spawner", daemon=True).start()

    @classmethod
    def of_this_process(cls) -> _Spawner:
        """The spawner of this process; a fork does not inherit its parent's thread."""
        with cls._guard:
            if cls._current is None or cls._current._pid != os.getpid():
                cls._current = cls()
            return cls._current

    def run(self, command: list[str], options: dict[str, object]) -> subprocess.Popen[str]:
        result: Future = Future()
        self._requests.put((command, options, result))
        return result.result()

    def _serve(self) -> None:
        while True:
            command, options, result = self._requests.get()
            try:
                result.set_result(
                    subprocess.Popen(
                        command, process_group=0, preexec_fn=self._die_with_parent, **options
                    )
                )
            except BaseException as error:  # The caller's thread raises it.
                result.set_exception(error)

    def _die_with_parent(self) -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # The parent may have died before prctl; then nobody would ever send the signal.
        if os.getppid() != self._pid:
            os._exit(127)
