"""What the judged networks of a run let one believe of any network of its space, gene by gene."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from ...evaluate import Goals, Latency, Objective, Quantity
from ...evaluate.latency.predictor import LatencyModel
from ...evaluate.latency.predictor_file import load_model
from ...evaluate.statistics.reliability import Array
from ...evaluate.statistics.seed_noise import LEAST_FREEDOM, noise_of
from ...evaluate.surrogate.architecture_features import analytic_features, feature_matrix
from ...evaluate.surrogate.gaussian_process import fit
from ...evaluate.surrogate.gene_features import GeneFeatures
from ...evaluate.surrogate.linear_contrasts import Contrasts
from ...evaluate.surrogate.posterior import Posterior
from ...search_space import Architecture, Genes, SearchSpace, cost
from ...search_space.space import Choice
from ..plots.pareto import x_quantity
from ..store.search_run import Run
from ..store.trial import Record, table_of

LEAST_NETWORKS = 20
MOST_NETWORKS = 400  # fitting takes the cube of it
_AT_ONCE = 256

Term = Callable[[Genes], float]


@dataclass(frozen=True, eq=False)
class ChoiceModel:
    """Accuracy and costs of any network of a space.

    Attributes:
        records: judged networks that were trained, `LEAST_NETWORKS` or more.
        genes: of each.
        latency_model: None where latency is learned from the records.
    """

    space: SearchSpace
    goals: Goals
    records: tuple[Record, ...]
    genes: tuple[Genes, ...]
    latency_model: LatencyModel | None = None

    @classmethod
    def of(cls, run: Run, judged: Sequence[Record]) -> "ChoiceModel | None":
        """From these records of a run, of very many every other one or so; None where they are too few.

        Raises:
            FileFormatError: the run's latency model is broken.
        """
        trained = [record for record in judged if record.trainings]
        if len(trained) < LEAST_NETWORKS:
            return None
        if len(trained) > MOST_NETWORKS:
            places = np.linspace(0, len(trained) - 1, MOST_NETWORKS).round().astype(int)
            trained = [trained[place] for place in places]
        trials, file = run.study.get_trials(deepcopy=False), run.latency_model_file
        names = [gene.name for gene in run.settings.space.genes]
        return cls(
            run.settings.space,
            run.settings.goals,
            tuple(trained),
            tuple({name: trials[record.trial].params[name] for name in names} for record in trained),
            load_model(file) if file.is_file() else None,
        )

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What can be told; latency, where it is known of enough networks."""
        timed = self.latency_model or len(self.judged("latency")[0]) >= LEAST_NETWORKS
        return ("accuracy", "latency", "macs", "params") if timed else ("accuracy", "macs", "params")

    @property
    def price(self) -> Quantity:
        """The cost that accuracy is traded for: that of the Pareto plot, if it can be told."""
        wanted = x_quantity(self.goals)
        return wanted if wanted in self.quantities else "macs"

    def network(self, genes: Genes) -> Architecture:
        """Decoded once."""
        return self._seen(genes).architecture

    def sums(self, quantity: Quantity, weights: Array, many: Sequence[Genes], term: Term) -> Posterior:
        """What is believed of weighted sums of a quantity: accuracies as shares, costs as logarithms.

        Costs are exact, but for a latency that is learned from the records.

        Args:
            weights: `k x m`, for `m` networks.
            term: what the sums are meant to tell the effect of; it may matter more than the rest.
        """
        seen = [self._seen(genes) for genes in many]
        learned = self._learned(quantity)
        if learned is None:
            values = self._exact(quantity, seen)
            return Posterior(weights @ values, np.zeros((len(weights), len(weights))))
        known = {self._seen(genes).key: term(genes) for genes in self.genes}
        asked = np.array([term(genes) for genes in many])
        features = np.array([each.features for each in seen])
        return learned.sums(weights, [each.key for each in seen], features, asked, known)

    def means(self, quantity: Quantity, many: Sequence[Genes]) -> Array:
        """What is expected of networks; accuracies as shares, costs as logarithms."""
        seen = [self._seen(genes) for genes in many]
        learned = self._learned(quantity)
        if learned is None:
            return self._exact(quantity, seen)
        parts = [seen[start : start + _AT_ONCE] for start in range(0, len(seen), _AT_ONCE)]
        found = [
            learned.model.posterior([each.key for each in part], np.array([each.features for each in part]))
            for part in parts
        ]
        return np.concatenate([each.mean for each in found])

    def judged(self, quantity: Quantity) -> tuple[list[Genes], Array]:
        """The networks that a quantity is known of, and what it was; costs as logarithms."""
        known = [
            (genes, record.value(Objective(quantity)))
            for genes, record in zip(self.genes, self.records, strict=True)
            if quantity != "latency" or record.latency
        ]
        values = np.array([value for _, value in known])
        return [genes for genes, _ in known], values if quantity == "accuracy" else np.log(values)

    def within_limits(self, genes: Genes) -> bool:
        """Whether a network keeps the limits, as far as that is told without measuring it."""
        if not self.goals.constraints:
            return True
        network = self.network(genes)
        timed = any(limit.quantity == "latency" for limit in self.goals.constraints)
        latency = self._predicted(network) if self.latency_model and timed else None
        return all(violation <= 0 for violation in self.goals.violations(cost(network), latency).values())

    def _exact(self, quantity: Quantity, seen: Sequence["_Seen"]) -> Array:
        if quantity == "latency":
            return np.log([self._predicted(each.architecture).ratio for each in seen])
        return np.log([float(getattr(cost(each.architecture), quantity)) for each in seen])

    def _learned(self, quantity: Quantity) -> Contrasts | None:
        """What was fitted to the records, if that is how the quantity is told."""
        if quantity == "accuracy":
            return self._accuracy
        return self._latency if quantity == "latency" and not self.latency_model else None

    @cached_property
    def _accuracy(self) -> Contrasts:
        noise = noise_of(table_of(self.records))
        values = np.array([record.top1 for record in self.records])
        trainings = [len(record.trainings) for record in self.records]
        known = noise.deviation if noise and noise.freedom >= LEAST_FREEDOM else None
        return self._fit(self.genes, values, trainings, known)

    @cached_property
    def _latency(self) -> Contrasts:
        """The noise of a measurement is found with the rest."""
        genes, values = self.judged("latency")
        return self._fit(genes, values, [1] * len(genes), None)

    def _fit(
        self, genes: Sequence[Genes], values: Array, trainings: Sequence[int], noise: float | None
    ) -> Contrasts:
        seen = [self._seen(each) for each in genes]
        names = (*feature_matrix([seen[0].architecture])[0], *GeneFeatures(self.space).names)
        features = np.array([each.features for each in seen])
        return Contrasts(fit([each.key for each in seen], features, names, values, trainings, noise))

    def _seen(self, genes: Genes) -> "_Seen":
        choices = tuple(genes[gene.name] for gene in self.space.genes)
        if choices not in self._networks:
            self._networks[choices] = _Seen(self.space, genes)
        return self._networks[choices]

    @cached_property
    def _predicted(self) -> Callable[[Architecture], Latency]:
        assert self.latency_model
        return cache(self.latency_model.predict)

    @cached_property
    def _networks(self) -> dict[tuple[Choice, ...], "_Seen"]:
        return {}


@dataclass(frozen=True, eq=False)
class _Seen:
    """A network by its genes, and what is worked out of it once."""

    space: SearchSpace
    genes: Genes

    @cached_property
    def architecture(self) -> Architecture:
        return self.space.decode(self.genes)

    @cached_property
    def key(self) -> str:
        return self.architecture.key

    @cached_property
    def features(self) -> list[float]:
        """Its size and shape, and its genes."""
        return [*analytic_features(self.architecture).values(), *GeneFeatures(self.space).row(self.genes)]
