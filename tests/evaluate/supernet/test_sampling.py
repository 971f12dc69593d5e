"""Sampling of subnetworks: balance, limits, and resuming."""

import math
import re
from collections import Counter
from itertools import product

import pytest

from bneck.evaluate.supernet.config import SamplingStrategy, SupernetConfig
from bneck.evaluate.supernet.sampling import SubnetSampler, largest_genes, smallest_genes
from bneck.search_space import Choice, Genes, NoFeasibleNetworkError, cost, load_space
from bneck.search_space.errors import FieldError

from ...search_space.helpers import space_of

TINY = load_space("tiny")
STRATEGIES: tuple[SamplingStrategy, ...] = ("uniform", "balanced", "sandwich")
# 2 kernels, 3 expansions, 2 depths
FEW = space_of("{out: 8, depth: [1, 2], kernel: [3, 5], expansion: [1, 2, 4], shared: all}")


def macs(genes: Genes) -> int:
    return cost(TINY.decode(genes)).macs


def sampler(
    strategy: SamplingStrategy = "uniform", max_macs: float | None = None, seed: int = 0
) -> SubnetSampler:
    return SubnetSampler(TINY, SupernetConfig(strategy=strategy, max_macs=max_macs, seed=seed))


def steps(source: SubnetSampler, count: int) -> list[list[Genes]]:
    return [source.step() for _ in range(count)]


def counted(many: list[Genes], gene: str) -> dict[Choice, int]:
    return dict(Counter(genes[gene] for genes in many))


def test_in_balance_each_choice_comes_once_in_as_many_steps_as_there_are_choices() -> None:
    source = SubnetSampler(FEW, SupernetConfig(strategy="balanced"))
    for _ in range(4):
        six = [source.step()[0] for _ in range(6)]
        # 6 steps are 2 rounds of 3 expansions, and 3 rounds of 2 kernels and of 2 depths
        assert counted(six, "stage1.expansion") == {1: 2, 2: 2, 4: 2}
        assert counted(six, "stage1.kernel") == {3: 3, 5: 3}
        assert counted(six, "stage1.depth") == {1: 3, 2: 3}
        assert {genes["stage1.expansion"] for genes in six[:3]} == {1, 2, 4}


def test_in_balance_the_combinations_are_left_to_chance() -> None:
    source = SubnetSampler(FEW, SupernetConfig(strategy="balanced"))
    pairs = {
        (genes["stage1.kernel"], genes["stage1.depth"]) for genes in (source.step()[0] for _ in range(40))
    }
    assert pairs == set(product((3, 5), (1, 2)))


def test_uniform_steps_are_not_balanced() -> None:
    source = SubnetSampler(FEW, SupernetConfig(strategy="uniform"))
    counts = [counted([source.step()[0] for _ in range(6)], "stage1.kernel") for _ in range(5)]
    assert any(each != {3: 3, 5: 3} for each in counts)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_network_is_within_the_limit(strategy: SamplingStrategy) -> None:
    # of evenly drawn networks about half do
    many = [macs(genes) for step in steps(sampler(strategy, 1e6), 30) for genes in step]
    assert max(many) <= 1e6
    assert max(many) > 7e5


def test_within_a_limit_choices_are_approximately_balanced() -> None:
    many = [genes for [genes] in steps(sampler("balanced", 1e6), 60)]
    for gene in TINY.genes:
        counts = counted(many, gene.name)
        assert set(counts) == set(gene.choices)
        fair = len(many) / len(gene.choices)
        assert min(counts.values()) > fair / 3, gene.name


def test_a_sandwich_is_the_largest_the_smallest_and_two_at_random() -> None:
    first, second = steps(sampler("sandwich"), 2)
    assert [len(first), len(second)] == [4, 4]
    assert first[:2] == second[:2] == [largest_genes(TINY), smallest_genes(TINY)]
    assert first[2:] != second[2:]


def test_the_ends_are_those_of_all_networks() -> None:
    every = [
        dict(zip([gene.name for gene in FEW.genes], values, strict=True))
        for values in product(*(gene.choices for gene in FEW.genes))
    ]
    sizes = [cost(FEW.decode(genes)).macs for genes in every]
    assert len(every) == 12
    assert cost(FEW.decode(smallest_genes(FEW))).macs == min(sizes)
    assert cost(FEW.decode(largest_genes(FEW))).macs == max(sizes)
    assert macs(largest_genes(TINY)) >= max(macs(genes) for [genes] in steps(sampler(), 50))
    assert macs(smallest_genes(TINY)) <= min(macs(genes) for [genes] in steps(sampler(), 50))


def test_the_largest_within_a_limit_has_no_room_left() -> None:
    result = largest_genes(TINY, 1e6, seed=1)
    assert 0.8e6 < macs(result) <= 1e6
    changed = [macs({**result, gene.name: choice}) for gene in TINY.genes for choice in gene.choices]
    assert not [each for each in changed if macs(result) < each <= 1e6]


@pytest.mark.parametrize(
    ("strategy", "max_macs"), [("uniform", None), ("balanced", 1.5e6), ("sandwich", None)]
)
def test_the_networks_follow_from_the_seed_and_can_go_on_anywhere(
    strategy: SamplingStrategy, max_macs: float | None
) -> None:
    def new_sampler(seed: int = 4) -> SubnetSampler:
        return sampler(strategy, max_macs, seed)

    unbroken = steps(new_sampler(), 12)
    assert steps(new_sampler(5), 12) != unbroken
    before, after = new_sampler(), new_sampler()
    assert steps(before, 7) == unbroken[:7]
    after.restore(before.state())
    assert steps(after, 5) == unbroken[7:]


def test_a_limit_with_too_few_networks_is_refused_with_a_feasible_one() -> None:
    with pytest.raises(NoFeasibleNetworkError, match="space tiny have at most 50K MACs, too few") as caught:
        sampler(max_macs=5e4)
    result = re.search(r"raise --max-macs to at least (\d+)", str(caught.value))
    assert result
    assert sampler(max_macs=float(result[1])).step()


@pytest.mark.parametrize(
    ("field", "value"), [("max_macs", 0), ("max_macs", math.inf), ("minutes", -1), ("strategy", "fair")]
)
def test_invalid_settings_are_refused(field: str, value: object) -> None:
    with pytest.raises(FieldError, match=f"^{field} must be "):
        SupernetConfig(**{field: value})  # type: ignore[arg-type]
