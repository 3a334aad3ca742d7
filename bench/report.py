"""What the runs of a bench say: medians, ratios of paired rounds, and whether the targets are met.

All of it follows from the runs alone: nothing here measures, reads a file or prints.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

FLOOR = "floor"
DRAWBRIDGE = "drawbridge"
MIRROR_MAKER = "mirror-maker"
MEMORY_LIMIT = "the memory limit"
# Two rounds that differ do not say which of them was disturbed.
ROUNDS_TO_JUDGE = 3
# Arrival is looked at ten times a second: in less time than this, that alone moves a ratio by 5 %.
SECONDS_TO_JUDGE = 3.0


class Measure(Enum):
    """What is measured of a run. The value is the name of its field."""

    SPEED = "mb_per_second"
    CPU = "cpu_seconds_per_gb"
    MEMORY = "peak_rss_mib"

    @property
    def title(self) -> str:
        """As people read it."""
        return {"SPEED": "MB/s", "CPU": "CPU-s/GB", "MEMORY": "peak RSS MiB"}[self.name]

    def text(self, value: float) -> str:
        """A value with as many digits as mean something."""
        return f"{value:.2f}" if self is Measure.CPU else f"{value:.0f}"


@dataclass(frozen=True)
class Run:
    """One contender's copy of one load; rounds count from 1."""

    load: str
    round: int
    contender: str
    startup_seconds: float  # until its first record was at the target; in none of the rest
    seconds: float
    mb_per_second: float
    cpu_seconds_per_gb: float
    peak_rss_mib: float

    def value(self, measure: Measure) -> float:
        """What was measured."""
        return getattr(self, measure.value)


@dataclass(frozen=True)
class Failure:
    """A run that did not come about, and why."""

    load: str
    round: int
    contender: str
    reason: str


@dataclass(frozen=True)
class Spread:
    """The median of some rounds, and how far they lie apart."""

    median: float
    lowest: float
    highest: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """None when there is nothing: unknown is not 0."""
        if not values:
            return None
        return cls(statistics.median(values), min(values), max(values), len(values))


@dataclass(frozen=True)
class Target:
    """A bound on a ratio of the relay to something else, on one load."""

    load: str
    measure: Measure
    against: str
    bound: float
    is_least: bool = False  # else the bound is the most that is allowed

    def text(self) -> str:
        """As a sentence without its verb."""
        return (
            f"{self.measure.title} at {'least' if self.is_least else 'most'} {self.bound:g} "
            f"of {self.against}"
        )

    def is_met_by(self, ratio: float) -> bool:
        """Whether a ratio is on the right side of the bound, or on it."""
        return ratio >= self.bound if self.is_least else ratio <= self.bound


class Verdict(Enum):
    """Unknown: there are ratios, but too few or of runs too short. Not measured: there are none."""

    MET = "met"
    MISSED = "missed"
    UNKNOWN = "unknown"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Judgement:
    """A target with what was measured; `note` says why the verdict is not plain."""

    target: Target
    verdict: Verdict
    ratio: Spread | None
    rounds_met: int
    note: str


def targets(load: str) -> list[Target]:
    """What Drawbridge's relay promises itself on a load."""
    return [
        Target(load, Measure.SPEED, FLOOR, 0.9, is_least=True),
        Target(load, Measure.CPU, FLOOR, 1.25),
        Target(load, Measure.CPU, MIRROR_MAKER, 0.25 if load == "json1k" else 0.5),
        Target(load, Measure.MEMORY, MEMORY_LIMIT, 2),
    ]


def _by_round(runs: Iterable[Run], load: str, contender: str) -> dict[int, Run]:
    return {run.round: run for run in runs if (run.load, run.contender) == (load, contender)}


def ratios(
    runs: Sequence[Run], load: str, contender: str, against: str, measure: Measure
) -> list[float]:
    """One ratio for each round in which both ran: what disturbs a round disturbs both of them.

    A round in which the other one shows 0 has no ratio: 0 is what could not be read.
    """
    own = _by_round(runs, load, contender)
    other = _by_round(runs, load, against)
    return [
        own[number].value(measure) / other[number].value(measure)
        for number in sorted(own.keys() & other.keys())
        if other[number].value(measure) > 0
    ]


def judge(runs: Sequence[Run], target: Target, memory_limit_mib: float) -> Judgement:
    """Compares the relay's runs with a target.

    The median decides; of memory the worst round does, because a limit is there for that one.
    """
    own = _by_round(runs, target.load, DRAWBRIDGE)
    judged = list(own.values())
    if target.against == MEMORY_LIMIT:
        found = [run.value(target.measure) / memory_limit_mib for run in judged]
    else:
        found = ratios(runs, target.load, DRAWBRIDGE, target.against, target.measure)
        judged += _by_round(runs, target.load, target.against).values()
    spread = Spread.of(found)
    met = sum(target.is_met_by(ratio) for ratio in found)
    if spread is None:
        return Judgement(target, Verdict.NOT_MEASURED, None, 0, "")
    if spread.rounds < ROUNDS_TO_JUDGE:
        note = f"needs {ROUNDS_TO_JUDGE} rounds"
        return Judgement(target, Verdict.UNKNOWN, spread, met, note)
    shortest = min(run.seconds for run in judged)
    if shortest < SECONDS_TO_JUDGE:
        note = f"a run took {shortest:.1f} s: needs {SECONDS_TO_JUDGE:g} s, so more records"
        return Judgement(target, Verdict.UNKNOWN, spread, met, note)
    decisive = spread.highest if target.measure is Measure.MEMORY else spread.median
    verdict = Verdict.MET if target.is_met_by(decisive) else Verdict.MISSED
    note = "" if met in (0, spread.rounds) else "the rounds disagree"
    return Judgement(target, verdict, spread, met, note)


def judgements(
    runs: Sequence[Run], loads: Iterable[str], memory_limit_mib: float
) -> list[Judgement]:
    """All targets of these loads, whether they were measured or not."""
    return [judge(runs, target, memory_limit_mib) for load in loads for target in targets(load)]


@dataclass(frozen=True)
class Row:
    """One measure of one contender on one load."""

    load: str
    contender: str
    measure: Measure
    value: Spread
    to_floor: Spread | None
    to_mirror_maker: Spread | None


def rows(runs: Sequence[Run]) -> list[Row]:
    """The table, in the order of the runs' loads and contenders."""
    found = []
    for load in dict.fromkeys(run.load for run in runs):
        # A later round begins with another contender, and the first may have failed.
        present = {run.contender for run in runs if run.load == load}
        for contender in (name for name in (FLOOR, DRAWBRIDGE, MIRROR_MAKER) if name in present):
            for measure in Measure:
                values = [
                    run.value(measure) for run in _by_round(runs, load, contender).values()
                ]
                to_floor, to_mirror_maker = (
                    Spread.of(ratios(runs, load, contender, other, measure))
                    for other in (FLOOR, MIRROR_MAKER)
                )
                value = Spread.of(values)
                assert value is not None
                found.append(Row(load, contender, measure, value, to_floor, to_mirror_maker))
    return found


def _ratio_text(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    return f"{spread.median:.2f} ({spread.lowest:.2f}..{spread.highest:.2f})"


def _table(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]


def line(result: Run | Failure) -> str:
    """One run as it ends."""
    where = f"{result.load} round {result.round} {result.contender}"
    if isinstance(result, Failure):
        return f"{where}: failed: {result.reason}"
    measured = ", ".join(
        f"{measure.text(result.value(measure))} {measure.title}" for measure in Measure
    )
    return f"{where}: {measured} in {result.seconds:.1f} s, after {result.startup_seconds:.1f} s"


def text(
    runs: Sequence[Run],
    failures: Sequence[Failure],
    loads: Sequence[str],
    memory_limit_mib: float,
) -> str:
    """The report for people: what was measured, what failed, and a line for each target."""
    measured = [("LOAD", "CONTENDER", "MEASURE", "MEDIAN (ROUNDS)", ": FLOOR", ": MIRROR-MAKER")]
    for row in rows(runs):
        median, lowest, highest = map(
            row.measure.text, (row.value.median, row.value.lowest, row.value.highest)
        )
        value = f"{median} ({lowest}..{highest})"
        ratio_texts = (
            "1" if row.contender == other else _ratio_text(spread)
            for other, spread in ((FLOOR, row.to_floor), (MIRROR_MAKER, row.to_mirror_maker))
        )
        measured.append((row.load, row.contender, row.measure.title, value, *ratio_texts))
    judged = [("VERDICT", "LOAD", "TARGET", "RATIO (ROUNDS)", "MET IN", "")]
    for found in judgements(runs, loads, memory_limit_mib):
        met = f"{found.rounds_met} of {found.ratio.rounds}" if found.ratio else "-"
        judged.append((found.verdict.value, found.target.load, found.target.text(),
                       _ratio_text(found.ratio), met, found.note))
    parts = [_table(measured), [line(failure) for failure in failures], _table(judged)]
    return "\n\n".join("\n".join(part) for part in parts if part)


def document(
    runs: Sequence[Run],
    failures: Sequence[Failure],
    loads: Sequence[str],
    memory_limit_mib: float,
) -> dict[str, Any]:
    """The same for programs; what is unknown is null."""
    return {
        "runs": [asdict(run) for run in runs],
        "failures": [asdict(failure) for failure in failures],
        "table": [{**asdict(row), "measure": row.measure.value} for row in rows(runs)],
        "targets": [
            {
                **asdict(found.target),
                "measure": found.target.measure.value,
                "verdict": found.verdict.value,
                "ratio": asdict(found.ratio) if found.ratio else None,
                "rounds_met": found.rounds_met,
                "note": found.note,
            }
            for found in judgements(runs, loads, memory_limit_mib)
        ],
    }
