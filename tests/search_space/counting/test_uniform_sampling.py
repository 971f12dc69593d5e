import math
import os
import random
import subprocess
import sys
from collections import Counter
from functools import cache
from itertools import product

import pytest

from bneck.search_space import Architecture, NoFeasibleNetworkError, SearchSpace, SpaceError, cost
from bneck.search_space.counting import uniform_sampling as module
from bneck.search_space.counting.cost_graph import cost_graph
from bneck.search_space.counting.dynamic_program import CountUpperBound, weight_vector
from bneck.search_space.counting.uniform_sampling import (
    UniformArchitectureSampler,
    smallest_architecture,
    smallest_architectures,
)

from ..helpers import preset, space_of

# One network has many genes here: a stage may be left out, shared choices do not show in every block,
# 2 and 2.1 times 8 or 16 channels round alike, and without attention a squeeze is nothing.
TANGLED = space_of(
    "{out: 8, depth: [0, 1, 2], kernel: [3, 5], expansion: 2, shared: [kernel]}\n"
    "{out: 8, depth: [1, 2], stride: [1, 2], kernel: [3, 5], expansion: [2, 2.1], attention: [none, se],"
    " squeeze: [expanded/4, input/4], activation: [relu, silu], shared: [squeeze, activation, expansion]}",
    resolution="16",
).for_data(1, 10)
# Every choice outside the stages.
ENDS = space_of(
    "{out: [8, 16], kernel: 3, expansion: 2}",
    resolution="[16, 9, 8]",
    stem="{out: [16, 8], activation: [relu, silu], kernel: [3, 5], stride: [1, 2]}",
    head="{features: [16, 24], hidden: [0, 8], activation: [relu, hardswish]}",
).for_data(1, 10)
SPACES = [TANGLED, ENDS]
# The stage of stride 2 saves MACs, and parameters are saved by leaving it out.
EITHER = space_of(
    "{out: 8, depth: [0, 1], stride: 2, kernel: 3, expansion: 1}\n{out: 64, kernel: 3, expansion: 6}"
)


@cache
def networks_of(space: SearchSpace) -> list[Architecture]:
    """All networks of a small space, each once, from all its genes."""
    names = [gene.name for gene in space.genes]
    choices = product(*(gene.choices for gene in space.genes))
    return list(dict.fromkeys(space.decode(dict(zip(names, each, strict=True))) for each in choices))


def within(
    space: SearchSpace, max_macs: float = math.inf, max_params: float = math.inf
) -> list[Architecture]:
    costs = ((network, cost(network)) for network in networks_of(space))
    return [network for network, each in costs if each.macs <= max_macs and each.params <= max_params]


def unevenness(drawn: list[Architecture], networks: list[Architecture]) -> float:
    """Pearson's chi-square of the draws over these networks, in its standard deviations from its mean."""
    expected = len(drawn) / len(networks)
    counts = Counter(drawn)
    assert not counts.keys() - set(networks)
    chi_square = sum((counts[network] - expected) ** 2 / expected for network in networks)
    degrees_of_freedom = len(networks) - 1
    return (chi_square - degrees_of_freedom) / math.sqrt(2 * degrees_of_freedom)


def middle(space: SearchSpace, *quantities: str) -> dict[str, float]:
    """Limits that half of the networks keep, one by one."""
    costs = [cost(network) for network in networks_of(space)]
    return {
        f"max_{name}": sorted(getattr(each, name) for each in costs)[len(costs) // 2] for name in quantities
    }


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("limited", [(), ("macs",), ("params",), ("macs", "params")])
def test_every_network_within_the_limits_is_as_likely(space: SearchSpace, limited: tuple[str, ...]) -> None:
    limits = middle(space, *limited)
    networks = within(space, **limits)
    network_sampler, rng = UniformArchitectureSampler.of(space, **limits), random.Random(1)
    assert abs(unevenness([network_sampler.sample_architecture(rng) for _ in range(2000)], networks)) < 4


def test_genes_drawn_evenly_do_not_give_networks_evenly() -> None:
    # or the test above could not fail
    rng = random.Random(1)
    assert unevenness([TANGLED.decode(TANGLED.sample(rng)) for _ in range(2000)], networks_of(TANGLED)) > 20


def test_the_genes_of_a_draw_are_those_of_its_network_with_first_choices_where_none_matters() -> None:
    network_sampler = UniformArchitectureSampler.of(TANGLED)
    for seed in range(20):
        network = network_sampler.sample_architecture(random.Random(seed))
        assert network_sampler.sample(random.Random(seed)) == TANGLED.encode(network)


@pytest.mark.parametrize("space", SPACES)
def test_without_limits_the_bound_is_the_number_of_networks(space: SearchSpace) -> None:
    assert UniformArchitectureSampler.of(space).count_upper_bound == len(networks_of(space)) == space.size


def test_limits_that_every_network_keeps_are_none() -> None:
    costs = [cost(network) for network in networks_of(TANGLED)]
    most = max(each.macs for each in costs)
    assert UniformArchitectureSampler.of(TANGLED, most, 1e300).count_upper_bound == TANGLED.size
    assert UniformArchitectureSampler.of(TANGLED, 0.9 * most).count_upper_bound < TANGLED.size


@pytest.mark.parametrize("name", ["mobile-32", pytest.param("mobile", marks=pytest.mark.slow)])
def test_the_paths_of_a_preset_are_its_networks_exactly(name: str) -> None:
    paths = [1]
    for node in cost_graph(preset(name)).nodes[1:]:
        steps = zip(node.multiplicities.tolist(), node.successors.tolist(), strict=True)
        paths.append(sum(int(count) * paths[successors] for count, successors in steps))
    assert paths[-1] == preset(name).size


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("quantity", ["macs", "params"])
def test_the_bound_never_falls_below_the_number_and_is_near_it(space: SearchSpace, quantity: str) -> None:
    values = sorted(getattr(cost(network), quantity) for network in networks_of(space))
    for limit in values[:: len(values) // 20]:
        number = sum(value <= limit for value in values)
        assert (
            number
            <= UniformArchitectureSampler.of(space, **{f"max_{quantity}": limit}).count_upper_bound
            <= 1.1 * number
        )


def test_a_mixture_of_both_limits_bounds_more_tightly_than_either() -> None:
    limits = middle(TANGLED, "macs", "params")
    alone = [
        UniformArchitectureSampler.of(TANGLED, **{name: limit}).count_upper_bound
        for name, limit in limits.items()
    ]
    together = UniformArchitectureSampler.of(TANGLED, **limits).count_upper_bound
    assert len(within(TANGLED, **limits)) <= together < 0.95 * min(alone)


@pytest.mark.parametrize("space", [*SPACES, EITHER])
@pytest.mark.parametrize("quantity", ["macs", "params", "activation_bytes", "depth"])
def test_the_least_is_the_least_of_all(space: SearchSpace, quantity: module.AdditiveCost) -> None:
    network = smallest_architecture(space, quantity)
    assert space.contains(network)
    expected = min(getattr(cost(each), quantity) for each in networks_of(space))
    assert getattr(cost(network), quantity) == expected


def test_the_nearest_hold_the_least_by_either_limit() -> None:
    for limits in ({"macs": 1, "params": 1}, {"macs": 1e6, "params": 8e4}, {"macs": 1.0, "params": 1e300}):
        assert set(smallest_architectures(EITHER, limits)) == {
            smallest_architecture(EITHER, "macs"),
            smallest_architecture(EITHER, "params"),
        }
    assert smallest_architectures(EITHER, {"params": 1}) == [smallest_architecture(EITHER, "params")]


@pytest.mark.parametrize("space", SPACES)
def test_a_limit_that_the_least_network_just_keeps_leaves_those_and_no_others(space: SearchSpace) -> None:
    costs = [cost(network) for network in networks_of(space)]
    macs, more, *_ = sorted({each.macs for each in costs})
    alike = sum(each.macs == macs for each in costs)
    network_sampler, rng = UniformArchitectureSampler.of(space, max_macs=more - 0.5), random.Random(0)
    assert network_sampler.count_upper_bound == alike
    drawn = {network_sampler.sample_architecture(rng) for _ in range(20 * alike)}
    assert {cost(network).macs for network in drawn} == {macs}
    assert len(drawn) == alike


def test_one_network_in_a_million_millions_is_found() -> None:
    space, rng = preset("mobile-32"), random.Random(0)
    limits = {"max_macs": 1.05 * cost(smallest_architecture(space, "macs")).macs, "max_params": 150_000.0}
    network_sampler = UniformArchitectureSampler.of(space, **limits)
    assert network_sampler.count_upper_bound < 1e-12 * space.size
    drawn = {network_sampler.sample_architecture(rng) for _ in range(50)}
    assert len(drawn) > 45
    assert all(cost(network).macs <= limits["max_macs"] for network in drawn)
    assert all(cost(network).params <= limits["max_params"] for network in drawn)
    assert all(space.contains(network) for network in list(drawn)[:5])


@pytest.mark.slow
def test_the_largest_preset_is_drawn_from_under_limits_near_its_least() -> None:
    space, rng = preset("mobile"), random.Random(0)
    macs, params = (
        cost(smallest_architecture(space, "macs")).macs,
        cost(smallest_architecture(space, "params")).params,
    )
    given: list[tuple[float, float]] = [(1.01, 9), (1.2, 1.2), (6, 1.3), (4, 1.9)]
    for max_macs, most_params in given:
        network_sampler = UniformArchitectureSampler.of(space, max_macs * macs, most_params * params)
        drawn = [cost(network_sampler.sample_architecture(rng)) for _ in range(100)]
        assert max(each.macs for each in drawn) <= max_macs * macs
        assert max(each.params for each in drawn) <= most_params * params
        assert len(set(drawn)) > 30


def test_a_sum_of_costs_that_no_network_keeps_has_no_bound() -> None:
    graph, alone = cost_graph(TANGLED), weight_vector({"macs": 2, "params": 3})
    smallest = min(2 * found.macs + 3 * found.params for found in map(cost, networks_of(TANGLED)))
    assert CountUpperBound.of(graph, alone, smallest) is not None
    assert CountUpperBound.of(graph, alone, smallest - 1) is None


@pytest.mark.parametrize(("quantity", "word"), [("macs", "MACs"), ("params", "parameters")])
def test_a_limit_that_no_network_keeps_is_refused_with_the_smallest_there_is(
    quantity: str, word: str
) -> None:
    smallest = min(getattr(cost(network), quantity) for network in networks_of(TANGLED))
    with pytest.raises(NoFeasibleNetworkError) as raised:
        UniformArchitectureSampler.of(TANGLED, **{f"max_{quantity}": smallest - 1})
    assert str(raised.value) == (
        f"no network of space small stays under {smallest - 1:,} {word}; the smallest has {smallest:,}"
    )


def test_limits_that_a_mixture_refutes_are_refused_at_once() -> None:
    # there are (MACs, parameters) = (638,976, 73,832) and (2,163,200, 73,664); halfway is too little
    with pytest.raises(
        NoFeasibleNetworkError, match=r"stays under 640,000 MACs and 73,665 parameters together"
    ):
        UniformArchitectureSampler.of(EITHER, 640_000, 73_665)


def test_limits_that_only_draws_refute_are_refused_after_a_bounded_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_ATTEMPTS", 100)
    network_sampler = UniformArchitectureSampler.of(EITHER, 2_163_199, 73_831)
    with pytest.raises(
        NoFeasibleNetworkError, match=r"2,163,199 MACs and 73,831 .* together, in 100 attempts"
    ):
        network_sampler.sample(random.Random(0))


@pytest.mark.slow
def test_more_networks_than_can_be_counted_are_refused() -> None:
    # 120 blocks of more than 1,000 kinds each
    many = ", ".join(map(str, range(1, 60)))
    row = f"{{out: 64, depth: 40, kernel: [3, 5, 7], expansion: [{many}], attention: [none, se, eca],"
    space = space_of("\n".join([row + " activation: [relu, silu]}"] * 3))
    with pytest.raises(SpaceError, match="more than 1e308 networks"):
        UniformArchitectureSampler.of(space)


@pytest.mark.slow
def test_a_draw_is_the_same_in_every_process() -> None:
    # whatever order sets of words have there
    code = (
        "import random; from bneck.search_space import load_space; "
        "from bneck.search_space.counting.uniform_sampling import UniformArchitectureSampler; "
        "space = load_space('mobile-32'); "
        "print(space.decode(UniformArchitectureSampler.of(space, 1e7).sample(random.Random(5))).key)"
    )
    keys = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(keys) == 1


def test_draws_of_the_same_space_and_limits_are_made_once() -> None:
    assert UniformArchitectureSampler.of(TANGLED, 10**5) is UniformArchitectureSampler.of(TANGLED, 10**5)
