"""bneck's own sampler, asked and told as a search does, on a made-up landscape."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from bneck.evaluate import Goals, Latency, parse_goals
from bneck.evaluate.statistics.multi_objective import hypervolume
from bneck.search.samplers.ehvi import EhviSampler
from bneck.search.samplers.registry import SamplerContext, make_sampler
from bneck.search.samplers.uniform import UniformSampler
from bneck.search_space import Architecture, Genes, NoFeasibleNetworkError, SearchSpace, cost

from ...results.example_run import REFERENCE_MS
from ...search_space.helpers import preset, space_of
from ..example_landscape import ask, latency_ms, searched, study_of, tell, truth
from ..helpers import ONE, SMALL, every_network, fake_model

TINY = preset("tiny")
# 2 widths x 3 kernels x 2 depths x 2 heads
FEW = space_of(
    "{out: [8, 16], kernel: [3, 5, 7], expansion: 2, depth: [1, 2], shared: all}",
    resolution="8",
    head="{features: [16, 32]}",
)
FEW_SIZE = 24
TWO_GOALS = parse_goals("accuracy,macs", {})
N_INITIAL_DESIGN = 10  # the default


def own(space: SearchSpace = SMALL, goals: Goals = TWO_GOALS, seed: int = 0, **known: Any) -> EhviSampler:
    return EhviSampler(space, goals, seed, **known)


def study_after(count: int, goals: Goals = TWO_GOALS, **known: Any) -> optuna.Study:
    """Of networks of SMALL."""
    study = study_of(own(SMALL, goals, **known), goals)
    searched(study, SMALL, goals, count)
    return study


def next_of(study: optuna.Study, space: SearchSpace = SMALL) -> Architecture:
    """What is proposed next; its trial goes on running."""
    return space.decode(ask(study, space).params)


def genes_from(sampler: EhviSampler, study: optuna.Study) -> Genes:
    """What a sampler would propose next, without a trial of it."""
    trial = optuna.trial.create_trial(state=TrialState.WAITING)
    trial.number = len(study.trials)
    return sampler.propose(study, trial)


# The first networks


def test_the_first_networks_are_one_from_each_tenth_of_the_space_by_macs() -> None:
    study = study_of(own(FEW), TWO_GOALS)
    found = searched(study, FEW, TWO_GOALS, N_INITIAL_DESIGN)
    ordered = sorted(every_network(FEW).values(), key=lambda network: cost(network).macs)
    sizes = [cost(network).macs for network in ordered]
    for place, network in enumerate(sorted(found, key=lambda network: cost(network).macs)):
        low, high = FEW_SIZE * place // N_INITIAL_DESIGN, FEW_SIZE * (place + 1) // N_INITIAL_DESIGN - 1
        assert sizes[low] <= cost(network).macs <= sizes[high]
    assert found != sorted(found, key=lambda network: cost(network).macs)


def test_networks_that_were_given_count_among_the_first() -> None:
    study = study_of(own(), TWO_GOALS)
    for network in list(every_network(SMALL).values())[:4]:
        study.enqueue_trial(SMALL.encode(network))
    found = searched(study, SMALL, TWO_GOALS, N_INITIAL_DESIGN)
    assert len(set(found)) == N_INITIAL_DESIGN
    first = searched(study_of(own(), TWO_GOALS), SMALL, TWO_GOALS, N_INITIAL_DESIGN)
    assert set(found[4:]) <= set(first)


# Every network once, within the limits


def test_every_network_of_a_space_is_proposed_once_before_any_comes_again() -> None:
    study = study_of(own(FEW), TWO_GOALS)
    found = searched(study, FEW, TWO_GOALS, FEW_SIZE)
    assert {network.key for network in found} == set(every_network(FEW))
    assert next_of(study, FEW) in found


def test_where_all_within_the_limits_have_been_proposed_one_of_them_comes_again() -> None:
    networks = sorted(every_network(FEW).values(), key=lambda network: cost(network).macs)
    goals = parse_goals("accuracy,macs", {"macs": str(cost(networks[3]).macs)})
    within = {network for network in networks if cost(network).macs <= cost(networks[3]).macs}
    study = study_of(own(FEW, goals), goals)
    assert set(searched(study, FEW, goals, len(within))) == within
    assert {next_of(study, FEW) for _ in range(4)} <= within


def test_a_space_of_one_network_has_that_one_again_and_again() -> None:
    found = searched(study_of(own(ONE), TWO_GOALS), ONE, TWO_GOALS, 3)
    assert set(found) == {ONE.decode({})}


def test_limits_that_nothing_keeps_are_told() -> None:
    goals = parse_goals("accuracy", {"macs": "1K"})
    with pytest.raises(NoFeasibleNetworkError, match="no network of space small stays under 1,000 MACs"):
        next_of(study_of(own(SMALL, goals), goals))


@pytest.mark.parametrize("name", ["ehvi", "random"])
@pytest.mark.parametrize(
    "limits", [{"macs": "150K"}, {"params": "8K"}, {"macs": "300K", "params": "9K"}, {"macs": "42K"}]
)
@pytest.mark.slow
def test_limits_on_macs_and_parameters_are_always_kept(name: str, limits: Mapping[str, str]) -> None:
    goals = parse_goals("accuracy,macs", limits)
    most = {limit.quantity: limit.limit for limit in goals.constraints}
    for seed in range(3):
        study = study_of(make_sampler(name, SamplerContext(TINY, goals, seed)), goals)
        for network in searched(study, TINY, goals, 16):
            assert all(getattr(cost(network), quantity) <= limit for quantity, limit in most.items())


def test_limits_are_kept_by_every_proposal_that_a_model_makes() -> None:
    goals = parse_goals("accuracy,macs", {"macs": "30K", "params": "1.5K"})
    found = searched(study_of(own(SMALL, goals), goals), SMALL, goals, N_INITIAL_DESIGN + 4)
    assert all(cost(network).macs <= 30_000 and cost(network).params <= 1_500 for network in found)
    assert len(set(found)) == N_INITIAL_DESIGN + 4


# Goals of every kind


@pytest.mark.parametrize(
    "objectives", ["accuracy", "accuracy,latency", "accuracy,latency,macs", "accuracy,macs,params"]
)
def test_it_learns_what_widens_the_front(objectives: str) -> None:
    goals = parse_goals(objectives, {})
    found = searched(study_of(own(FEW, goals), goals), FEW, goals, 15)
    best = max(every_network(FEW).values(), key=truth)
    # of the 14 that are left after the first, five are proposed; the best of all is soon among them
    assert best in found


@pytest.mark.parametrize("objectives", ["reward:5ms", "reward:20K"])
def test_of_a_reward_it_learns_by_the_accuracies_that_the_run_knows(objectives: str) -> None:
    goals = parse_goals(objectives, {})
    study = study_of(own(FEW, goals), goals)

    def accuracies() -> dict[int, tuple[float, int]]:
        judged = (trial for trial in study.trials if trial.state == TrialState.COMPLETE)
        return {trial.number: (truth(FEW.decode(trial.params)), 1) for trial in judged}

    study.sampler = own(FEW, goals, observed_accuracies=accuracies)
    searched(study, FEW, goals, 15)
    target = goals.objectives[0].target
    assert target is not None

    def reward(network: Architecture) -> float:
        value = cost(network).macs if target.quantity == "macs" else latency_ms(network)
        return float(truth(network) * (value / target.limit) ** -0.07)

    assert study.best_value == pytest.approx(max(map(reward, every_network(FEW).values())))


@pytest.mark.parametrize("objectives", ["accuracy", "accuracy,latency"])
def test_a_limit_on_latency_that_is_learned_is_kept_by_nearly_all(objectives: str) -> None:
    goals = parse_goals(objectives, {"latency": "0.35ms"})
    study = study_of(own(SMALL, goals), goals)
    found = searched(study, SMALL, goals, N_INITIAL_DESIGN + 8)
    slow = [latency_ms(network) > 0.35 for network in found]
    uniform = [latency_ms(network) > 0.35 for network in every_network(SMALL).values()]
    assert np.mean(uniform) > 0.5
    assert sum(slow[:N_INITIAL_DESIGN]) <= 4
    assert sum(slow[N_INITIAL_DESIGN:]) <= 1
    fast = [
        cost(each).macs for each, is_slow in zip(found[:N_INITIAL_DESIGN], slow, strict=False) if not is_slow
    ]
    assert max(fast) > 2 * min(fast)


def test_near_a_limit_on_latency_the_upper_bounds_of_measurements_are_within_it_too() -> None:
    goals = parse_goals("accuracy", {"latency": "0.35ms"})
    study = study_of(own(SMALL, goals), goals)
    infeasible = []
    for _ in range(N_INITIAL_DESIGN + 10):
        trial = ask(study, SMALL)
        network = SMALL.decode(trial.params)
        ratio = latency_ms(network) / REFERENCE_MS
        measured = Latency(ratio, ratio / 1.3, ratio * 1.3, latency_ms(network), "ok")
        violation = goals.violations(cost(network), measured)["latency"]
        trial.set_user_attr("latency", asdict(measured))
        trial.set_constraint("latency", violation)
        infeasible.append(violation > 0)
        study.tell(trial, [truth(network)])
    assert sum(infeasible[N_INITIAL_DESIGN:]) <= 1


def test_a_latency_model_tells_which_networks_keep_the_limit() -> None:
    # 8 us a thousand MACs of pointwise convolutions and 20 us a layer, times the reference's 2 ms
    model = fake_model({"layers": 0.01, "pointwise_macs": 4e-6})
    fast = {key for key, each in every_network(SMALL).items() if model.predict(each).latency_ms < 0.2}
    assert 5 < len(fast) < 60
    goals = parse_goals("accuracy,latency", {"latency": "0.1x"})
    study = study_of(own(SMALL, goals, latency_predictor=model, reference_ms=2.0), goals)
    for _ in range(N_INITIAL_DESIGN + 5):
        trial = ask(study, SMALL)
        network = SMALL.decode(trial.params)
        found = model.predict(network)
        trial.set_user_attr("latency", {"latency_ms": found.latency_ms})
        trial.set_constraint("latency", found.ratio / 0.1 - 1)
        study.tell(trial, [truth(network), found.latency_ms])
    assert {SMALL.decode(trial.params).key for trial in study.trials[N_INITIAL_DESIGN:]} <= fast


# Networks under way, and trials that are none


def test_a_network_that_is_being_judged_is_not_proposed_and_changes_what_is() -> None:
    goals = TWO_GOALS
    study = study_after(N_INITIAL_DESIGN + 1)
    running = [next_of(study) for _ in range(4)]
    assert len(set(running)) == 4
    alone = next_of(study_after(N_INITIAL_DESIGN + 1))
    assert alone == running[0]
    judged = study_of(own(), goals)
    searched(judged, SMALL, goals, N_INITIAL_DESIGN + 2)
    # the same trial, with the one before it running or judged: neither is proposed again
    assert next_of(judged) != running[0]


@pytest.mark.parametrize("judged", [0, N_INITIAL_DESIGN + 1])
def test_trials_of_other_kinds_do_no_harm(judged: int) -> None:
    study = study_after(judged)
    networks = list(every_network(SMALL).values())
    first = dict(study.trials[0].params) if judged else SMALL.encode(networks[0])
    other = SMALL.encode(networks[-1])
    study.ask()  # without genes
    failed = ask(study, SMALL)
    study.tell(failed, state=TrialState.FAIL)
    rate: dict[str, BaseDistribution] = {"rate": FloatDistribution(0, 1)}  # of another search
    study.add_trial(optuna.trial.create_trial(params={"rate": 0.5}, distributions=rate, values=[0.9, 1.0]))
    study.add_trial(optuna.trial.create_trial(state=TrialState.FAIL, system_attrs={"fixed_params": {"a": 1}}))
    # two that wait are one network, another was judged before, a third is none of the space
    waiting = [other, other, first, {**other, "stage1.out": 7}]
    for genes in waiting:
        study.add_trial(
            optuna.trial.create_trial(state=TrialState.WAITING, system_attrs={"fixed_params": genes})
        )
    proposed = SMALL.decode(genes_from(own(), study))
    taken = [SMALL.decode(genes) for genes in (first, other, failed.params)]
    assert proposed not in taken
    assert proposed not in [
        SMALL.decode(each.params) for each in study.trials if each.params.keys() == other.keys()
    ]


def test_what_failed_is_not_proposed_again_and_counts_for_nothing() -> None:
    study = study_of(own(FEW), TWO_GOALS)
    found = set()
    for _ in range(FEW_SIZE):
        trial = ask(study, FEW)
        found.add(FEW.decode(trial.params))
        study.tell(trial, state=TrialState.FAIL)
    assert len(found) == FEW_SIZE


def enqueued(study: optuna.Study, network: Architecture, latency_ms: float) -> optuna.Trial:
    """A running trial of a network whose latency has been measured."""
    study.enqueue_trial(SMALL.encode(network))
    trial = ask(study, SMALL)
    trial.set_user_attr("latency", {"latency_ms": latency_ms})
    return trial


def test_the_accuracy_of_a_network_that_was_trained_and_found_too_slow_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    goals = parse_goals("accuracy", {"latency": "0.6ms"})
    slow = max(every_network(SMALL).values(), key=latency_ms)
    study = study_after(N_INITIAL_DESIGN + 2, goals)
    trial = enqueued(study, slow, 0.7)
    trial.set_constraint("latency", 0.1)
    trial.set_user_attr("accuracy", {"top1": 0.99})
    study.tell(trial, 0.0)
    sampler, modelled = own(SMALL, goals), {}
    fit_surrogate = sampler.surrogate_factory.fit_surrogate

    def spy(quantity: str, known: Any, values: Any, *rest: Any) -> Any:
        modelled[quantity] = dict(zip([each.key for each in known], values, strict=True))
        return fit_surrogate(quantity, known, values, *rest)

    monkeypatch.setattr(sampler.surrogate_factory, "fit_surrogate", spy)
    proposed = genes_from(sampler, study)
    assert modelled["accuracy"][slow.key] == 0.99
    assert SMALL.decode(proposed) != slow


def test_a_latency_counts_from_its_measurement_on() -> None:
    goals = parse_goals("accuracy", {"latency": "0.3ms"})
    first = sorted(searched(study_of(own(SMALL, goals), goals), SMALL, goals, 3), key=latency_ms)
    sizes = []
    for factor in (0.1, 10):  # of the middle one to the limit
        study = study_of(own(SMALL, goals), goals)
        for network in first:
            enqueued(study, network, factor * 0.3 * latency_ms(network) / latency_ms(first[1]))
        sizes.append(cost(next_of(study)).macs)
    assert sizes[1] < cost(first[1]).macs
    assert sizes[0] != sizes[1]


# What the run knows beyond the study


def test_trainings_again_change_what_is_proposed() -> None:
    goals = parse_goals("accuracy", {})
    study = study_after(N_INITIAL_DESIGN + 2, goals)
    lucky = study.best_trial
    noisy = own(SMALL, goals, noise=lambda: 0.05)
    # the best has been trained 30 times, and was lucky with its first
    better = {lucky.number: (0.3, 30)}
    disappointed = own(SMALL, goals, observed_accuracies=lambda: better, noise=lambda: 0.05)
    before, after = genes_from(noisy, study), genes_from(disappointed, study)

    def alike(genes: Mapping[str, Any]) -> int:
        return sum(genes[name] == lucky.params[name] for name in genes)

    assert alike(before) > alike(after)


# Nothing but the seed, the number and what is known


def test_a_sampler_made_anew_proposes_the_same_and_another_seed_does_not() -> None:
    study, other = study_of(own(), TWO_GOALS), study_of(own(seed=1), TWO_GOALS)
    anew = study_of(own(), TWO_GOALS)
    found, others, again = [], [], []
    for _ in range(N_INITIAL_DESIGN + 3):
        found += searched(study, SMALL, TWO_GOALS, 1)
        others += searched(other, SMALL, TWO_GOALS, 1)
        anew.sampler = own()
        again += searched(anew, SMALL, TWO_GOALS, 1)
    assert found == again
    assert found[:3] != others[:3]


@pytest.mark.slow
def test_a_study_that_is_opened_again_goes_on_as_if_it_had_not_been_closed(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    whole = searched(study_of(own(TINY), TWO_GOALS), TINY, TWO_GOALS, N_INITIAL_DESIGN + 6)
    halves = [
        network
        for count in (N_INITIAL_DESIGN - 3, 5, 4)
        for network in searched(study_of(own(TINY), TWO_GOALS, storage), TINY, TWO_GOALS, count)
    ]
    assert halves == whole


# What it is for


@pytest.mark.slow
def test_it_finds_more_than_random_search_does() -> None:
    goals = parse_goals("accuracy,macs", {"macs": "2M"})
    shares = []
    for seed in range(3):
        for each in (own(TINY, goals, seed), UniformSampler(TINY, goals, seed)):
            found = searched(study_of(each, goals), TINY, goals, 30)
            losses = [(-truth(network), float(cost(network).macs)) for network in found]
            shares.append(hypervolume(losses, (-0.3, 2e6)) / 2e6)
    mine, random = np.array(shares).reshape(3, 2).T
    assert (mine > random).all()
    assert mine.mean() > random.mean() + 0.015


def test_how_it_is_told_of_a_search_is_how_it_is_made() -> None:
    model = fake_model({"network": 0.3})
    context = SamplerContext(
        SMALL, TWO_GOALS, 7, n_previous_trials=5, noise=lambda: 0.1, latency_predictor=model, reference_ms=3.0
    )
    made = make_sampler("ehvi", context)
    assert isinstance(made, EhviSampler)
    assert (made.space, made.goals, made.seed, made.noise()) == (SMALL, TWO_GOALS, 7, 0.1)
    assert (made.latency_predictor, made.reference_ms, made.surrogate_factory.transfer_prior) == (
        model,
        3.0,
        None,
    )
    assert made.observed_accuracies() == {}


def test_a_proposal_does_not_look_at_its_own_trial() -> None:
    study = study_after(N_INITIAL_DESIGN + 1)
    trial = ask(study, SMALL)
    frozen, proposed = study.trials[trial.number], own().propose
    assert proposed(study, frozen) == trial.params
    tell(study, trial, SMALL, TWO_GOALS)
    assert proposed(study, frozen) == trial.params


def test_while_all_have_broken_the_limit_on_latency_the_likeliest_to_keep_it_come_next() -> None:
    space = preset("tiny")
    goals = parse_goals("accuracy,latency", {"latency": "1ms"})
    study = optuna.create_study(sampler=EhviSampler(space, goals, 0), directions=("maximize", "minimize"))
    choices: dict[str, BaseDistribution] = {
        gene.name: CategoricalDistribution(gene.choices) for gene in space.genes
    }
    found = []
    for _ in range(16):
        trial = study.ask(choices)
        latency_ms = 1 + cost(space.decode(trial.params)).macs / 1e6  # which no network keeps
        trial.set_user_attr("latency", {"latency_ms": latency_ms})
        trial.set_constraint("latency", latency_ms - 1)
        study.tell(trial, (0.5, latency_ms))
        found.append(latency_ms)
    assert np.median(found[3:]) < min(found[:3])
