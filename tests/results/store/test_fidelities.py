import json
from dataclasses import replace
from pathlib import Path

import pytest

from bneck.evaluate import Recipe
from bneck.results import Run, pareto_front
from bneck.results.export.front_table import front_json
from bneck.results.pages.search import report_html
from bneck.results.plots.pareto import pareto_figure
from bneck.results.store.fidelities import (
    EpochsSpent,
    Rungs,
    count_epochs_spent,
    estimated_final_accuracies,
    rung_correlations,
)
from bneck.results.text.fidelities import epochs_spent_text, rungs_text

from ..example_run import REFERENCE_MS, Row, accuracy, example_run, record, run_settings

RUNGS = Rungs((2, 4, 8, 16))
# After 2 epochs; trials 0 and 2 went on to 4, and 0 on to 8 and 16.
ROWS = (
    Row("stopped", 0.40, 0.30),
    Row("stopped", 0.20, 0.35),
    Row("stopped", 0.30, 0.20),
    Row("infeasible", None, 0.90),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    settings = replace(run_settings(), rungs=RUNGS, recipe=Recipe(epochs=16), baselines=())
    made = example_run(tmp_path_factory.mktemp("rungs") / "run", ROWS, settings=settings)
    keys = [each.key for each in made.records()]
    for epochs, top1 in ((8, 0.70), (16, 0.95), (4, 0.60)):  # in whatever order the storage has them
        made.store_rung_result(keys[0], epochs, accuracy(top1))
    made.store_rung_result(keys[2], 4, accuracy(0.50))
    made.store_rung_result(keys[2], 8, "the loss of epoch 7 is nan")
    return Run.open(made.folder)


def test_a_network_is_judged_at_the_highest_rung_and_stopped_below_with_its_accuracy_so_far(run: Run) -> None:
    found = [(each.state, each.epochs, each.accuracy and each.accuracy.top1) for each in run.records()]
    assert found == [
        ("complete", 16, 0.95),
        ("stopped", 2, 0.20),
        ("stopped", 4, 0.50),
        ("infeasible", 0, None),
    ]
    assert [each.error for each in run.records()] == ["", "", "the loss of epoch 7 is nan", ""]
    assert [each.is_evaluated for each in run.records()] == [True, True, True, False]


def test_each_rung_keeps_its_accuracy(run: Run) -> None:
    first = run.records()[0]
    assert {epochs: each.top1 for epochs, each in first.rung_accuracies.items()} == {
        2: 0.4,
        4: 0.6,
        8: 0.7,
        16: 0.95,
    }
    assert (first.at_lowest_fidelity.top1, first.at_fidelity(4).top1, first.at_fidelity(4).state) == (
        0.4,
        0.6,
        "complete",
    )


def test_the_front_the_kept_and_the_best_are_of_those_trained_to_the_end(run: Run) -> None:
    # Trial 2 is the fastest and would be on the front, had it been trained to the end.
    assert [each.trial for each in run.front()] == [each.trial for each in run.completed_records()] == [0]
    assert run.best().trial == 0


def test_a_repeat_counts_beside_the_last_rung_and_not_beside_a_lower_one(run: Run) -> None:
    first, _, third, _ = run.writable().records()
    other = replace(accuracy(0.85), seed=8)
    run.store_replicate(first.key, 8, other)
    run.store_replicate(third.key, 8, other)
    again = run.records()
    assert [len(each.trainings) for each in again] == [2, 1, 1, 0]
    assert [again[1].top1, again[2].top1] == [0.20, 0.50]
    assert again[0].at_fidelity(4).top1 == 0.6


def test_the_epochs_are_counted_by_hand(run: Run) -> None:
    epochs_spent = run.epochs_spent()
    # 3 networks x 2, 2 on to 4, 1 on to 8 and to 16: 6 + 4 + 4 + 8
    assert epochs_spent == EpochsSpent({2: 3, 4: 2, 8: 1, 16: 1})
    assert (epochs_spent.epochs, epochs_spent.epochs_without_stopping) == (22, 48)
    text = epochs_spent_text(epochs_spent)
    assert "3 at 2 epochs, 2 at 4, 1 at 8, 1 at 16; 22 epochs instead of 48" in text


def test_what_is_expected_are_the_due_promotions_one_at_least_and_those_that_happened() -> None:
    # 60, 30, 15 and 7 networks: 120 + 60 + 60 + 56
    assert EpochsSpent({2: 0, 4: 0, 8: 0, 16: 0}).projected_epochs(60, 2) == 296
    # 60, then 33 as they were, 16, 8: 120 + 66 + 64 + 64
    assert EpochsSpent({2: 50, 4: 33, 8: 10, 16: 4}).projected_epochs(60, 2) == 314
    assert EpochsSpent({2: 0, 8: 0}).projected_epochs(1, 4) == 8


def test_rungs_in_words() -> None:
    assert "1 in 2 promoted after 2, 4 and 8 of 16 epochs" in rungs_text(RUNGS)
    assert "1 in 3 promoted after 3 of 9 epochs" in rungs_text(Rungs((3, 9), 3))


@pytest.mark.slow
def test_the_page_tells_the_epochs_and_shows_stopped_networks_only_on_demand(run: Run) -> None:
    page = report_html(run)
    assert "3 at 2 epochs, 2 at 4, 1 at 8, 1 at 16; 22 epochs instead of 48." in page
    assert "2 stopped early" in page
    assert "1 in 2 promoted after 2, 4 and 8 of 16 epochs" in page
    assert "stopped early have accuracies after fewer epochs" in page


def test_stopped_networks_are_a_hidden_trace_of_their_own(run: Run) -> None:
    records, goals = run.records(), run.settings.goals
    figure = pareto_figure(records, pareto_front(records, goals.objectives), [], {}, goals, REFERENCE_MS)
    stopped, *others = sorted(figure.data, key=lambda trace: not trace.name.startswith("stopped"))
    assert (stopped.name, stopped.visible, list(stopped.ids)) == (
        "stopped early (2)",
        "legendonly",
        ["1", "2"],
    )
    assert "stopped after 2 epochs" in stopped.customdata[0]
    assert not {"1", "2"} & {name for trace in others for name in trace.ids or ()}
    left, right = figure.layout.xaxis.range
    assert left <= min(stopped.x) and max(stopped.x) <= right  # 0.4 and 0.7 ms


def test_programs_read_the_same_counts(run: Run) -> None:
    found = json.loads(front_json(run.front(), epochs_spent=run.epochs_spent()))["early_stopping"]
    assert found == {
        "networks_by_rung": [
            {"epochs": 2, "networks": 3},
            {"epochs": 4, "networks": 2},
            {"epochs": 8, "networks": 1},
            {"epochs": 16, "networks": 1},
        ],
        "epochs": 22,
        "epochs_without_stopping": 48,
        "rank_correlations": [],
    }


def test_a_network_that_is_trained_in_full_has_no_rungs(tmp_path: Path) -> None:
    known = record(0, Row("complete", 0.9, 0.3))
    assert (known.at_lowest_fidelity, known.epochs) == (known, 0)
    assert Run(tmp_path, run_settings()).epochs_spent() is None
    assert json.loads(front_json([known]))["early_stopping"] is None


def test_the_rank_correlation_of_a_rung_is_that_of_the_networks_at_the_last_one() -> None:
    # ranks at 2 epochs 1 2 3 4 5, at 4 epochs 1 2 3 5 4: 1 - 6 * 2 / (5 * 24) = 0.9
    rungs = Rungs((2, 4))
    early, late = (0.1, 0.2, 0.3, 0.4, 0.5, 0.9), (0.4, 0.5, 0.6, 0.8, 0.7)
    records = [
        replace(
            record(number, Row("complete", 0.5, 0.3)),
            rung_accuracies={2: accuracy(top1)} | ({4: accuracy(late[number])} if number < 5 else {}),
        )
        for number, top1 in enumerate(early)
    ]
    (found,) = rung_correlations(records, rungs)
    assert (found.epochs, found.networks, found.spearman) == (2, 5, pytest.approx(0.9))
    # atanh 0.9 = 1.4722, its deviation sqrt(1.405 / 2) = 0.8382
    assert (found.low, found.high) == (pytest.approx(-0.169, abs=1e-3), pytest.approx(0.996, abs=1e-3))
    spent = replace(count_epochs_spent(records, rungs), correlations=(found,))
    assert "0.90 at 2" in epochs_spent_text(spent)
    assert spent.as_dict["rank_correlations"][0]["spearman"] == pytest.approx(0.9)
    assert rung_correlations(records[:4], rungs) == ()  # too few


def test_early_stopped_networks_count_with_the_gain_of_those_that_went_on() -> None:
    rungs = Rungs((2, 4))
    first, second = (record(number, Row("stopped", 0.5, 0.3)) for number in range(2))
    first = replace(first, rung_accuracies={2: accuracy(0.4), 4: accuracy(0.6)})
    second = replace(second, rung_accuracies={2: accuracy(0.4)})
    assert estimated_final_accuracies([first, second], rungs) == pytest.approx([0.6, 0.6])
