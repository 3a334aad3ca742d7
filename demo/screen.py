"""Text on a terminal: lines that stay, and below them a live part that is drawn over."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence

_PLAIN_INTERVAL_SECONDS = 5.0
_PLAIN_WIDTH = 160


class Screen:
    """Writes to standard output; the main thread's.

    Where that is no terminal, the live part is written anew every few seconds instead.
    """

    def __init__(self, started: float) -> None:
        """`started` is when the demo was, in seconds since 1970."""
        self._started = started
        self._is_terminal = sys.stdout.isatty()
        self._live: list[str] = []
        self._shown_at = time.monotonic()

    def tell(self, text: str) -> None:
        """Writes what happens, with the time since the start."""
        self.say(f"{time.time() - self._started:6.1f} s  {text}")

    def say(self, text: str = "") -> None:
        """Writes a line that stays."""
        self._write(self._erasure() + text + "\n" + self._drawing())

    def show(self, lines: Sequence[str]) -> None:
        """Makes `lines` the live part."""
        if self._is_terminal:
            erasure = self._erasure()
            width, height = shutil.get_terminal_size()
            self._live = ["", *(line[: width - 1] for line in lines[: max(height - 3, 3)])]
            self._write(erasure + self._drawing())
        elif time.monotonic() - self._shown_at >= _PLAIN_INTERVAL_SECONDS:
            self._shown_at = time.monotonic()
            self._write("".join(line[:_PLAIN_WIDTH] + "\n" for line in ["", *lines, ""]))

    def settle(self) -> None:
        """Lets the live part stay as it is now."""
        self._live = []

    def _erasure(self) -> str:
        return f"\x1b[{len(self._live)}A\r\x1b[J" if self._live else ""

    def _drawing(self) -> str:
        return "".join(line + "\n" for line in self._live)

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
