from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bneck.evaluate import Latency, parse_goals
from bneck.evaluate.latency.measurement import failed_latency
from bneck.evaluate.latency.predictor import LatencyPredictor
from bneck.results import LatencyPolicy, Record, Run
from bneck.search.runner import worker
from bneck.search.runner.latency_policy import LatencyStrategy, fit_latency_model
from bneck.search_space import Architecture, FileFormatError, RunError, cost

from ...results.example_run import Row, latency, record
from ..helpers import (
    FOUR,
    SMALL,
    FakePool,
    Shown,
    every_network,
    fake_latency,
    fake_model,
    fake_run,
    give_model,
)

NETWORK = SMALL.decode({gene.name: gene.choices[0] for gene in SMALL.genes})
NO_LIMIT: Mapping[str, str | None] = {}


def latencies(
    ratio: float | None,
    limits: Mapping[str, str | None] = NO_LIMIT,
    latency_policy: LatencyPolicy = "both",
    objectives: str = "accuracy,latency",
) -> LatencyStrategy:
    """What a model says that predicts this ratio for every network, give or take 5%."""
    model = None if ratio is None else fake_model({"network": ratio})
    return LatencyStrategy(parse_goals(objectives, limits), latency_policy, model)


def near(ratio: float, **limits: str) -> bool:
    """Whether a network predicted so is measured before it is trained."""
    return latencies(ratio, limits).predict_before_training(NETWORK) is None


# ------------------------------------------------------------------------- before the training


def test_the_standard_deviation_is_that_of_the_errors() -> None:
    # sqrt((0.01^2 + 0.07^2) / 2) = sqrt((0.0001 + 0.0049) / 2) = 0.05
    assert fake_model({"network": 1.0}).relative_error_std == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("ratio", "measured"),
    # two standard deviations are 10%: from 0.45x to 0.55x the limit of 0.5x may be on either side
    [(0.30, False), (0.449, False), (0.451, True), (0.50, True), (0.549, True), (0.551, False), (0.9, False)],
)
@pytest.mark.parametrize("limit", ["0.5x", "1ms"])  # the unit takes 2 ms
def test_a_network_is_measured_first_where_the_prediction_is_near_the_limit(
    ratio: float, measured: bool, limit: str
) -> None:
    assert near(ratio, latency=limit) is measured


def test_a_limit_in_milliseconds_is_held_against_milliseconds() -> None:
    # 0.5x is 1 ms, far from half a millisecond
    assert not near(0.5, latency="0.5ms")
    assert near(0.25, latency="0.5ms")


def test_far_from_the_limit_the_prediction_is_what_counts() -> None:
    found = latencies(0.3, {"latency": "0.5x"}).predict_before_training(NETWORK)
    assert found is not None
    assert (found.ratio, found.latency_ms) == pytest.approx((0.3, 0.6))
    assert (found.source, found.status) == ("predicted", "ok")


@pytest.mark.parametrize("limits", [{}, {"macs": "1M", "params": "1M"}])
def test_without_a_limit_on_latency_nothing_is_measured_first(limits: Mapping[str, str | None]) -> None:
    assert latencies(0.5, limits).predict_before_training(NETWORK) is not None


def test_limits_on_cost_have_nothing_to_do_with_it() -> None:
    macs = str(cost(NETWORK).macs)  # exactly at the limit
    assert not near(0.3, macs=macs, latency="0.5x")
    assert near(0.5, macs=macs, latency="0.5x")


@pytest.mark.parametrize("latency_policy", ["both", "measurements"])
def test_without_a_model_everything_is_measured_first(latency_policy: LatencyPolicy) -> None:
    for limits in ({}, {"latency": "0.5x"}):
        assert latencies(None, limits, latency_policy).predict_before_training(NETWORK) is None


@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.9])
def test_where_a_model_stands_alone_even_what_is_near_the_limit_is_predicted(ratio: float) -> None:
    found = latencies(ratio, {"latency": "0.5x"}, "model").predict_before_training(NETWORK)
    assert found is not None
    assert found.ratio == pytest.approx(ratio)


def test_a_worse_model_has_more_measured() -> None:
    model = replace(fake_model({"network": 0.7}), errors=(0.2, 0.2))
    unsure = LatencyStrategy(parse_goals("accuracy", {"latency": "0.5x"}), "both", model)
    # 40% above the limit of 0.5x is 0.7x
    assert unsure.predict_before_training(NETWORK) is None
    assert not near(0.7, latency="0.5x")


# -------------------------------------------------------------------------- after the training

# the front: 80% in 0.4 ms and 90% in 0.6 ms
JUDGED = [record(0, Row("complete", 0.80, 0.20)), record(1, Row("complete", 0.90, 0.30))]


def trained(top1: float, ratio: float, **changes: Any) -> Record:
    """A network whose latency is predicted as this ratio."""
    predicted = replace(latency(ratio), source="predicted")
    return replace(record(7, Row("complete", top1, ratio)), latency=predicted, **changes)


@pytest.mark.parametrize(
    ("top1", "ratio", "worth"),
    [
        (0.95, 5.00, True),  # more accurate than all
        # 85%: must be quicker than the 0.6 ms of the 90%; 10% off, 0.333x is 0.6 ms
        (0.85, 0.332, True),
        (0.85, 0.335, False),
        (0.85, 0.10, True),
        # 70%: must be quicker than 0.4 ms; 10% off, 0.222x is 0.4 ms
        (0.70, 0.221, True),
        (0.70, 0.224, False),
        # as accurate as one of the front, but surely slower
        (0.90, 0.40, False),
        (0.80, 0.224, False),
    ],
)
def test_a_network_is_measured_if_it_would_enter_the_front_when_two_deviations_quicker(
    top1: float, ratio: float, worth: bool
) -> None:
    assert latencies(1.0).needs_measurement(trained(top1, ratio), JUDGED) is worth


def test_the_first_network_is_worth_measuring() -> None:
    assert latencies(1.0).needs_measurement(trained(0.1, 9.0), [])


def test_networks_beaten_by_the_front_do_not_matter() -> None:
    beaten = [*JUDGED, record(2, Row("complete", 0.85, 2.0))]
    assert not latencies(1.0).needs_measurement(trained(0.85, 0.335), beaten)


@pytest.mark.parametrize("latency_policy", ["model", "both", "measurements"])
def test_what_is_measured_already_is_not_measured_again(latency_policy: LatencyPolicy) -> None:
    best = record(7, Row("complete", 0.99, 0.01))
    assert not latencies(1.0, latency_policy=latency_policy).needs_measurement(best, JUDGED)
    assert not latencies(None, latency_policy=latency_policy).needs_measurement(best, JUDGED)


def test_where_a_model_stands_alone_nothing_is_worth_measuring() -> None:
    assert not latencies(1.0, latency_policy="model").needs_measurement(trained(0.99, 0.01), JUDGED)


def test_the_front_is_that_of_the_runs_objectives() -> None:
    # by accuracy alone only the most accurate enters, however slow
    alone = latencies(1.0, {"latency": "9x"}, objectives="accuracy")
    assert alone.needs_measurement(trained(0.91, 5.0), JUDGED)
    assert not alone.needs_measurement(trained(0.89, 0.01), JUDGED)


# --------------------------------------------------------------------------- the model of a run


@pytest.mark.parametrize("latency_policy", ["both", "model"])
def test_a_runs_model_is_read_from_its_folder(tmp_path: Path, latency_policy: LatencyPolicy) -> None:
    run = fake_run(tmp_path, limits={"latency": "0.5x"}, latency_policy=latency_policy)
    model = give_model(run, 0.3)
    assert LatencyStrategy.of(run) == LatencyStrategy(run.settings.goals, latency_policy, model)


def test_a_run_whose_model_is_not_fitted_yet_has_none(tmp_path: Path) -> None:
    run = fake_run(tmp_path, limits={"latency": "0.5x"}, latency_policy="both")
    assert LatencyStrategy.of(run) == LatencyStrategy(run.settings.goals, "both", None)


def test_a_model_that_stands_alone_is_missed(tmp_path: Path) -> None:
    run = fake_run(tmp_path, latency_policy="model")
    with pytest.raises(FileFormatError, match=r"latency-predictor\.json: cannot be read"):
        LatencyStrategy.of(run)


def test_a_run_that_measures_everything_has_no_model_even_if_there_is_a_file(tmp_path: Path) -> None:
    run = fake_run(tmp_path, latency_policy="measurements")
    give_model(run, 0.3)
    assert LatencyStrategy.of(run).model is None


def fitted(run: Run, **answers: Any) -> FakePool:
    pool = FakePool(run, 2, **answers)
    fit_latency_model(run, pool, Shown())
    return pool


@pytest.mark.parametrize("trials", [1, 30])
def test_for_few_trials_no_model_is_fitted_as_it_would_spare_nothing(tmp_path: Path, trials: int) -> None:
    run = fake_run(tmp_path, n_trials=trials)
    assert fitted(run).asked == []
    assert not run.latency_predictor_file.exists()


def test_a_model_is_fitted_to_thirty_networks_and_read_back(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=31)
    pool = fitted(run)
    networks = pool.asked_for(worker.measure)
    assert len(pool.asked) == len({network.key for network in networks}) == 30
    model = LatencyPredictor.load(run.latency_predictor_file)
    assert (model.space, model.setup) == ("small", run.settings.latency)
    measured = {network.key: fake_latency(network).ratio for network in networks}
    assert {each.key: each.ratio for each in model.training_networks} == measured
    assert LatencyStrategy.of(run).model == model
    assert [path.name for path in tmp_path.iterdir()] == ["latency-predictor.json"]


def test_the_networks_keep_the_limits_on_cost(tmp_path: Path) -> None:
    networks = fitted(fake_run(tmp_path, limits={"macs": "25K"}, n_trials=40)).asked_for(worker.measure)
    assert len(networks) >= 20
    assert max(cost(network).macs for network in networks) <= 25_000


def test_the_seed_of_the_run_chooses_the_networks(tmp_path: Path) -> None:
    def chosen(seed: int) -> list[str]:
        run = fake_run(tmp_path / f"{seed}", n_trials=40, seed=seed)
        run.folder.mkdir(exist_ok=True)
        run.latency_predictor_file.unlink(missing_ok=True)
        return [network.key for network in fitted(run).asked_for(worker.measure)]

    assert chosen(1) == chosen(1)
    assert chosen(1) != chosen(2)


def test_what_was_fitted_predicts_networks_it_has_not_seen(tmp_path: Path) -> None:
    # a tenth of the unit, and a millionth of it for every MAC
    def by_macs(architecture: Architecture) -> Latency:
        return latency(0.1 + cost(architecture).macs * 1e-6)

    run = fake_run(tmp_path, n_trials=40)
    seen = set(fitted(run, latency_of=by_macs).asked_for(worker.measure))
    model = LatencyPredictor.load(run.latency_predictor_file)
    others = set(every_network(SMALL).values()) - seen
    assert len(others) == 72 - 30
    for network in others:
        assert model.predict(network).ratio == pytest.approx(by_macs(network).ratio, rel=0.02)


def test_a_model_is_not_fitted_twice(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=31)
    fitted(run)
    before = run.latency_predictor_file.read_bytes()
    assert fitted(run).asked == []
    assert run.latency_predictor_file.read_bytes() == before


def test_a_model_that_was_given_is_kept(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=31)
    model = give_model(run, 0.3)
    assert fitted(run).asked == []
    assert LatencyStrategy.of(run).model == model


@pytest.mark.parametrize("latency_policy", ["measurements", "model"])
def test_where_latency_is_only_measured_or_only_predicted_no_model_is_fitted(
    tmp_path: Path, latency_policy: LatencyPolicy
) -> None:
    run = fake_run(tmp_path, n_trials=100, latency_policy=latency_policy)
    assert fitted(run).asked == []
    assert not run.latency_predictor_file.exists()


def test_a_space_or_limits_with_fewer_than_twenty_networks_have_no_model(tmp_path: Path) -> None:
    nineteenth = sorted(cost(network).macs for network in every_network(SMALL).values())[18]
    for run in (
        fake_run(tmp_path, FOUR, n_trials=100),
        fake_run(tmp_path, limits={"macs": str(nineteenth)}, n_trials=100),
    ):
        assert fitted(run).asked == []
        assert not run.latency_predictor_file.exists()


class FailsFor:
    """A device that cannot run the first few networks it is asked for."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.failing: set[str] = set()

    def __call__(self, architecture: Architecture) -> Latency:
        if self.left > 0:
            self.left -= 1
            self.failing.add(architecture.key)
            return failed_latency("the device has no memory left")
        return replace(fake_latency(architecture), seconds=1.5)


def test_networks_that_cannot_be_measured_are_left_out(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=40)
    device = FailsFor(10)
    fitted(run, latency_of=device)
    model: LatencyPredictor = LatencyPredictor.load(run.latency_predictor_file)
    assert len(model.training_networks) == 20
    assert not {each.key for each in model.training_networks} & device.failing


def test_a_device_that_runs_too_few_networks_ends_the_search_with_its_words(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=40)
    with pytest.raises(RunError) as raised:
        fitted(run, latency_of=FailsFor(11))
    assert str(raised.value) == (
        f"{tmp_path}: too few networks could be measured; one of them: the device has no memory left"
    )
    assert not run.latency_predictor_file.exists()
    assert "latency_predictor_seconds" not in run.study.user_attrs


def test_the_seconds_that_measuring_took_are_kept(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=40)
    fitted(run, latency_of=FailsFor(0))
    # 30 networks of 1.5 s
    assert run.study.user_attrs["latency_predictor_seconds"] == pytest.approx(45)


def test_a_person_sees_how_far_it_is_and_how_good_the_model_is(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=40)
    shown = Shown()
    fit_latency_model(run, FakePool(run, 2), shown)
    assert {(status.phase, status.total) for status in shown.statuses} == {
        ("fitting the latency predictor", 30)
    }
    assert [shown.statuses[0].done, shown.statuses[-1].done] == [0, 30]
    [line] = shown.lines
    conformal_margin = LatencyPredictor.load(run.latency_predictor_file).conformal_margin
    assert f"{100 * conformal_margin:.0f}% for 9 of 10" in line
    assert "30" in line


def test_a_search_that_is_stopped_before_the_fit_leaves_no_half_of_it(tmp_path: Path) -> None:
    class Interrupted(FakePool):
        def wait(self, pending: Any) -> Any:
            raise KeyboardInterrupt

    run = fake_run(tmp_path, n_trials=40)
    with pytest.raises(KeyboardInterrupt):
        fit_latency_model(run, Interrupted(run), Shown())
    assert list(tmp_path.iterdir()) == []
    # and the next session fits
    assert len(fitted(run).asked) == 30


def test_a_network_is_worth_measuring_that_would_have_the_most_reward_if_it_were_faster() -> None:
    # 0.4x may be 0.36x, two deviations below: at most 0.8 * (0.36 / 0.4) ** 0.07 = 0.7941 is beaten by that
    known = record(0, Row("complete", 0.8, 0.4))
    for top1, worth in ((0.7942, True), (0.7940, False)):
        hopeful = record(1, Row("complete", top1, 0.4))
        assert hopeful.latency
        hopeful = replace(hopeful, latency=replace(hopeful.latency, source="predicted"))
        for objective in ("reward:0.2x", "reward:1ms"):
            assert latencies(0.4, objectives=objective).needs_measurement(hopeful, [known]) is worth
