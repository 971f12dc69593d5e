"""A trained network with what its files say of it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...search_space import Architecture, architecture_yaml, cost
from ...search_space.pretrained_space import candidate_text
from ..store.search_run import SearchRun
from ..store.settings import DataSettings
from ..store.trial import Record
from ..text.network_results import training_results, trial_results

if TYPE_CHECKING:
    from ...evaluate.preprocessing import Preprocessing
    from ...evaluate.training.checkpoint import Checkpoint
    from ...search_space.network import Network
    from ..store.training_run import TrainingRun


@dataclass(frozen=True)
class OnnxOptions:
    """How an ONNX model is written.

    Attributes:
        batch: fixed number of images; None for any.
        embed_preprocessing: normalization and softmax are part of the model.
    """

    batch: int | None = None
    embed_preprocessing: bool = False


ANY_BATCH = OnnxOptions()


@dataclass(frozen=True)
class Exportable:
    """A trained network to export.

    Attributes:
        stem: file name without suffix.
        checkpoint: file with the weights.
        metadata: origin, cost and accuracy, for the config.
        onnx: how its ONNX model is written.
        results: what was measured of it, rows of quantity and value.
    """

    stem: str
    architecture: Architecture
    data: DataSettings
    checkpoint: Path
    metadata: Mapping[str, Any]
    onnx: OnnxOptions = ANY_BATCH
    results: Callable[[], Sequence[tuple[str, str]]] = tuple

    @property
    def title(self) -> str:
        """Where the network comes from, such as `tiny-digits-1#5` or `photos`."""
        run, trial, training = (self.metadata.get(key) for key in ("run", "trial", "training"))
        return f"{run}#{trial}" if run else str(training)

    @property
    def model_name(self) -> str:
        """The stem as a Python name: of `.py` files, and the name by which timm knows the network."""
        return re.sub(r"\W", "_", f"bneck_{self.stem}", flags=re.ASCII).lower()

    @property
    def config(self) -> str:
        """The network as YAML with its metadata."""
        return architecture_yaml(self.architecture, self.full_metadata)

    @property
    def full_metadata(self) -> dict[str, Any]:
        """`metadata` with classes, pixel normalization and, with weights, batch normalization's epsilon."""
        data = self.data
        return {
            **self.metadata,
            "data": data.name,
            "class_names": data.class_names,
            "pixel_mean": data.pixel_mean,
            "pixel_std": data.pixel_std,
            **({"norm_eps": self.trained.norm_eps} if self.checkpoint.is_file() else {}),
        }

    @cached_property
    def trained(self) -> "Checkpoint":
        """The weights and how they were trained; read once.

        Raises:
            RunError: they are missing, or of another network.
        """
        from ...evaluate.training.checkpoint import load_checkpoint_of

        return load_checkpoint_of(self.architecture, self.checkpoint)

    @property
    def preprocessing(self) -> "Preprocessing":
        """From an image file to the input of the network."""
        known, data = self.trained.preprocessing, self.data
        if not data.pixel_mean:  # a run of an earlier version
            return known
        return replace(known, pixel_mean=data.pixel_mean, pixel_std=data.pixel_std)

    @cached_property
    def network(self) -> "Network":
        """The trained network in evaluation mode."""
        return self.trained.network()


def exportable_from_trial(run: SearchRun, record: Record) -> Exportable:
    """The network of a completed trial."""
    metadata: dict[str, Any] = {
        "run": run.folder.name,
        "trial": record.trial,
        "key": record.key,
        "macs": record.cost.macs,
        "params": record.cost.params,
    }
    if network := candidate_text(record.architecture):
        metadata["network"] = network
    if record.accuracy:
        metadata["validation_accuracy"] = round(record.accuracy.top1, 5)  # of the weights
        metadata["estimated_accuracy"] = round(record.estimated_accuracy.value, 5)
    if record.latency:
        metadata["latency_ms"] = float(f"{record.latency.latency_ms:.4g}")
        metadata["latency_ratio"] = round(record.latency.ratio, 4)
        metadata["latency_reference"] = run.settings.latency.panel.reference_name
    return Exportable(
        f"trial{record.trial}-{record.key}",
        record.architecture,
        run.settings.data_for(record.architecture),
        run.checkpoint(record.architecture),
        metadata,
        results=lambda: trial_results(run, record),
    )


def exportable_from_training(training: "TrainingRun") -> Exportable:
    """The network of a training's best epoch."""
    settings, model = training.settings, training.model()
    network_cost = cost(settings.architecture)
    metadata = {
        "training": training.folder.name,
        "network": settings.name,
        "key": settings.architecture.key,
        "macs": network_cost.macs,
        "params": network_cost.params,
        "validation_accuracy": round(model.curve[-1].validation_top1 or 0.0, 5),
    }
    stem = f"{training.folder.resolve().name}-{settings.architecture.key}"
    return Exportable(
        stem,
        settings.architecture,
        settings.data,
        training.model_file,
        metadata,
        results=lambda: training_results(training),
    )
