import json
from dataclasses import replace

import pytest
from scipy.stats import spearmanr

from bneck.evaluate import parse_goals
from bneck.results import Record, pareto_front
from bneck.results.analysis.front_posterior import front_posterior_of
from bneck.results.analysis.macs_baseline import MacsBaseline, macs_baseline
from bneck.results.text.macs_baseline import macs_baseline_text

from ..example_run import Row, accuracy, record

GOALS = parse_goals("accuracy", {})


def networks(*top1: tuple[float, ...]) -> list[Record]:
    """Ten thousand MACs, twenty thousand and so on, each with these trainings by seeds 0, 1, ..."""
    found = []
    for number, values in enumerate(top1):
        first, *more = (replace(accuracy(each), seed=seed) for seed, each in enumerate(values))
        each = record(number, Row("complete", 0.5, 0.3))
        size = replace(each.cost, macs=10_000 * (number + 1))
        found.append(replace(each, cost=size, accuracy=first, replicates=tuple(more)))
    return found


def rule_of(records: list[Record]) -> MacsBaseline:
    front = pareto_front(records, GOALS.objectives)
    found = macs_baseline(records, front, front_posterior_of(records, GOALS), GOALS)
    assert found is not None
    return found


def test_the_rule_ranks_all_that_were_judged() -> None:
    values = [0.5, 0.7, 0.6, 0.8, 0.9, 0.85]
    baseline = rule_of(networks(*((value,) for value in values)))
    assert baseline.spearman_estimate.value == pytest.approx(spearmanr(range(6), values).statistic)
    assert (
        baseline.spearman_estimate.low
        < baseline.spearman_estimate.value
        <= baseline.spearman_estimate.high
        <= 1
    )
    assert baseline.networks == 6


def test_where_the_largest_is_the_best_the_search_found_no_more_than_the_rule() -> None:
    baseline = rule_of(networks((0.5,), (0.6,), (0.7,), (0.9,)))
    assert baseline.largest == baseline.best
    text = macs_baseline_text(baseline)
    assert "1.00 (1.00 to 1.00)" in text and "trial 3 (40K MACs)" in text


def test_a_best_that_is_clearly_ahead_is_told_with_the_interval() -> None:
    baseline = rule_of(networks((0.5, 0.505), (0.9, 0.902), (0.6, 0.605), (0.7, 0.701), (0.55, 0.552)))
    assert (baseline.largest.trial, baseline.best.trial) == (4, 1)
    assert baseline.accuracy_advantage is not None
    # 90.1 less 55.1
    assert baseline.accuracy_advantage.value == pytest.approx(0.35, abs=0.01)
    assert (
        0.3
        < baseline.accuracy_advantage.low
        < baseline.accuracy_advantage.value
        < baseline.accuracy_advantage.high
        < 0.4
    )
    text = macs_baseline_text(baseline)
    assert "trial 4 (50K MACs)" in text and "55.1%" in text and "trial 1, 90.1%" in text
    assert "not significant" not in text


def test_a_best_that_noise_may_have_made_is_told_so() -> None:
    baseline = rule_of(networks((0.5, 0.55), (0.6, 0.56), (0.72, 0.7), (0.71, 0.7), (0.70,)))
    assert baseline.accuracy_advantage is not None
    assert baseline.accuracy_advantage.low < 0
    assert "not significant" in macs_baseline_text(baseline)


def test_while_the_noise_is_unknown_the_difference_has_no_interval() -> None:
    baseline = rule_of(networks((0.5,), (0.9,), (0.6,), (0.7,)))
    assert baseline.accuracy_advantage is None
    text = macs_baseline_text(baseline)
    assert "70.0%" in text and "90.0%" in text and "pp" not in text
    told = json.loads(json.dumps(baseline.as_dict))
    assert (told["largest_trial"], told["best_trial"], told["best_advantage"]) == (3, 1, None)


def test_programs_are_told_the_same() -> None:
    baseline = rule_of(networks((0.5, 0.505), (0.9, 0.901), (0.6,), (0.7,)))
    told = baseline.as_dict
    assert baseline.accuracy_advantage is not None
    assert (told["best_advantage_low"], told["best_advantage_high"]) == (
        baseline.accuracy_advantage.low,
        baseline.accuracy_advantage.high,
    )
    assert (told["spearman"], told["networks"]) == (baseline.spearman_estimate.value, 4)


def test_too_few_networks_or_equal_ones_have_no_rule() -> None:
    few = networks((0.5,), (0.6,), (0.7,))
    assert macs_baseline(few, few[2:], None, GOALS) is None
    level = networks((0.5,), (0.5,), (0.5,), (0.5,))
    assert macs_baseline(level, level, None, GOALS) is None
    same_size = [replace(each, cost=few[0].cost) for each in networks((0.5,), (0.6,), (0.7,), (0.8,))]
    assert macs_baseline(same_size, same_size[3:], None, GOALS) is None
    assert macs_baseline([], [], None, GOALS) is None


def test_the_largest_network_is_no_rule_for_a_reward() -> None:
    rising, reward = networks((0.5,), (0.6,), (0.7,), (0.8,)), parse_goals("reward:1M", {})
    assert macs_baseline(rising, rising[3:], None, GOALS) is not None
    assert macs_baseline(rising, rising[3:], None, reward) is None
