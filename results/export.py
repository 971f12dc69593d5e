"""Networks of a run as files that stand alone: a config, an ONNX model, weights."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..search_space import RunError, UnknownNameError, architecture_yaml
from .record import Record
from .run import Run


def config_of(run: Run, record: Record) -> str:
    """The YAML of a network, with where it comes from and what is known of it."""
    about: dict[str, Any] = {
        "run": run.folder.name,
        "trial": record.trial,
        "key": record.key,
        "data": run.settings.data.name,
        "class_names": run.settings.data.class_names,
        "pixel_mean": run.settings.data.pixel_mean,
        "pixel_std": run.settings.data.pixel_std,
        "macs": record.cost.macs,
        "params": record.cost.params,
    }
    if record.accuracy:
        about["validation_accuracy"] = round(record.accuracy.top1, 5)
    if record.latency:
        about["latency_ms"] = float(f"{record.latency.latency_ms:.4g}")
        about["latency_ratio"] = round(record.latency.ratio, 4)
        about["latency_reference"] = run.settings.latency.reference
    return architecture_yaml(record.architecture, about)


def _write_config(run: Run, record: Record, path: Path) -> None:
    path.write_text(config_of(run, record), encoding="utf-8")


def _write_onnx(run: Run, record: Record, path: Path) -> None:
    import onnx

    from ..evaluate.checkpoint import trained_network
    from ..evaluate.onnx_graph import onnx_model

    model = onnx_model(trained_network(record.architecture, run.checkpoint(record.architecture)).eval())
    data = run.settings.data
    properties = {
        "architecture": architecture_yaml(record.architecture),
        "class_names": json.dumps(data.class_names),
        "pixel_mean": json.dumps(data.pixel_mean),
        "pixel_std": json.dumps(data.pixel_std),
    }
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _write_weights(run: Run, record: Record, path: Path) -> None:
    shutil.copyfile(run.checkpoint(record.architecture), path)


@dataclass(frozen=True)
class Format:
    """A kind of file: how its name ends, and how it is written."""

    suffix: str
    write: Callable[[Run, Record, Path], None]


FORMATS = {
    "config": Format(".yaml", _write_config),
    "onnx": Format(".onnx", _write_onnx),
    "weights": Format(".safetensors", _write_weights),
}


def parse_formats(text: str) -> list[str]:
    """`config,onnx` and the like.

    Raises:
        UnknownNameError: no such format.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names or [""]:
        if name not in FORMATS:
            raise UnknownNameError("format", name, FORMATS)
    return names


def export(run: Run, record: Record, formats: Sequence[str], folder: Path) -> list[Path]:
    """Write a judged network's files, named by its trial and key.

    Raises:
        RunError: the network was not trained, or a file is there already.
    """
    if record.state != "judged":
        raise RunError(
            f"{run.folder}: trial {record.trial} is {record.state}; only judged networks are exported"
        )
    stem = folder / f"trial{record.trial}-{record.key}"
    paths = {name: stem.with_suffix(FORMATS[name].suffix) for name in formats}
    for path in paths.values():
        if path.exists():
            raise RunError(f"{path} exists; choose another folder with -o")
    if set(formats) - {"config"}:
        from ..evaluate.checkpoint import trained_network

        trained_network(record.architecture, run.checkpoint(record.architecture))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in paths.items():
            FORMATS[name].write(run, record, path)
    except OSError as error:
        raise RunError(f"{folder} cannot be written to: {error.strerror}") from None
    return list(paths.values())
