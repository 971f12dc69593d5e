"""NetAdapt: prune a trained network step by step until its cost is within a limit.

In each step, every place of the network (`cuts`) is cut by the smallest amount that reduces the cost enough,
each of these proposals is fine-tuned briefly on the same images in the same order, and the one with the
smallest loss increase per cost reduction is selected. Loss is the cross-entropy on validation images: on a
few thousand images it separates networks better than top-1, which changes by whole images. The loss increase
is relative to the unpruned network fine-tuned in the same way, so that the effect of fine-tuning alone
cancels.

Source: Yang et al. 2018, arXiv 1804.03230; with the proposals and the selection criterion of MobileNetV3,
Howard et al. 2019, arXiv 1905.02244, section 4.2 (10,000 fine-tuning steps, cost reductions of 1%).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Generator

from ...search_space import Architecture, NoFeasibleNetworkError
from ...search_space.errors import NonFiniteLossError
from ...search_space.network import Network
from ..data.dataset import Data
from ..inheritance.inherit import inherit
from ..training.accuracy import Epoch, wilson_interval
from ..training.distillation import Distillation
from ..training.recipe import Recipe
from ..training.train import train
from .cuts import CUT_KINDS, Cut, CutKind, cuts, smallest_network

CostFunction = Callable[[Architecture], float]
TUNE_IMAGES = 2000
TUNE_LEARNING_RATE_FACTOR = 0.1
_BN_RECALIBRATION_IMAGES = 2048


@dataclass(frozen=True)
class ResourceBudget:
    """Cost function and limit.

    Attributes:
        cost_of: estimated cost, such as milliseconds or MACs; evaluated for thousands of networks.
        limit: maximum cost, in the same unit.
        min_reduction: minimum cost reduction per step, in the same unit; the last step may reduce less.
        measure: measured cost of selected networks; estimates of proposals are scaled to it.
        format_cost: formats a cost with its unit for messages.
        cut_kinds: kinds of cuts that a step proposes.
    """

    cost_of: CostFunction
    limit: float
    min_reduction: float
    measure: CostFunction | None = None
    format_cost: Callable[[float], str] = "{:.4g}".format
    cut_kinds: tuple[CutKind, ...] = CUT_KINDS

    def measured_cost(self, architecture: Architecture) -> float:
        return (self.measure or self.cost_of)(architecture)


@dataclass(frozen=True)
class Proposal(Cut):
    """A cut and its estimated cost."""

    cost: float


@dataclass(frozen=True, eq=False)
class TuningResult:
    """A network after brief fine-tuning.

    Attributes:
        top1, loss: on the validation images; the loss is infinite if training diverged.
        network: returns the network with its weights.
        curve: fine-tuning epochs, the last one with validation.
    """

    top1: float
    loss: float
    network: Callable[[], Network]
    curve: tuple[Epoch, ...] = ()


TuneAll = Callable[[int, Network, Sequence[Architecture]], Sequence[TuningResult]]
"""Fine-tunes and evaluates pruned forms of a network: step number, network, architectures."""


@dataclass(frozen=True, eq=False)
class Step:
    """A completed step.

    Attributes:
        number: counted from 1.
        proposal: the selected proposal.
        cost: cost of the network, measured if possible.
        unpruned: the network before the step, fine-tuned in the same way.
        pruned: the selected network.
        top1s: top-1 of all proposals.
    """

    number: int
    proposal: Proposal
    cost: float
    unpruned: TuningResult
    pruned: TuningResult
    top1s: tuple[float, ...]
    network: Network

    def n_indistinguishable(self, images: int) -> int:
        """Number of other proposals with statistically indistinguishable top-1 on that many images (95%)."""
        low, high = wilson_interval(self.pruned.top1, images)
        return sum(low <= top1 <= high for top1 in self.top1s) - 1


@dataclass(frozen=True, eq=False)
class Tuner:
    """Fine-tunes pruned networks briefly by the recipe at a lower learning rate.

    Every step draws its own training images, the same for all networks of the step.

    Attributes:
        distillation: from the initial network, usually.
    """

    data: Data
    recipe: Recipe
    seed: int = 0
    images: int = TUNE_IMAGES
    learning_rate_factor: float = TUNE_LEARNING_RATE_FACTOR
    device: str = "cpu"
    distillation: Distillation | None = None

    def __call__(
        self, number: int, network: Network, architectures: Sequence[Architecture]
    ) -> list[TuningResult]:
        return [self.tune(number, network, each) for each in architectures]

    def tune(self, number: int, network: Network, architecture: Architecture) -> TuningResult:
        """Fine-tune and evaluate one pruned network."""
        network_copy = inherit(network, architecture)
        try:
            accuracy = train(
                network_copy,
                self.training_subset(number),
                self.tuning_recipe,
                seed=self.seed + number,
                device=self.device,
                distillation=self.distillation,
            )
        except NonFiniteLossError:
            return TuningResult(0.0, math.inf, lambda: network_copy, (Epoch(math.inf, math.inf, 0.0),))
        last = replace(accuracy.curve[-1], validation_loss=accuracy.loss, validation_top1=accuracy.top1)
        return TuningResult(accuracy.top1, accuracy.loss, lambda: network_copy, (*accuracy.curve[:-1], last))

    def training_subset(self, number: int) -> Data:
        """The data with the training images of one step."""
        count = self.data.count("train")
        if count <= self.images:
            return self.data
        order = torch.randperm(count, generator=Generator().manual_seed(self.seed + number))
        return self.data.subset("train", order[: self.images].sort().values)

    @property
    def tuning_recipe(self) -> Recipe:
        """The recipe of fine-tuning, without EMA, which would hardly move from the initial weights."""
        return replace(
            self.recipe,
            epochs=max(1, round(self.images / self.data.count("train"))),
            learning_rate=self.learning_rate_factor * self.recipe.learning_rate,
            ema=0.0,
            freeze="none",
            bn_recalibration_images=self.recipe.bn_recalibration_images or _BN_RECALIBRATION_IMAGES,
        )


def steps(network: Network, budget: ResourceBudget, tune_all: TuneAll, *, done: int = 0) -> Iterator[Step]:
    """Prune a trained network step by step until its cost is within the limit.

    Args:
        tune_all: fine-tunes and evaluates the proposals of a step, such as a `Tuner`.
        done: number of steps that led to this network.
    Raises:
        NoFeasibleNetworkError: nothing is left to prune; names the cost that was reached.
        NonFiniteLossError: all proposals diverged.
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
    """The smallest sufficient cut of each place that can reach the step's target.

    If no place can reach it alone, the largest cut of each place.

    Args:
        cost: measured cost of the network.
    """
    target = max(budget.limit, cost - budget.min_reduction)
    scale = cost / budget.cost_of(architecture)
    sufficient: list[Proposal] = []
    deepest: list[Proposal] = []
    for place in cuts(architecture, budget.cut_kinds):
        last: Proposal | None = None
        for cut in place:
            estimate = scale * budget.cost_of(cut.architecture)
            last = Proposal(cut.place, cut.before, cut.after, cut.architecture, estimate)
            if estimate <= target:
                sufficient.append(last)
                break
        if last is not None and last.cost < cost:
            deepest.append(last)
    return sufficient or deepest


def select_proposal(
    proposals: Sequence[Proposal], pruned: Sequence[TuningResult], unpruned: TuningResult, cost: float
) -> int:
    """Index of the proposal with the smallest loss increase per cost reduction; the first on ties.

    Raises:
        NonFiniteLossError: the unpruned network or all proposals diverged.
    """
    if not math.isfinite(unpruned.loss) or not any(math.isfinite(each.loss) for each in pruned):
        raise NonFiniteLossError("fine-tuning of the pruned networks diverged; lower the learning rate")
    scores = [
        loss_per_saving(result.loss - unpruned.loss, 1 - each.cost / cost)
        for each, result in zip(proposals, pruned, strict=True)
    ]
    return scores.index(min(scores))


def loss_per_saving(loss_increase: float, cost_reduction: float) -> float:
    """Selection score, lower is better: loss increase per cost reduction.

    A proposal without a loss increase precedes all others, the more so the larger its gain and reduction.
    """
    return loss_increase / cost_reduction if loss_increase > 0 else loss_increase * cost_reduction


def require_reachable(architecture: Architecture, budget: ResourceBudget) -> None:
    """Raise `NoFeasibleNetworkError` if no pruned network is within the limit; names the lowest cost."""
    least = smallest_network(architecture, budget.cut_kinds)
    scale = budget.measured_cost(architecture) / budget.cost_of(architecture)
    cost = scale * budget.cost_of(least)
    if cost > budget.limit:
        raise NoFeasibleNetworkError(_unreachable_message(architecture, budget, cost))


def _unreachable_message(architecture: Architecture, budget: ResourceBudget, least: float) -> str:
    return (
        f"network {architecture.key} cannot be pruned to {budget.format_cost(budget.limit)}: "
        f"the lowest reachable cost is {budget.format_cost(least)}; "
        "raise the limit or start from a smaller network"
    )
