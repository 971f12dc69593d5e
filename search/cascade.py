"""What a cascading search does next: train a new network, train one again, or stop."""

import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..evaluate import Goals, Latency
from ..evaluate.features import feature_matrix
from ..evaluate.predictor import fit
from ..results import Record, Run, pareto_front
from ..results.describe import value_of
from ..results.record import noise_known
from ..search_space import Architecture, Cost, Genes, GoalError, SearchSpace, cost
from .latencies import Latencies
from .outlook import Array, Outlook, even_costs, next_training, settled
from .proposals import Proposal, Proposals
from .repeating import Repeat
from .sight import near, spread_by_macs

CASCADE = "cascade"
NEEDS_MODEL = (
    "--sampler cascade needs predicted latencies: leave out --measure-all, take a larger space, "
    "or search by tpe"
)

FIRST = 12
SIGHT, NEAR = 256, 64
DRAWS = 64
MOST_TRAININGS = 4
TOLERANCE, CONFIDENCE = 0.002, 0.9


@dataclass(frozen=True)
class New:
    """Train a network that was never trained."""

    genes: Genes


@dataclass(frozen=True)
class Again:
    """Train a network with one more seed."""

    record: Record


@dataclass
class Cascade:
    """The state of a cascading search, which follows from its records and its seed.

    The first networks are spread evenly by MACs. Then each training is the one that, in a draw of what
    the model believes, widens the front most.

    Attributes:
        latency_of: what a network's latency is believed to be; not called where no goal asks.
        settled: whether the front was sure enough when `next` was asked last.
    """

    space: SearchSpace
    goals: Goals
    latency_of: Callable[[Architecture], Latency]
    rng: random.Random
    first: dict[Architecture, Genes] = field(init=False)
    spread: dict[Architecture, Genes] = field(init=False)
    sight: dict[Architecture, Genes] = field(init=False)
    settled: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.first = self._within_latency(spread_by_macs(self.space, self.goals, FIRST, self.rng))
        many = self._within_latency(spread_by_macs(self.space, self.goals, SIGHT, self.rng))
        self.spread = self.first | many
        self.sight = dict(self.spread)

    def next(
        self,
        judged: Sequence[Record],
        seen: Collection[str] = (),
        running: Sequence[Proposal | Repeat] = (),
    ) -> New | Again | None:
        """What to train next; None where the front is settled, nothing is left, or it must be waited.

        Args:
            seen: keys of networks that were proposed, whatever came of them.
            running: what is trained now.
        """
        known = {record.key: record for record in judged}
        busy = Counter(
            each.record.key if isinstance(each, Repeat) else each.architecture.key for each in running
        )
        refused = set(seen) - set(known) - set(busy)
        for network, genes in self.first.items():
            if network.key not in known and network.key not in busy and network.key not in refused:
                return New(genes)
        if len(judged) < 2:
            return None
        self._look_around(judged)
        networks = [each for each in self.sight if each.key not in refused or each.key in known]
        outlook = self._outlook(networks, known)
        allowed = np.array(
            [
                each.key not in busy and outlook.trainings[place] < MOST_TRAININGS
                for place, each in enumerate(networks)
            ]
        )
        self.settled = not busy and settled(outlook, TOLERANCE, CONFIDENCE)
        if self.settled:
            return None
        place = next_training(outlook, allowed)
        if place is None:
            return None
        network = networks[place]
        return Again(known[network.key]) if network.key in known else New(self.sight[network])

    def ending(self) -> str:
        """Why there is nothing to train any more, in a line."""
        if not self.settled:
            return f"every network in sight has been trained {MOST_TRAININGS} times or broke a limit"
        what = "reward" if self.goals.reward else "accuracy"
        averaged = ", averaged over the limits," if len(self.goals.objectives) > 1 else ""
        return (
            f"the front is settled: with {100 * CONFIDENCE:.0f}% it lacks at most {100 * TOLERANCE:g} points "
            f"of {what}{averaged} of the best in sight"
        )

    def _outlook(self, networks: Sequence[Architecture], known: Mapping[str, Record]) -> Outlook:
        names, features = feature_matrix(networks)
        keys = [network.key for network in networks]
        trained = [place for place, key in enumerate(keys) if key in known]
        records = [known[keys[place]] for place in trained]
        trainings = np.zeros(len(keys), dtype=np.int64)
        trainings[trained] = [len(record.trainings) for record in records]
        model = fit(
            [keys[place] for place in trained],
            features[trained],
            names,
            np.array([record.top1 for record in records]),
            trainings[trained],
            noise_known(records),
        )
        believed = model.posterior(keys, features)
        draws = believed.draw(np.random.default_rng(self.rng.getrandbits(32)), DRAWS)
        latencies = self._latencies(networks, known)
        factors = np.array(
            [self.goals.merit.factor(cost(each), latencies.get(each)) for each in networks], dtype=np.float64
        )
        costs = self._costs(networks, latencies)
        return Outlook(draws * factors, believed.mean * factors, costs, trainings)

    def _latencies(
        self, networks: Sequence[Architecture], known: Mapping[str, Record]
    ) -> dict[Architecture, Latency]:
        """Where an objective asks: measured where that was done."""
        if not Goals(self.goals.objectives).of_latency:
            return {}
        measured = {each: known[each.key].latency for each in networks if each.key in known}
        return {each: measured.get(each) or self.latency_of(each) for each in networks}

    def _costs(self, networks: Sequence[Architecture], latencies: Mapping[Architecture, Latency]) -> Array:
        """The objectives other than accuracy and reward, even on a logarithmic scale."""
        others = [each.quantity for each in self.goals.objectives if not each.of_accuracy]
        if not others:
            return np.zeros((len(networks), 0))
        rows = [[value_of(q, cost(each), latencies.get(each)) for q in others] for each in networks]
        costs = np.array(rows, dtype=np.float64)
        return even_costs(costs, costs.max(0))

    def _within_latency(self, found: Mapping[Architecture, Genes]) -> dict[Architecture, Genes]:
        if not any(limit.quantity == "latency" for limit in self.goals.constraints):
            return dict(found)

        def kept(own: Cost, latency: Latency) -> bool:
            return all(violation <= 0 for violation in self.goals.violations(own, latency).values())

        return {n: genes for n, genes in found.items() if kept(cost(n), self.latency_of(n))}

    def _look_around(self, judged: Sequence[Record]) -> None:
        """Have the judged networks in sight, and new ones near the front."""
        self.sight = dict(self.spread)
        for record in judged:
            if record.architecture not in self.sight:
                self.sight[record.architecture] = self.space.encode(record.architecture)
        best = {
            record.architecture: self.sight[record.architecture]
            for record in pareto_front(judged, self.goals.objectives)
        }
        self.sight |= self._within_latency(near(self.space, self.goals, best, NEAR, self.rng))


def cascade_of(run: Run, proposals: Proposals, latencies: Latencies) -> Cascade | None:
    """The cascade of a run whose sampler it is.

    Raises:
        GoalError: latencies matter and are not predicted.
    """
    settings = run.settings
    if settings.sampler != CASCADE:
        return None
    model = latencies.model
    if model is None and settings.goals.of_latency:
        raise GoalError(NEEDS_MODEL)

    def latency_of(architecture: Architecture) -> Latency:
        assert model is not None
        return model.predict(architecture)

    return Cascade(settings.space, settings.goals, latency_of, proposals.rng)
