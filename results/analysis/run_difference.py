"""Two searches compared: their settings, and their fronts on a common one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from ...evaluate.statistics.estimate import Estimate
from ..store.pareto import pareto_front
from ..store.search_run import SearchRun
from ..store.settings import settings_yaml
from ..store.trial import Record
from .front_posterior import best_by, front_posterior_of
from .hypervolume import hypervolume_box

# differ between any two searches, or follow from other settings
_LEFT_OUT = ("study", "created", "latency.calibration", "latency.panel.networks", "goals")


@dataclass(frozen=True)
class Outcome:
    """What one of the searches contributes.

    Attributes:
        networks: completed networks.
        front: networks on its own front.
        on_common_front: networks on the front over both.
        hypervolume: of its front, as a fraction of the box around both fronts; None without networks.
        best: its most accurate network (or best by reward), with the accuracy estimated over both searches.
    """

    networks: int
    front: int
    on_common_front: int
    hypervolume: float | None
    best: Record | None

    @property
    def as_dict(self) -> dict[str, Any]:
        best = self.best
        return {
            "networks": self.networks,
            "front": self.front,
            "on_common_front": self.on_common_front,
            "hypervolume": self.hypervolume,
            "best": best and best.label,
            "best_accuracy": best and best.estimated_accuracy.value,
        }


@dataclass(frozen=True)
class RunDifference:
    """The outcomes of two searches.

    Attributes:
        outcomes: of the first and the second one.
        best_advantage: accuracy (or reward) of the first best network minus that of the second, with its 95%
            interval; None while the seed noise is unknown.
    """

    outcomes: tuple[Outcome, Outcome]
    best_advantage: Estimate | None

    @property
    def as_dict(self) -> dict[str, Any]:
        """For JSON; accuracies as fractions."""
        advantage = self.best_advantage
        return {
            "runs": [each.as_dict for each in self.outcomes],
            "best_advantage": advantage and advantage.value,
            "best_advantage_low": advantage and advantage.low,
            "best_advantage_high": advantage and advantage.high,
        }


def differing_settings(one: SearchRun, other: SearchRun) -> dict[str, tuple[Any, Any]]:
    """Values of `run.yaml` that differ, by dotted name; None stands for a missing one."""
    first, second = (dict(_flat(yaml.safe_load(settings_yaml(run.settings)))) for run in (one, other))
    limits = [", ".join(map(str, run.settings.goals.constraints)) or "none" for run in (one, other)]
    objectives = [", ".join(map(str, run.settings.goals.objectives)) for run in (one, other)]
    pairs: dict[str, tuple[Any, Any]] = {
        "objectives": (objectives[0], objectives[1]),
        "limits": (limits[0], limits[1]),
    }
    pairs |= {name: (first.get(name), second.get(name)) for name in first | second}
    return {name: (ours, theirs) for name, (ours, theirs) in pairs.items() if ours != theirs}


def run_difference(one: SearchRun, other: SearchRun, joined: SearchRun) -> RunDifference:
    """The outcomes of two searches.

    Args:
        joined: both as one run, which estimates the accuracies.
    """
    completed, goals = joined.completed_records(), joined.settings.goals
    front_posterior = front_posterior_of(completed, goals)
    common = {record.key for record in pareto_front(completed, goals.objectives)}
    reference_ms = joined.settings.latency.reference_ms
    box = hypervolume_box(completed, goals, reference_ms) if completed else None

    def outcome(run: SearchRun) -> Outcome:
        keys = {record.key for record in run.completed_records()}
        own = [record for record in completed if record.key in keys]
        front = pareto_front(own, goals.objectives)
        return Outcome(
            networks=len(own),
            front=len(front),
            on_common_front=sum(record.key in common for record in front),
            hypervolume=box.normalized_history(own)[-1] if box and own else None,
            best=best_by(goals.ranking_objective, own),
        )

    first, second = outcome(one), outcome(other)
    known = [each.best for each in (first, second) if each.best]
    advantage = None
    if front_posterior and len(known) == 2 and all(best in front_posterior for best in known):
        advantage = front_posterior.accuracy_advantage(*known)
    return RunDifference((first, second), advantage)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        path = f"{prefix}{name}"
        if path in _LEFT_OUT:
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}.")
        else:
            yield path, value
