import random
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from bneck.evaluate import Accuracy, Constraint, Epoch, Latency, Objective, parse_goals
from bneck.results import Record, pareto_front
from bneck.results.store.trial import (
    accuracy_from,
    record_from_trial,
    seed_noise_std,
    with_posteriors,
    with_replicates,
)
from bneck.search_space import cost

from ..example_run import SPACE, Row, record

GENES = SPACE.sample(random.Random(3))
LATENCY = Latency(0.31, 0.29, 0.32, 0.62, "noisy")
ACCURACY = Accuracy(
    0.9, 0.4, images=359, images_seen=2000, seed=7, seconds=3.5, curve=(Epoch(2.0), Epoch(1.5, 1.4, 0.6))
)
DISTRIBUTIONS: dict[str, BaseDistribution] = {
    gene.name: CategoricalDistribution(gene.choices) for gene in SPACE.genes
}


@pytest.fixture
def study() -> optuna.Study:
    """In a database, where attributes become JSON and tuples lists."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(storage="sqlite:///:memory:", directions=["maximize", "minimize"])


def asked(study: optuna.Study, **attributes: Any) -> optuna.Trial:
    study.enqueue_trial(GENES, user_attrs=attributes)
    return study.ask(DISTRIBUTIONS)


def read(study: optuna.Study, number: int = 0) -> Record:
    found = record_from_trial(study.trials[number], SPACE)
    assert found is not None
    return found


def test_a_judged_trial_comes_back_as_the_values_that_went_in(study: optuna.Study) -> None:
    trial = asked(study, source="mobilenet_v2 at 24 px")
    trial.set_user_attr("latency", asdict(LATENCY))
    trial.set_user_attr("accuracy", asdict(ACCURACY))
    trial.set_user_attr("state", "complete")
    trial.set_constraint("macs", -0.5)
    study.tell(trial, [0.9, 0.62])
    found = read(study)
    network = SPACE.decode(GENES)
    assert found == Record(
        trial=0,
        source="mobilenet_v2 at 24 px",
        state="complete",
        architecture=network,
        cost=cost(network),
        latency=LATENCY,
        accuracy=ACCURACY,
        violations={"macs": -0.5},
        seconds=found.seconds,
    )
    assert found.key == network.key
    assert 0 < found.seconds < 60


def test_the_seconds_are_those_between_proposal_and_verdict() -> None:
    begin = datetime(2026, 1, 2, 3, 4, 5)
    trial = FrozenTrial(
        number=4,
        state=TrialState.COMPLETE,
        value=None,
        values=[0.5, 1.0],
        datetime_start=begin,
        datetime_complete=begin + timedelta(minutes=2, milliseconds=500),
        params=dict(GENES),
        distributions=DISTRIBUTIONS,
        user_attrs={},
        system_attrs={},
        intermediate_values={},
        trial_id=4,
    )
    found = record_from_trial(trial, SPACE)
    assert found is not None
    assert (found.trial, found.seconds) == (4, 120.5)


def test_a_failed_trial_keeps_its_error(study: optuna.Study) -> None:
    trial = asked(study)
    trial.set_user_attr("state", "failed")
    trial.set_user_attr("error", "the loss of epoch 1 is nan")
    study.tell(trial, state=TrialState.FAIL)
    found = read(study)
    assert (found.state, found.error) == ("failed", "the loss of epoch 1 is nan")
    assert (found.latency, found.accuracy) == (None, None)


def test_a_trial_under_way_runs_and_a_sampler_proposed_it(study: optuna.Study) -> None:
    asked(study)
    found = read(study)
    assert (found.state, found.source, found.seconds, found.error) == ("running", "sampler", 0.0, "")
    assert found.violations == {}


def test_a_trial_that_waits_is_known_by_the_genes_it_will_have(study: optuna.Study) -> None:
    study.enqueue_trial(GENES, user_attrs={"source": "mobilenet_v2 at 24 px"})
    found = read(study)
    assert (found.state, found.source) == ("enqueued", "mobilenet_v2 at 24 px")
    assert found.architecture == SPACE.decode(GENES)


@pytest.mark.parametrize("genes", [{}, dict(list(GENES.items())[:-1]), {**GENES, "stage9.out": 8}])
def test_a_trial_whose_genes_are_not_those_of_the_space_has_no_record(genes: dict[str, Any]) -> None:
    trial = create_trial(
        state=TrialState.FAIL,
        params=genes,
        distributions={name: CategoricalDistribution([value]) for name, value in genes.items()},
    )
    assert record_from_trial(trial, SPACE) is None


def test_an_accuracy_comes_back_from_its_plain_form() -> None:
    plain = asdict(ACCURACY)
    plain["curve"] = list(plain["curve"])
    assert accuracy_from(plain) == ACCURACY
    del plain["outcomes"]  # as in runs of earlier versions
    assert accuracy_from(plain) == ACCURACY
    assert isinstance(plain["curve"][0], dict)  # what was given is left as it was


def test_an_objective_looks_at_its_own_quantity() -> None:
    judged = record(0, Row("complete", 0.9, 0.3))
    # 0.3 times the reference's 2 ms
    assert judged.value(Objective("accuracy")) == 0.9
    assert judged.value(Objective("latency")) == pytest.approx(0.6)
    assert judged.value(Objective("macs")) == judged.cost.macs
    assert judged.value(Objective("params")) == judged.cost.params


def test_the_reward_of_75_percent_at_twice_the_target() -> None:
    judged = again(record(0, Row("complete", 0.8, 0.6)), 0.7)  # 0.6 times 2 ms, and 75% on average
    # 0.75 * 2 ** -0.07 = 0.75 * 0.952638
    for target in (Constraint("latency", 0.3, "x"), Constraint("latency", 0.6, "ms")):
        assert judged.value(Objective("reward", target)) == pytest.approx(0.714479, abs=1e-6)
    macs = Constraint("macs", judged.cost.macs / 2)
    assert replace(judged, latency=None).value(Objective("reward", macs)) == pytest.approx(0.714479, abs=1e-6)


def test_without_accuracy_or_latency_there_is_no_reward() -> None:
    judged, reward = (
        record(0, Row("complete", 0.8, 0.6)),
        Objective("reward", Constraint("latency", 0.3, "x")),
    )
    with pytest.raises(ValueError, match="trial 0 has no reward"):
        replace(judged, latency=None).value(reward)
    with pytest.raises(ValueError, match="trial 0 has no accuracy"):
        replace(judged, accuracy=None).value(reward)


@pytest.mark.parametrize("quantity", ["accuracy", "latency"])
def test_what_was_not_measured_has_no_value(quantity: Any) -> None:
    untrained = record(3, Row("infeasible"))
    with pytest.raises(ValueError, match=f"trial 3 has no {quantity}"):
        untrained.value(Objective(quantity))
    assert untrained.value(Objective("macs")) == untrained.cost.macs


def again(record: Record, *top1: float) -> Record:
    """With repeats of seeds 1, 2, ..."""
    assert record.accuracy
    replicates = (replace(record.accuracy, top1=each, seed=seed) for seed, each in enumerate(top1, 1))
    return replace(record, replicates=tuple(replicates))


def test_the_accuracy_of_a_network_is_the_mean_of_its_trainings() -> None:
    once = record(0, Row("complete", 0.9, 0.3))
    found = again(once, 0.8, 0.85)
    assert (once.top1, once.trainings) == (0.9, (once.accuracy,))
    assert found.top1 == found.value(Objective("accuracy")) == pytest.approx(0.85)
    assert [each.top1 for each in found.trainings] == [0.9, 0.8, 0.85]
    # (0.85 + 3.8416 / 800) / 1.009604 and 1.96 / 1.009604 * sqrt(0.85 * 0.15 / 400 + 3.8416 / 640000)
    interval = 0.84667, 0.03498
    assert (found.estimated_accuracy.low, found.estimated_accuracy.high) == pytest.approx(
        (interval[0] - interval[1], interval[0] + interval[1]), abs=1e-4
    )


def test_the_estimate_replaces_the_mean_where_the_noise_is_known() -> None:
    # One lucky training of many equal networks: most of its lead is noise.
    equal = [again(record(number, Row("complete", 0.8, 0.3)), 0.82) for number in range(10)]
    lucky = record(10, Row("complete", 0.86, 0.3))
    stopped = replace(lucky, trial=11, state="stopped")
    *others, best, stopped_too = with_posteriors([*equal, lucky, stopped])
    assert best.top1 == 0.86
    assert 0.81 < best.value(Objective("accuracy")) < 0.835
    assert best.posterior and best.posterior.low < 0.82 < best.posterior.high
    assert stopped_too == stopped
    assert all(each.posterior for each in others)
    assert with_posteriors([lucky, stopped]) == [lucky, stopped]


def test_the_front_is_that_of_the_estimates() -> None:
    objectives = parse_goals("accuracy,latency", {}).objectives
    trusted = again(record(0, Row("complete", 0.85, 0.3)), 0.84, 0.85, 0.84)
    lucky = record(1, Row("complete", 0.86, 0.4))
    others = [again(record(number, Row("complete", 0.80, 0.5)), 0.83) for number in range(2, 12)]
    records = [trusted, lucky, *others]
    assert [each.trial for each in pareto_front(records, objectives)] == [0, 1]
    assert [each.trial for each in pareto_front(with_posteriors(records), objectives)] == [0]


def test_what_was_not_trained_has_no_mean() -> None:
    untrained = record(3, Row("infeasible"))
    assert untrained.trainings == ()
    with pytest.raises(ValueError, match="trial 3 has no accuracy"):
        _ = untrained.top1


def test_only_the_record_that_was_judged_has_the_repeats_of_its_network() -> None:
    judged = record(0, Row("complete", 0.9, 0.3))
    asked_again = replace(judged, trial=1, state="duplicate", accuracy=None)
    replicates = again(judged, 0.8).replicates
    found = with_replicates([judged, asked_again], {judged.key: replicates})
    assert [each.replicates for each in found] == [replicates, ()]
    assert with_replicates([judged], {}) == [judged]


def test_the_noise_is_known_from_three_replicates_on() -> None:
    known = [record(number, Row("complete", 0.8, 0.3)) for number in range(12)]
    pairs = [again(each, 0.8 + 0.02 * (-1) ** number) for number, each in enumerate(known)]
    # the variance of two values that are 0.02 apart is 0.02 ** 2 / 2
    assert seed_noise_std([]) is seed_noise_std(known) is seed_noise_std(pairs[:2]) is None
    assert seed_noise_std([*pairs[:3], *known[3:]]) is not None
    assert seed_noise_std(pairs) == pytest.approx(0.02 / 2**0.5, rel=0.25)
