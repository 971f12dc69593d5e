"""Objectives and limits, from words to excesses."""

from itertools import permutations

import pytest

from bneck.evaluate import (
    Constraint,
    Goals,
    Latency,
    Objective,
    parse_count,
    parse_goals,
    parse_latency,
    parse_objectives,
    short_count,
)
from bneck.search_space import Cost, GoalError, UnknownNameError

PARAMS = Constraint("params", 1e6)
MACS = Constraint("macs", 50e6)
LATENCY = Constraint("latency", 4, "ms")
COST = Cost(macs=60_000_000, params=500_000, activation_bytes=7, peak_activation_bytes=3, depth=9)
# 1.5 times a reference of 2 ms
MEASURED = Latency(ratio=1.5, ratio_low=1.4, ratio_high=1.6, latency_ms=3.0, status="ok")


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
    [("accuracy,latncy", "latncy", "latency"), ("MACs", "MACs", "accuracy, latency, macs, params")],
)
def test_an_unknown_objective_is_named_with_the_nearest(text: str, name: str, near: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        parse_objectives(text)
    assert str(caught.value) == f"unknown objective '{name}'; nearest: {near}"


@pytest.mark.parametrize("text", ["macs,accuracy,macs", "", " , "])
def test_an_objective_twice_or_none_is_refused(text: str) -> None:
    with pytest.raises(GoalError) as caught:
        parse_objectives(text)
    assert (
        str(caught.value)
        == f"objectives must be different ones of accuracy, latency, macs, params, got '{text}'"
    )


@pytest.mark.parametrize(("value", "violation"), [(60e6, 0.2), (50e6, 0), (25e6, -0.5), (150e6, 2)])
def test_a_violation_is_the_excess_as_a_share_of_the_limit(value: float, violation: float) -> None:
    assert Constraint("macs", 50e6).violation(value) == pytest.approx(violation, abs=1e-12)


def test_a_limit_looks_at_its_own_quantity_and_unit() -> None:
    assert Constraint("macs", 1).value_of(COST, MEASURED) == 60_000_000
    assert Constraint("params", 1).value_of(COST, MEASURED) == 500_000
    assert Constraint("latency", 1, "ms").value_of(COST, MEASURED) == 3.0
    assert Constraint("latency", 1, "x").value_of(COST, MEASURED) == 1.5


def test_what_is_not_measured_is_not_checked() -> None:
    goals = Goals(parse_objectives("accuracy"), (LATENCY, MACS))
    # 60M of 50M, and 3 ms of 4 ms
    assert goals.violations(COST) == pytest.approx({"macs": 0.2})
    assert goals.violations(COST, MEASURED) == pytest.approx({"macs": 0.2, "latency": -0.25})
    assert LATENCY.value_of(COST, None) is None


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
    assert short_count(value) == text
