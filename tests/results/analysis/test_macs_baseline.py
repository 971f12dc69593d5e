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


def test_the_largest_tenth_is_the_baseline_three_networks_at_least() -> None:
    trials = [
        [each.trial for each in rule_of(networks(*((0.5 + 0.01 * n,) for n in range(count)))).largest]
        for count in (4, 12, 31)
    ]
    assert trials == [[3, 2], [11, 10, 9], [30, 29, 28, 27]]


def test_a_best_that_is_clearly_ahead_is_told_with_the_interval() -> None:
    # three largest of 60.2, 60.1 and 60.0; noise is far below the spread of 0.1 points between them
    base = [(0.5, 0.5001), (0.9, 0.9001), (0.52, 0.5201), (0.602, 0.6021), (0.601, 0.6011), (0.6, 0.6001)]
    baseline = rule_of(networks(*base))
    assert ([each.trial for each in baseline.largest], baseline.best.trial) == ([5, 4, 3], 1)
    advantage = baseline.accuracy_advantage
    assert advantage is not None
    assert advantage.value == pytest.approx(0.299, abs=0.001)
    # t of 2 degrees of freedom, 4.303, x 0.1 / sqrt(3) = 0.25 points for the spread; 400 images move 60% by
    # sqrt(0.24 / 400) = 2.4 points and 90% by 1.5, and 1.96 x the difference is 1.9
    assert 0.015 < advantage.high - advantage.value < 0.025
    assert 0.015 < advantage.value - advantage.low < 0.025
    text = macs_baseline_text(baseline)
    assert "trials 5, 4, 3; 40K MACs" in text and "60.1%" in text and "trial 1, 90.0%" in text
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
    assert "65.0%" in text and "90.0%" in text and "pp" not in text
    told = json.loads(json.dumps(baseline.as_dict))
    assert (told["largest_trials"], told["best_trial"], told["best_advantage"]) == ([3, 2], 1, None)
    assert told["largest_top1"] == pytest.approx(0.65)


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
