"""Asking the study for networks worth judging; those that are not are told on the way."""

import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from ...evaluate import Accuracy, Latency, Objective
from ...evaluate.scorers import seed_matters
from ...results import Record, Run
from ...results.store.trial import noise_known, risen, with_repeats
from ...search_space import (
    PUBLISHED_NAMES,
    Architecture,
    Cost,
    Genes,
    NoFeasibleNetworkError,
    RunError,
    cost,
    published,
)
from ..samplers.feasibility import excess_over, unseen_within_limits
from ..samplers.registry import Quest, sampler
from ..samplers.transfer import earlier_of
from .successive_halving import Promotion

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution

    from ...evaluate.latency.predictor import LatencyModel
    from ..samplers.surrogate import Found

HELP_EVERY = 20
GIVE_UP_AFTER = 400
FAILURES_IN_A_ROW = 10


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


class Proposals:
    """The study seen as a source of new networks.

    A trial is told `infeasible` when a limit breaks, with the worst values seen so far in place of
    those it does not have, and `repeat` when its network was judged before or is being judged.

    Attributes:
        begun: the networks that the study was told of with an accuracy of their own.
    """

    def __init__(self, run: Run, latency_model: "LatencyModel | None" = None) -> None:
        self.run = run
        self.settings = run.settings
        self.study: Study = run.study
        records = run.records()
        quest = Quest(
            self.settings.space,
            self.settings.goals,
            self.settings.seed,
            begun=len(records),
            found=self._found,
            noise=self._noise,
            latency_model=latency_model,
            reference_ms=self.settings.latency.reference_ms,
            earlier=earlier_of(run),
        )
        self.study.sampler = sampler(self.settings.sampler, quest)
        self.rng = random.Random(quest.fresh_seed)
        self.begun = [record for record in records if record.counts]
        self.seen = {record.key for record in records if record.counts or record.state == "failed"}
        self.seen |= {record.key for record in records if record.state == "infeasible" and record.latency}
        self.known = {record.key for record in records}
        self.infeasible = sum(record.state == "infeasible" for record in records)
        self.repeats = sum(record.state == "repeat" for record in records)
        self.failed = sum(record.state == "failed" for record in records)
        self.rejected_in_a_row = 0
        self.failed_in_a_row = 0

    def next(self) -> Proposal:
        """A network that has not been judged and keeps the limits that its cost tells.

        Raises:
            NoFeasibleNetworkError: too many proposals in a row broke a limit or were repeats.
            SpaceExhaustedError: nothing new is left.
        """
        while True:
            if self.rejected_in_a_row >= GIVE_UP_AFTER:
                self.refuse_to_go_on()
            if self.rejected_in_a_row % HELP_EVERY == HELP_EVERY - 1:
                if len(self.known) >= self.settings.space.size:
                    raise SpaceExhaustedError
                self._suggest_unseen()
            trial = self.study.ask(self._distributions())
            _ = trial.relative_params  # NSGA-II learns only from trials that have looked at it
            architecture = self.settings.space.decode(trial.params)
            trial.set_user_attr("key", architecture.key)
            self.known.add(architecture.key)
            if architecture.key in self.seen:
                self._tell_repeat(trial)
            elif not self._within_cost_limits(trial, architecture):
                self.tell_infeasible(trial, architecture)
            else:
                self.seen.add(architecture.key)
                return Proposal(trial, architecture)

    @property
    def judged(self) -> list[Record]:
        """The networks that were trained to the end."""
        return [record for record in self.begun if record.state == "judged"]

    def keeps_latency_limit(self, proposal: Proposal, latency: Latency) -> bool:
        """Note the latency on the trial, and whether it keeps the limit.

        Optuna takes one value for a constraint, so that of a prediction waits for a measurement.
        """
        proposal.latency = latency
        proposal.trial.set_user_attr("latency", asdict(latency))
        violations = self.settings.goals.violations(cost(proposal.architecture), latency)
        kept = violations.get("latency", 0.0) <= 0
        if "latency" in violations and not (kept and latency.source == "predicted"):
            proposal.trial.set_constraint("latency", violations["latency"])
        return kept

    def record_of(self, proposal: Proposal) -> Record:
        """A trained network as a record."""
        return Record(
            trial=proposal.trial.number,
            source=proposal.trial.user_attrs.get("source", "sampler"),
            state="judged",
            architecture=proposal.architecture,
            cost=cost(proposal.architecture),
            latency=proposal.latency,
            accuracy=proposal.accuracy,
        )

    def tell_judged(self, proposal: Proposal) -> None:
        """Tell a trained network."""
        trial = proposal.trial
        assert proposal.accuracy is not None
        trial.set_user_attr("accuracy", asdict(proposal.accuracy))
        rungs = self.settings.rungs
        trial.set_user_attr("state", "stopped" if rungs else "judged")
        if proposal.latency and proposal.latency.source == "predicted":
            violations = self.settings.goals.violations(cost(proposal.architecture), proposal.latency)
            if "latency" in violations:
                trial.set_constraint("latency", violations["latency"])
        proposal.record = self.record_of(proposal)
        if rungs:
            proposal.record = risen(proposal.record, rungs.first, proposal.accuracy, rungs.last)
        self.study.tell(trial, [proposal.record.value(objective) for objective in self._objectives])
        self.begun.append(proposal.record)
        self.rejected_in_a_row = self.failed_in_a_row = 0

    def keep_promoted(self, promotion: Promotion, found: Accuracy | str) -> Record:
        """Note what came of training a network on; the study keeps what it was told.

        Args:
            found: an accuracy whose seconds are those of this part of the training, or why there is none.
        Returns:
            What is known of the network now.
        """
        before = promotion.record
        if isinstance(found, Accuracy) and before.accuracy:
            found = replace(found, seconds=before.accuracy.seconds + found.seconds)
        self.run.keep_rung(before.key, promotion.epochs, found)
        assert self.settings.rungs
        after = risen(before, promotion.epochs, found, self.settings.rungs.last)
        self.begun = [after if record.key == before.key else record for record in self.begun]
        return after

    def note_repeats(self) -> None:
        """Have the judged networks know all their trainings; the study keeps what it was told."""
        self.begun = with_repeats(self.begun, self.run.repeats())

    def tell_infeasible(
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
        found = cost(architecture)
        self.study.tell(
            trial, [self._told(objective, found, latency, accuracy) for objective in self._objectives]
        )
        self.infeasible += 1
        self.rejected_in_a_row += 1

    def tell_failed(self, proposal: Proposal, error: str) -> None:
        """Tell a network that could not be measured or trained.

        Raises:
            RunError: it is one of many in a row.
        """
        from optuna.trial import TrialState

        proposal.trial.set_user_attr("state", "failed")
        proposal.trial.set_user_attr("error", error)
        self.study.tell(proposal.trial, state=TrialState.FAIL)
        self.failed += 1
        self.failed_in_a_row += 1
        if self.failed_in_a_row >= FAILURES_IN_A_ROW:
            if proposal.latency is None or proposal.accuracy is not None:
                raise RunError(f"{FAILURES_IN_A_ROW} networks in a row could not be measured: {error}")
            if self.settings.scorer != "train":
                judge = self.settings.scorer
                raise RunError(
                    f"{FAILURES_IN_A_ROW} networks in a row could not be judged by {judge}: {error}"
                )
            raise RunError(
                f"{FAILURES_IN_A_ROW} trainings in a row failed, the last because {error}; "
                "begin a new run with a lower --learning-rate"
            )

    def enqueue(self, genes: Genes, source: str) -> None:
        """Have a network proposed next."""
        self.study.enqueue_trial(genes, user_attrs={"source": source})

    def _found(self) -> "Found":
        """All trainings of a network, or with early stopping what all networks have: the lowest rung."""
        if self.settings.rungs:
            return {each.trial: (each.told.top1, 1) for each in self.begun}
        return {each.trial: (each.top1, len(each.trainings)) for each in self.begun}

    def _noise(self) -> float | None:
        if not seed_matters(self.settings.scorer):
            return 0.0
        return None if self.settings.rungs else noise_known(self.begun)

    def refuse_to_go_on(self) -> NoReturn:
        """End the search.

        Raises:
            NoFeasibleNetworkError: always; says what to relax.
        """
        limits = ", ".join(str(constraint) for constraint in self.settings.goals.constraints) or "none"
        raise NoFeasibleNetworkError(
            f"{self.rejected_in_a_row} proposals in a row broke a limit or had been judged before "
            f"(limits: {limits}; {len(self.begun)} networks judged); "
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

    def _tell_repeat(self, trial: "Trial") -> None:
        from optuna.trial import TrialState

        trial.set_user_attr("state", "repeat")
        self.study.tell(trial, state=TrialState.FAIL)
        self.repeats += 1
        self.rejected_in_a_row += 1

    def _told(
        self, objective: Objective, found: Cost, latency: Latency | None, accuracy: Accuracy | None
    ) -> float:
        if objective.quantity in ("macs", "params"):
            return float(getattr(found, objective.quantity))
        if objective.quantity == "latency" and latency is not None:
            return latency.latency_ms
        factor = objective.factor(found, latency)
        if objective.of_accuracy and accuracy is not None and factor is not None:
            return accuracy.top1 * factor
        values = [record.told.value(objective) for record in self.begun]
        if objective.of_accuracy:
            return min(values, default=1 / self.settings.space.classes)
        return max(values, default=self.settings.latency.reference_ms)

    def _suggest_unseen(self) -> None:
        genes = unseen_within_limits(self.settings.space, self.settings.goals, self.seen, self.rng)
        if genes is not None:
            self.enqueue(genes, "within limits")


def published_within(run: Run) -> Iterator[tuple[str, Genes]]:
    """The published networks that lie in the run's space and keep its limits, with their genes."""
    space = run.settings.space
    excess = excess_over(run.settings.goals)
    given: set[str] = set()
    for name in PUBLISHED_NAMES:
        fitted = replace(published(name), image_channels=space.image_channels, classes=space.classes)
        for side in space.resolution_px:
            architecture = replace(fitted, resolution_px=side)
            inside = architecture.key not in given and space.contains(architecture)
            if inside and excess(cost(architecture)) == 0:
                given.add(architecture.key)
                yield f"{name} at {side} px", space.encode(architecture)
