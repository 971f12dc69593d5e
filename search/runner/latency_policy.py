"""Decides which latencies of a search are measured and which are predicted; fits the predictor."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from ...evaluate import Constraint, Goals, Latency
from ...evaluate.latency.predictor import MIN_NETWORKS, LatencyPredictor
from ...results import LatencyPolicy, Record, Run, pareto_front
from ...results.store.trial import BASELINE_SOURCE
from ...search_space import Architecture, PretrainedSpace, RunError, cost
from ...search_space.counting.enumeration import networks_within
from ..console.progress import Progress
from ..parallel.deadline import Deadline
from ..parallel.pool import Pool
from ..samplers.initial_design import stratified
from . import worker
from .attempts import Attempts
from .jobs import Job, run_jobs

MODEL_NETWORKS, LIKELY_NETWORKS = 30, 20
TIME_SHARE = 0.25  # of the time limit, at most


@dataclass(frozen=True)
class LatencyStrategy:
    """Predicts every latency, and measures it near the limit and for networks that would enter the front.

    Args:
        model: None to measure everything.
    """

    goals: Goals
    latency_policy: LatencyPolicy
    model: LatencyPredictor | None

    @classmethod
    def of(cls, run: Run) -> "LatencyStrategy":
        """The strategy of a run, with its predictor if that is fitted.

        Raises:
            FileFormatError: the predictor's file is missing or damaged, and nothing can be measured.
        """
        source = run.settings.latency_policy
        has_model = source == "model" or (source == "both" and run.latency_predictor_file.is_file())
        return cls(
            run.settings.goals,
            source,
            LatencyPredictor.load(run.latency_predictor_file) if has_model else None,
        )

    def predict_before_training(self, architecture: Architecture) -> Latency | None:
        """The prediction; None if the network must be measured."""
        if self.model is None:
            return None
        predicted = self.model.predict(architecture)
        if self.latency_policy == "both":
            limit = self.goals.latency_limit
            if limit and self._is_near(limit, predicted):
                return None
        return predicted

    def _is_near(self, limit: Constraint, predicted: Latency) -> bool:
        """Whether the limit is within two standard deviations, or between the prediction and its bound."""
        assert self.model is not None
        ratio = predicted.ratio if limit.unit == "x" else predicted.latency_ms
        bound_only = ratio <= limit.limit < ratio * predicted.upper_factor
        return bound_only or self.model.within_two_std(ratio, limit.limit)

    def needs_measurement(self, record: Record, completed: Sequence[Record]) -> bool:
        """Whether a trained network would enter the front by the lower bound of its predicted latency."""
        latency = record.latency
        if self.model is None or self.latency_policy == "model" or latency is None:
            return False
        if latency.source == "measured":
            return False
        share = 1 - 2 * self.model.relative_error_std
        fastest_plausible = replace(
            latency, latency_ms=latency.latency_ms * share, ratio=latency.ratio * share
        )
        optimistic_record = replace(record, latency=fastest_plausible)
        return optimistic_record in pareto_front([*completed, optimistic_record], self.goals.objectives)


def likely_networks(run: Run) -> list[Architecture]:
    """Networks that the search may propose, at least one.

    All candidates of a space that lists them, else some that are spread over the MACs within the limits. What
    is surely too slow is left out.
    """
    space, goals = run.settings.space, run.settings.goals
    if isinstance(space, PretrainedSpace):
        limits = {str(each.quantity): each.limit for each in goals.constraints if each != goals.latency_limit}
        first = [record.cost.macs for record in run.records() if record.source == BASELINE_SOURCE]
        if goals.latency_limit and not first:  # whole parents are too slow at the lowest resolution, too
            lowest = min(space.resolution_px)
            first = [cost(each).macs for each in space.candidates if each.resolution_px == lowest]
        if goals.latency_limit:  # slower networks are hardly proposed
            limits["macs"] = min(limits.get("macs", math.inf), max(first))
        return networks_within(space, limits)
    networks = stratified(space, goals, LIKELY_NETWORKS, random.Random(run.settings.seed))
    if not goals.latency_limit or not run.latency_predictor_file.is_file():
        return networks
    model = LatencyPredictor.load(run.latency_predictor_file)
    slowness = {
        network: goals.violations(cost(network), model.predict(network))["latency"] for network in networks
    }
    fast = [network for network in networks if slowness[network] <= 0]
    return fast or [min(networks, key=slowness.__getitem__)]


def fit_latency_model(run: Run, pool: Pool, progress: Progress, deadline: Deadline | None = None) -> None:
    """Measure networks of the space and fit the run's latency predictor to them.

    Nothing is fitted if the run's policy excludes it, if the run has too few trials to save measurements, or
    if the limits, or a quarter of the time, leave too few networks.
    """
    deadline = (deadline or Deadline()).part(TIME_SHARE)
    settings = run.settings
    if settings.latency_policy != "both" or run.latency_predictor_file.is_file():
        return
    if settings.n_trials <= MODEL_NETWORKS:
        return
    rng = random.Random(settings.seed)
    networks = stratified(settings.space, settings.goals, MODEL_NETWORKS, rng)
    if len(networks) < MIN_NETWORKS:
        return
    measured: dict[Architecture, Latency] = {}
    jobs = [
        Job(
            pool, worker.measure, network, f"latency of {network.key}", partial(measured.__setitem__, network)
        )
        for network in networks
    ]
    phase = "fitting the latency predictor"
    skipped = run_jobs(jobs, pool, progress, phase, Attempts(run.study), deadline)
    known = {
        network: measured[network]
        for network in networks
        if network in measured and measured[network].status != "failed"
    }
    if skipped and len(known) < MIN_NETWORKS:
        progress.print_line(
            f"no latency predictor: a quarter of the time was enough for {len(known)} networks, "
            f"{MIN_NETWORKS} are needed; every latency is measured"
        )
        return
    if len(known) < MIN_NETWORKS:
        errors = (each.error for each in measured.values() if each.status == "failed")
        failed = next(errors, "its process died")
        raise RunError(f"{run.folder}: too few networks could be measured; one of them: {failed}")
    model = LatencyPredictor.fit(
        list(known),
        [each.ratio for each in known.values()],
        setup=settings.latency,
        space=settings.space.name,
    )
    run.study.set_user_attr("latency_predictor_seconds", sum(each.seconds for each in measured.values()))
    model.save(run.latency_predictor_file)
    progress.print_line(
        f"latency predictor: error below {100 * model.conformal_margin:.0f}% for 9 of 10 networks, fitted to "
        f"{len(known)}; latency is measured near the limit and for the front"
    )
