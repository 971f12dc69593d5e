"""The reference panel and its calibration on simulated machines."""

import math
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bneck.evaluate.latency.backends.fake import FakeMachine
from bneck.evaluate.latency.measurement import MeasurementPlan, Runner
from bneck.evaluate.latency.reference_panel import (
    CALIBRATION_BLOCKS,
    Calibration,
    ReferencePanel,
    build_reference_panel,
    calibrate,
)
from bneck.search_space import BneckError, Head, UnknownNameError, cost, published_architecture

from ...search_space.helpers import TOY

OTHER, THIRD = replace(TOY, classes=3), replace(TOY, classes=4)
ONE_RUN_A_TURN = MeasurementPlan(warmup_runs=0, min_timing_seconds=0, max_timings=1)


def times(log: list[str], name: str, seconds: Callable[[int], float]) -> Runner:
    """A network whose seconds depend on how often it ran before, one run a call."""

    def run(count: int) -> float:
        assert count == 1
        log.append(name)
        return seconds(log.count(name) - 1)

    return run


# Panels


def test_the_panel_is_small_medium_and_large_from_the_least_to_the_most_macs() -> None:
    panel = build_reference_panel("mobilenet_v3_small")
    # 19M, 57M and 217M MACs
    assert list(panel.networks) == [
        "mobilenet_v3_small@0.5",
        "mobilenet_v3_small@224px",
        "mobilenet_v3_large",
    ]
    assert panel.reference == "mobilenet_v3_small@224px"
    assert all(
        network == published_architecture(name.removesuffix("@224px"))
        for name, network in panel.networks.items()
    )


@pytest.mark.parametrize(
    ("given", "px", "macs"),
    [
        ("mobilenet_v3_small", 224, 56_510_400),  # as `bneck inspect mobilenet_v3_small`
        ("mobilenet_v3_small@64px", 64, None),
        ("mobilenet_v3_small@64", 64, None),
    ],
)
def test_the_reference_has_its_own_resolution_whatever_the_images(
    given: str, px: int, macs: int | None
) -> None:
    panel = build_reference_panel(given, lambda network: replace(network, resolution_px=32))
    assert panel.reference == panel.reference_name == f"mobilenet_v3_small@{px}px"
    assert panel.reference_text == f"mobilenet_v3_small at {px} px"
    assert {name: network.resolution_px for name, network in panel.networks.items()} == {
        "mobilenet_v3_small@0.5": 32,
        "mobilenet_v3_small": 32,
        f"mobilenet_v3_small@{px}px": px,
        "mobilenet_v3_large": 32,
    }
    if macs:
        assert cost(panel.networks[panel.reference]).macs == macs


def test_a_reference_as_large_as_the_images_is_in_the_panel_once() -> None:
    panel = build_reference_panel(
        "mobilenet_v3_small@32px", lambda network: replace(network, resolution_px=32)
    )
    assert list(panel.networks) == ["mobilenet_v3_small@0.5", "mobilenet_v3_small@32px", "mobilenet_v3_large"]


def test_a_width_and_a_resolution_can_be_given_together() -> None:
    panel = build_reference_panel("mobilenet_v2@1.4@96px")
    assert panel.networks[panel.reference] == replace(
        published_architecture("mobilenet_v2@1.4"), resolution_px=96
    )
    with pytest.raises(BneckError, match=r"^resolution_px .*got 4"):
        build_reference_panel("mobilenet_v2@4px")


def test_the_panel_of_an_earlier_run_names_its_resolution_too() -> None:
    panel = ReferencePanel("mobilenet_v2", {"mobilenet_v2": replace(TOY, resolution_px=48)})
    assert panel.reference_text == "mobilenet_v2 at 48 px"


def test_another_reference_is_added_to_the_panel_in_order_of_macs() -> None:
    # 301M MACs are the most, and 97M (mobilenet_v2@0.5) are between Small and Large
    assert list(build_reference_panel("mobilenet_v2").networks)[3:] == ["mobilenet_v2@224px"]
    panel = build_reference_panel("mobilenet_v2@0.5")
    assert panel.reference == "mobilenet_v2@0.5@224px"
    assert list(panel.networks) == [
        "mobilenet_v3_small@0.5",
        "mobilenet_v3_small",
        "mobilenet_v2@0.5@224px",
        "mobilenet_v3_large",
    ]


def test_the_networks_are_fitted_before_they_are_put_in_order() -> None:
    # reversed: the large one becomes the smallest
    sides = {network.key: 224 for network in build_reference_panel("mobilenet_v3_small").networks.values()}
    sides[published_architecture("mobilenet_v3_large").key] = 32
    panel = build_reference_panel(
        "mobilenet_v3_small", lambda network: replace(network, resolution_px=sides[network.key], classes=7)
    )
    assert list(panel.networks) == [
        "mobilenet_v3_large",
        "mobilenet_v3_small@0.5",
        "mobilenet_v3_small@224px",
    ]
    assert panel.networks["mobilenet_v3_large"].resolution_px == 32
    assert {network.classes for network in panel.networks.values()} == {7}


def test_a_reference_that_is_no_published_network_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown network 'mobilenet_v4'"):
        build_reference_panel("mobilenet_v4")


def test_a_panel_without_its_reference_is_refused() -> None:
    with pytest.raises(BneckError, match=r"^reference must be one of small, large, got medium$"):
        ReferencePanel("medium", {"small": TOY, "large": OTHER})


def test_the_key_of_a_panel_differs_for_another_reference_and_for_any_other_network() -> None:
    panel = ReferencePanel("a", {"a": TOY, "b": OTHER})
    others = [
        ReferencePanel("b", panel.networks),
        ReferencePanel("a", {"a": TOY, "b": THIRD}),
        ReferencePanel("a", {"a": THIRD, "b": OTHER}),
        ReferencePanel("a", {"a": TOY}),
        ReferencePanel("a", {"a": TOY, "b": OTHER, "c": THIRD}),
        ReferencePanel("a", {"a": TOY, "b": replace(OTHER, head=Head(11))}),
    ]
    assert len({panel.key, *(other.key for other in others)}) == 7
    assert len(panel.key) == 12
    assert set(panel.key) <= set("0123456789abcdef")
    assert ReferencePanel("a", dict(panel.networks)).key == panel.key


# Calibration


@pytest.mark.parametrize("trouble", [{}, {"drift": 0.3}, {"spikes": 0.3, "preemption": 0.3}], ids=str)
def test_ratios_and_milliseconds_are_those_of_the_machine(trouble: dict[str, float]) -> None:
    machine = FakeMachine(3, jitter=0.003, **trouble)
    seconds = {"slow": 0.0123, "quick": 0.0007, "reference": 0.003}
    runners = {name: machine.runner(each) for name, each in seconds.items()}
    calibration = calibrate(runners, "reference", MeasurementPlan(), "a clock")
    assert list(calibration.ratios) == ["slow", "quick", "reference"]
    assert calibration.ratios["reference"] == 1
    assert calibration.ratios["slow"] == pytest.approx(4.1, rel=0.005)
    assert calibration.ratios["quick"] == pytest.approx(0.7 / 3, rel=0.005)
    # a machine that drifts has the reference's time slower than at its fastest
    assert 3 * 0.995 < calibration.reference_ms < 3 * (1.005 + trouble.get("drift", 0))


def test_milliseconds_are_of_one_run_where_a_timing_needs_many() -> None:
    machine = FakeMachine(jitter=0)
    calibration = calibrate({"reference": machine.runner(1e-5)}, "reference", MeasurementPlan(), "a clock")
    assert calibration.reference_ms == pytest.approx(0.01, rel=1e-9)
    assert calibration.ratios == {"reference": 1}


def test_the_milliseconds_are_the_median_of_the_units_turns() -> None:
    runner = times([], "U", lambda number: (9, 1, 2)[number])
    assert calibrate({"u": runner}, "u", ONE_RUN_A_TURN, "a clock", n_blocks=3).reference_ms == 2000


def test_a_few_spoiled_blocks_leave_the_ratio_as_it_is() -> None:
    # two turns a block; the first five of the 20 blocks are 100 times slower
    log: list[str] = []
    slow = times(log, "A", lambda number: 200 if number < 10 else 2)
    runners = {"a": slow, "u": times(log, "U", lambda number: 1)}
    assert calibrate(runners, "u", ONE_RUN_A_TURN, "a clock").ratios["a"] == pytest.approx(2)


def test_every_network_takes_turns_with_the_reference_alone() -> None:
    log: list[str] = []
    runners = {name: times(log, name.upper(), lambda number: 1) for name in ("a", "u", "c")}
    calibrate(runners, "u", ONE_RUN_A_TURN, "a clock", n_blocks=2)
    assert "".join(log) == 2 * ("U" + "AUUA" + "CUUC")


@pytest.mark.parametrize(("plan", "requested", "taken"), [(21, 20, 20), (7, 20, 7), (50, 12, 12)])
def test_a_plan_limits_the_number_of_blocks(plan: int, requested: int, taken: int) -> None:
    log: list[str] = []
    runners = {"a": times(log, "A", lambda number: 1), "u": times(log, "U", lambda number: 1)}
    calibrate(runners, "u", replace(ONE_RUN_A_TURN, max_abba_blocks=plan), "a clock", n_blocks=requested)
    assert log.count("A") == 2 * taken
    assert log.count("U") == 3 * taken


def test_the_default_is_twenty_blocks() -> None:
    log: list[str] = []
    runners = {"a": times(log, "A", lambda number: 1), "u": times(log, "U", lambda number: 1)}
    calibrate(runners, "u", ONE_RUN_A_TURN, "a clock")
    assert CALIBRATION_BLOCKS == 20
    assert log.count("A") == 40


def test_a_calibration_records_its_clock_time_and_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (3.0, 40.0, 50.0), raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 5}, raising=False)
    calibration = calibrate(
        {"u": FakeMachine().runner(0.001)}, "u", MeasurementPlan(), "CPU time of the thread"
    )
    assert (calibration.clock, calibration.load) == ("CPU time of the thread", 1.5)
    measured_at = datetime.fromisoformat(calibration.measured_at)
    assert measured_at.utcoffset() == timedelta(0)
    assert timedelta(0) <= datetime.now(UTC) - measured_at < timedelta(minutes=1)


def test_references_are_sorted_by_ratio_each_with_its_own_network() -> None:
    machine = FakeMachine(jitter=0)
    seconds = {"reference": 1, "slow": 4, "quick": 0.25}
    runners = {name: machine.runner(each) for name, each in seconds.items()}
    ratios = {"slow": 4.0, "quick": 0.25, "reference": 1.0}
    references = Calibration(ratios, 1000.0, "a clock", "today", 0.0).references(runners)
    assert list(references.ratios) == [0.25, 1, 4]
    assert [runner(1) for runner in references.runners] == pytest.approx([0.25, 1, 4])
    assert references.reference_ms == 1000
    # between the reference and the slow one, on the log scale in the middle
    assert references.interpolation_weights(2) == pytest.approx({1: 0.5, 2: 0.5})
    assert math.isclose(sum(references.interpolation_weights(3).values()), 1)
