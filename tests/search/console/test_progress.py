from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from bneck.results import Record
from bneck.search.console.progress import (
    LiveProgress,
    PlainProgress,
    Status,
    TimeEstimator,
    format_time_left,
    progress,
    trial_summary,
)
from bneck.search_space import cost

from ...results.example_run import Row, record
from ..helpers import SMALL

NETWORK = SMALL.decode({gene.name: gene.choices[0] for gene in SMALL.genes})


def judged(top1: float = 0.9, ratio: float = 0.3) -> Record:
    network = NETWORK
    return replace(record(4, Row("complete", top1, ratio)), architecture=network, cost=cost(network))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "estimating the time left"),
        (0.0, "0 s left"),
        (0.6, "1 s left"),
        (59.4, "59 s left"),
        (59.5, "1 min 0 s left"),
        (200.0, "3 min 20 s left"),
        (3599.4, "59 min 59 s left"),
        (3599.6, "1 h 0 min left"),
        (7325.0, "2 h 2 min left"),  # 2 * 3600 + 2 * 60 + 5
        (90061.0, "25 h 1 min left"),
    ],
)
def test_time_left_in_words(seconds: float | None, words: str) -> None:
    assert format_time_left(seconds) == words


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_time_left_is_the_pace_times_what_is_left() -> None:
    clock = Clock()
    pace = TimeEstimator(clock)
    assert pace.seconds_left(Status("evaluating", 0, 10)) is None
    clock.now += 7
    assert pace.seconds_left(Status("evaluating", 0, 10)) is None
    clock.now += 13
    # 2 in 20 s, 8 to go
    assert pace.seconds_left(Status("evaluating", 2, 10)) == pytest.approx(80)
    clock.now += 20
    # 8 in 40 s, 2 to go
    assert pace.seconds_left(Status("evaluating", 8, 10)) == pytest.approx(10)
    assert pace.seconds_left(Status("evaluating", 10, 10)) == 0


def test_what_an_earlier_session_judged_does_not_quicken_the_pace() -> None:
    clock = Clock()
    pace = TimeEstimator(clock)
    assert pace.seconds_left(Status("evaluating", 30, 40)) is None
    clock.now += 60
    # 1 in 60 s, 9 to go
    assert pace.seconds_left(Status("evaluating", 31, 40)) == pytest.approx(540)


def test_every_phase_has_its_own_pace() -> None:
    clock = Clock()
    pace = TimeEstimator(clock)
    pace.seconds_left(Status("evaluating", 0, 4))
    clock.now += 400
    pace.seconds_left(Status("evaluating", 4, 4))
    assert pace.seconds_left(Status("baselines", 0, 2)) is None
    clock.now += 5
    assert pace.seconds_left(Status("baselines", 1, 2)) == pytest.approx(5)


def plain() -> tuple[PlainProgress, StringIO]:
    text = StringIO()
    clock = Clock()
    clock.now = 0.0
    return PlainProgress(Console(file=text, width=40), TimeEstimator(clock)), text


def test_a_line_stands_for_every_network_and_none_for_a_look_between() -> None:
    shown, text = plain()
    with shown:
        for done in (0, 0, 1, 1, 1, 2):
            shown.update_status(
                Status("evaluating", done, 2, infeasible=3, latest=judged() if done else None)
            )
    told = trial_summary(judged())
    assert text.getvalue().splitlines() == [
        "evaluating 0/2; estimating the time left",
        f"evaluating 1/2: {told}; 3 infeasible; 0 s left",
        f"evaluating 2/2: {told}; 3 infeasible; 0 s left",
    ]


def test_before_the_first_network_a_line_says_what_the_workers_do() -> None:
    display, text = plain()
    waiting = Status("evaluating", 0, 60)
    for jobs in (("measures trial 0",), ("measures trial 0",), ("trains trial 0", "measures trial 1")):
        display.update_status(replace(waiting, active_jobs=jobs))
    assert [line.partition("; ")[0] for line in text.getvalue().splitlines()] == [
        "evaluating 0/60: measures trial 0",
        "evaluating 0/60: trains trial 0, measures trial 1",
    ]


def test_a_phase_that_begins_where_the_last_one_ended_has_its_line() -> None:
    shown, text = plain()
    for phase in ("evaluating", "baselines"):
        shown.update_status(Status(phase, 0, 2))
    assert [line.split(" ")[0] for line in text.getvalue().splitlines()] == ["evaluating", "baselines"]


def test_what_is_said_is_neither_wrapped_nor_taken_for_markup() -> None:
    shown, text = plain()
    line = "runs/[bold]a: " + "x" * 100
    shown.print_line(line)
    assert text.getvalue() == f"{line}\n"


def test_a_judged_network_in_words() -> None:
    # 400 images: +-2.95 points by hand, see test_rows; 0.3 times 2 ms
    network = judged()
    macs = f"{cost(NETWORK).macs / 1000:.4g}K"
    assert trial_summary(network) == f"trial 4, 90.0% (86.7 to 92.6), 0.6 ms (0.30x), {macs} MACs"
    assert trial_summary(replace(network, accuracy=None, latency=None)) == f"trial 4, {macs} MACs"


def test_a_terminal_gets_a_table_and_anything_else_lines() -> None:
    assert isinstance(progress(Console(force_terminal=True, file=StringIO())), LiveProgress)
    assert isinstance(progress(Console(file=StringIO())), PlainProgress)


def test_the_table_tells_counts_workers_and_the_best() -> None:
    text = StringIO()
    live = LiveProgress(Console(force_terminal=True, file=text, width=100, color_system=None))
    status = Status(
        "evaluating",
        3,
        8,
        infeasible=5,
        duplicates=6,
        active_jobs=("trains trial 17", "measures trial 18"),
        latest=judged(0.7),
        best=judged(0.9),
        front=2,
    )
    with live:
        live.print_line("a line that stays")
        live.update_status(status)
        live.live.refresh()
    shown = text.getvalue()
    for words in (
        "3 of 8",
        "5 infeasible, 6 duplicates",
        "on the front",
        "70.0%",
        "90.0%",
        "a line that stays",
    ):
        assert words in shown
    assert "worker 2" in shown
    assert "measures trial 18" in shown
    assert "failed" not in shown


def test_failed_trainings_stand_in_the_table() -> None:
    text = StringIO()
    live = LiveProgress(Console(force_terminal=True, file=text, width=100, color_system=None))
    with live:
        live.update_status(Status("evaluating", 0, 8, failed=4))
        live.live.refresh()
    assert "failed" in text.getvalue()
