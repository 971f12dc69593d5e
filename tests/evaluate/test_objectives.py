"""Objectives and limits, from words to excesses."""

from dataclasses import replace
from itertools import permutations
from typing import Literal

import pytest

from bneck.evaluate import (
    Constraint,
    Goals,
    Latency,
    Objective,
    Quantity,
    format_count,
    parse_count,
    parse_goals,
    parse_latency,
    parse_objectives,
)
from bneck.search_space import Cost, GoalError, UnknownNameError
from bneck.search_space.errors import FieldError

PARAMS = Constraint("params", 1e6)
MACS = Constraint("macs", 50e6)
LATENCY = Constraint("latency", 4, "ms")
COST = Cost(macs=60_000_000, params=500_000, activation_bytes=7, peak_activation_bytes=3, depth=9)
# 1.5 times a reference of 2 ms
MEASURED = Latency(ratio=1.5, ratio_low=1.4, ratio_high=1.6, latency_ms=3.0, status="ok")
EXACT = replace(MEASURED, ratio_low=1.5, ratio_high=1.5)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("60M", 60_000_000),
        ("1.5G", 1_500_000_000),
        ("600K", 600_000),
        (".5K", 500),
        ("1e6", 1_000_000),
        ("2.5E3", 2_500),
        ("1e3K", 1_000_000),
        (" 216589760 ", 216_589_760),
    ],
)
def test_counts_are_numbers_with_a_thousand_a_million_or_a_thousand_millions(text: str, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize(
    "text",
    ["", "M", "0", "0.0M", "-5M", "60m", "60 M", "60MB", "1,5G", "5.", "1e-3", "nan", "inf", "60M60M", "٦٠"],
)
def test_what_is_no_count_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(GoalError) as caught:
        parse_count(text)
    assert str(caught.value) == f"a limit must be a number above 0 like 600K, 60M or 1.2G, got '{text}'"


@pytest.mark.parametrize(("text", "meant"), [("60", "60M"), ("2.5", "2.5M"), ("999", "999M"), (".5K", ".5M")])
def test_a_limit_that_has_lost_its_suffix_is_refused(text: str, meant: str) -> None:
    for quantity in ("macs", "params"):
        with pytest.raises(GoalError) as caught:
            parse_goals("accuracy", {quantity: text})
        assert f"'{text}'" in str(caught.value)
        assert str(caught.value).endswith(f"did you mean {meant}?")


def test_a_limit_beyond_all_numbers_is_refused() -> None:
    for refuse, text in ((parse_count, "1e400"), (parse_latency, "9" * 400 + "ms")):
        with pytest.raises(GoalError, match="must be"):
            refuse(text)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("5ms", Constraint("latency", 5, "ms")),
        (" 0.75 ms ", Constraint("latency", 0.75, "ms")),
        ("0.5x", Constraint("latency", 0.5, "x")),
        (".5 x", Constraint("latency", 0.5, "x")),
    ],
)
def test_a_latency_limit_is_in_milliseconds_or_in_multiples_of_the_reference(
    text: str, limit: Constraint
) -> None:
    assert parse_latency(text) == limit


@pytest.mark.parametrize(
    "text", ["", "5", "ms", "0ms", "0.0x", "-1x", "5s", "5us", "5msx", "5 m s", "5X", "1e1ms"]
)
def test_a_latency_limit_without_its_unit_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(GoalError) as caught:
        parse_latency(text)
    assert (
        str(caught.value) == f"a latency limit must be above 0 with its unit, like 5ms or 0.5x, got '{text}'"
    )


@pytest.mark.parametrize(
    "text", ["accuracy,latency,params", "params, latency ,accuracy", "latency,,params,accuracy,"]
)
def test_objectives_come_in_one_order_however_they_are_written(text: str) -> None:
    assert parse_objectives(text) == (Objective("accuracy"), Objective("latency"), Objective("params"))


def test_accuracy_goes_up_and_all_else_down() -> None:
    objectives = parse_objectives("params,macs,latency,accuracy")
    assert [(o.quantity, o.direction, o.unit) for o in objectives] == [
        ("accuracy", "maximize", "top-1"),
        ("latency", "minimize", "ms"),
        ("macs", "minimize", "MACs"),
        ("params", "minimize", "parameters"),
    ]


@pytest.mark.parametrize(
    ("text", "name", "near"),
    [("accuracy,latncy", "latncy", "latency"), ("MACs", "MACs", "accuracy, latency, macs, params, reward")],
)
def test_an_unknown_objective_is_named_with_the_nearest(text: str, name: str, near: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        parse_objectives(text)
    assert str(caught.value).startswith(f"unknown objective '{name}'; known: ")
    assert near in str(caught.value)


@pytest.mark.parametrize("text", ["macs,accuracy,macs", "", " , "])
def test_an_objective_twice_or_none_is_refused(text: str) -> None:
    with pytest.raises(GoalError) as caught:
        parse_objectives(text)
    assert (
        str(caught.value)
        == f"objectives must be different ones of accuracy, latency, macs, params, reward, got '{text}'"
    )


@pytest.mark.parametrize(("value", "violation"), [(60e6, 0.2), (50e6, 0), (25e6, -0.5), (150e6, 2)])
def test_a_violation_is_the_excess_as_a_share_of_the_limit(value: float, violation: float) -> None:
    assert Constraint("macs", 50e6).violation(value) == pytest.approx(violation, abs=1e-12)


def test_a_limit_looks_at_its_own_quantity_and_unit() -> None:
    assert Constraint("macs", 1).measured_value(COST, MEASURED) == 60_000_000
    assert Constraint("params", 1).measured_value(COST, MEASURED) == 500_000
    assert Constraint("latency", 1, "ms").measured_value(COST, MEASURED) == 3.0
    assert Constraint("latency", 1, "x").measured_value(COST, MEASURED) == 1.5


def test_what_is_not_measured_is_not_checked() -> None:
    goals = Goals(parse_objectives("accuracy"), (LATENCY, MACS))
    # 60M of 50M, and 3 ms of 4 ms
    assert goals.violations(COST) == pytest.approx({"macs": 0.2})
    assert goals.violations(COST, EXACT) == pytest.approx({"macs": 0.2, "latency": -0.25})
    assert LATENCY.measured_value(COST, None) is None


@pytest.mark.parametrize(("source", "upper_ms"), [("measured", 3.167), ("predicted", 3.2)])
def test_a_latency_violates_a_limit_by_its_one_sided_upper_bound(
    source: Literal["measured", "predicted"], upper_ms: float
) -> None:
    """The two-sided bound is 3.2 ms: at 95% for a measurement, at 90%, so 95% above, for a prediction.

    For a measurement 3 ms * (1.6 / 1.5) ** (1.645 / 1.960) = 3.167 ms.
    """
    latency = replace(MEASURED, source=source)
    limit = Constraint("latency", upper_ms, "ms")
    assert limit.upper_bound(COST, latency) == pytest.approx(upper_ms, rel=1e-4)
    assert MACS.upper_bound(COST, latency) == 60_000_000
    for change, feasible in ((1.001, True), (0.999, False)):
        goals = Goals(parse_objectives("accuracy"), (replace(limit, limit=upper_ms * change),))
        assert (goals.violations(COST, latency)["latency"] <= 0) is feasible


def test_no_limit_is_never_violated() -> None:
    assert Goals(parse_objectives("accuracy")).violations(COST, MEASURED) == {}


@pytest.mark.parametrize("order", list(permutations((PARAMS, MACS, LATENCY))))
def test_the_cheapest_limit_is_checked_first_in_whatever_order_they_are_given(
    order: tuple[Constraint, ...],
) -> None:
    goals = Goals(parse_objectives("accuracy"), order)
    assert goals.constraints == (PARAMS, MACS, LATENCY)
    assert list(goals.violations(COST, MEASURED)) == ["params", "macs", "latency"]


def test_two_limits_on_one_quantity_are_refused() -> None:
    limits = (Constraint("latency", 2, "ms"), MACS, Constraint("latency", 3, "x"))
    with pytest.raises(GoalError) as caught:
        Goals(parse_objectives("accuracy"), limits)
    assert (
        str(caught.value) == "each quantity takes one limit, got latency <= 2ms, macs <= 50M, latency <= 3x"
    )


def test_goals_come_from_words() -> None:
    limits = {"latency": "1.5x", "params": None, "macs": "60M"}
    assert parse_goals("latency,accuracy", limits) == Goals(
        (Objective("accuracy"), Objective("latency")),
        (Constraint("macs", 60e6), Constraint("latency", 1.5, "x")),
    )
    assert parse_goals("accuracy", {"params": "2M"}).constraints == (Constraint("params", 2e6),)


@pytest.mark.parametrize("quantity", ["macs", "params", "latency"])
def test_an_empty_limit_is_not_the_same_as_none(quantity: str) -> None:
    with pytest.raises(GoalError, match="got ''"):
        parse_goals("accuracy", {quantity: ""})
    assert parse_goals("accuracy", {quantity: None}).constraints == ()


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (Constraint("macs", 60e6), "macs <= 60M"),
        (Constraint("latency", 5, "ms"), "latency <= 5ms"),
        (Constraint("latency", 0.5, "x"), "latency <= 0.5x"),
    ],
)
def test_a_limit_is_written_as_one_would_type_it(limit: Constraint, text: str) -> None:
    assert str(limit) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (216_589_760, "216.6M"),
        (5_483_032, "5.483M"),
        (640_000, "640K"),
        (1_000, "1K"),
        (999, "999"),
        (12, "12"),
        (1_500_000_000, "1.5G"),
        (1_000_000, "1M"),
        (999_999, "1M"),
        (999_940, "999.9K"),
        (999.96, "1K"),
    ],
)
def test_counts_are_short_for_people(value: float, text: str) -> None:
    assert format_count(value) == text


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("reward:0.5x", Constraint("latency", 0.5, "x")),
        (" reward: 5 ms ", Constraint("latency", 5, "ms")),
        ("reward:60M", Constraint("macs", 60e6)),
    ],
)
def test_a_reward_has_a_target_on_latency_or_macs(text: str, target: Constraint) -> None:
    [objective] = parse_objectives(text)
    assert objective == Objective("reward", target)
    assert (objective.direction, str(objective)) == ("maximize", text.replace(" ", ""))


def test_twice_the_target_is_worth_5_percent_of_the_accuracy() -> None:
    [reward] = parse_objectives("reward:0.75x")
    # MEASURED is 1.5 references: 2 ** -0.07 = exp(-0.07 * 0.693147) = exp(-0.0485203) = 0.952638
    assert reward.accuracy_factor(COST, MEASURED) == pytest.approx(0.952638, abs=1e-6)
    # 3 ms of 3 ms; 60M MACs of 120M, the inverse of 0.952638
    assert Objective("reward", Constraint("latency", 3, "ms")).accuracy_factor(COST, MEASURED) == 1
    assert parse_objectives("reward:120M")[0].accuracy_factor(COST, None) == pytest.approx(1.049717, abs=1e-6)
    assert reward.accuracy_factor(COST, None) is None
    assert Objective("accuracy").accuracy_factor(COST, None) == 1


@pytest.mark.parametrize("text", ["reward", "reward:", "reward:5", "reward:0x", "reward:60m", "reward:3G1"])
def test_a_reward_without_its_target_is_refused_with_examples(text: str) -> None:
    with pytest.raises(GoalError) as caught:
        parse_objectives(text)
    assert str(caught.value) == (
        "the objective reward needs its target, a latency or MACs above 0: reward:0.5x, reward:5ms or "
        f"reward:60M, got '{text[7:]}'"
    )


def test_a_target_belongs_to_the_reward_alone() -> None:
    wrong: list[tuple[Quantity, Constraint | None]] = [
        ("accuracy", MACS),
        ("reward", None),
        ("reward", PARAMS),
    ]
    for quantity, target in wrong:
        with pytest.raises(FieldError, match=r"^target must be on latency or MACs for reward and none"):
            Objective(quantity, target)


def test_a_reward_stands_alone_but_takes_limits() -> None:
    with pytest.raises(GoalError, match=r"^reward:60M .*got the objectives accuracy, reward:60M$"):
        parse_goals("reward:60M,accuracy", {})
    goals = parse_goals("reward:60M", {"latency": "0.5x"})
    assert goals.violations(COST, EXACT) == {"latency": 2}


def test_the_best_network_has_most_reward_where_that_is_the_objective() -> None:
    reward = parse_goals("reward:5ms", {})
    assert reward.ranking_objective == reward.reward == Objective("reward", Constraint("latency", 5, "ms"))
    for objectives in ("accuracy", "latency", "accuracy,macs"):
        goals = parse_goals(objectives, {})
        assert (goals.ranking_objective, goals.reward) == (Objective("accuracy"), None)
    told = {
        text: parse_goals(text, {}).depends_on_accuracy for text in ("reward:5ms", "accuracy,macs", "latency")
    }
    assert told == {"reward:5ms": True, "accuracy,macs": True, "latency": False}
