"""Asking the study for networks worth judging; those that are not are told on the way."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from ...evaluate import Accuracy, Latency, Objective
from ...evaluate.scorers import depends_on_seed
from ...results import Record, Run
from ...results.store.trial import seed_noise_std, with_replicates, with_rung_result
from ...search_space import (
    PUBLISHED_NAMES,
    Architecture,
    Cost,
    Genes,
    NoFeasibleNetworkError,
    RunError,
    cost,
    published_architecture,
)
from ..samplers.feasibility import constraint_violation, sample_unseen_feasible
from ..samplers.registry import SamplerContext, SamplerFactory, make_sampler
from ..samplers.transfer import transfer_prior_of
from .successive_halving import Promotion

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

    from ...evaluate.latency.predictor import LatencyPredictor
    from ..samplers.ehvi import AccuracyByTrial

ENQUEUE_UNSEEN_EVERY = 20
MAX_CONSECUTIVE_REJECTIONS = 400
MAX_CONSECUTIVE_FAILURES = 10


@dataclass
class Proposal:
    """A network within the limits of cost, and the trial to tell of it.

    Attributes:
        record: what the study was told, once it is judged.
    """

    trial: "Trial"
    architecture: Architecture
    latency: Latency | None = None
    accuracy: Accuracy | None = None
    record: Record | None = None


class SpaceExhaustedError(Exception):
    """Every network of the space has been proposed."""


class TrialManager:
    """The study seen as a source of new networks.

    A trial is told `infeasible` when a limit breaks, with the worst values seen so far in place of
    those it does not have, and `duplicate` when its network was judged before or is being judged.

    Attributes:
        evaluated: the networks that the study was told of with an accuracy of their own.
    """

    def __init__(
        self,
        run: Run,
        latency_predictor: "LatencyPredictor | None" = None,
        sampler: "BaseSampler | SamplerFactory | None" = None,
        callbacks: Sequence[Callable[[Record], None]] = (),
    ) -> None:
        self.run = run
        self.callbacks = callbacks
        self.settings = run.settings
        self.study: Study = run.study
        records = run.records()
        context = SamplerContext(
            self.settings.space,
            self.settings.goals,
            self.settings.seed,
            n_previous_trials=len(records),
            observed_accuracies=self._observed_accuracies,
            noise=self._seed_noise_std,
            latency_predictor=latency_predictor,
            reference_ms=self.settings.latency.reference_ms,
            transfer_prior=transfer_prior_of(run),
        )
        self.study.sampler = make_sampler(sampler or self.settings.sampler, context)
        self.rng = random.Random(context.session_seed)
        self.evaluated = [record for record in records if record.is_evaluated]
        self.seen = {record.key for record in records if record.is_evaluated or record.state == "failed"}
        self.seen |= {record.key for record in records if record.state == "infeasible" and record.latency}
        self.proposed_keys = {record.key for record in records}
        self.infeasible = sum(record.state == "infeasible" for record in records)
        self.duplicates = sum(record.state == "duplicate" for record in records)
        self.failed = sum(record.state == "failed" for record in records)
        self.consecutive_rejections = 0
        self.consecutive_failures = 0

    def next(self) -> Proposal:
        """A network that has not been judged and keeps the limits that its cost tells.

        Raises:
            NoFeasibleNetworkError: too many proposals in a row broke a limit or were repeats.
            SpaceExhaustedError: nothing new is left.
        """
        while True:
            if self.consecutive_rejections >= MAX_CONSECUTIVE_REJECTIONS:
                self.raise_no_feasible_network()
            if self.consecutive_rejections % ENQUEUE_UNSEEN_EVERY == ENQUEUE_UNSEEN_EVERY - 1:
                if len(self.proposed_keys) >= self.settings.space.size:
                    raise SpaceExhaustedError
                self._enqueue_unseen()
            trial = self.study.ask(self._distributions())
            _ = trial.relative_params  # NSGA-II learns only from trials that have looked at it
            architecture = self.settings.space.decode(trial.params)
            trial.set_user_attr("key", architecture.key)
            self.proposed_keys.add(architecture.key)
            if architecture.key in self.seen:
                self._record_duplicate(trial)
            elif not self._within_cost_limits(trial, architecture):
                self.record_infeasible(trial, architecture)
            else:
                self.seen.add(architecture.key)
                return Proposal(trial, architecture)

    @property
    def completed(self) -> list[Record]:
        """The networks that were trained to the end."""
        return [record for record in self.evaluated if record.state == "complete"]

    def satisfies_latency_limit(self, proposal: Proposal, latency: Latency) -> bool:
        """Note the latency on the trial, and whether it keeps the limit.

        Optuna takes one value for a constraint, so that of a prediction waits for a measurement.
        """
        proposal.latency = latency
        proposal.trial.set_user_attr("latency", asdict(latency))
        violations = self.settings.goals.violations(cost(proposal.architecture), latency)
        satisfied = violations.get("latency", 0.0) <= 0
        if "latency" in violations and not (satisfied and latency.source == "predicted"):
            proposal.trial.set_constraint("latency", violations["latency"])
        return satisfied

    def make_record(self, proposal: Proposal) -> Record:
        """A trained network as a record."""
        return Record(
            trial=proposal.trial.number,
            source=proposal.trial.user_attrs.get("source", "sampler"),
            state="complete",
            architecture=proposal.architecture,
            cost=cost(proposal.architecture),
            latency=proposal.latency,
            accuracy=proposal.accuracy,
        )

    def record_completed(self, proposal: Proposal) -> None:
        """Tell a trained network."""
        trial = proposal.trial
        assert proposal.accuracy is not None
        trial.set_user_attr("accuracy", asdict(proposal.accuracy))
        rungs = self.settings.rungs
        trial.set_user_attr("state", "stopped" if rungs else "complete")
        if proposal.latency and proposal.latency.source == "predicted":
            violations = self.settings.goals.violations(cost(proposal.architecture), proposal.latency)
            if "latency" in violations:
                trial.set_constraint("latency", violations["latency"])
        proposal.record = self.make_record(proposal)
        if rungs:
            proposal.record = with_rung_result(proposal.record, rungs.first, proposal.accuracy, rungs.last)
        self.study.tell(trial, [proposal.record.value(objective) for objective in self._objectives])
        self.evaluated.append(proposal.record)
        self._notify(proposal.record)
        self.consecutive_rejections = self.consecutive_failures = 0

    def record_promotion(self, promotion: Promotion, outcome: Accuracy | str) -> Record:
        """Note what came of training a network on; the study keeps what it was told.

        Args:
            outcome: an accuracy whose seconds are those of this part of the training, or why there is none.
        Returns:
            What is known of the network now.
        """
        before = promotion.record
        if isinstance(outcome, Accuracy) and before.accuracy:
            outcome = replace(outcome, seconds=before.accuracy.seconds + outcome.seconds)
        self.run.store_rung_result(before.key, promotion.epochs, outcome)
        assert self.settings.rungs
        after = with_rung_result(before, promotion.epochs, outcome, self.settings.rungs.last)
        self.evaluated = [after if record.key == before.key else record for record in self.evaluated]
        self._notify(after)
        return after

    def _notify(self, record: Record) -> None:
        for callback in self.callbacks:
            callback(record)

    def update_replicates(self) -> None:
        """Have the judged networks know all their trainings; the study keeps what it was told."""
        self.evaluated = with_replicates(self.evaluated, self.run.replicates())

    def record_infeasible(
        self,
        trial: "Trial",
        architecture: Architecture,
        latency: Latency | None = None,
        accuracy: Accuracy | None = None,
    ) -> None:
        """Tell a network that breaks a limit.

        Args:
            accuracy: of one that was trained before its latency was measured.
        """
        trial.set_user_attr("state", "infeasible")
        if accuracy is not None:
            trial.set_user_attr("accuracy", asdict(accuracy))
        network_cost = cost(architecture)
        self.study.tell(
            trial,
            [
                self._objective_value(objective, network_cost, latency, accuracy)
                for objective in self._objectives
            ],
        )
        self.infeasible += 1
        self.consecutive_rejections += 1

    def record_failed(self, proposal: Proposal, error: str) -> None:
        """Tell a network that could not be measured or trained.

        Raises:
            RunError: it is one of many in a row.
        """
        from optuna.trial import TrialState

        proposal.trial.set_user_attr("state", "failed")
        proposal.trial.set_user_attr("error", error)
        self.study.tell(proposal.trial, state=TrialState.FAIL)
        self.failed += 1
        self.consecutive_failures += 1
        if self.consecutive_failures >= MAX_CONSECUTIVE_FAILURES:
            if proposal.latency is None or proposal.accuracy is not None:
                raise RunError(f"{MAX_CONSECUTIVE_FAILURES} networks in a row could not be measured: {error}")
            if self.settings.evaluator != "train":
                raise RunError(
                    f"{MAX_CONSECUTIVE_FAILURES} networks in a row could not be judged by "
                    f"{self.settings.evaluator}: {error}"
                )
            raise RunError(
                f"{MAX_CONSECUTIVE_FAILURES} trainings in a row failed, the last because {error}; "
                "begin a new run with a lower --learning-rate"
            )

    def enqueue(self, genes: Genes, source: str) -> None:
        """Have a network proposed next."""
        self.study.enqueue_trial(genes, user_attrs={"source": source})

    def _observed_accuracies(self) -> "AccuracyByTrial":
        """All trainings of a network, or with early stopping what all networks have: the lowest rung."""
        if self.settings.rungs:
            return {each.trial: (each.at_lowest_fidelity.top1, 1) for each in self.evaluated}
        return {each.trial: (each.top1, len(each.trainings)) for each in self.evaluated}

    def _seed_noise_std(self) -> float | None:
        if not depends_on_seed(self.settings.evaluator):
            return 0.0
        return None if self.settings.rungs else seed_noise_std(self.evaluated)

    def raise_no_feasible_network(self) -> NoReturn:
        """End the search.

        Raises:
            NoFeasibleNetworkError: always; says what to relax.
        """
        limits = ", ".join(str(constraint) for constraint in self.settings.goals.constraints) or "none"
        raise NoFeasibleNetworkError(
            f"{self.consecutive_rejections} proposals in a row broke a limit or had been judged before "
            f"(limits: {limits}; {len(self.evaluated)} networks judged); "
            f"relax a limit or widen space {self.settings.space.name}"
        )

    @property
    def _objectives(self) -> tuple[Objective, ...]:
        return self.settings.goals.objectives

    def _distributions(self) -> "dict[str, BaseDistribution]":
        from optuna.distributions import CategoricalDistribution

        return {gene.name: CategoricalDistribution(gene.choices) for gene in self.settings.space.genes}

    def _within_cost_limits(self, trial: "Trial", architecture: Architecture) -> bool:
        violations = self.settings.goals.violations(cost(architecture))
        worst = max(violations.values(), default=0.0)
        for constraint in self.settings.goals.constraints:
            name = constraint.quantity
            if name in violations:
                trial.set_constraint(name, violations[name])
            elif worst > 0:
                trial.set_constraint(name, worst)
        return worst <= 0

    def _record_duplicate(self, trial: "Trial") -> None:
        from optuna.trial import TrialState

        trial.set_user_attr("state", "duplicate")
        self.study.tell(trial, state=TrialState.FAIL)
        self.duplicates += 1
        self.consecutive_rejections += 1

    def _objective_value(
        self, objective: Objective, network_cost: Cost, latency: Latency | None, accuracy: Accuracy | None
    ) -> float:
        if objective.quantity in ("macs", "params"):
            return float(getattr(network_cost, objective.quantity))
        if objective.quantity == "latency" and latency is not None:
            return latency.latency_ms
        accuracy_factor = objective.accuracy_factor(network_cost, latency)
        if objective.depends_on_accuracy and accuracy is not None and accuracy_factor is not None:
            return accuracy.top1 * accuracy_factor
        values = [record.at_lowest_fidelity.value(objective) for record in self.evaluated]
        if objective.depends_on_accuracy:
            return min(values, default=1 / self.settings.space.classes)
        return max(values, default=self.settings.latency.reference_ms)

    def _enqueue_unseen(self) -> None:
        genes = sample_unseen_feasible(self.settings.space, self.settings.goals, self.seen, self.rng)
        if genes is not None:
            self.enqueue(genes, "random feasible")


def feasible_published(run: Run) -> Iterator[tuple[str, Genes]]:
    """The published networks that lie in the run's space and keep its limits, with their genes."""
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
