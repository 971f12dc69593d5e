import json
from dataclasses import replace

import pytest
from scipy.stats import spearmanr

from bneck.evaluate import parse_goals
from bneck.results import Record, pareto_front
from bneck.results.analysis.front_posterior import certainty_of
from bneck.results.analysis.macs_baseline import MacsRule, macs_rule

from ..example_run import Row, accuracy, record

GOALS = parse_goals("accuracy", {})


def networks(*top1: tuple[float, ...]) -> list[Record]:
    """Ten thousand MACs, twenty thousand and so on, each with these trainings by seeds 0, 1, ..."""
    found = []
    for number, values in enumerate(top1):
        first, *more = (replace(accuracy(each), seed=seed) for seed, each in enumerate(values))
        each = record(number, Row("judged", 0.5, 0.3))
        size = replace(each.cost, macs=10_000 * (number + 1))
        found.append(replace(each, cost=size, accuracy=first, repeats=tuple(more)))
    return found


def rule_of(records: list[Record]) -> MacsRule:
    front = pareto_front(records, GOALS.objectives)
    found = macs_rule(records, front, certainty_of(records, GOALS), GOALS)
    assert found is not None
    return found


def test_the_rule_ranks_all_that_were_judged() -> None:
    values = [0.5, 0.7, 0.6, 0.8, 0.9, 0.85]
    rule = rule_of(networks(*((value,) for value in values)))
    assert rule.agreement.value == pytest.approx(spearmanr(range(6), values).statistic)
    assert rule.agreement.low < rule.agreement.value <= rule.agreement.high <= 1
    assert rule.networks == 6


def test_where_the_largest_is_the_best_the_search_found_no_more_than_the_rule() -> None:
    rule = rule_of(networks((0.5,), (0.6,), (0.7,), (0.9,)))
    assert rule.largest == rule.best
    assert rule.sentences == (
        "Taking the largest network by MACs within the limits instead: MACs alone rank the 4 judged networks "
        "by accuracy with Spearman 1.00 (1.00 to 1.00), and the largest of them, trial 3 (40K MACs), is the "
        "best found."
    )


def test_a_best_that_is_clearly_ahead_is_told_with_the_interval() -> None:
    rule = rule_of(networks((0.5, 0.505), (0.9, 0.902), (0.6, 0.605), (0.7, 0.701), (0.55, 0.552)))
    assert (rule.largest.trial, rule.best.trial) == (4, 1)
    assert rule.ahead is not None
    # 90.1 less 55.1
    assert rule.ahead.value == pytest.approx(0.35, abs=0.01)
    assert 0.3 < rule.ahead.low < rule.ahead.value < rule.ahead.high < 0.4
    assert "trial 4 (50K MACs), has 55.1%, the best found, trial 1, 90.1%: truly 3" in rule.sentences
    assert rule.sentences.endswith("), more than chance.")


def test_a_best_that_noise_may_have_made_is_told_so() -> None:
    rule = rule_of(networks((0.5, 0.55), (0.6, 0.56), (0.72, 0.7), (0.71, 0.7), (0.70,)))
    assert rule.ahead is not None
    assert rule.ahead.low < 0
    assert rule.sentences.endswith("), which may be chance.")


def test_while_the_noise_is_unknown_the_difference_has_no_interval() -> None:
    rule = rule_of(networks((0.5,), (0.9,), (0.6,), (0.7,)))
    assert rule.ahead is None
    assert rule.sentences.endswith(
        "trial 3 (40K MACs), has 70.0%, the best found, trial 1, 90.0%; the noise is not known, so this may "
        "be chance."
    )
    told = json.loads(json.dumps(rule.as_dict))
    assert (told["largest_trial"], told["best_trial"], told["best_ahead"]) == (3, 1, None)


def test_programs_are_told_the_same() -> None:
    rule = rule_of(networks((0.5, 0.505), (0.9, 0.901), (0.6,), (0.7,)))
    told = rule.as_dict
    assert rule.ahead is not None
    assert (told["best_ahead_low"], told["best_ahead_high"]) == (rule.ahead.low, rule.ahead.high)
    assert (told["spearman"], told["networks"]) == (rule.agreement.value, 4)


def test_too_few_networks_or_equal_ones_have_no_rule() -> None:
    few = networks((0.5,), (0.6,), (0.7,))
    assert macs_rule(few, few[2:], None, GOALS) is None
    level = networks((0.5,), (0.5,), (0.5,), (0.5,))
    assert macs_rule(level, level, None, GOALS) is None
    same_size = [replace(each, cost=few[0].cost) for each in networks((0.5,), (0.6,), (0.7,), (0.8,))]
    assert macs_rule(same_size, same_size[3:], None, GOALS) is None
    assert macs_rule([], [], None, GOALS) is None


def test_the_largest_network_is_no_rule_for_a_reward() -> None:
    rising, reward = networks((0.5,), (0.6,), (0.7,), (0.8,)), parse_goals("reward:1M", {})
    assert macs_rule(rising, rising[3:], None, GOALS) is not None
    assert macs_rule(rising, rising[3:], None, reward) is None
