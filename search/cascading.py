"""What a cascading search does next: train a new network, train one again, or stop."""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..evaluate import Goals, Latency
from ..evaluate.features import feature_matrix
from ..evaluate.predictor import fit
from ..results import Record
from ..results.front import pareto_front
from ..search_space import Architecture, Cost, Genes, SearchSpace, cost
from .cascade import Array, Outlook, even_costs, next_training, settled
from .sight import near, spread_by_macs

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
    """

    space: SearchSpace
    goals: Goals
    latency_of: Callable[[Architecture], Latency]
    rng: random.Random
    first: dict[Architecture, Genes] = field(init=False)
    spread: dict[Architecture, Genes] = field(init=False)
    sight: dict[Architecture, Genes] = field(init=False)

    def __post_init__(self) -> None:
        self.first = self._within_latency(spread_by_macs(self.space, self.goals, FIRST, self.rng))
        many = self._within_latency(spread_by_macs(self.space, self.goals, SIGHT, self.rng))
        self.spread = self.first | many
        self.sight = dict(self.spread)

    def next(
        self,
        judged: Sequence[Record],
        noise: float | None,
        refused: Collection[str] = (),
        pending: Mapping[str, int] | None = None,
    ) -> New | Again | None:
        """What to train next; None where the front is settled or nothing is left.

        Args:
            noise: deviation of one training, where repeats told it.
            refused: keys of networks that broke a limit or failed.
            pending: number of trainings that run now, by key.
        """
        busy = pending or {}
        known = {record.key: record for record in judged}
        for network, genes in self.first.items():
            if network.key not in known and network.key not in busy and network.key not in refused:
                return New(genes)
        if len(judged) < 2:
            return None
        self._look_around(judged)
        networks = [each for each in self.sight if each.key not in refused or each.key in known]
        outlook = self._outlook(networks, known, noise)
        allowed = np.array(
            [
                each.key not in busy and outlook.trainings[place] < MOST_TRAININGS
                for place, each in enumerate(networks)
            ]
        )
        if not busy and settled(outlook, TOLERANCE, CONFIDENCE):
            return None
        place = next_training(outlook, allowed)
        if place is None:
            return None
        network = networks[place]
        return Again(known[network.key]) if network.key in known else New(self.sight[network])

    def _outlook(
        self, networks: Sequence[Architecture], known: Mapping[str, Record], noise: float | None
    ) -> Outlook:
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
            noise,
        )
        believed = model.posterior(keys, features)
        draws = believed.draw(np.random.default_rng(self.rng.getrandbits(32)), DRAWS)
        return Outlook(draws, believed.mean, self._costs(networks, known), trainings)

    def _costs(self, networks: Sequence[Architecture], known: Mapping[str, Record]) -> Array:
        """The objectives other than accuracy, even on a logarithmic scale; measured where that was done."""
        others = [each for each in self.goals.objectives if each.quantity != "accuracy"]
        if not others:
            return np.zeros((len(networks), 0))
        rows = []
        for network in networks:
            record = known.get(network.key) or self._believed(network)
            rows.append([record.value(each) for each in others])
        costs = np.array(rows)
        return even_costs(costs, costs.max(0))

    def _believed(self, network: Architecture) -> Record:
        latency = self.latency_of(network) if self._asks_latency else None
        return Record(-1, "cascade", "waiting", network, cost(network), latency)

    @property
    def _asks_latency(self) -> bool:
        asked = [*self.goals.objectives, *self.goals.constraints]
        return any(each.quantity == "latency" for each in asked)

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
