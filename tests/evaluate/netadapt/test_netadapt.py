"""NetAdapt: proposals, selection and termination."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
import torch

from bneck.evaluate.inheritance.channel_groups import (
    ChannelGroup,
    channel_groups,
    group_width,
    narrowest,
    with_widths,
)
from bneck.evaluate.netadapt.netadapt import (
    Proposal,
    ResourceBudget,
    Step,
    Tuner,
    TuningResult,
    generate_proposals,
    loss_per_saving,
    require_reachable,
    select_proposal,
    steps,
)
from bneck.search_space import Architecture, Block, Head, NoFeasibleNetworkError, Stem, cost
from bneck.search_space.errors import NonFiniteLossError
from bneck.search_space.network import Network, build_network

from ...search_space.helpers import random_networks
from ..example_training import PLAIN, noise_data, toy

# A chain, a block that doubles the channels, and a hidden layer; for the images of `noise_data`.
NET = Architecture(
    resolution_px=8,
    stem=Stem(16, "relu", stride=1),
    blocks=(
        Block(3, 48, 16, "none", "relu", 1),
        Block(3, 64, 32, "se", "relu", 2, squeeze=16),
    ),
    head=Head(40, 24),
    classes=2,
)


def macs(architecture: Architecture) -> float:
    return float(cost(architecture).macs)


def goal(
    limit: float, min_reduction: float, cost_of: Callable[[Architecture], float] = macs
) -> ResourceBudget:
    return ResourceBudget(cost_of, limit, min_reduction, cut_kinds=("width",))


def tuned(loss: float, top1: float = 0.5, architecture: Architecture = NET) -> TuningResult:
    return TuningResult(top1, loss, lambda: build_network(architecture))


def by_hand(saved: Sequence[float]) -> list[Proposal]:
    """Cuts of a network that costs 100."""
    return [Proposal(f"place {number}", 16, 8, NET, 100 - each) for number, each in enumerate(saved)]


@dataclass
class ByTable:
    """Evaluates by a function of the network without fine-tuning.

    Attributes:
        calls: the step, and the networks that were to be tuned in it.
    """

    loss_of: Callable[[Architecture], float]
    calls: list[tuple[int, list[Architecture]]] = field(default_factory=list)

    def __call__(
        self, number: int, network: Network, architectures: Sequence[Architecture]
    ) -> list[TuningResult]:
        self.calls.append((number, list(architectures)))
        return [tuned(self.loss_of(each), architecture=each) for each in architectures]


def structure(architecture: Architecture) -> list[tuple[bool, bool]]:
    """Which blocks have no expansion, and which a residual."""
    pairs = architecture.blocks_with_in_channels()
    return [(block.expanded == given, block.stride == 1 and block.out == given) for given, block in pairs]


def path(taken: Sequence[Step]) -> list[tuple[str, int, int]]:
    return [(step.proposal.place, step.proposal.before, step.proposal.after) for step in taken]


@pytest.mark.parametrize("share", [0.03, 0.2])
def test_of_every_place_the_smallest_cut_is_proposed_that_saves_enough(share: float) -> None:
    for network in (NET, *random_networks("tiny", 4, seed=5)):
        before = macs(network)
        proposals = {
            each.place: each for each in generate_proposals(network, goal(0, share * before), before)
        }
        for group in channel_groups(network):
            # Every width there is, tried without any order, that keeps residuals and expansions.
            good = []
            for width in range(8, group_width(network, group), 8):
                cut = with_widths(network, {group: width})
                alike = [
                    (b.expanded == i, b.stride == 1 and b.out == i) for i, b in cut.blocks_with_in_channels()
                ] == [
                    (b.expanded == i, b.stride == 1 and b.out == i)
                    for i, b in network.blocks_with_in_channels()
                ]
                if alike and before - macs(cut) >= share * before:
                    good.append((width, cut))
            if not good:
                assert str(group) not in proposals
                continue
            proposal = proposals.pop(str(group))
            assert (proposal.after, proposal.architecture) == max(good, key=lambda each: each[0])
            assert proposal.before == group_width(network, group)
            assert proposal.cost == macs(proposal.architecture) <= (1 - share) * before
        assert not proposals


def test_a_cut_that_saves_exactly_enough_is_enough() -> None:
    before = macs(NET)
    cut = with_widths(NET, {ChannelGroup("features"): 32})
    proposals = {each.place: each for each in generate_proposals(NET, goal(0, before - macs(cut)), before)}
    assert proposals["features of the head"].architecture == cut


def test_the_last_step_saves_only_the_remainder() -> None:
    before = macs(NET)
    proposals = generate_proposals(NET, goal(before - 100, 0.2 * before), before)
    assert len(proposals) == len(channel_groups(NET))
    assert {each.before - each.after for each in proposals} == {8}


def test_where_no_place_saves_enough_each_is_cut_as_deep_as_it_can() -> None:
    before = macs(NET)
    proposals = generate_proposals(NET, goal(0, 0.95 * before), before)
    assert {(each.place, each.after) for each in proposals} >= {("features of the head", 8)}
    assert all(each.cost < before for each in proposals)
    assert len(proposals) == len(channel_groups(NET))


def test_estimated_costs_are_scaled_to_the_measured_cost() -> None:
    # Measured at twice the estimate: all estimates are scaled by two.
    before = macs(NET)
    estimated = generate_proposals(NET, goal(0, 0.1 * before), before)
    measured = generate_proposals(NET, goal(0, 0.2 * before), 2 * before)
    assert [each.architecture for each in measured] == [each.architecture for each in estimated]
    assert [each.cost for each in measured] == pytest.approx([2 * each.cost for each in estimated])


def test_the_proposal_with_the_least_loss_per_saving_is_selected() -> None:
    # Lost over saved: .08/.10 = .8, .03/.05 = .6, .02/.025 = .8, .50/.60 = .83.
    proposals = by_hand([10, 5, 2.5, 60])
    results = [tuned(1 + lost) for lost in (0.08, 0.03, 0.02, 0.50)]
    assert select_proposal(proposals, results, tuned(1.0), 100) == 1
    # Counted from a worse one, two lose nothing: -.02 x .05 is more of a gain than -.03 x .025.
    assert select_proposal(proposals, results, tuned(1.05), 100) == 1
    assert select_proposal(proposals, [tuned(1.0)] * 4, tuned(0.9), 100) == 3


def test_gains_precede_losses_and_count_more_with_larger_savings() -> None:
    ordered = [(-0.2, 0.5), (-0.2, 0.1), (0.0, 0.3), (1e-9, 0.9), (0.01, 0.5), (0.01, 0.1)]
    prices = [loss_per_saving(lost, saved) for lost, saved in ordered]
    assert prices == sorted(prices)


def test_diverged_proposals_are_never_selected() -> None:
    results = [tuned(math.inf, 0.0), tuned(9.0)]
    assert select_proposal(by_hand([50, 1]), results, tuned(1.0), 100) == 1
    with pytest.raises(NonFiniteLossError, match="diverged"):
        select_proposal(by_hand([50, 1]), [tuned(math.inf)] * 2, tuned(1.0), 100)
    with pytest.raises(NonFiniteLossError, match="diverged"):
        select_proposal(by_hand([50]), [tuned(1.0)], tuned(math.inf), 100)


def test_the_path_ends_at_the_first_network_within_the_limit() -> None:
    # What is taken from the blocks is lost, so the head goes first.
    by_body = ByTable(lambda each: 1 - sum(block.expanded + block.out for block in each.blocks) / 1000)
    limit = 0.6 * macs(NET)
    taken = list(steps(build_network(NET), goal(limit, 0.02 * macs(NET)), by_body))
    costs = [macs(NET), *(step.cost for step in taken)]
    assert costs[-1] <= limit < costs[-2]
    assert all(later < earlier for earlier, later in pairwise(costs))
    assert taken[0].proposal.place == "features of the head"
    assert [step.number for step in taken] == list(range(1, len(taken) + 1))
    assert [number for number, _ in by_body.calls] == [step.number for step in taken]
    for (_, tried), network in zip(
        by_body.calls, [NET, *(s.network.architecture for s in taken)], strict=False
    ):
        assert tried[0] == network, "the uncut network is tuned alike"
        assert len(set(tried)) == len(tried)
    assert [len(step.top1s) for step in taken] == [len(tried) - 1 for _, tried in by_body.calls]


def test_steps_continue_from_an_earlier_step() -> None:
    by_width = ByTable(lambda each: each.head.features + each.blocks[0].expanded / 7)
    wanted = goal(0.5 * macs(NET), 0.05 * macs(NET))
    whole = list(steps(build_network(NET), wanted, by_width))
    assert len(whole) > 3
    rest = list(steps(whole[1].network, wanted, by_width, done=2))
    assert path(rest) == path(whole[2:])
    assert [step.number for step in rest] == [step.number for step in whole[2:]]


def test_a_network_that_was_measured_over_the_limit_is_cut_further() -> None:
    # In truth everything costs a tenth more than is estimated.
    limit = 0.7 * macs(NET)
    by_width = ByTable(lambda each: each.blocks[0].expanded)
    real = replace(goal(limit, 0.05 * macs(NET)), measure=lambda each: 1.1 * macs(each))
    last = list(steps(build_network(NET), real, by_width))[-1]
    assert last.cost == pytest.approx(1.1 * macs(last.network.architecture))
    assert last.cost <= limit
    assert last.proposal.cost == pytest.approx(last.cost)


def test_an_unreachable_limit_names_the_lowest_cost() -> None:
    least = macs(narrowest(NET))
    require_reachable(NET, goal(least, 1))
    words = f"to {least - 1:.0f} MACs: the lowest reachable cost is {least:.0f} MACs"
    unreachable = replace(goal(least - 1, 1), format_cost=lambda value: f"{value:.0f} MACs")
    with pytest.raises(NoFeasibleNetworkError, match=re.escape(words)):
        require_reachable(NET, unreachable)
    with pytest.raises(NoFeasibleNetworkError, match=f"to {least - 1:.0f} MACs"):
        list(steps(build_network(NET), unreachable, ByTable(lambda each: 1.0)))


def test_a_network_within_the_limit_is_not_pruned() -> None:
    assert list(steps(build_network(NET), goal(macs(NET), 1), ByTable(lambda each: 1.0))) == []


def test_indistinguishable_proposals_are_counted() -> None:
    # Wilson at 50% of 100 images: 1.96 / sqrt(100 + 1.96^2) / 2 = 9.6 points.
    top1s = (0.5, 0.59, 0.61, 0.41, 0.40)
    step = Step(1, by_hand([1])[0], 1.0, tuned(1.0), tuned(1.0, 0.5), top1s, build_network(NET))
    assert step.n_indistinguishable(100) == 2
    assert step.n_indistinguishable(10_000) == 0


TUNED = replace(PLAIN, epochs=4, ema=0.99, learning_rate=0.02)


def test_cuts_are_tuned_by_the_recipe_at_a_tenth_of_its_rate() -> None:
    tuning_recipe = Tuner(noise_data(train=40), TUNED, images=16).tuning_recipe
    assert tuning_recipe == replace(
        TUNED, epochs=1, learning_rate=0.002, ema=0.0, bn_recalibration_images=2048
    )
    assert Tuner(noise_data(train=40), TUNED, images=120).tuning_recipe.epochs == 3
    assert (
        Tuner(noise_data(), replace(TUNED, bn_recalibration_images=9)).tuning_recipe.bn_recalibration_images
        == 9
    )


def test_all_cuts_of_a_step_see_the_same_images_and_the_next_step_others() -> None:
    data = noise_data(train=40)
    tuner = Tuner(data, PLAIN, seed=4, images=16)

    def seen(number: int, own: Tuner = tuner) -> list[float]:
        shuffle = torch.Generator().manual_seed(0)
        [(images, _)] = own.training_subset(number).batches("train", 8, 40, shuffle=shuffle)
        return sorted(images.sum((1, 2, 3)).tolist())

    assert len(seen(1)) == 16
    assert seen(1) == seen(1) != seen(2)
    assert seen(1, replace(tuner, seed=5)) == seen(2)
    training_subset = tuner.training_subset(1)
    assert (training_subset.count("validation"), training_subset.count("test")) == (9, 4)
    assert replace(tuner, images=40).training_subset(1) is data


def test_all_that_is_drawn_follows_from_the_seed_and_the_step() -> None:
    def loss(seed: int, number: int) -> float:
        tuner = Tuner(noise_data(), replace(PLAIN, learning_rate=0.5), seed, images=20)  # all images
        return tuner.tune(number, toy(NET), NET).loss

    assert loss(4, 2) == loss(5, 1) != loss(4, 1)


def test_tuning_leaves_the_network_that_is_cut_as_it_was() -> None:
    network = toy(NET)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    [same] = Tuner(noise_data(), PLAIN, images=16)(1, network, [NET])
    after = same.network().state_dict()
    assert all(value.equal(before[name]) for name, value in network.state_dict().items())
    assert any(not value.equal(before[name]) for name, value in after.items())


def test_tuned_networks_are_evaluated_on_the_validation_images() -> None:
    data = noise_data()
    [result] = Tuner(data, PLAIN, images=16)(1, toy(NET), [NET])
    [(images, labels)] = data.batches("validation", 8, 100)
    with torch.inference_mode():
        logits = result.network().eval()(images)
    assert result.loss == pytest.approx(float(torch.nn.functional.cross_entropy(logits, labels)), rel=1e-5)
    assert result.top1 == pytest.approx(float((logits.argmax(1) == labels).double().mean()))
    assert (result.curve[-1].validation_loss, result.curve[-1].validation_top1) == (result.loss, result.top1)


def test_a_proposal_that_diverges_has_infinite_loss() -> None:
    [result] = Tuner(noise_data(), replace(PLAIN, learning_rate=1e12), images=16)(1, toy(NET), [NET])
    assert (result.top1, result.loss) == (0.0, math.inf)


def pruned_path(seed: int = 0) -> list[tuple[str, int, int, float]]:
    tuner = Tuner(noise_data(), replace(PLAIN, dropout=0.2), seed, images=16)
    taken = list(steps(toy(NET), goal(0.75 * macs(NET), 0.1 * macs(NET)), tuner))
    assert taken[-1].cost <= 0.75 * macs(NET)
    assert taken[-1].network.architecture == taken[-1].proposal.architecture
    return [(*cut, step.pruned.loss) for cut, step in zip(path(taken), taken, strict=True)]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_path_to_the_bit() -> None:
    torch.manual_seed(1)
    first = pruned_path()
    torch.manual_seed(2)
    assert pruned_path() == first
    assert pruned_path(seed=1) != first
