"""Gaussian-process model of a run's space, gene by gene: the sampler's encoding and surrogate.

The ablation and the importances explain this model. It differs from the sampler's in two points: it uses up
to `MAX_NETWORKS` completed networks spread over the whole run, and no prior transferred from another run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from ...evaluate import Goals, Latency, Objective, Quantity
from ...evaluate.latency.predictor import LatencyPredictor
from ...evaluate.objectives import x_quantity
from ...evaluate.statistics.arrays import Array, evenly_spaced
from ...evaluate.surrogate.encoder import Candidate, Encoder, Observation
from ...evaluate.surrogate.factory import SurrogateFactory
from ...evaluate.surrogate.linear_contrasts import LinearContrasts
from ...evaluate.surrogate.posterior import Posterior
from ...search_space import Architecture, CandidateSpace, Genes, cost
from ...search_space.choices import Choice
from ..store.search_run import SearchRun
from ..store.trial import Record, seed_noise_std

MIN_NETWORKS = 20
MAX_NETWORKS = 400  # fitting time is cubic in it
_PREDICTION_BATCH = 256

Term = Callable[[Genes], float]


@dataclass(frozen=True, eq=False)
class GeneModel:
    """Accuracy and costs of any network of a space.

    Attributes:
        records: evaluated networks that were trained, at least `MIN_NETWORKS`.
        genes: genes of each record.
        latency_predictor: None if latency is modelled from the records.
        trained: number of trained networks that the records are taken from.
    """

    space: CandidateSpace
    goals: Goals
    records: tuple[Record, ...]
    genes: tuple[Genes, ...]
    latency_predictor: LatencyPredictor | None = None
    trained: int = 0

    @classmethod
    def of(cls, run: SearchRun, completed: Sequence[Record]) -> "GeneModel | None":
        """The model of a run's completed records; None for fewer than `MIN_NETWORKS` trained networks.

        Above `MAX_NETWORKS`, evenly spaced records are used.

        Raises:
            FileFormatError: the file of the run's latency predictor is damaged.
        """
        trained = [record for record in completed if record.trainings]
        if len(trained) < MIN_NETWORKS:
            return None
        n_trained, trained = len(trained), evenly_spaced(trained, MAX_NETWORKS)
        trials, file = run.study.get_trials(deepcopy=False), run.latency_predictor_file
        names = [gene.name for gene in run.settings.space.genes]
        return cls(
            run.settings.space,
            run.settings.goals,
            tuple(trained),
            tuple({name: trials[record.trial].params[name] for name in names} for record in trained),
            LatencyPredictor.load(file) if file.is_file() else None,
            n_trained,
        )

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """Modelled quantities; latency only with a predictor or enough measured networks."""
        has_latency = self.latency_predictor or len(self.observations("latency")[0]) >= MIN_NETWORKS
        return ("accuracy", "latency", "macs", "params") if has_latency else ("accuracy", "macs", "params")

    @property
    def cost_quantity(self) -> Quantity:
        """Cost that is traded off against accuracy: that of the Pareto plot if modelled, else MACs."""
        preferred = x_quantity(self.goals)
        return preferred if preferred in self.quantities else "macs"

    def network(self, genes: Genes) -> Architecture:
        """The architecture of the genes (cached)."""
        return self._encode(genes).architecture

    def contrast_posterior(
        self, quantity: Quantity, weights: Array, networks: Sequence[Genes], term: Term
    ) -> Posterior:
        """Posterior of `k` linear contrasts of a quantity: accuracies as fractions, costs as logarithms.

        Costs have no variance, except a latency that is modelled from the records.

        Args:
            weights: `k x m`, for `m` networks.
            term: covariate whose effect the contrasts estimate; it gets its own term in the model.
        """
        encoded = [self._encode(genes) for genes in networks]
        fitted = self._fitted(quantity)
        if fitted is None:
            values = self._exact_values(quantity, encoded)
            return Posterior(weights @ values, np.zeros((len(weights), len(weights))))
        term_by_key = {self._encode(genes).architecture.key: term(genes) for genes in self.genes}
        terms = np.array([term(genes) for genes in networks])
        features = np.array([each.features for each in encoded])
        return fitted.contrast_posterior(
            weights, [each.architecture.key for each in encoded], features, terms, term_by_key
        )

    def predict_means(self, quantity: Quantity, networks: Sequence[Genes]) -> Array:
        """Posterior means of networks: accuracies as fractions, costs as logarithms."""
        encoded = [self._encode(genes) for genes in networks]
        fitted = self._fitted(quantity)
        if fitted is None:
            return self._exact_values(quantity, encoded)
        batches = [
            encoded[start : start + _PREDICTION_BATCH] for start in range(0, len(encoded), _PREDICTION_BATCH)
        ]
        means = [
            fitted.model.marginals(
                [each.architecture.key for each in batch], np.array([each.features for each in batch])
            )[0]
            for batch in batches
        ]
        return np.concatenate(means)

    def observations(self, quantity: Quantity) -> tuple[list[Genes], Array]:
        """Networks with an observed quantity, and its values; accuracies as fractions, costs as logs."""
        known = [
            (genes, record.value(Objective(quantity)))
            for genes, record in zip(self.genes, self.records, strict=True)
            if quantity != "latency" or record.latency
        ]
        values = np.array([value for _, value in known])
        return [genes for genes, _ in known], values if quantity == "accuracy" else np.log(values)

    def is_feasible(self, genes: Genes) -> bool:
        """Whether the predicted costs satisfy the constraints; latency only with a predictor."""
        if not self.goals.constraints:
            return True
        network = self.network(genes)
        has_latency = self.goals.latency_limit is not None
        latency = self._predicted(network) if self.latency_predictor and has_latency else None
        values = [(limit, limit.measured_value(cost(network), latency)) for limit in self.goals.constraints]
        return all(value is None or limit.violation(value) <= 0 for limit, value in values)

    def _exact_values(self, quantity: Quantity, encoded: Sequence[Candidate]) -> Array:
        if quantity == "latency":
            return np.log([self._predicted(each.architecture).ratio for each in encoded])
        return np.log([float(getattr(cost(each.architecture), quantity)) for each in encoded])

    def _fitted(self, quantity: Quantity) -> LinearContrasts | None:
        """Surrogate of a quantity; None for quantities with exact or predicted values."""
        if quantity == "accuracy":
            return self._accuracy
        return self._latency if quantity == "latency" and not self.latency_predictor else None

    @cached_property
    def _accuracy(self) -> LinearContrasts:
        values = np.array([record.top1 for record in self.records])
        n_seeds = [len(record.trainings) for record in self.records]
        return self._fit("accuracy", self.genes, values, n_seeds, seed_noise_std(self.records))

    @cached_property
    def _latency(self) -> LinearContrasts:
        genes, values = self.observations("latency")
        return self._fit("latency", genes, values, [1] * len(genes), None)

    def _fit(
        self,
        quantity: Quantity,
        genes: Sequence[Genes],
        values: Array,
        n_seeds: Sequence[int],
        noise: float | None,
    ) -> LinearContrasts:
        observations = [
            Observation(self._encode(own), trainings=count) for own, count in zip(genes, n_seeds, strict=True)
        ]
        factory = SurrogateFactory(self._encoder)
        surrogate = factory.fit_surrogate(
            quantity, observations, values.tolist(), noise, range(len(observations))
        )
        return LinearContrasts(surrogate.gaussian_process)

    def _encode(self, genes: Genes) -> Candidate:
        choices = tuple(genes[gene.name] for gene in self.space.genes)
        if choices not in self._candidates:
            self._candidates[choices] = self._encoder.encode(genes)
        return self._candidates[choices]

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self.space)

    @cached_property
    def _candidates(self) -> dict[tuple[Choice, ...], Candidate]:
        return {}

    @cached_property
    def _predicted(self) -> Callable[[Architecture], Latency]:
        assert self.latency_predictor
        return cache(self.latency_predictor.predict)
