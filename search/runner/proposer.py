"""Asks the study for networks, and rejects duplicates and those over a limit on cost."""

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ...results import Run
from ...results.store.trial import BASELINE_SOURCE
from ...search_space import (
    PUBLISHED_NAMES,
    Genes,
    NoFeasibleNetworkError,
    PretrainedSpace,
    cost,
    published_architecture,
    training_macs,
)
from ..samplers.feasibility import constraint_violation, sample_unseen_feasible
from ..samplers.registry import SamplerContext, SamplerFactory, make_sampler
from ..samplers.transfer import transfer_prior_of
from .ledger import Ledger, put_back
from .trial_states import ActiveTrial, State

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial

    from ...evaluate.latency.predictor import LatencyPredictor

ENQUEUE_UNSEEN_EVERY = 20
MAX_CONSECUTIVE_REJECTIONS = 400


class SpaceExhaustedError(Exception):
    """Every network of the space within the limits on cost has been proposed."""


class NothingFitsError(Exception):
    """No new network can be trained in the time left."""


class Proposer:
    """The study as a source of new networks.

    Args:
        sampler: in place of the one that the run's settings name.

    Attributes:
        visited: keys of networks that must not be evaluated again.
        max_training_macs: of the largest training that fits in the time left.
        postponed: trials whose training does not fit; a resumed search does them.
    """

    def __init__(
        self,
        run: Run,
        ledger: Ledger,
        latency_predictor: "LatencyPredictor | None" = None,
        sampler: "BaseSampler | SamplerFactory | None" = None,
    ) -> None:
        self.ledger = ledger
        self.run = run
        self.settings = run.settings
        self.study = run.study
        self.max_training_macs = math.inf
        self.postponed: list[Trial] = []
        records = run.records()
        context = SamplerContext(
            self.settings.space,
            self.settings.goals,
            self.settings.seed,
            n_previous_trials=len(records),
            observed_accuracies=ledger.observed_accuracies,
            noise=ledger.seed_noise_std,
            latency_predictor=latency_predictor,
            reference_ms=self.settings.latency.reference_ms,
            transfer_prior=transfer_prior_of(run),
            max_training_macs=lambda: self.max_training_macs,
        )
        self.study.sampler = make_sampler(sampler or self.settings.sampler, context)
        self.rng = random.Random(context.session_seed)
        self.visited = {record.key for record in records if record.is_evaluated or record.state == "failed"}
        self.visited |= {record.key for record in records if record.state == "infeasible" and record.latency}
        self.proposed_keys = {record.key for record in records}

    def next(self, max_training_macs: float = math.inf, max_baseline_macs: float = math.inf) -> ActiveTrial:
        """A new network within the limits on cost.

        Args:
            max_training_macs: of the largest training that fits in the time left. Where a sampler proposes a
                larger one, it is postponed, and a network that fits is sampled uniformly.
            max_baseline_macs: of the largest enqueued baseline that fits in the share of those.
        Raises:
            NoFeasibleNetworkError: too many proposals in a row were infeasible or duplicates.
            NothingFitsError: no new network fits in the time left.
            SpaceExhaustedError: every network has been proposed.
        """
        self.max_training_macs = max_training_macs
        while True:
            if max_training_macs < math.inf and self._sample_unseen(random.Random(0)) is None:
                raise NothingFitsError
            rejections = self.ledger.consecutive_rejections
            if rejections >= MAX_CONSECUTIVE_REJECTIONS:
                raise self.no_feasible_network()
            if rejections % ENQUEUE_UNSEEN_EVERY == ENQUEUE_UNSEEN_EVERY - 1:
                if len(self.proposed_keys) >= self.settings.space.size:
                    raise SpaceExhaustedError
                self._enqueue_unseen()
            trial = self.study.ask(self._distributions())
            _ = trial.relative_params  # NSGA-II learns only from trials that have looked at it
            architecture = self.settings.space.decode(trial.params)
            trial.set_user_attr("key", architecture.key)
            self.proposed_keys.add(architecture.key)
            active = ActiveTrial(trial, architecture)
            if architecture.key in self.visited:
                self.ledger.finish(active, State.DUPLICATE)
            elif not self.ledger.satisfies_cost_limits(active):
                self.ledger.finish(active, State.INFEASIBLE)
            elif self.ledger.is_surely_too_slow(active):
                self.visited.add(architecture.key)
                self.ledger.finish(active, State.INFEASIBLE)
            elif training_macs(architecture) > (
                min(max_training_macs, max_baseline_macs)
                if active.record.source == BASELINE_SOURCE
                else max_training_macs
            ):
                self.postponed.append(trial)
                if active.record.source == "sampler":
                    self._enqueue_unseen()
            else:
                self.visited.add(architecture.key)
                return active

    def put_back_postponed(self) -> None:
        """Have a resumed search do the postponed trials first."""
        while self.postponed:
            put_back(self.run, self.postponed.pop(0))

    def enqueue(self, genes: Genes, source: str) -> None:
        """Have a network proposed next."""
        self.study.enqueue_trial(genes, user_attrs={"source": source})

    def no_feasible_network(self) -> NoFeasibleNetworkError:
        """The error that ends the search, with what to relax."""
        limits = ", ".join(str(constraint) for constraint in self.settings.goals.constraints) or "none"
        return NoFeasibleNetworkError(
            f"{self.ledger.consecutive_rejections} proposals in a row were infeasible or duplicates "
            f"(limits: {limits}; {len(self.ledger.evaluated)} networks evaluated); "
            f"relax a limit or widen space {self.settings.space.name}"
        )

    def _distributions(self) -> "dict[str, BaseDistribution]":
        from optuna.distributions import CategoricalDistribution

        return {gene.name: CategoricalDistribution(gene.choices) for gene in self.settings.space.genes}

    def _enqueue_unseen(self) -> None:
        genes = self._sample_unseen(self.rng)
        if genes is not None:
            self.enqueue(genes, "random feasible")
        elif isinstance(self.settings.space, PretrainedSpace):  # it lists its networks: none is left
            raise SpaceExhaustedError

    def _sample_unseen(self, rng: random.Random) -> Genes | None:
        space, goals = self.settings.space, self.settings.goals
        return sample_unseen_feasible(space, goals, self.visited, rng, self.max_training_macs)


def feasible_published(run: Run) -> Iterator[tuple[str, Genes]]:
    """Published networks of the run's space within its limits on cost, with their genes."""
    space = run.settings.space
    violation_of = constraint_violation(run.settings.goals)
    yielded_keys: set[str] = set()
    for name in PUBLISHED_NAMES:
        fitted = replace(
            published_architecture(name), image_channels=space.image_channels, classes=space.classes
        )
        for side in space.resolution_px:
            architecture = replace(fitted, resolution_px=side)
            inside = architecture.key not in yielded_keys and space.contains(architecture)
            if inside and violation_of(cost(architecture)) == 0:
                yielded_keys.add(architecture.key)
                yield f"{name} at {side} px", space.encode(architecture)
