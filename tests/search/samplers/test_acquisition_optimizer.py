"""The search for a network of most worth, where the worth of every network is known."""

import random
from collections.abc import Callable, Collection, Sequence

import numpy as np
import pytest

from bneck.evaluate.statistics.arrays import Array
from bneck.evaluate.surrogate.encoder import Candidate, Encoder
from bneck.search.samplers.acquisition_optimizer import AcquisitionOptimizer
from bneck.search_space import Architecture, Cost, SearchSpace, cost

from ...search_space.helpers import preset
from ..example_landscape import encode, some, truth
from ..helpers import ONE, SMALL, every_network

TINY = preset("tiny")


def by_truth(networks: Sequence[Candidate]) -> Array:
    return np.array([truth(each.architecture) for each in networks])


def anything(network_cost: Cost) -> bool:
    return True


def found_in(
    space: SearchSpace,
    parents: Sequence[Candidate],
    acquisition: Callable[[Sequence[Candidate]], Array] = by_truth,
    is_feasible: Callable[[Cost], bool] = anything,
    excluded: Collection[Candidate] = (),
    seed: int = 0,
) -> Candidate | None:
    identities = {each.identity for each in excluded}
    return AcquisitionOptimizer().maximize(
        acquisition,
        Encoder(space),
        parents,
        identities,
        lambda candidate: is_feasible(candidate.cost),
        random.Random(seed),
    )


def test_in_a_small_space_it_is_the_best_of_all_that_is_allowed() -> None:
    networks = list(every_network(SMALL).values())
    for max_macs in (60_000, 30_000, 15_000):

        def is_feasible(network_cost: Cost, limit: int = max_macs) -> bool:
            return network_cost.macs <= limit

        best = found_in(SMALL, some(SMALL, 1), is_feasible=is_feasible)
        assert best is not None
        assert truth(best.architecture) == max(truth(each) for each in networks if is_feasible(cost(each)))


def test_in_a_large_space_it_is_nearly_what_is_sought() -> None:
    # as many of 24 genes as possible are to be those of one network; at random some 10 are
    sought = TINY.sample(random.Random(5))

    def alike(networks: Sequence[Candidate]) -> Array:
        return np.array(
            [sum(each.genes[name] == sought[name] for name in sought) for each in networks], float
        )

    best = found_in(TINY, some(TINY, 3), alike)
    assert best is not None
    assert alike([best])[0] >= len(sought) - 4
    assert alike(some(TINY, 400, 1)).max() < len(sought) - 4


def test_it_is_what_its_genes_name() -> None:
    best = found_in(TINY, some(TINY, 3))
    assert best is not None
    expected = encode(TINY, best.genes)
    assert best.architecture == expected.architecture
    assert best.features.tolist() == expected.features.tolist()


def test_no_network_is_judged_twice_or_without_being_allowed() -> None:
    asked: list[Architecture] = []

    def acquisition(networks: Sequence[Candidate]) -> Array:
        asked.extend(each.architecture for each in networks)
        return by_truth(networks)

    def is_feasible(network_cost: Cost) -> bool:
        return network_cost.macs < 3_000_000

    assert found_in(TINY, some(TINY, 3), acquisition, is_feasible) is not None
    assert len(set(asked)) == len(asked) > 100
    assert all(cost(network).macs < 3_000_000 for network in asked)


def test_what_is_taken_is_not_found_again() -> None:
    parents = some(TINY, 3)
    first = found_in(TINY, parents)
    assert first is not None
    second = found_in(TINY, parents, excluded={first})
    assert second is not None
    assert second.architecture != first.architecture
    everything = [encode(SMALL, SMALL.encode(network)) for network in every_network(SMALL).values()]
    assert found_in(SMALL, some(SMALL, 2), excluded=everything) is None


def test_where_nothing_is_allowed_there_is_none() -> None:
    assert found_in(SMALL, some(SMALL, 2), is_feasible=lambda network_cost: False) is None


def test_a_space_of_one_network_has_that_one() -> None:
    best = found_in(ONE, some(ONE, 1))
    assert best is not None
    assert best.architecture == ONE.decode({})


def test_a_seed_repeats_it_and_equal_worth_changes_nothing_of_that() -> None:
    def equal(networks: Sequence[Candidate]) -> Array:
        return np.zeros(len(networks))

    parents = some(TINY, 3)
    one, again, other = (found_in(TINY, parents, equal, seed=seed) for seed in (3, 3, 4))
    assert one is not None and again is not None and other is not None
    assert one.genes == again.genes != other.genes


@pytest.mark.parametrize("count", [1, 2])
def test_a_child_takes_its_genes_from_its_parents_but_three_at_most(count: int) -> None:
    parents = np.array([each.choices for each in some(TINY, count)])
    n_choices = np.array([len(gene.choices) for gene in TINY.genes])
    children = AcquisitionOptimizer().offspring(parents, n_choices, 200, np.random.default_rng(0))
    assert ((children >= 0) & (children < n_choices)).all()
    differs = children[:, None] != parents
    assert set(differs.all(1).sum(1).tolist()) == {0, 1, 2, 3}
    # 40% have two parents, who may be one and the same
    mixed = float((differs.sum(2).min(1) > 3).mean())
    assert 0.1 < mixed < 0.3 if count == 2 else mixed == 0
