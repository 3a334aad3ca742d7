"""The demo's story; scripts/demo installs and builds what it needs and then becomes this."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from demo.screen import Screen
from demo.stage import ROOT, Stage
from demo.watch import Watch
from rig.processes import RigError

_STATE = ROOT / "build/demo-state"
_PROGRAMS = ROOT / "build/release/bin"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_CALM_SECONDS = 12.0
_OUTAGE_SECONDS = 20.0
_PATIENCE_SECONDS = 120.0
_STEADY_SECONDS = 3.0
_STUCK_SECONDS = 60.0


class Interruption(BaseException):
    """A signal asks for the end."""

    def __init__(self, number: int) -> None:
        self.number = number


def main() -> None:
    """Runs the demo; does not return."""
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    arguments = _parser().parse_args()
    screen = Screen(arguments.started)
    stage: Stage | None = None
    code = 1
    try:
        try:
            stage = Stage(_fresh_state(arguments.state), arguments.programs)
            code = _play(stage, screen, arguments)
        except Interruption as interruption:
            code = 128 + interruption.number
        except RigError as error:
            screen.settle()
            screen.tell(f"{error}\nThe logs are in {arguments.state}")
        except Exception:
            traceback.print_exc()
    finally:
        _ignore_signals()
        code = _end(stage, screen, code, arguments.state)
        # Threads of the rig may still wait for what is gone now; nothing waits for them.
        os._exit(code)


def _interrupt(number: int, _: FrameType | None) -> None:
    _ignore_signals()
    raise Interruption(number)


def _ignore_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m demo", description="Started by scripts/demo.")
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--started", type=float, default=time.time(), help="seconds since 1970")
    parser.add_argument("--programs", type=Path, default=_PROGRAMS, help="where they are built")
    parser.add_argument("--state", type=Path, default=_STATE, help="emptied first")
    return parser


def _fresh_state(state: Path) -> Path:
    """The state folder, empty; what others put in a temporary folder goes there too."""
    shutil.rmtree(state, ignore_errors=True)
    temporary = state / "tmp"
    state.mkdir(mode=0o700)
    temporary.mkdir()
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    return state


def _play(stage: Stage, screen: Screen, arguments: argparse.Namespace) -> int:
    screen.tell(f"starting two Kafka clusters, the server and relays; all is in {stage.state}")
    stage.start(arguments.rate, screen.tell)
    watch = Watch(stage, screen)
    if not watch.until(lambda: watch.arrived, _PATIENCE_SECONDS):
        raise RigError(f"no record has arrived within {_PATIENCE_SECONDS:.0f} s")
    screen.tell("the first record is at the target; now a search engine in the target's cloud, too")
    watch.through(lambda: stage.start_search(screen.tell))
    watch.pause(_CALM_SECONDS)
    _break_target(stage, screen, watch, arguments.rate)
    watch.pause(_CALM_SECONDS / 2)
    code = _count(stage, screen, watch)
    if arguments.keep:
        _keep(stage, screen, arguments.rate)
    return code


def _break_target(stage: Stage, screen: Screen, watch: Watch, rate: int) -> None:
    screen.tell(f"now the target's broker is stopped, for {_OUTAGE_SECONDS:.0f} s: lag grows")
    watch.through(lambda: stage.aws.terminate(1))
    watch.pause(_OUTAGE_SECONDS)
    screen.tell("the target's broker is started again: lag drains")
    watch.through(lambda: stage.aws.restart(1))
    restarted = time.monotonic()
    # A second's worth is on its way at any time, and the generator's word is a second old.
    if not watch.until(
        lambda: watch.behind is not None and watch.behind < 2 * rate, _PATIENCE_SECONDS
    ):
        screen.tell(f"it has not caught up within {_PATIENCE_SECONDS:.0f} s")
        return
    seconds = time.monotonic() - restarted
    screen.tell(f"caught up {seconds:.0f} s after the broker was ready again")


def _count(stage: Stage, screen: Screen, watch: Watch) -> int:
    summary: Any = watch.through(stage.stop_generator)
    screen.tell("the generator is stopped; waiting until all has arrived")
    _wait_until_drained(stage, watch, summary["acked"])
    counts: Any = watch.through(lambda: stage.count(summary))
    screen.settle()
    screen.say("\nCounted by reading the target, without a look at Drawbridge's own counters:\n")
    for name in ("generated", "arrived", "missing", "duplicates"):
        screen.say(f"    {name:<12}{counts[name]:>12,}")
    screen.say()
    unconfirmed = counts["generated"] - counts["acked"]
    if unconfirmed:
        screen.say(f"The source never confirmed {unconfirmed:,} records; these may be missing.")
    screen.say("\nIn the search engine, each document compared with its record:\n")
    verdict: Any = watch.through(stage.count_documents, _STUCK_SECONDS * 5)
    screen.settle()
    found = verdict.counts
    for name, number in (
        ("records", found["source"]),
        ("documents", found["documents"]),
        ("refused", found["elsewhere"]),
        ("missing", found["missing"]),
        ("twice", found["doubled"]),
        ("altered", found["altered"]),
    ):
        screen.say(f"    {name:<12}{number:>12,}")
    screen.say()
    if found["elsewhere"]:
        screen.say("What is refused is kept in drawbridge-dead-letters, with the reason.")
    if counts["missing"] or not counts["acked"] or verdict.classes:
        screen.say(f"NOT every record has arrived. The logs are in {stage.state}")
        return 1
    screen.say("Every record that was generated has arrived, at both targets.")
    return 0


def _wait_until_drained(stage: Stage, watch: Watch, written: int) -> None:
    """Returns when the targets grow no more: soon if they hold enough, else with patience."""
    arrived, since = watch.arrived, time.monotonic()

    def is_over() -> bool:
        nonlocal arrived, since
        if watch.arrived != arrived:
            arrived, since = watch.arrived, time.monotonic()
        is_enough = arrived is not None and arrived >= written
        return time.monotonic() - since >= (_STEADY_SECONDS if is_enough else _STUCK_SECONDS)

    watch.until(is_over, float("inf"))
    watch.through(lambda: _wait_for_documents(stage, written), _PATIENCE_SECONDS)


def _wait_for_documents(stage: Stage, written: int) -> None:
    """Returns when the engine holds as many documents, or none has come for long."""
    held, since = stage.documents(), time.monotonic()
    while (held or 0) < written and time.monotonic() - since < _STUCK_SECONDS:
        time.sleep(_STEADY_SECONDS / 3)
        now = stage.documents()
        if now != held:
            held, since = now, time.monotonic()


def _keep(stage: Stage, screen: Screen, rate: int) -> None:
    """Lets the reader play until a signal comes."""
    stage.start_generator(rate)
    screen.say(
        f"""
The generator writes again, and all keeps running until you press Ctrl+C here. To try, in another
terminal:

    cd {ROOT}
    export PATH=$PWD/build/release/bin:$PATH
    export DRAWBRIDGE_CONTEXT={stage.context}
    drawbridge status --follow
    drawbridge describe bridge oci-logs
    drawbridge get relays
    drawbridge checkpoints oci-logs
    drawbridge endpoint test aws-iad
    drawbridge endpoint test search
    drawbridge dead-letters list
    drawbridge pause bridge oci-logs --reason "to see lag grow"
    drawbridge resume bridge oci-logs

    # Other lanes, topics, names: change the file, see what it would do, do it.
    drawbridge apply -f {stage.definitions} --dry-run

    # A relay dies: the other one takes its partitions within a minute.
    kill -9 {stage.pids()["relay-fra"]}
    # The target hangs; -CONT lets it go on.
    kill -STOP {stage.aws.pid(1)}
"""
    )
    gone: set[str] = set()
    while True:
        time.sleep(1)
        for name in stage.ended() - gone:
            screen.tell(f"{name} has ended")
            gone.add(name)


def _end(stage: Stage | None, screen: Screen, code: int, state: Path) -> int:
    """Ends all processes, whatever becomes of the screen; returns the exit code."""
    screen.settle()
    with suppress(OSError):  # Nobody may look on any more, here as below.
        screen.tell("ending everything that was started")
    try:
        killed = stage.end() if stage else []
    except RigError as error:
        with suppress(OSError):
            screen.tell(f"{error}")
        return code or 1
    shutil.rmtree(state / "tmp", ignore_errors=True)
    with suppress(OSError):
        for name in killed:
            screen.tell(f"{name} did not end soon and was killed")
        screen.tell(f"nothing runs any more; what is left is in {state}")
    return code


if __name__ == "__main__":
    main()
