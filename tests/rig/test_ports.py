"""Reserved ports stay one rig's own."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from rig import ports
from rig.ports import PortReservation

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def one_candidate(monkeypatch: pytest.MonkeyPatch) -> int:
    """Leaves a single port to choose from."""
    reservation = PortReservation.take()
    reservation.release()
    monkeypatch.setattr(ports, "_candidates", lambda: (reservation.number, reservation.number))
    return reservation.number


def test_a_reserved_port_is_not_given_twice(one_candidate: int) -> None:
    reservation = PortReservation.take()

    with pytest.raises(ports.RigError, match="no free port"):
        PortReservation.take()

    reservation.release()
    assert PortReservation.take().number == one_candidate


def test_a_reservation_holds_against_other_processes(one_candidate: int) -> None:
    reservation = PortReservation.take()
    claim = f"from rig import ports; print(ports._claim({one_candidate}))"

    answer = subprocess.run(
        [sys.executable, "-c", claim], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert answer.stdout == "None\n"
    reservation.release()


def test_a_port_in_use_is_not_given(one_candidate: int) -> None:
    with socket.create_server((ports.HOST, one_candidate)):
        with pytest.raises(ports.RigError, match="no free port"):
            PortReservation.take()


def test_the_kernel_does_not_give_a_reserved_port_away() -> None:
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    if high - low > 60000:
        pytest.skip("every port of this machine is ephemeral")

    assert not low <= PortReservation.take().number <= high
