import random
import re

import pytest

from bneck.evaluate import Constraint, Goals, Objective, parse_goals
from bneck.search.samplers.feasibility import (
    constraint_violation,
    require_feasible,
    sample_unseen_feasible,
    smallest_networks,
)
from bneck.search_space import NoFeasibleNetworkError, SearchSpace, cost
from bneck.search_space.counting import uniform_sampling as uniform

from ...search_space.helpers import space_of
from ..helpers import FOUR, ONE, SMALL, SMALL_SIZE, every_network

# Dropping the first stages looks cheap, but each halves the resolution at which the wide last one
# works: from there no single gene lowers the MACs.
TRAP = space_of(
    "{out: [8, 160], depth: [0, 1], stride: 2, kernel: 3, expansion: [1, 24]}\n" * 3
    + "{out: 320, kernel: 3, expansion: 6}"
)
# Fewest layers without the first two blocks, fewest activations with the halving one, and fewest MACs
# with the narrow one too, behind which the wide one costs less.
NARROW = space_of(
    "{out: 64, depth: [0, 1], stride: 2, kernel: 3, expansion: 1}\n"
    "{out: 8, depth: [0, 1], kernel: 3, expansion: 1}\n"
    "{out: 320, stride: 2, kernel: 3, expansion: 1}",
    stem="{out: 64}",
)


def limits(**given: str) -> Goals:
    return parse_goals("accuracy,latency", given)


def least(space: SearchSpace, quantity: str) -> int:
    return min(int(getattr(cost(network), quantity)) for network in every_network(space).values())


def test_the_excess_adds_up_broken_limits_and_is_not_lowered_by_kept_ones() -> None:
    network = SMALL.decode(SMALL.sample(random.Random(0)))
    found = cost(network)
    # 1.5 and 3 times the limits, and far below the last: 0.5, 2 and nothing
    excess = constraint_violation(limits(macs=str(found.macs / 1.5), params=str(found.params / 3)))
    assert excess(found) == pytest.approx(2.5)
    excess = constraint_violation(limits(macs=str(found.macs / 1.5), params="1G"))
    assert excess(found) == pytest.approx(0.5)


def test_a_limit_on_latency_alone_cannot_be_refused_by_cost() -> None:
    require_feasible(SMALL, limits(latency="0.0001x"), random.Random(0))
    require_feasible(SMALL, limits(), random.Random(0))


def test_a_limit_that_the_least_network_meets_exactly_is_met_without_a_draw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uniform, "MAX_ATTEMPTS", 0)
    require_feasible(SMALL, limits(macs=str(least(SMALL, "macs"))), random.Random(0))


def test_an_impossible_limit_names_the_nearest_network_and_what_to_relax() -> None:
    macs = least(SMALL, "macs")
    [key] = [key for key, network in every_network(SMALL).items() if cost(network).macs == macs]
    with pytest.raises(NoFeasibleNetworkError) as raised:
        require_feasible(SMALL, limits(macs=str(macs - 1), params="1G"), random.Random(0))
    message = str(raised.value)
    assert "no network of space small stays under" in message
    assert f"{key} (params " in message
    assert f"macs {macs:,})" in message
    # the limit on parameters holds, so it is not to be relaxed
    assert message.endswith(f"relax --max-macs to {macs}")


def test_the_least_network_is_the_one_to_relax_to_where_no_single_gene_leads_to_it() -> None:
    macs = least(TRAP, "macs")
    for seed in range(10):
        with pytest.raises(NoFeasibleNetworkError) as raised:
            require_feasible(TRAP, limits(macs=str(macs - 1)), random.Random(seed))
        named = [int(each.replace(",", "")) for each in re.findall(r"\(macs ([0-9,]+)\)", str(raised.value))]
        assert named == sorted(named)
        assert named[0] == macs
        assert len(named) <= 3
        assert str(raised.value).endswith(f"--max-macs to {macs}")


def test_limits_that_are_met_alone_but_not_together_are_refused() -> None:
    # a stage of stride 2 saves MACs and a stage less saves parameters
    space = space_of(
        "{out: 8, depth: [0, 1], stride: 2, kernel: 3, expansion: 1}\n{out: 64, kernel: 3, expansion: 6}"
    )
    macs, params = least(space, "macs"), least(space, "params")
    require_feasible(space, limits(macs=str(macs)), random.Random(0))
    require_feasible(space, limits(params=str(params)), random.Random(0))
    # the network with the least MACs has 73,832 parameters, for a limit of 73,664; the other one has
    # more than three times the MACs
    with pytest.raises(NoFeasibleNetworkError, match=r"params <= .* and macs <= .* --max-params to 73832$"):
        require_feasible(space, limits(macs=str(macs), params=str(params)), random.Random(0))


def test_two_limits_that_one_network_alone_keeps_are_met_and_a_little_less_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        uniform, "MAX_ATTEMPTS", 300
    )  # two networks at most are left: one draw in two or three
    # the fewer of the first stages, the fewer parameters, and the more MACs in the last
    space = space_of(
        "{out: 8, depth: [0, 1], stride: 2, kernel: 3, expansion: 1}\n" * 3
        + "{out: 64, kernel: 3, expansion: 6}",
        head="{features: 16}",
    )
    costs = {(found.macs, found.params) for found in map(cost, every_network(space).values())}
    best = [(macs, params) for macs, params in costs if sum(m <= macs and p <= params for m, p in costs) == 1]
    assert len(best) == 4
    for macs, params in best:
        require_feasible(space, limits(macs=str(macs), params=str(params)), random.Random(0))
    for macs, params in best[:2]:
        with pytest.raises(NoFeasibleNetworkError):
            require_feasible(space, limits(macs=str(macs), params=str(params - 1)), random.Random(0))


@pytest.mark.parametrize(("macs", "params"), [(0.9, 0.9), (1.1, 0.9), (0.9, 100), (0.001, 0.1)])
def test_relaxing_to_exactly_the_values_named_helps(macs: float, params: float) -> None:
    def goals(most_macs: float, most_params: float) -> Goals:
        return Goals(
            (Objective("accuracy"),), (Constraint("macs", most_macs), Constraint("params", most_params))
        )

    given = {"macs": macs * least(TRAP, "macs"), "params": params * least(TRAP, "params")}
    with pytest.raises(NoFeasibleNetworkError) as raised:
        require_feasible(TRAP, goals(given["macs"], given["params"]), random.Random(0))
    named = {
        quantity: float(value)
        for quantity, value in re.findall(r"--max-(macs|params) to ([0-9]+)", str(raised.value))
    }
    assert named
    relaxed = {**given, **named}
    require_feasible(TRAP, goals(relaxed["macs"], relaxed["params"]), random.Random(0))


def test_an_unseen_network_is_new_and_keeps_the_limits() -> None:
    networks = every_network(SMALL)
    assert len(networks) == SMALL_SIZE
    # the median, so that half of all keep it
    limit = sorted(cost(network).macs for network in networks.values())[SMALL_SIZE // 2 - 1]
    within = {key for key, network in networks.items() if cost(network).macs <= limit}
    seen: set[str] = set()
    for seed in range(len(within) - 3):
        genes = sample_unseen_feasible(SMALL, limits(macs=str(limit)), seen, random.Random(seed))
        assert genes is not None
        key = SMALL.decode(genes).key
        assert key in within - seen
        seen.add(key)


def test_the_last_unseen_network_is_found() -> None:
    networks = every_network(FOUR)
    for last in networks:
        genes = sample_unseen_feasible(FOUR, limits(), set(networks) - {last}, random.Random(0))
        assert genes is not None
        assert FOUR.decode(genes).key == last


def test_where_all_within_the_limits_were_seen_there_is_no_unseen_one() -> None:
    networks = every_network(FOUR)
    assert sample_unseen_feasible(FOUR, limits(), networks, random.Random(0)) is None
    macs = sorted(cost(network).macs for network in networks.values())
    seen = {key for key, network in networks.items() if cost(network).macs <= macs[1]}
    assert sample_unseen_feasible(FOUR, limits(macs=str(macs[1])), seen, random.Random(0)) is None


def test_limits_that_nothing_keeps_have_no_unseen_network() -> None:
    assert (
        sample_unseen_feasible(
            FOUR, Goals((Objective("accuracy"),), (Constraint("macs", 1),)), (), random.Random(0)
        )
        is None
    )


def test_a_space_of_one_network_that_was_seen_has_no_unseen_one() -> None:
    assert sample_unseen_feasible(ONE, limits(), every_network(ONE), random.Random(0)) is None


def test_unseen_networks_differ_from_seed_to_seed() -> None:
    found = [sample_unseen_feasible(TRAP, limits(), (), random.Random(seed)) for seed in (0, 0, 1, 2)]
    keys = [TRAP.decode(genes).key for genes in found if genes]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


@pytest.mark.parametrize("space", [SMALL, TRAP, NARROW])
def test_the_cheapest_are_the_least_by_macs_depth_and_activations(space: SearchSpace) -> None:
    networks = smallest_networks(space, random.Random(0))
    found = [cost(network) for network in networks]
    assert min(each.macs for each in found) == least(space, "macs")
    assert min(each.depth for each in found) == least(space, "depth")
    assert min(each.activation_bytes for each in found) == least(space, "activation_bytes")
    assert len(set(networks)) == len(found) <= 3
