"""The demo: what it counts, and what it leaves behind when it is interrupted."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from deployment import program

from rig.processes import Child, wait_until

ROOT = Path(__file__).parents[2]
RATE = 200
WHOLE_SECONDS = 300
STAGE_SECONDS = 120
END_SECONDS = 40


def start_demo(folder: Path) -> Child:
    """The demo as scripts/demo starts it, with the programs under test."""
    return Child.start(
        [
            "/usr/bin/python3", "-m", "demo", "--rate", str(RATE),
            "--programs", program("drawbridge").parent, "--state", folder / "state",
        ],
        name="demo",
        log=folder / "demo.log",
        environment={"PYTHONPATH": str(ROOT)},
    )


def left_behind(folder: Path) -> list[str]:
    """The command lines of processes that were started in the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


@pytest.mark.slow
def test_the_demo_counts_every_record_after_its_outage(tmp_path: Path) -> None:
    demo = start_demo(tmp_path)
    code = demo.wait(WHOLE_SECONDS)
    told = (tmp_path / "demo.log").read_text()
    assert code == 0, told[-3000:]
    line = re.compile(r"^ +(generated|arrived|documents|refused) +([0-9,]+)", re.M)
    counts = {name: int(number.replace(",", "")) for name, number in line.findall(told)}
    assert counts["generated"] > RATE * 20, told[-3000:]
    assert "NOT every record" not in told, told[-3000:]
    assert counts["documents"] + counts["refused"] == counts["generated"], told[-3000:]
    assert counts["refused"] < counts["generated"] / 100, told[-3000:]
    assert counts["arrived"] >= counts["generated"], told[-3000:]
    assert not left_behind(tmp_path)


@pytest.mark.parametrize(
    "stage",
    [
        "starting two Kafka clusters",
        pytest.param("enrolled with", marks=pytest.mark.slow),
        pytest.param("first record", marks=pytest.mark.slow),
        pytest.param("target: OpenSearch", marks=pytest.mark.slow),
        pytest.param("broker is stopped", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_demo_that_is_interrupted_leaves_nothing_running(
    tmp_path: Path, stage: str, by: signal.Signals
) -> None:
    demo = start_demo(tmp_path)
    log = tmp_path / "demo.log"
    wait_until(lambda: stage in log.read_text(), STAGE_SECONDS, f"the demo says: {stage}")

    demo.signal(by)

    assert demo.wait(END_SECONDS) == 128 + by, log.read_text()[-3000:]
    assert not left_behind(tmp_path)
