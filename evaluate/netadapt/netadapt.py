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
from ..training.accuracy import Epoch, wilson_margin
from ..training.recipe import Recipe
from ..training.train import train
from ..training.trainer import TrainingFailedError
from .channel_groups import CostOf, narrowest, narrowings, places, width_at
from .channel_selection import inherited

STEP_SHARE = 0.025
TUNE_IMAGES = 2000
TUNE_RATE = 0.1
_NORM_IMAGES = 2048


@dataclass(frozen=True)
class Goal:
    """What a network must be brought to.

    Attributes:
        cost_of: milliseconds, MACs or the like in closed form; asked for thousands of networks.
        limit: in the same unit.
        least_saving: of a step, in the same unit; the last one saves what is left.
        measure: what a network that was kept really costs, where that can be told; the costs of its
            cuts are then taken from `cost_of` in proportion.
        words: a cost with its unit, for messages.
    """

    cost_of: CostOf
    limit: float
    least_saving: float
    measure: CostOf | None = None
    words: Callable[[float], str] = "{:.4g}".format

    def real_cost(self, architecture: Architecture) -> float:
        return (self.measure or self.cost_of)(architecture)


@dataclass(frozen=True)
class Proposal:
    """A network with one place cut.

    Attributes:
        place: in words, such as `expansion of block 3`.
        before, after: channels there.
        cost: as it is estimated.
    """

    place: str
    before: int
    after: int
    architecture: Architecture
    cost: float


@dataclass(frozen=True, eq=False)
class Judgement:
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


ScoreAll = Callable[[int, Network, Sequence[Architecture]], Sequence[Judgement]]
"""Tunes and judges narrower forms of a network alike, for the step of that number."""


@dataclass(frozen=True, eq=False)
class Step:
    """A cut that was kept.

    Attributes:
        number: from 1.
        cost: of the network, measured where that can be.
        uncut: the network before, tuned alike.
        judged: the network after.
        tops: top-1 of all that were proposed.
    """

    number: int
    proposal: Proposal
    cost: float
    uncut: Judgement
    judged: Judgement
    tops: tuple[float, ...]
    network: Network

    def level(self, images: int) -> int:
        """How many other proposals so many images do not tell from this one by top-1 (95%)."""
        margin = wilson_margin(self.judged.top1, images)
        return sum(abs(top1 - self.judged.top1) <= margin for top1 in self.tops) - 1


@dataclass(frozen=True, eq=False)
class Adaptation:
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
    rate: float = TUNE_RATE
    device: str = "cpu"

    def __call__(
        self, number: int, network: Network, architectures: Sequence[Architecture]
    ) -> list[Judgement]:
        return [self.judge(number, network, each) for each in architectures]

    def judge(self, number: int, network: Network, architecture: Architecture) -> Judgement:
        """One of them, in the step of this number."""
        narrow = inherited(network, architecture)
        try:
            found = train(
                narrow, self.drawn(number), self.tuning, seed=self.seed + number, device=self.device
            )
        except TrainingFailedError:
            return Judgement(0.0, math.inf, lambda: narrow, (Epoch(math.inf, math.inf, 0.0),))
        last = replace(found.curve[-1], validation_loss=found.loss, validation_top1=found.top1)
        return Judgement(found.top1, found.loss, lambda: narrow, (*found.curve[:-1], last))

    def drawn(self, number: int) -> Data:
        """The data with the training images of a step alone."""
        count = self.data.count("train")
        if count <= self.images:
            return self.data
        order = torch.randperm(count, generator=Generator().manual_seed(self.seed + number))
        return self.data.keep("train", order[: self.images].sort().values)

    @property
    def tuning(self) -> Recipe:
        """An average of weights would hardly leave those it began from, so there is none."""
        return replace(
            self.recipe,
            epochs=max(1, round(self.images / self.data.count("train"))),
            learning_rate=self.rate * self.recipe.learning_rate,
            ema=0.0,
            freeze="none",
            norm_images=self.recipe.norm_images or _NORM_IMAGES,
        )


def adapt(
    network: Network,
    data: Data,
    recipe: Recipe,
    goal: Goal,
    *,
    seed: int = 0,
    tune_images: int = TUNE_IMAGES,
    device: str = "cpu",
    score_all: ScoreAll | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Adaptation:
    """Cut a trained network until it keeps the limit; the same seed gives the same network.

    Args:
        recipe: by which the network was trained; cuts are tuned by it.
        score_all: tunes and judges instead of a `Tuner`, such as in several processes.
    Raises:
        NoFeasibleNetworkError: no network that can be cut out keeps the limit; names the least cost.
        TrainingFailedError: the loss of all cuts is no longer a number.
    """
    require_reachable(network.architecture, goal)
    tuner = Tuner(data, recipe, seed, tune_images, device=device)
    found: list[Step] = []
    for step in steps(network, goal, score_all or tuner):
        found.append(step)
        if on_step is not None:
            on_step(step)
    start = network.architecture
    return Adaptation(start, goal.real_cost(start), tuple(found), found[-1].network if found else network)


def steps(network: Network, goal: Goal, score_all: ScoreAll, *, done: int = 0) -> Iterator[Step]:
    """One cut after another, until the limit is kept.

    Args:
        done: steps that led to this network.
    Raises:
        NoFeasibleNetworkError: nothing is left to cut; names what was reached.
        TrainingFailedError: the loss of all cuts is no longer a number.
    """
    cost, number = goal.real_cost(network.architecture), done
    while cost > goal.limit:
        number += 1
        proposals = propose(network.architecture, goal, cost)
        if not proposals:
            raise NoFeasibleNetworkError(_too_low(network.architecture, goal, cost))
        tried = [network.architecture, *(each.architecture for each in proposals)]
        uncut, *judged = score_all(number, network, tried)
        chosen = choose(proposals, judged, uncut, cost)
        network = judged[chosen].network()
        cost = goal.real_cost(network.architecture)
        tops = tuple(each.top1 for each in judged)
        yield Step(number, proposals[chosen], cost, uncut, judged[chosen], tops, network)


def propose(architecture: Architecture, goal: Goal, cost: float) -> list[Proposal]:
    """The smallest cut of each place that saves enough, of those places that can.

    Where no place alone can save enough, the deepest cut of each.

    Args:
        cost: of the network, as it was measured.
    """
    target = max(goal.limit, cost - goal.least_saving)
    scale = cost / goal.cost_of(architecture)
    enough: list[Proposal] = []
    deepest: list[Proposal] = []
    for place in places(architecture):
        last: Proposal | None = None
        for narrower in narrowings(architecture, place):
            estimate = scale * goal.cost_of(narrower)
            before, after = width_at(architecture, place), width_at(narrower, place)
            last = Proposal(str(place), before, after, narrower, estimate)
            if estimate <= target:
                enough.append(last)
                break
        if last is not None and last.cost < cost:
            deepest.append(last)
    return enough or deepest


def choose(proposals: Sequence[Proposal], judged: Sequence[Judgement], uncut: Judgement, cost: float) -> int:
    """Which proposal loses least for what it saves; the first of equal ones.

    Raises:
        TrainingFailedError: the loss of the uncut network, or of all proposals, is no number.
    """
    if not math.isfinite(uncut.loss) or not any(math.isfinite(each.loss) for each in judged):
        raise TrainingFailedError("the loss of the cut networks is no longer a number; tune at a lower rate")
    prices = [
        price(verdict.loss - uncut.loss, 1 - each.cost / cost)
        for each, verdict in zip(proposals, judged, strict=True)
    ]
    return prices.index(min(prices))


def price(lost: float, saved: float) -> float:
    """What a saving costs in accuracy, for ordering: `lost / saved`.

    A cut that loses nothing goes before all others, and the more so the more it gains and saves.
    """
    return lost / saved if lost > 0 else lost * saved


def require_reachable(architecture: Architecture, goal: Goal) -> None:
    """Raise `NoFeasibleNetworkError` where a network cannot be cut down to the limit; names the least."""
    least = narrowest(architecture)
    scale = goal.real_cost(architecture) / goal.cost_of(architecture)
    cost = scale * goal.cost_of(least)
    if cost > goal.limit:
        raise NoFeasibleNetworkError(_too_low(architecture, goal, cost))


def _too_low(architecture: Architecture, goal: Goal, least: float) -> str:
    return (
        f"network {architecture.key} cannot be cut down to {goal.words(goal.limit)}: the least that can be "
        f"reached is {goal.words(least)}; raise the limit, or begin from a smaller network"
    )
