"""bneck's own sampler: each network is the one that is expected to widen the front most (EHVI)."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from ...evaluate import Goals
from ...evaluate.latency.predictor import LatencyModel
from ...search_space import Architecture, Genes, SearchSpace, SpaceError, cost
from .acquisition import Beliefs, LogLatency, ModelledLatency, Speed, plain, telling
from .acquisition_optimizer import most_worth
from .base import GenesSampler
from .encoding import Known, Seen, Sight
from .feasibility import draws_within, excess_over, unseen_within_limits
from .initial_design import stratified
from .surrogate import Earlier, Found, Learner

FIRST = 10
MOST_KNOWN = 400


class EhviSampler(GenesSampler):
    """Proposes networks by what is believed of all, from what was judged.

    The first networks are one from each tenth of the space by MACs. Then each is the one of the greatest
    expected growth of the dominated hypervolume, times the chance that it keeps the limit on latency; the
    limits on MACs and parameters are always kept. While every network has broken the limit on latency, the
    likeliest to keep it comes next. Networks that are being judged count as if they came out as expected. No
    network is proposed twice while new ones are found.

    A proposal follows from the seed, the number of its trial and what is known, and from nothing else.

    Args:
        found: accuracy and number of trainings by trial, where more is known than the study was told.
        noise: deviation of an accuracy of one training; None where it is to be learned.
        latency_model: None where latencies are learned from those that the study holds.
        reference_ms: of the limit's unit.
        earlier: what another search of the space has learned.
    """

    def __init__(
        self,
        space: SearchSpace,
        goals: Goals,
        seed: int,
        *,
        found: Callable[[], Found] = dict,
        noise: Callable[[], float | None] = lambda: None,
        latency_model: LatencyModel | None = None,
        reference_ms: float = 1.0,
        earlier: Earlier | None = None,
    ) -> None:
        super().__init__(space)
        self.goals = goals
        self.seed = seed
        self.found = found
        self.noise = noise
        self.latency_model = latency_model
        self.reference_ms = reference_ms
        self.sight = Sight(space)
        self.learner = Learner(self.sight.names, earlier)
        self._seen: dict[int, Seen] = {}

    def propose(self, study: Study, trial: FrozenTrial) -> Genes:
        rng = random.Random(f"{self.seed}/{trial.number}")
        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        seen = {other.number: own for other in others if (own := self._see(other))}
        taken = {each.architecture for each in seen.values()}
        known = self._known(others, seen)
        pending = _pending(others, seen, known)
        judged = [each for each in known if each.accuracy is not None]
        if len(judged) + len(pending) < FIRST or not judged:
            for network, genes in self._first.items():
                if network not in taken:
                    return genes
        best: Seen | None = None
        if judged:
            beliefs = self._beliefs(known, judged, pending)
            parents = [each.genes for each in beliefs.best]
            best = most_worth(self.sight, parents, taken, self._allowed, beliefs.worth, rng)
        elif speed := self._speed(known):
            parents = [each.seen.genes for each in known]
            best = most_worth(self.sight, parents, taken, self._allowed, speed.worth, rng)
        if best is not None:
            return best.genes
        keys = {network.key for network in taken}
        unseen = unseen_within_limits(self.space, self.goals, keys, rng)
        return unseen or draws_within(self.space, self.goals).draw(rng)

    @cached_property
    def _first(self) -> dict[Architecture, Genes]:
        networks = stratified(self.space, self.goals, FIRST, random.Random(self.seed))
        return {network: self.space.encode(network) for network in networks}

    def _speed(self, known: Sequence[Known]) -> Speed | None:
        """What tells of latency while all networks known have broken its limit."""
        limits = [limit for limit in self.goals.constraints if limit.quantity == "latency"]
        latency = self._latency(known, ()) if limits and known else None
        return Speed(latency, plain(limits[0], self.reference_ms)) if latency else None

    def _beliefs(self, known: Sequence[Known], judged: Sequence[Known], pending: Sequence[Seen]) -> Beliefs:
        accuracies = [each.accuracy for each in judged if each.accuracy is not None]
        kept = telling(judged, self.goals, MOST_KNOWN)
        accuracy = self.learner.learn("accuracy", judged, accuracies, self.noise(), kept)
        latency = self._latency(known, pending) if self.goals.of_latency else None
        return Beliefs(self.goals, accuracy.awaiting(pending), latency, self.reference_ms)

    def _latency(self, known: Sequence[Known], pending: Sequence[Seen]) -> LogLatency | None:
        if self.latency_model is not None:
            return ModelledLatency(self.latency_model)
        timed = [each for each in known if each.latency_ms is not None]
        if not timed:
            return None
        logs = [math.log(each.latency_ms) for each in timed if each.latency_ms is not None]
        kept = range(max(0, len(timed) - MOST_KNOWN), len(timed))
        return self.learner.learn("latency", timed, logs, None, kept).awaiting(pending)

    def _allowed(self, network: Architecture) -> bool:
        """Whether it keeps the limits on MACs and parameters."""
        limited = any(limit.quantity != "latency" for limit in self.goals.constraints)
        return not limited or excess_over(self.goals)(cost(network)) == 0

    def _see(self, trial: FrozenTrial) -> Seen | None:
        """None for a trial that has no genes yet, or not those of the space."""
        if trial.number not in self._seen:
            # one that waits has the genes that it was enqueued with
            genes = dict(trial.params or trial.system_attrs.get("fixed_params", {}))
            try:
                self.space.complete(genes)
            except SpaceError:
                return None
            self._seen[trial.number] = self.sight.see(genes)
        return self._seen[trial.number]

    def _known(self, trials: Sequence[FrozenTrial], seen: Mapping[int, Seen]) -> list[Known]:
        """What the study and the run know of networks, each once, in the order of their trials."""
        quantities = [objective.quantity for objective in self.goals.objectives]
        better = self.found()
        known: dict[Architecture, Known] = {}
        for trial in trials:
            if trial.state != TrialState.COMPLETE or trial.number not in seen:
                continue
            values = dict(zip(quantities, trial.values, strict=True))
            latency = trial.user_attrs.get("latency", {}).get("latency_ms", values.get("latency"))
            network = seen[trial.number]
            if any(violation > 0 for violation in trial.constraints.values()):
                each = Known(network, latency_ms=latency if "latency" in trial.user_attrs else None)
            else:
                accuracy, trainings = better.get(trial.number, (values.get("accuracy"), 1))
                each = Known(network, accuracy, trainings, latency)
            known.setdefault(network.architecture, each)
        return list(known.values())


def _pending(trials: Sequence[FrozenTrial], seen: Mapping[int, Seen], known: Sequence[Known]) -> list[Seen]:
    """The networks that are being judged or wait for it, each once; none that is known."""
    old = {each.seen.architecture for each in known}
    begun = [seen[trial.number] for trial in trials if trial.number in seen and not trial.state.is_finished()]
    return list({each.architecture: each for each in begun if each.architecture not in old}.values())
