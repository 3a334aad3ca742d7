"""Ports on loopback that nobody else gets while this process lives.

A port stays reserved while its server is down, so that a killed broker finds it again. Two things
could take it: another rig, kept off by the reservation; and the kernel, which hands out ephemeral
ports to every connection, kept off by choosing outside that range.
"""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

from rig.processes import RigError

HOST = "127.0.0.1"

_LOWEST = 15000
_ATTEMPTS = 500


class PortReservation:
    """One port, reserved until `release` or until this process ends.

    The reservation is the name of an abstract Unix socket: exclusive on the machine (in the same
    network namespace, as the port itself is), and gone with its owner.
    """

    def __init__(self, number: int, claim: socket.socket) -> None:
        self.number = number
        self._claim = claim

    @classmethod
    def take(cls) -> PortReservation:
        """Reserves a port that is free now."""
        first, last = _candidates()
        for _ in range(_ATTEMPTS):
            number = _RANDOM.randint(first, last)
            claim = _claim(number)
            if claim is None:
                continue
            if _is_free(number):
                return cls(number, claim)
            claim.close()
        raise RigError(f"no free port between {first} and {last}")

    def release(self) -> None:
        """Gives the port back; a second call does nothing."""
        self._claim.close()


# A generator of its own: a test that seeds `random` must not make two rigs draw the same ports.
_RANDOM = random.Random(os.urandom(8))


def _candidates() -> tuple[int, int]:
    text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    low, high = map(int, text.split())
    if low - _LOWEST >= 1000:
        return _LOWEST, low - 1
    if 65535 - high >= 1000:
        return high + 1, 65535
    return _LOWEST, 65535  # The whole range is ephemeral: nothing better is to be had.


def _claim(number: int) -> socket.socket | None:
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0drawbridge-rig-port-{number}")
    except OSError:
        claim.close()
        return None
    return claim


def _is_free(number: int) -> bool:
    with socket.socket() as probe:
        # As servers do: connections of an earlier server in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", number))
        except OSError:
            return False
    return True
