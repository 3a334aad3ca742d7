"""A TCP proxy that misbehaves on demand, by call and by seed, as a bad network does."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from rig.ports import HOST, PortReservation
from rig.proxy_loop import Counts, Loop
from rig.proxy_rules import Rules, Way

__all__ = ["Counts", "FaultProxy", "Way"]


class FaultProxy:
    """Forwards connections to `target` until told to do otherwise. Thread-safe; a context manager.

    Every call has taken effect when it returns. Faults add up; `heal` undoes all of them.
    """

    def __init__(
        self, target: tuple[str, int], *, port: PortReservation | None = None, seed: int = 0
    ) -> None:
        """Listens at once, on a port of the caller's or one of its own.

        `seed` decides jitter and the damage of `corrupt_after`.
        """
        self._own_port = None if port else PortReservation.take()
        self._port = port or self._own_port
        self._loop = Loop(target, self._port.number, seed)

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def port(self) -> int:
        """Where it listens, on loopback."""
        return self._port.number

    @property
    def address(self) -> str:
        """host:port for clients."""
        return f"{HOST}:{self.port}"

    def close(self) -> None:
        """Resets all connections and ends."""
        self._loop.end()
        if self._own_port is not None:
            self._own_port.release()

    def redirect(self, target: tuple[str, int]) -> None:
        """New connections go to another server."""
        self._loop.call(lambda: self._loop.redirect(target))

    def cut(self) -> None:
        """Resets all connections and refuses new ones."""
        self._loop.call(self._loop.cut)

    def reset(self) -> None:
        """Resets all connections; new ones are welcome."""
        self._loop.call(self._loop.reset_all)

    def stall(self, way: Way | None = None) -> None:
        """Accepts connections and forwards nothing, neither bytes nor their end: a black hole.

        Kill the server meanwhile and the client's connection is half open.
        """

        def change(rules: Rules) -> None:
            rules.is_stalled = True

        self._change(way, change)

    def delay(
        self,
        seconds: float,
        *,
        jitter: float = 0,
        way: Way | None = None,
        window: int | None = None,
    ) -> None:
        """Forwards bytes `seconds` later, and up to `jitter` more, in their order.

        `window` bounds the bytes under way in one connection, so that it carries window / seconds
        at most: a proxy hides the limit that a small TCP window sets on a long way.
        """

        def change(rules: Rules) -> None:
            rules.delay, rules.jitter, rules.window = seconds, jitter, window

        self._change(way, change)

    def throttle(self, bytes_per_second: float | None, way: Way | None = None) -> None:
        """Limits all connections together; None takes the limit away."""

        def change(rules: Rules) -> None:
            rules.limit_rate(bytes_per_second)

        self._change(way, change)

    def cut_after(self, count: int, way: Way) -> None:
        """Forwards `count` more bytes this way, then resets the connection of the last. Once."""

        def change(rules: Rules) -> None:
            rules.cut_left = count

        self._change(way, change)

    def corrupt_after(self, count: int, way: Way) -> None:
        """Forwards `count` more bytes this way and damages the next one. Once."""

        def change(rules: Rules) -> None:
            rules.corrupt_left = count

        self._change(way, change)

    def heal(self) -> None:
        """Undoes every fault; what was held back is forwarded at once."""
        self._loop.call(self._loop.heal)

    def counts(self) -> Counts:
        """Connections and bytes up to now."""
        return self._loop.call(self._loop.counts)

    def _change(self, way: Way | None, change: Callable[[Rules], None]) -> None:
        self._loop.call(lambda: self._loop.change(Way if way is None else (way,), change))
