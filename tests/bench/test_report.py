"""The bench's figures are quoted, so what it concludes from them is tested here."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from bench import report
from bench.report import (
    DRAWBRIDGE,
    FLOOR,
    MEMORY_LIMIT,
    MIRROR_MAKER,
    Failure,
    Measure,
    Run,
    Spread,
    Target,
    Verdict,
)

LIMIT_MIB = 256
SPEED_TO_FLOOR = Target("json1k", Measure.SPEED, FLOOR, 0.9, is_least=True)
CPU_TO_FLOOR = Target("json1k", Measure.CPU, FLOOR, 1.25)
MEMORY_TO_LIMIT = Target("json1k", Measure.MEMORY, MEMORY_LIMIT, 2)


def make_run(contender: str, number: int = 1, **values: float | str) -> Run:
    """A run in which only what a test names is of interest."""
    usual: dict[str, float | str] = {
        "load": "json1k",
        "startup_seconds": 1,
        "seconds": 10,
        "mb_per_second": 100,
        "cpu_seconds_per_gb": 2,
        "peak_rss_mib": 300,
    }
    return Run(contender=contender, round=number, **{**usual, **values})


def make_rounds(
    contender: str, measure: Measure, values: Sequence[float], **others: float | str
) -> list[Run]:
    """One run a round, with these values of one measure."""
    return [
        make_run(contender, number, **{measure.value: value, **others})
        for number, value in enumerate(values, 1)
    ]


def make_speeds(drawbridge: Sequence[float], floor: Sequence[float]) -> list[Run]:
    """Rounds of the relay and of the floor."""
    return make_rounds(DRAWBRIDGE, Measure.SPEED, drawbridge) + make_rounds(
        FLOOR, Measure.SPEED, floor
    )


# Ratios.


def test_a_ratio_is_of_two_runs_of_the_same_round() -> None:
    # The machine was half as fast in round 2, for both.
    runs = make_speeds([90, 45], [100, 50])

    assert report.ratios(runs, "json1k", DRAWBRIDGE, FLOOR, Measure.SPEED) == [0.9, 0.9]


def test_a_round_in_which_one_failed_has_no_ratio() -> None:
    runs = [make_run(DRAWBRIDGE, 1), make_run(DRAWBRIDGE, 2, mb_per_second=80), make_run(FLOOR, 2)]

    assert report.ratios(runs, "json1k", DRAWBRIDGE, FLOOR, Measure.SPEED) == [0.8]


def test_a_ratio_to_nothing_is_unknown() -> None:
    runs = make_speeds([90], [0])

    assert report.ratios(runs, "json1k", DRAWBRIDGE, FLOOR, Measure.SPEED) == []


def test_the_runs_of_another_load_do_not_count() -> None:
    runs = [make_run(DRAWBRIDGE), make_run(FLOOR, load="random120")]

    assert report.ratios(runs, "json1k", DRAWBRIDGE, FLOOR, Measure.SPEED) == []


def test_a_spread_is_the_median_and_both_ends() -> None:
    assert Spread.of([3.0, 1.0, 8.0]) == Spread(3.0, 1.0, 8.0, 3)


def test_a_spread_of_nothing_is_unknown() -> None:
    assert Spread.of([]) is None


# Verdicts.


def test_a_ratio_on_the_bound_meets_it() -> None:
    assert SPEED_TO_FLOOR.is_met_by(0.9)
    assert CPU_TO_FLOOR.is_met_by(1.25)


def test_a_ratio_past_the_bound_misses_it() -> None:
    assert not SPEED_TO_FLOOR.is_met_by(0.89)
    assert not CPU_TO_FLOOR.is_met_by(1.26)


@pytest.mark.parametrize(
    ("speeds", "verdict", "rounds_met", "note"),
    [
        ([95, 92, 99], Verdict.MET, 3, ""),
        ([80, 92, 99], Verdict.MET, 2, "the rounds disagree"),
        ([80, 82, 99], Verdict.MISSED, 1, "the rounds disagree"),
        ([80, 82, 85], Verdict.MISSED, 0, ""),
    ],
)
def test_the_median_decides_and_disagreement_is_told(
    speeds: list[float], verdict: Verdict, rounds_met: int, note: str
) -> None:
    runs = make_speeds(speeds, [100, 100, 100])

    found = report.judge(runs, SPEED_TO_FLOOR, LIMIT_MIB)

    assert (found.verdict, found.rounds_met, found.note) == (verdict, rounds_met, note)


def test_the_worst_round_decides_about_memory() -> None:
    runs = make_rounds(DRAWBRIDGE, Measure.MEMORY, [300, 300, 513])

    found = report.judge(runs, MEMORY_TO_LIMIT, LIMIT_MIB)

    assert found.verdict is Verdict.MISSED
    assert found.ratio == Spread(300 / 256, 300 / 256, 513 / 256, 3)


def test_memory_is_compared_with_the_limit_of_the_run() -> None:
    runs = make_rounds(DRAWBRIDGE, Measure.MEMORY, [513, 513, 513])

    assert report.judge(runs, MEMORY_TO_LIMIT, 512).verdict is Verdict.MET


def test_two_rounds_are_too_few_for_a_verdict() -> None:
    runs = make_speeds([95, 95], [100, 100])

    found = report.judge(runs, SPEED_TO_FLOOR, LIMIT_MIB)

    assert found.verdict is Verdict.UNKNOWN
    assert found.ratio == Spread(0.95, 0.95, 0.95, 2)


@pytest.mark.parametrize("short", [DRAWBRIDGE, FLOOR])
def test_a_short_run_of_either_side_leaves_the_verdict_unknown(short: str) -> None:
    runs = make_speeds([95, 95], [100, 100])
    runs += [
        make_run(name, 3, seconds=2.9 if name == short else 10) for name in (DRAWBRIDGE, FLOOR)
    ]

    found = report.judge(runs, SPEED_TO_FLOOR, LIMIT_MIB)

    assert found.verdict is Verdict.UNKNOWN
    assert "2.9 s" in found.note


def test_a_short_run_of_somebody_else_does_not_matter() -> None:
    runs = make_speeds([95, 95, 95], [100, 100, 100]) + [make_run(MIRROR_MAKER, 1, seconds=1)]

    assert report.judge(runs, SPEED_TO_FLOOR, LIMIT_MIB).verdict is Verdict.MET


@pytest.mark.parametrize("absent", [DRAWBRIDGE, FLOOR])
def test_without_one_of_the_two_a_target_is_not_measured(absent: str) -> None:
    runs = [
        run for run in make_speeds([95, 95, 95], [100, 100, 100]) if run.contender != absent
    ]

    found = report.judge(runs, SPEED_TO_FLOOR, LIMIT_MIB)

    assert (found.verdict, found.ratio) == (Verdict.NOT_MEASURED, None)


@pytest.mark.parametrize(
    ("load", "bound"), [("json1k", 0.25), ("random1000", 0.5), ("random120", 0.5)]
)
def test_json_is_held_to_a_quarter_of_mirror_maker_and_other_loads_to_a_half(
    load: str, bound: float
) -> None:
    bounds = [target.bound for target in report.targets(load) if target.against == MIRROR_MAKER]

    assert bounds == [bound]


# Reports.


def test_each_contender_is_shown_with_each_measure_and_its_ratios() -> None:
    runs = make_rounds(FLOOR, Measure.CPU, [2, 4])
    runs += make_rounds(MIRROR_MAKER, Measure.CPU, [20, 20])

    row = next(
        row
        for row in report.rows(runs)
        if (row.contender, row.measure) == (MIRROR_MAKER, Measure.CPU)
    )

    assert len(report.rows(runs)) == 6
    assert row.value == Spread(20, 20, 20, 2)
    assert row.to_floor == Spread(7.5, 5, 10, 2)


def test_people_read_values_and_ratios_with_their_range() -> None:
    runs = make_speeds([90, 95, 99], [100, 100, 100])

    lines = report.text(runs, [], ["json1k"], LIMIT_MIB).splitlines()

    row = next(line for line in lines if "drawbridge" in line and "MB/s" in line)
    verdict = next(line for line in lines if line.startswith("met") and "MB/s" in line)
    assert row.split() == "json1k drawbridge MB/s 95 (90..99) 0.95 (0.90..0.99) -".split()
    assert verdict.split() == (
        "met json1k MB/s at least 0.9 of floor 0.95 (0.90..0.99) 3 of 3".split()
    )


def test_a_load_that_failed_altogether_still_has_its_targets() -> None:
    failure = Failure("json1k", 1, DRAWBRIDGE, "it ended with 1")

    shown = report.text([], [failure], ["json1k"], LIMIT_MIB)

    assert "json1k round 1 drawbridge: failed: it ended with 1" in shown
    assert shown.count("not measured") == len(report.targets("json1k"))


def test_the_document_says_the_same_and_null_for_unknown() -> None:
    runs = make_speeds([90, 95, 99], [100, 100, 100])

    document = json.loads(json.dumps(report.document(runs, [], ["json1k"], LIMIT_MIB)))

    verdicts = {
        (target["measure"], target["against"]): (target["verdict"], target["ratio"])
        for target in document["targets"]
    }
    assert len(document["runs"]) == len(runs)
    assert verdicts["cpu_seconds_per_gb", MIRROR_MAKER] == ("not measured", None)
    assert verdicts["mb_per_second", FLOOR] == (
        "met",
        {"median": 0.95, "lowest": 0.9, "highest": 0.99, "rounds": 3},
    )
