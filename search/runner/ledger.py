"""The ledger of a search: stores the results of trials in the study and counts them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from operator import is_
from typing import TYPE_CHECKING

from ...evaluate import Accuracy, Latency, Objective
from ...evaluate.scorers import depends_on_seed
from ...results import Record, Run
from ...results.store.fidelities import estimated_final_accuracies
from ...results.store.trial import seed_noise_std, with_posteriors, with_replicates, with_rung_result
from ...search_space import Architecture, RunError, cost
from .successive_halving import Promotion
from .trial_states import EVALUATED, ActiveTrial, State, satisfies_latency_limit

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

    from ..samplers.ehvi import AccuracyByTrial

MAX_CONSECUTIVE_FAILURES = 10
ANY_PX = 32


def put_back(run: Run, trial: "Trial | FrozenTrial") -> None:
    """Enqueue an unfinished trial again, unless it was stopped before it had all its genes."""
    from optuna.trial import TrialState

    run.study.tell(trial.number, state=TrialState.FAIL)
    if set(trial.params) == {gene.name for gene in run.settings.space.genes}:
        run.study.enqueue_trial(
            trial.params, user_attrs={"source": trial.user_attrs.get("source", "sampler")}
        )


class Ledger:
    """Results of all trials of a run.

    An infeasible trial is complete for Optuna, with the worst values so far in place of those it lacks; a
    duplicate or failed one has state FAIL.

    Args:
        callbacks: called with the record of every finished trial.

    Attributes:
        evaluated: networks that were trained, to the end or to a rung.
        consecutive_rejections: infeasible and duplicate trials since the last evaluated one.
    """

    def __init__(self, run: Run, callbacks: Sequence[Callable[[Record], None]] = ()) -> None:
        self.run = run
        self.settings = run.settings
        self.callbacks = callbacks
        self.study = run.study
        records = run.records()
        self.evaluated = [record for record in records if record.is_evaluated]
        self.infeasible = sum(record.state == "infeasible" for record in records)
        self.duplicates = sum(record.state == "duplicate" for record in records)
        self.failed = sum(record.state == "failed" for record in records)
        self.consecutive_rejections = 0
        self.consecutive_failures = 0
        self._estimated: tuple[list[Record], list[Record]] = [], []
        self._too_slow: dict[Architecture, tuple[int, float]] = {}
        for record in records:
            self._note_latency(record)

    @property
    def completed(self) -> list[Record]:
        """Networks that were trained to the end, with their estimated accuracies."""
        snapshot, completed = self._estimated
        if len(snapshot) != len(self.evaluated) or not all(map(is_, snapshot, self.evaluated)):
            completed = with_posteriors([record for record in self.evaluated if record.state == "complete"])
            self._estimated = [*self.evaluated], completed
        return completed

    def observed_accuracies(self) -> "AccuracyByTrial":
        """Mean accuracy and number of training runs by trial; with rungs, estimates at the last one."""
        if self.settings.rungs:
            estimates = estimated_final_accuracies(self.evaluated, self.settings.rungs)
            return {each.trial: (top1, 1) for each, top1 in zip(self.evaluated, estimates, strict=True)}
        return {each.trial: (each.top1, len(each.trainings)) for each in self.evaluated}

    def seed_noise_std(self) -> float | None:
        """Standard deviation of the accuracy of one training run; None while unknown."""
        if not depends_on_seed(self.settings.evaluator):
            return 0.0
        return None if self.settings.rungs else seed_noise_std(self.evaluated)

    def store(self, active: ActiveTrial, result: Latency | Accuracy) -> None:
        """Store a result of a step; a latency that could not be measured becomes the trial's error."""
        if isinstance(result, Accuracy):
            active.accuracy = result
        elif result.status == "failed":
            active.error = result.error
        else:
            active.latency = result
            active.trial.set_user_attr("latency", asdict(result))
            # Optuna takes one value per constraint: that of a satisfying prediction waits for a measurement
            if result.source != "predicted" or not satisfies_latency_limit(self.settings.goals, active):
                self._set_latency_constraint(active)

    def satisfies_cost_limits(self, active: ActiveTrial) -> bool:
        """Set the constraints on cost, and those that are not reached to the worst of them."""
        violations = self.settings.goals.violations(cost(active.architecture))
        worst = max(violations.values(), default=0.0)
        for constraint in self.settings.goals.constraints:
            name = constraint.quantity
            if name in violations:
                active.trial.set_constraint(name, violations[name])
            elif worst > 0:
                active.trial.set_constraint(name, worst)
        return worst <= 0

    def is_surely_too_slow(self, active: ActiveTrial) -> bool:
        """Whether the same network was measured to be too slow at a lower resolution.

        Then the constraint on latency is set to the violation there.
        """
        lowest_px, violation = self._too_slow.get(_any_resolution(active.architecture), (math.inf, 0.0))
        if active.architecture.resolution_px <= lowest_px:
            return False
        active.trial.set_constraint("latency", violation)
        return True

    def _note_latency(self, record: Record) -> None:
        if record.state != "infeasible" or not record.latency or record.latency.source != "measured":
            return
        violation = self.settings.goals.violations(record.cost, record.latency).get("latency", 0.0)
        key = _any_resolution(record.architecture)
        lowest_px, _ = self._too_slow.get(key, (math.inf, 0.0))
        if violation > 0 and record.architecture.resolution_px < lowest_px:
            self._too_slow[key] = record.architecture.resolution_px, violation

    def finish(self, active: ActiveTrial, state: State) -> Record:
        """Bring a trial to a final state, in the study too.

        Raises:
            RunError: it is one of many failures in a row.
        """
        from optuna.trial import TrialState

        failed_step = active.state
        active.advance(state)
        record, trial = active.record, active.trial
        if active.error:
            trial.set_user_attr("error", active.error)
        elif active.accuracy is not None:
            trial.set_user_attr("accuracy", asdict(active.accuracy))
        if state in EVALUATED and active.latency and active.latency.source == "predicted":
            self._set_latency_constraint(active)
        trial.set_user_attr("state", state.value)  # last: an interrupted trial with a state has its results
        if state in EVALUATED:
            record = self._evaluated(active, record)
        elif state is State.INFEASIBLE:
            self.study.tell(trial, [self._value(record, each) for each in self._objectives])
            self.infeasible += 1
            self.consecutive_rejections += 1
            self._note_latency(record)
        else:
            self.study.tell(trial, state=TrialState.FAIL)
            if state is State.DUPLICATE:
                self.duplicates += 1
                self.consecutive_rejections += 1
            else:
                self.failed += 1
                self.consecutive_failures += 1
        self._notify(record)
        if self.consecutive_failures >= MAX_CONSECUTIVE_FAILURES:
            raise self._repeated_failure(failed_step, active)
        return record

    def promote(self, promotion: Promotion, outcome: Accuracy | str) -> Record:
        """Store the result of a promotion; the study keeps the values of the first rung.

        Args:
            outcome: accuracy, with the seconds of this part of the training; or an error.
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

    def update_replicates(self) -> None:
        """Add the stored replicates to the evaluated networks; the study keeps the first values."""
        self.evaluated = with_replicates(self.evaluated, self.run.replicates())

    @property
    def _objectives(self) -> tuple[Objective, ...]:
        return self.settings.goals.objectives

    def _evaluated(self, active: ActiveTrial, record: Record) -> Record:
        assert active.accuracy is not None
        if rungs := self.settings.rungs:
            record = with_rung_result(record, rungs.first, active.accuracy, rungs.last)
        self.study.tell(active.trial, [record.value(objective) for objective in self._objectives])
        self.evaluated.append(record)
        self.consecutive_rejections = self.consecutive_failures = 0
        return record

    def _set_latency_constraint(self, active: ActiveTrial) -> None:
        violations = self.settings.goals.violations(cost(active.architecture), active.latency)
        if "latency" in violations:
            active.trial.set_constraint("latency", violations["latency"])

    def _value(self, record: Record, objective: Objective) -> float:
        """The value of an infeasible network, or the worst so far where it was not reached."""
        try:
            return record.value(objective)
        except ValueError:
            values = [each.at_lowest_fidelity.value(objective) for each in self.evaluated]
        if objective.depends_on_accuracy:
            return min(values, default=1 / self.settings.space.classes)
        return max(values, default=self.settings.latency.reference_ms)

    def _notify(self, record: Record) -> None:
        for callback in self.callbacks:
            callback(record)

    def _repeated_failure(self, step: State, active: ActiveTrial) -> RunError:
        count, evaluator, error = MAX_CONSECUTIVE_FAILURES, self.settings.evaluator, active.error
        if step is not State.TRAINING:
            return RunError(f"{count} networks in a row could not be measured: {error}")
        if evaluator != "train":
            return RunError(f"{count} networks in a row could not be evaluated by {evaluator}: {error}")
        return RunError(
            f"{count} training runs in a row failed, the last one because {error}; {active.remedy}"
        )


def _any_resolution(architecture: Architecture) -> Architecture:
    """Equal for networks that differ in resolution or in what is tuned only."""
    return replace(architecture.without_fine_tuning, resolution_px=ANY_PX)
