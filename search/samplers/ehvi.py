"""bneck's own sampler, by expected hypervolume improvement (EHVI)."""

import math
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from statistics import median

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from ...evaluate import Goals, Latency
from ...evaluate.latency.predictor import LatencyPredictor
from ...evaluate.surrogate.encoder import Candidate, Encoder, Observation
from ...evaluate.surrogate.factory import SurrogateFactory, TransferPrior
from ...search_space import CandidateSpace, Genes, PretrainedSpace, SpaceError, training_macs
from .acquisition import (
    Acquisition,
    LatencyFeasibility,
    LogLatency,
    PredictedLatency,
    absolute_limit,
    select_observations,
)
from .acquisition_optimizer import AcquisitionOptimizer
from .base import GenesSampler
from .feasibility import constraint_violation, sample_unseen_feasible, sampler_within
from .initial_design import stratified
from .pretrained_design import PretrainedDesign

N_STRATIFIED, N_PRETRAINED_DESIGN = 10, 8  # networks of the first design
DESIGNS_UNDER_LATENCY_LIMIT = 3
MIN_TIMED = 3  # latencies from which a surrogate predicts others
AccuracyByTrial = Mapping[int, tuple[float, int]]  # mean accuracy and number of trainings


class EhviSampler(GenesSampler):
    """Proposes the network of highest expected hypervolume improvement (EHVI).

    The first networks are a stratified design: one from each tenth of the space by MACs, without those that
    are believed to violate a latency limit; of pretrained networks those of `PretrainedDesign`. Then a
    Gaussian process predicts accuracy, and latency unless a latency predictor does. The acquisition is the
    EHVI of the networks that are believed to satisfy the latency limit. While every network has violated that
    limit, the most probable to satisfy it is proposed. Limits on MACs and parameters are always satisfied,
    and no network is proposed twice while new ones are found. Pending trials count with their predicted
    accuracy.

    A proposal depends on the seed, the trial's number and the other trials only; near the end of a time limit
    also on the clock, by `max_training_macs`.

    Args:
        observed_accuracies: mean accuracy and number of training runs by trial, where more is known than
            the study's values.
        noise: standard deviation of the accuracy of one training run; None to estimate it.
        latency_predictor: None to learn latency from the trials.
        reference_ms: latency of the reference model, the unit of limits such as 0.5x.
        transfer_prior: model learned from another run of the space.
        max_training_macs: of the largest training that there is time for; larger ones are not proposed.
        n_initial_design: size of the first design.
        max_observations: most trials that a surrogate is conditioned on: the front, then the latest.
        optimizer: of the acquisition.
    """

    def __init__(
        self,
        space: CandidateSpace,
        goals: Goals,
        seed: int,
        *,
        observed_accuracies: Callable[[], AccuracyByTrial] = dict,
        noise: Callable[[], float | None] = lambda: None,
        latency_predictor: LatencyPredictor | None = None,
        reference_ms: float = 1.0,
        transfer_prior: TransferPrior | None = None,
        max_training_macs: Callable[[], float] = lambda: math.inf,
        n_initial_design: int | None = None,
        max_observations: int = 400,
        optimizer: AcquisitionOptimizer = AcquisitionOptimizer(),  # noqa: B008
    ) -> None:
        super().__init__(space)
        self.goals = goals
        self.seed = seed
        self.observed_accuracies = observed_accuracies
        self.noise = noise
        self.latency_predictor = latency_predictor
        self.reference_ms = reference_ms
        self.max_training_macs = max_training_macs
        self.n_initial_design = n_initial_design or (
            N_PRETRAINED_DESIGN if isinstance(space, PretrainedSpace) else N_STRATIFIED
        )
        self.max_observations = max_observations
        self.optimizer = optimizer
        self.encoder = Encoder(space)
        self.pretrained_design = (
            PretrainedDesign(self.encoder, space, goals) if isinstance(space, PretrainedSpace) else None
        )
        self.surrogate_factory = SurrogateFactory(self.encoder, transfer_prior)
        self._candidates: dict[int, Candidate] = {}

    def propose(self, study: Study, trial: FrozenTrial) -> Genes:
        rng = random.Random(f"{self.seed}/{trial.number}")
        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        candidates = {other.number: own for other in others if (own := self._candidate_of(other))}
        excluded = {each.identity for each in candidates.values()}
        known = self._known(others, candidates)
        pending = _pending(others, candidates, known)
        evaluated = [each for each in known if each.accuracy is not None]
        feasible = [each for each in evaluated if each.feasible]
        latency = self._latency(known, pending) if self.goals.depends_on_latency else None
        goals = _with_latency_margin(self.goals, _latency_margin(others))
        feasibility = self._latency_feasibility(goals, latency, [*known, *pending])
        counted = known if feasibility and not self.pretrained_design else feasible
        if len(counted) + len(pending) < self.n_initial_design or not feasible:
            initial = self._initial([*known, *pending], goals, feasibility, excluded)
            if initial is not None:
                return initial.genes
        best: Candidate | None = None
        if feasible:
            acquisition = self._acquisition(goals, evaluated, pending, latency)
            best = self._maximize(acquisition, acquisition.best, excluded, rng)
        elif feasibility:
            parents = [each.candidate for each in known] or self._initial_design
            best = self._maximize(feasibility, parents, excluded, rng)
        if best is not None:
            return best.genes
        keys = {each.architecture.key for each in candidates.values()}
        unseen = sample_unseen_feasible(self.space, self.goals, keys, rng, self.max_training_macs())
        return unseen or sampler_within(self.space, self.goals).sample(rng)

    def _maximize(
        self,
        acquisition: Acquisition | LatencyFeasibility,
        parents: Sequence[Candidate],
        excluded: Collection[bytes],
        rng: random.Random,
    ) -> Candidate | None:
        return self.optimizer.maximize(acquisition, self.encoder, parents, excluded, self._is_feasible, rng)

    @cached_property
    def _initial_design(self) -> list[Candidate]:
        """Enough networks that some satisfy a latency limit; pretrained: all within the limits on cost."""
        if isinstance(self.space, PretrainedSpace):
            encoded = map(self.encoder.encode, self.space.candidates.values())
            return [each for each in encoded if constraint_violation(self.goals)(each.cost) == 0]
        count = self.n_initial_design * (DESIGNS_UNDER_LATENCY_LIMIT if self.goals.latency_limit else 1)
        networks = stratified(self.space, self.goals, count, random.Random(self.seed))
        return [self.encoder.encode(self.space.encode(network)) for network in networks]

    def _initial(
        self,
        tried: Sequence[Observation],
        goals: Goals,
        feasibility: LatencyFeasibility | None,
        excluded: Collection[bytes],
    ) -> Candidate | None:
        """The next network of the design that is believed to satisfy a latency limit; None without one."""
        left = [
            each
            for each in self._initial_design
            if each.identity not in excluded and self._has_time_for(each)
        ]
        believed = feasibility.believed(left) if feasibility and left else [True] * len(left)
        fast = [each for each, is_fast in zip(left, believed, strict=True) if is_fast]
        if self.pretrained_design:
            limit = goals.latency_limit
            max_ms = absolute_limit(limit, self.reference_ms) if limit else math.inf
            return self.pretrained_design.next(fast, tried, max_ms)
        return fast[0] if fast else None

    def _latency_feasibility(
        self, goals: Goals, latency: LogLatency | None, observations: Sequence[Observation]
    ) -> LatencyFeasibility | None:
        """None without a limit, or while too little is known of latencies."""
        n_timed = sum(each.latency_ms is not None for each in observations)
        if self.latency_predictor is None and n_timed < MIN_TIMED:
            return None
        limit = goals.latency_limit
        return (
            LatencyFeasibility(latency, absolute_limit(limit, self.reference_ms))
            if limit and latency
            else None
        )

    def _acquisition(
        self,
        goals: Goals,
        evaluated: Sequence[Observation],
        pending: Sequence[Observation],
        latency: LogLatency | None,
    ) -> Acquisition:
        accuracies = [each.accuracy for each in evaluated if each.accuracy is not None]
        selected = select_observations(evaluated, self.goals, self.max_observations)
        accuracy = self.surrogate_factory.fit_surrogate(
            "accuracy", evaluated, accuracies, self.noise(), selected
        )
        return Acquisition(goals, accuracy.fantasize(pending), latency, self.reference_ms)

    def _latency(self, known: Sequence[Observation], pending: Sequence[Observation]) -> LogLatency | None:
        if self.latency_predictor is not None:
            return PredictedLatency(self.latency_predictor)
        timed = [each for each in (*known, *pending) if each.latency_ms is not None]
        if not timed:
            return None
        pending = [each for each in pending if each.latency_ms is None]
        logs = [math.log(each.latency_ms) for each in timed if each.latency_ms is not None]
        selected = range(max(0, len(timed) - self.max_observations), len(timed))
        return self.surrogate_factory.fit_surrogate("latency", timed, logs, None, selected).fantasize(pending)

    def _is_feasible(self, network: Candidate) -> bool:
        """Whether the limits on MACs and parameters are satisfied, and there is time to train it."""
        limited = any(limit.quantity != "latency" for limit in self.goals.constraints)
        violates = limited and constraint_violation(self.goals)(network.cost) > 0
        return not violates and self._has_time_for(network)

    def _has_time_for(self, network: Candidate) -> bool:
        limit = self.max_training_macs()
        return 3 * network.cost.macs <= limit or training_macs(network.architecture) <= limit

    def _candidate_of(self, trial: FrozenTrial) -> Candidate | None:
        """None for a trial without genes, or with those of another space."""
        if trial.number not in self._candidates:
            # an enqueued trial has no parameters yet
            genes = dict(trial.params or trial.system_attrs.get("fixed_params", {}))
            try:
                self.space.with_fixed_choices(genes)
            except SpaceError:
                return None
            self._candidates[trial.number] = self.encoder.encode(genes)
        return self._candidates[trial.number]

    def _known(self, trials: Sequence[FrozenTrial], candidates: Mapping[int, Candidate]) -> list[Observation]:
        """Observations of finished trials, one per network, in the order of the trials."""
        quantities = [objective.quantity for objective in self.goals.objectives]
        observed_accuracies = self.observed_accuracies()
        known: dict[bytes, Observation] = {}
        for trial in trials:
            if trial.state != TrialState.COMPLETE or trial.number not in candidates:
                continue
            values = dict(zip(quantities, trial.values, strict=True))
            latency, network = _latency_of(trial), candidates[trial.number]
            if any(violation > 0 for violation in trial.constraints.values()):
                # the values of an objective that was not reached are placeholders
                accuracy = trial.user_attrs.get("accuracy", {}).get("top1")
                each = Observation(network, accuracy, 1, latency, feasible=False)
            else:
                accuracy, trainings = observed_accuracies.get(trial.number, (values.get("accuracy"), 1))
                each = Observation(network, accuracy, trainings, latency or values.get("latency"))
            known.setdefault(network.identity, each)
        return list(known.values())


def _latency_margin(trials: Sequence[FrozenTrial]) -> float:
    """Median of upper bound / estimate of the measured latencies: 1.01 if they are 1% apart."""
    latencies = (trial.user_attrs.get("latency", {}) for trial in trials)
    measured = (Latency(**each) for each in latencies if each.get("source") == "measured")
    factors = [each.upper_factor for each in measured if each.status != "failed"]
    return median(factors) if factors else 1.0


def _with_latency_margin(goals: Goals, margin: float) -> Goals:
    """Goals whose latency limit an estimate satisfies if its upper bound satisfies the original one."""
    constraints = (
        replace(each, limit=each.limit / margin) if each.quantity == "latency" else each
        for each in goals.constraints
    )
    return replace(goals, constraints=tuple(constraints))


def _pending(
    trials: Sequence[FrozenTrial], candidates: Mapping[int, Candidate], known: Sequence[Observation]
) -> list[Observation]:
    """Unfinished trials without duplicates, with their latencies; those with an observation are left out."""
    observed = {each.candidate.identity for each in known}
    unfinished = [
        Observation(candidates[trial.number], latency_ms=_latency_of(trial))
        for trial in trials
        if trial.number in candidates and not trial.state.is_finished()
    ]
    by_network = {each.candidate.identity: each for each in unfinished}
    return [each for network, each in by_network.items() if network not in observed]


def _latency_of(trial: FrozenTrial) -> float | None:
    """Latency of a network in ms; None while it is unknown."""
    latency: float | None = trial.user_attrs.get("latency", {}).get("latency_ms")
    return latency
