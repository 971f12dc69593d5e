"""Rows of the report's network table: the Pareto front and the published networks."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...evaluate import Accuracy, Goals
from ...evaluate.statistics.arrays import evenly_spaced
from ...search_space.pretrained_space import candidate_text
from ..analysis.front_posterior import FrontPosterior
from ..analysis.paired_images import is_indistinguishable
from ..store.search_run import Baseline, Verification
from ..store.trial import Record
from ..text.baselines import baseline_accuracy
from ..text.formatting import accuracy_text, mean_text
from ..text.front_posterior import percent
from .drawing import Drawing

MAX_ROWS = 100  # each has a drawing of its own


def _origin(record: Record) -> str:
    return record.source if record.source != "sampler" else ""


def export_command(folder: Path, trial: int | str, weights: bool = True) -> str:
    """The command that writes a network's config, and its ONNX model where there are weights."""
    formats = "config,onnx" if weights else "config"
    return f"bneck export {shlex.quote(str(folder))} --trial {trial} --format {formats} -o exported"


def training_command(folder: Path, trial: int | str, epochs: int) -> str:
    """The command that trains a network of a search for further epochs, from its weights."""
    return f"bneck train {shlex.quote(f'{folder}#{trial}')} --epochs {epochs}"


@dataclass(frozen=True)
class FrontTable:
    """Values of the network table.

    Attributes:
        alternatives: records that a reader chooses among.
        front_posterior: None where the seed variance is unknown.
        weights: whether the run saves the weights of its networks.
    """

    front: Sequence[Record]
    alternatives: Sequence[Record]
    baselines: Sequence[Baseline]
    verifications: Mapping[str, Verification]
    goals: Goals
    folder: Path
    front_posterior: FrontPosterior | None = None
    weights: bool = True

    @property
    def tested(self) -> bool:
        return bool(self.baselines) or any(each.test_images for each in self.verifications.values())

    @property
    def shown(self) -> list[Record]:
        """The networks with a row: the whole front, or `MAX_ROWS` spread over it."""
        return evenly_spaced(self.front, MAX_ROWS)

    def pareto_rows(self) -> list[dict[str, Any]]:
        return [self.pareto_row(record) for record in self.shown]

    def pareto_row(self, record: Record) -> dict[str, Any]:
        return self._row(record, self.verifications.get(record.key)) | {
            "id": f"trial-{record.label}",
            "name": record.label,
            "source": ", ".join(filter(None, (candidate_text(record.architecture), _origin(record)))),
            "command": export_command(Path(record.run or self.folder), record.trial, self.weights),
        }

    def baseline_rows(self) -> list[dict[str, Any]]:
        return [self.baseline_row(each) for each in self.baselines]

    def baseline_row(self, baseline: Baseline) -> dict[str, Any]:
        violations = self.goals.violations(baseline.cost, baseline.latency)
        violated = [quantity for quantity, violation in violations.items() if violation > 0]
        return self._row(baseline, baseline) | {
            "id": baseline.name,
            "name": baseline.name,
            "violated": violated,
            "command": "",
        }

    def _row(self, network: Record | Baseline, tested: Verification | Baseline | None) -> dict[str, Any]:
        accuracy = network if isinstance(network, Record) else network.accuracy
        top1 = network.estimated_accuracy.value if isinstance(network, Record) else network.accuracy.top1
        objective = self.goals.ranking_objective
        factor = objective.accuracy_factor(network.cost, network.latency) if self.goals.reward else None
        return {
            "network": network,
            "number": network.trial if isinstance(network, Record) else "",
            "top1": top1,
            "key": network.architecture.key,
            "reward": None if factor is None else top1 * factor,
            "test": None if tested is None or tested.test_top1 is None else tested,
            "verified": tested.latency if isinstance(tested, Verification) else None,
            "drawing": Drawing(network.architecture),
            **self._accuracy(accuracy),
        }

    def _accuracy(self, accuracy: Record | Accuracy) -> dict[str, Any]:
        """Accuracy with its uncertainty; None for what is unknown."""
        posterior = self.front_posterior
        values: dict[str, Any] = dict.fromkeys(("accuracy", "mean", "pareto", "probability", "others"))
        if isinstance(accuracy, Record) and not accuracy.trainings:
            return values
        if isinstance(accuracy, Record):
            values["accuracy"] = accuracy_text(accuracy.estimated_accuracy)
            values["mean"] = mean_text(accuracy) if accuracy.posterior else None
        else:
            values["accuracy"] = accuracy_text(baseline_accuracy(accuracy, posterior))
        if posterior is None:
            known = accuracy.trainings[0] if isinstance(accuracy, Record) else accuracy
            return values | {
                "others": [
                    other.label
                    for other in self.alternatives
                    if other is not accuracy
                    and other.trainings
                    and is_indistinguishable(known, other.trainings[0])
                ]
            }
        if isinstance(accuracy, Accuracy) or accuracy not in posterior:
            return values
        probability = posterior.pareto_probability(accuracy)
        return values | {
            "pareto": probability,
            "probability": percent(probability),
            "others": [other.label for other in posterior.replacements(accuracy)],
        }
