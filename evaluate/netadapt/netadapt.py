"""NetAdapt: a trained network is cut a little at a time until it costs no more than a limit.

A step cuts every place by as little as saves enough, tunes each of these networks briefly on the same
images in the same order, and keeps the one that loses least for what it saves. Networks are judged by
the cross-entropy on validation images: on a few thousand images it tells networks apart more reliably
than top-1, which moves by whole images. What is lost is counted from the uncut network tuned alike, so
that what tuning alone gains or spoils cancels.

Source: Yang et al. 2018, arXiv 1804.03230; with MobileNetV3's cuts and its loss over saving, Howard et
al. 2019, arXiv 1905.02244, section 4.2. Tuned there for 10,000 steps, with savings of 1%.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Generator

from ...search_space import Architecture, NoFeasibleNetworkError
from ...search_space.network import Network
from ..data.dataset import Data
from ..training.accuracy import Epoch, wilson_half_width
from ..training.recipe import Recipe
from ..training.train import train
from ..training.trainer import NonFiniteLossError
from .channel_groups import CostFunction, channel_groups, group_width, narrower_networks, narrowest
from .channel_selection import inherit_weights

STEP_FRACTION = 0.025
TUNE_IMAGES = 2000
TUNE_LEARNING_RATE_FACTOR = 0.1
_BN_RECALIBRATION_IMAGES = 2048


@dataclass(frozen=True)
class ResourceBudget:
    """What a network must be brought to.

    Attributes:
        cost_of: milliseconds, MACs or the like in closed form; asked for thousands of networks.
        limit: in the same unit.
        min_reduction: of a step, in the same unit; the last one saves what is left.
        measure: what a network that was kept really costs, where that can be told; the costs of its
            cuts are then taken from `cost_of` in proportion.
        format_cost: a cost with its unit, for messages.
    """

    cost_of: CostFunction
    limit: float
    min_reduction: float
    measure: CostFunction | None = None
    format_cost: Callable[[float], str] = "{:.4g}".format

    def measured_cost(self, architecture: Architecture) -> float:
        return (self.measure or self.cost_of)(architecture)


@dataclass(frozen=True)
class Proposal:
    """A network with one place cut.

    Attributes:
        group: in words, such as `expansion of block 3`.
        channels_before, channels_after: channels there.
        cost: as it is estimated.
    """

    group: str
    channels_before: int
    channels_after: int
    architecture: Architecture
    cost: float


@dataclass(frozen=True, eq=False)
class TuningResult:
    """A network after its brief tuning.

    Attributes:
        top1, loss: on the validation images; the loss is infinite where it was no longer a number.
        network: gives it with its weights.
        curve: of the tuning, with the validation at its end.
    """

    top1: float
    loss: float
    network: Callable[[], Network]
    curve: tuple[Epoch, ...] = ()


TuneAll = Callable[[int, Network, Sequence[Architecture]], Sequence[TuningResult]]
"""Tunes and judges narrower forms of a network alike, for the step of that number."""


@dataclass(frozen=True, eq=False)
class Step:
    """A cut that was kept.

    Attributes:
        number: from 1.
        cost: of the network, measured where that can be.
        unpruned: the network before, tuned alike.
        pruned: the network after.
        top1s: top-1 of all that were proposed.
    """

    number: int
    proposal: Proposal
    cost: float
    unpruned: TuningResult
    pruned: TuningResult
    top1s: tuple[float, ...]
    network: Network

    def n_indistinguishable(self, images: int) -> int:
        """How many other proposals so many images do not tell from this one by top-1 (95%)."""
        margin = wilson_half_width(self.pruned.top1, images)
        return sum(abs(top1 - self.pruned.top1) <= margin for top1 in self.top1s) - 1


@dataclass(frozen=True, eq=False)
class NetAdaptResult:
    """What came out: the network after the last tuning, not yet trained to the end."""

    start: Architecture
    start_cost: float
    steps: tuple[Step, ...]
    network: Network

    @property
    def cost(self) -> float:
        return self.steps[-1].cost if self.steps else self.start_cost


@dataclass(frozen=True, eq=False)
class Tuner:
    """Tunes cut networks for a moment, by the recipe at a lower rate.

    Every step draws training images of its own, which all networks of the step see.
    """

    data: Data
    recipe: Recipe
    seed: int = 0
    images: int = TUNE_IMAGES
    learning_rate_factor: float = TUNE_LEARNING_RATE_FACTOR
    device: str = "cpu"

    def __call__(
        self, number: int, network: Network, architectures: Sequence[Architecture]
    ) -> list[TuningResult]:
        return [self.tune(number, network, each) for each in architectures]

    def tune(self, number: int, network: Network, architecture: Architecture) -> TuningResult:
        """One of them, in the step of this number."""
        network_copy = inherit_weights(network, architecture)
        try:
            found = train(
                network_copy,
                self.training_subset(number),
                self.tuning_recipe,
                seed=self.seed + number,
                device=self.device,
            )
        except NonFiniteLossError:
            return TuningResult(0.0, math.inf, lambda: network_copy, (Epoch(math.inf, math.inf, 0.0),))
        last = replace(found.curve[-1], validation_loss=found.loss, validation_top1=found.top1)
        return TuningResult(found.top1, found.loss, lambda: network_copy, (*found.curve[:-1], last))

    def training_subset(self, number: int) -> Data:
        """The data with the training images of a step alone."""
        count = self.data.count("train")
        if count <= self.images:
            return self.data
        order = torch.randperm(count, generator=Generator().manual_seed(self.seed + number))
        return self.data.subset("train", order[: self.images].sort().values)

    @property
    def tuning_recipe(self) -> Recipe:
        """An average of weights would hardly leave those it began from, so there is none."""
        return replace(
            self.recipe,
            epochs=max(1, round(self.images / self.data.count("train"))),
            learning_rate=self.learning_rate_factor * self.recipe.learning_rate,
            ema=0.0,
            freeze="none",
            bn_recalibration_images=self.recipe.bn_recalibration_images or _BN_RECALIBRATION_IMAGES,
        )


def run_netadapt(
    network: Network,
    data: Data,
    recipe: Recipe,
    budget: ResourceBudget,
    *,
    seed: int = 0,
    finetune_images: int = TUNE_IMAGES,
    device: str = "cpu",
    tune_all: TuneAll | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> NetAdaptResult:
    """Cut a trained network until it keeps the limit; the same seed gives the same network.

    Args:
        recipe: by which the network was trained; cuts are tuned by it.
        tune_all: tunes and judges instead of a `Tuner`, such as in several processes.
    Raises:
        NoFeasibleNetworkError: no network that can be cut out keeps the limit; names the least cost.
        NonFiniteLossError: the loss of all cuts is no longer a number.
    """
    require_reachable(network.architecture, budget)
    tuner = Tuner(data, recipe, seed, finetune_images, device=device)
    found: list[Step] = []
    for step in steps(network, budget, tune_all or tuner):
        found.append(step)
        if on_step is not None:
            on_step(step)
    start = network.architecture
    return NetAdaptResult(
        start, budget.measured_cost(start), tuple(found), found[-1].network if found else network
    )


def steps(network: Network, budget: ResourceBudget, tune_all: TuneAll, *, done: int = 0) -> Iterator[Step]:
    """One cut after another, until the limit is kept.

    Args:
        done: steps that led to this network.
    Raises:
        NoFeasibleNetworkError: nothing is left to cut; names what was reached.
        NonFiniteLossError: the loss of all cuts is no longer a number.
    """
    cost, number = budget.measured_cost(network.architecture), done
    while cost > budget.limit:
        number += 1
        proposals = generate_proposals(network.architecture, budget, cost)
        if not proposals:
            raise NoFeasibleNetworkError(_unreachable_message(network.architecture, budget, cost))
        candidates = [network.architecture, *(each.architecture for each in proposals)]
        unpruned, *pruned = tune_all(number, network, candidates)
        selected = select_proposal(proposals, pruned, unpruned, cost)
        network = pruned[selected].network()
        cost = budget.measured_cost(network.architecture)
        top1s = tuple(each.top1 for each in pruned)
        yield Step(number, proposals[selected], cost, unpruned, pruned[selected], top1s, network)


def generate_proposals(architecture: Architecture, budget: ResourceBudget, cost: float) -> list[Proposal]:
    """The smallest cut of each place that saves enough, of those places that can.

    Where no place alone can save enough, the deepest cut of each.

    Args:
        cost: of the network, as it was measured.
    """
    target = max(budget.limit, cost - budget.min_reduction)
    scale = cost / budget.cost_of(architecture)
    sufficient: list[Proposal] = []
    deepest: list[Proposal] = []
    for group in channel_groups(architecture):
        last: Proposal | None = None
        for narrower in narrower_networks(architecture, group):
            estimate = scale * budget.cost_of(narrower)
            channels_before, channels_after = group_width(architecture, group), group_width(narrower, group)
            last = Proposal(str(group), channels_before, channels_after, narrower, estimate)
            if estimate <= target:
                sufficient.append(last)
                break
        if last is not None and last.cost < cost:
            deepest.append(last)
    return sufficient or deepest


def select_proposal(
    proposals: Sequence[Proposal], pruned: Sequence[TuningResult], unpruned: TuningResult, cost: float
) -> int:
    """Which proposal loses least for what it saves; the first of equal ones.

    Raises:
        NonFiniteLossError: the loss of the uncut network, or of all proposals, is no number.
    """
    if not math.isfinite(unpruned.loss) or not any(math.isfinite(each.loss) for each in pruned):
        raise NonFiniteLossError("the loss of the cut networks is no longer a number; tune at a lower rate")
    scores = [
        loss_per_saving(result.loss - unpruned.loss, 1 - each.cost / cost)
        for each, result in zip(proposals, pruned, strict=True)
    ]
    return scores.index(min(scores))


def loss_per_saving(loss_increase: float, cost_reduction: float) -> float:
    """What a saving costs in accuracy, for ordering: `lost / saved`.

    A cut that loses nothing goes before all others, and the more so the more it gains and saves.
    """
    return loss_increase / cost_reduction if loss_increase > 0 else loss_increase * cost_reduction


def require_reachable(architecture: Architecture, budget: ResourceBudget) -> None:
    """Raise `NoFeasibleNetworkError` where a network cannot be cut down to the limit; names the least."""
    least = narrowest(architecture)
    scale = budget.measured_cost(architecture) / budget.cost_of(architecture)
    cost = scale * budget.cost_of(least)
    if cost > budget.limit:
        raise NoFeasibleNetworkError(_unreachable_message(architecture, budget, cost))


def _unreachable_message(architecture: Architecture, budget: ResourceBudget, least: float) -> str:
    return (
        f"network {architecture.key} cannot be cut down to {budget.format_cost(budget.limit)}: "
        f"the least that can be reached is {budget.format_cost(least)}; "
        "raise the limit, or begin from a smaller network"
    )
