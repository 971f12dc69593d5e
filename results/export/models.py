"""Trained networks as self-contained files: YAML config, ONNX model, weights."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...search_space import Architecture, RunError, UnknownNameError, architecture_yaml, cost
from ...search_space.errors import MachineError
from ...search_space.pretrained_space import candidate_text
from ...search_space.serialization.atomic_write import write_atomic
from ..store.search_run import SearchRun
from ..store.settings import DataSettings
from ..store.trial import Record

if TYPE_CHECKING:
    from ..store.training_run import TrainingRun


@dataclass(frozen=True)
class Exportable:
    """A trained network to export.

    Attributes:
        stem: file name without suffix.
        checkpoint: file with the weights.
        metadata: origin, cost and accuracy, for the config.
    """

    stem: str
    architecture: Architecture
    data: DataSettings
    checkpoint: Path
    metadata: Mapping[str, Any]

    @property
    def config(self) -> str:
        """The network as YAML, with class names, pixel normalization and batch normalization's epsilon."""
        data = self.data
        images = {
            "data": data.name,
            "class_names": data.class_names,
            "pixel_mean": data.pixel_mean,
            "pixel_std": data.pixel_std,
        }
        return architecture_yaml(self.architecture, {**self.metadata, **images, **self._constants()})

    def _constants(self) -> dict[str, float]:
        """What `build_network` needs besides the architecture; empty without weights."""
        if not self.checkpoint.is_file():
            return {}
        from ...evaluate.training.checkpoint import load_checkpoint

        return {"norm_eps": load_checkpoint(self.checkpoint).norm_eps}


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
    return Exportable(stem, settings.architecture, settings.data, training.model_file, metadata)


def _config(network: Exportable) -> bytes:
    return network.config.encode()


def _onnx(network: Exportable) -> bytes:
    import onnx

    from ...evaluate.training.checkpoint import load_trained_network
    from ...search_space.onnx_graph import build_onnx_model

    model = build_onnx_model(load_trained_network(network.architecture, network.checkpoint))
    properties = {
        "architecture": architecture_yaml(network.architecture),
        "class_names": json.dumps(network.data.class_names),
        "pixel_mean": json.dumps(network.data.pixel_mean),
        "pixel_std": json.dumps(network.data.pixel_std),
    }
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def _weights(network: Exportable) -> bytes:
    return network.checkpoint.read_bytes()


@dataclass(frozen=True)
class Format:
    """An export format: file suffix and content."""

    suffix: str
    content: Callable[[Exportable], bytes]


FORMATS = {
    "config": Format(".yaml", _config),
    "onnx": Format(".onnx", _onnx),
    "weights": Format(".safetensors", _weights),
}


def parse_formats(text: str) -> list[str]:
    """Format names from text such as `config,onnx`.

    Raises:
        UnknownNameError: there is no such format.
    """
    return require_formats(name.strip() for name in text.split(",") if name.strip())


def require_formats(formats: Iterable[str]) -> list[str]:
    """The names of formats, checked.

    Raises:
        UnknownNameError: there is no such format, or none is given.
    """
    names = list(formats)
    for name in names or [""]:
        if name not in FORMATS:
            raise UnknownNameError("format", name, FORMATS)
    return names


def export(run: SearchRun, record: Record, formats: Sequence[str], folder: Path) -> list[Path]:
    """Write the files of a completed trial, named by its number and key.

    Raises:
        RunError: the trial is not complete, its weights are missing, or a file exists.
    """
    if record.state != "complete":
        raise RunError(
            f"{run.folder}: trial {record.trial} is {record.state}; choose a complete trial, or best"
        )
    return write_files(exportable_from_trial(run, record), formats, folder)


def write_files(network: Exportable, formats: Sequence[str], folder: Path) -> list[Path]:
    """Write the files of a network, all or none.

    Raises:
        RunError: its weights are missing, or a file exists or cannot be written.
    """
    paths = {name: folder / f"{network.stem}{FORMATS[name].suffix}" for name in formats}
    for path in paths.values():
        if path.exists():
            raise RunError(f"{path} exists; choose another folder with -o")
    if set(formats) - {"config"}:
        from ...evaluate.training.checkpoint import load_trained_network

        load_trained_network(network.architecture, network.checkpoint)
    try:
        contents = {paths[name]: FORMATS[name].content(network) for name in formats}
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(f"{error.filename or folder}: {error.strerror}") from None
    with ExitStack() as undo:
        for path, content in contents.items():
            write_atomic(path, content, replace=False)
            undo.callback(path.unlink, missing_ok=True)
        undo.pop_all()
    return list(paths.values())
