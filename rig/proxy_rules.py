"""What a fault proxy does to the bytes that go one way."""

from __future__ import annotations

import enum
import time
from dataclasses import dataclass

_QUEUE_MAX = 256 << 10
_DELAYED_QUEUE_MAX = 64 << 20


class Way(enum.Enum):
    """A direction of traffic; where one is asked for, None means both."""

    TO_SERVER = "to_server"
    TO_CLIENT = "to_client"


@dataclass
class Rules:
    """What happens to the bytes that go one way, in all connections together."""

    is_stalled: bool = False
    delay: float = 0
    jitter: float = 0
    window: int | None = None
    rate: float | None = None
    cut_left: int | None = None
    corrupt_left: int | None = None
    forwarded: int = 0
    _credit: float = 0
    _credited_at: float = 0

    def heal(self) -> None:
        self.__init__(forwarded=self.forwarded)

    def limit_rate(self, rate: float | None) -> None:
        self.rate, self._credit, self._credited_at = rate, 0, time.monotonic()

    def queue_max(self) -> int:
        """How much of one connection may wait in the proxy."""
        return (self.window or _DELAYED_QUEUE_MAX) if self.delay else _QUEUE_MAX

    def allowance(self, wanted: int, now: float) -> tuple[int, float]:
        """How many of `wanted` bytes may go now; if none, at what time some may."""
        if self.cut_left is not None:
            wanted = min(wanted, self.cut_left)
        if self.rate is None:
            return wanted, now
        # Bits of a fiftieth of a second: a slow link trickles, it does not come in gulps.
        least = min(wanted, max(1, int(self.rate / 50)))
        self._credit = min(
            self._credit + (now - self._credited_at) * self.rate, 2 * max(least, self.rate / 50)
        )
        self._credited_at = now
        if self._credit < least:
            return 0, now + (least - self._credit) / self.rate
        return min(wanted, int(self._credit)), now

    def passed(self, count: int) -> None:
        """Books bytes that went through."""
        self.forwarded += count
        if self.rate is not None:
            self._credit -= count
        if self.cut_left is not None:
            self.cut_left -= count
        if self.corrupt_left is not None:
            self.corrupt_left -= count
