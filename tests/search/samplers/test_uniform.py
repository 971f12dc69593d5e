from collections import Counter

import optuna
import pytest
from optuna.trial import TrialState

from bneck.evaluate import Goals, parse_goals
from bneck.search.samplers.base import proposed_keys
from bneck.search.samplers.uniform import UniformSampler
from bneck.search_space import Choice, NoFeasibleNetworkError, SearchSpace, UnknownNameError, cost

from ..helpers import FOUR, SMALL, SMALL_SIZE, every_network

ANY = parse_goals("accuracy,latency", {})


def study_of(
    space: SearchSpace = SMALL,
    goals: Goals = ANY,
    seed: int = 0,
    storage: optuna.storages.BaseStorage | None = None,
) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = UniformSampler(space, goals, seed)
    return optuna.create_study(
        study_name="s",
        sampler=sampler,
        storage=storage,
        load_if_exists=True,
        directions=["maximize", "minimize"],
    )


def ask(study: optuna.Study, space: SearchSpace = SMALL) -> optuna.Trial:
    return study.ask(
        {gene.name: optuna.distributions.CategoricalDistribution(gene.choices) for gene in space.genes}
    )


def keys(study: optuna.Study, count: int, space: SearchSpace = SMALL) -> list[str]:
    """Of trials that go on running."""
    return [space.decode(ask(study, space).params).key for _ in range(count)]


def test_every_network_is_proposed_once_while_trials_run() -> None:
    assert set(keys(study_of(), SMALL_SIZE)) == set(every_network(SMALL))


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED])
def test_a_finished_trial_is_not_proposed_again_whatever_became_of_it(state: TrialState) -> None:
    study = study_of(FOUR)
    found = set()
    for _ in range(4):
        trial = ask(study, FOUR)
        found.add(FOUR.decode(trial.params).key)
        study.tell(trial, [0.5, 1.0] if state == TrialState.COMPLETE else None, state=state)
    assert found == set(every_network(FOUR))


@pytest.mark.parametrize("number", range(4))
def test_the_key_on_a_trial_stands_for_its_network(number: int) -> None:
    # a trial whose genes are not told
    study = study_of(FOUR)
    others = list(every_network(FOUR))
    last = others.pop(number)
    for key in others:
        study.ask().set_user_attr("key", key)
    assert keys(study, 1, FOUR) == [last]


def test_trials_without_all_genes_of_the_space_have_no_network() -> None:
    study = study_of(FOUR)
    trial = study.ask()
    own = ask(study, FOUR)
    frozen = study.trials[own.number]
    assert proposed_keys(study, frozen, FOUR) == set()
    assert proposed_keys(study, study.trials[trial.number], FOUR) == {FOUR.decode(own.params).key}


def test_where_all_have_been_proposed_an_old_one_comes_again() -> None:
    study = study_of(FOUR)
    first = keys(study, 4, FOUR)
    assert set(keys(study, 3, FOUR)) <= set(first)


def test_only_networks_within_the_limits_are_proposed() -> None:
    networks = every_network(SMALL)
    costs = {key: cost(network) for key, network in networks.items()}
    macs = sorted(found.macs for found in costs.values())[SMALL_SIZE // 2]
    params = sorted(found.params for found in costs.values())[SMALL_SIZE // 2]
    small = {key for key, found in costs.items() if found.params <= params}
    within = {key for key in small if costs[key].macs <= macs}
    assert 10 < len(within) < len(small)
    goals = parse_goals("accuracy,latency", {"macs": str(macs), "params": str(params), "latency": "0.001x"})
    assert set(keys(study_of(goals=goals), len(within))) == within


def test_limits_that_nothing_keeps_are_refused_before_the_first_trial() -> None:
    with pytest.raises(NoFeasibleNetworkError, match="the smallest has"):
        UniformSampler(SMALL, parse_goals("accuracy", {"macs": "1K"}), 0)


def test_the_first_proposal_is_any_network_as_likely() -> None:
    counts = Counter(key for seed in range(400) for key in keys(study_of(FOUR, seed=seed), 1, FOUR))
    # four times 100, with a standard deviation of sqrt(400 / 4 * 3 / 4) = 8.7
    assert len(counts) == 4
    assert all(74 <= count <= 126 for count in counts.values())


def test_the_same_seed_proposes_the_same_and_another_one_other_networks() -> None:
    first, again, other = (keys(study_of(seed=seed), 6) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_the_number_of_a_trial_decides_so_that_workers_who_ask_at_once_differ() -> None:
    first, later = study_of(), study_of()
    later.ask()  # has no network
    assert keys(first, 1) != keys(later, 1)


def test_a_study_that_goes_on_does_as_if_it_had_not_stopped() -> None:
    storage = optuna.storages.InMemoryStorage()
    parts = keys(study_of(storage=storage), 2) + keys(study_of(storage=storage), 2)
    assert parts == keys(study_of(), 4)


def test_a_given_network_is_taken_and_not_proposed_again() -> None:
    study = study_of(FOUR)
    given: dict[str, Choice] = {gene.name: gene.choices[-1] for gene in FOUR.genes}
    study.enqueue_trial(given)
    found = keys(study, 4, FOUR)
    assert found[0] == FOUR.decode(given).key
    assert len(set(found)) == 4


def test_a_parameter_that_is_no_gene_is_refused() -> None:
    trial = study_of(FOUR).ask()
    with pytest.raises(UnknownNameError, match=r"space small 'width'.*stage1\.block1"):
        trial.suggest_categorical("width", [1, 2])
