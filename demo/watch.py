"""Looks on while the demo goes its way: the live table, and the clusters' own word beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from demo.screen import Screen
from demo.stage import Stage
from rig.processes import Child

_LOOK_SECONDS = 0.4
# An answer that takes longer tells nothing of the present any more.
_ANSWER_SECONDS = 2.0


class Watch:
    """Draws what goes on while the main thread waits for something."""

    def __init__(self, stage: Stage, screen: Screen) -> None:
        self.written = 0
        self.arrived: int | None = None
        self._stage = stage
        self._screen = screen
        self._question: Future[int | None] | None = None
        self._asked_at = 0.0
        self._table = _StatusTable(stage.cli, stage.state / "logs/status.log")

    @property
    def behind(self) -> int | None:
        """Records at the source that are not at the target, by the word of the two clusters."""
        return None if self.arrived is None else self.written - self.arrived

    def until(self, is_over: Callable[[], object], seconds: float) -> bool:
        """Looks on until `is_over`; False if it is not within `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            self._stage.check()
            self._ask_clusters()
            self._screen.show([self._headline(), *self._table.lines])
            if is_over():
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK_SECONDS)

    def through(self, work: Callable[[], object], seconds: float = 120) -> object:
        """Does `work` and looks on meanwhile; returns its result."""
        future = self._stage.later(work)
        self.until(future.done, seconds)
        return future.result(timeout=0)

    def pause(self, seconds: float) -> None:
        """Looks on for a while."""
        self.until(lambda: False, seconds)

    def _ask_clusters(self) -> None:
        """Keeps one question to the target under way: while it is down it takes long to answer."""
        now = time.monotonic()
        if self._question is None or self._question.done():
            self.arrived = self._question.result() if self._question else None
            self._question, self._asked_at = self._stage.later(self._stage.arrived), now
        elif now - self._asked_at > _ANSWER_SECONDS:
            self.arrived = None
        # After the target: so it never seems to hold more than the source.
        self.written = self._stage.written()

    def _headline(self) -> str:
        arrived = "?" if self.arrived is None else f"{self.arrived:,}"
        return f"The clusters themselves say: source {self.written:,} records, target {arrived}"


class _StatusTable:
    """What `drawbridge status --follow` says, as it says it."""

    def __init__(self, cli: Sequence[str | Path], log: Path) -> None:
        self._lines = ["(no table yet)"]
        self._child = Child.start(
            [*cli, "status", "--follow"], name="drawbridge status", log=log, is_piped=True
        )
        threading.Thread(target=self._read, name="status", daemon=True).start()

    @property
    def lines(self) -> list[str]:
        """The newest table, or why there is none."""
        if self._child.is_running:
            return self._lines
        return ["drawbridge status has ended:", self._child.log_tail(3)]

    def _read(self) -> None:
        block: list[str] = []
        for line in self._child.stdout:
            if line.strip():
                block.append(line.rstrip("\n"))
            else:  # The end of one table.
                self._lines, block = block, []
