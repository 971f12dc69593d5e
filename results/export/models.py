"""Trained networks as files: config, weights, and models for other programs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...search_space import RunError, UnknownNameError
from ...search_space.errors import MachineError
from ...search_space.serialization.atomic_write import write_atomic
from ..store.search_run import SearchRun
from ..store.trial import Record
from . import int8, library_files, model_card, onnx_model, programs, python_file, weights
from .exportable import ANY_BATCH, Exportable, OnnxOptions, exportable_from_trial

if TYPE_CHECKING:
    from torch import Tensor

Content = bytes | Mapping[str, bytes]
"""Content of a file, or of the files of a folder by name."""

MAX_DIFFERENCE = 1e-3
_CHECKED_IMAGES = 2


class Exported(NamedTuple):
    """A written file or folder.

    Attributes:
        difference: largest difference of its logits from torch's, as a fraction of the largest logit if that
            is above 1; None for a format without weights, and where the program is not installed.
        note: what else to know of it: of int8 accuracy, latency and size before and after.
    """

    path: Path
    difference: float | None
    note: str = ""


@dataclass(frozen=True)
class Format:
    """An export format.

    Attributes:
        suffix: of the file; empty for a folder.
        help: what it is, in a few words.
        logits: of the content for images, by the program that it is for; None without weights. Itself None
            where that program is not installed.
        note: see `Exported`.
    """

    suffix: str
    help: str
    content: Callable[[Exportable], Content]
    logits: "Callable[[Exportable, Any, Tensor], Tensor | None] | None" = None
    note: Callable[[Any], str] | None = None

    def file_name(self, network: Exportable) -> str:
        """Python files can be imported: their names have no dashes."""
        return f"{network.model_name if self.suffix.endswith('.py') else network.stem}{self.suffix}"


FORMATS = {
    "config": Format(".yaml", "architecture and metadata", lambda network: network.config.encode()),
    "weights": Format(
        ".safetensors", "state dict, read by bneck", weights.bneck_file, weights.bneck_file_logits
    ),
    "huggingface": Format("", "folder for the hub", weights.huggingface_files, weights.huggingface_logits),
    "python": Format(
        ".py", "stand-alone file, needs torch alone", python_file.python_source, python_file.python_logits
    ),
    "timm": Format("_timm.py", "file for timm", library_files.timm_source, library_files.timm_logits),
    "torchvision": Format(
        "_torchvision.py",
        "file for torchvision",
        library_files.torchvision_source,
        library_files.torchvision_logits,
    ),
    "card": Format(".md", "model card", model_card.model_card),
    "onnx": Format(".onnx", "model for runtimes", onnx_model.onnx_model, onnx_model.onnx_logits),
    "int8": Format(".int8.onnx", "8-bit ONNX model", int8.int8_model, note=int8.int8_note),
    "pt2": Format(".pt2", "program of torch.export", programs.pt2_program, programs.pt2_logits),
    "executorch": Format(
        ".pte", "program for phones", programs.executorch_program, programs.executorch_logits
    ),
    "litert": Format(".tflite", "model for phones", programs.litert_model, programs.litert_logits),
    "openvino": Format("_openvino", "folder", programs.openvino_files, programs.openvino_logits),
    "ncnn": Format("_ncnn", "folder", programs.ncnn_files, programs.ncnn_logits),
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


def export(
    run: SearchRun,
    records: Sequence[Record],
    formats: Sequence[str],
    folder: Path,
    onnx: OnnxOptions = ANY_BATCH,
) -> list[Exported]:
    """Write the files of completed trials, named by number and key.

    Raises:
        RunError: a trial is not complete, weights are missing, or a file exists.
    """
    for record in records:
        if record.state != "complete":
            raise RunError(
                f"{run.folder}: trial {record.trial} is {record.state}; choose a complete trial, or best"
            )
    networks = [replace(exportable_from_trial(run, record), onnx=onnx) for record in records]
    return write_files(networks, formats, folder)


def write_files(networks: Sequence[Exportable], formats: Sequence[str], folder: Path) -> list[Exported]:
    """Write the files of networks, all or none.

    Raises:
        RunError: weights are missing, a file exists or cannot be written, or its logits differ from torch's.
    """
    chosen = [(network, FORMATS[name]) for network in networks for name in formats]
    paths = [folder / each.file_name(network) for network, each in chosen]
    for path in paths:
        if path.exists():
            raise RunError(f"{path} exists; choose another folder with -o")
    for network in networks:
        if set(formats) - {"config"}:
            _ = network.network  # missing weights are an error before any file is written
    try:
        contents = [each.content(network) for network, each in chosen]
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(f"{error.filename or folder}: {error.strerror}") from None
    exported = [
        Exported(path, _difference(path, network, each, content), each.note(content) if each.note else "")
        for path, (network, each), content in zip(paths, chosen, contents, strict=True)
    ]
    with ExitStack() as undo:
        for path, content in zip(paths, contents, strict=True):
            _write(path, content, undo)
        undo.pop_all()
    return exported


def _difference(path: Path, network: Exportable, kind: Format, content: Content) -> float | None:
    """See `Exported`; for images of random pixels.

    Raises:
        RunError: it is above `MAX_DIFFERENCE`.
    """
    if kind.logits is None:
        return None
    import numpy as np
    import torch

    channels, size_px, _ = network.network.input_shape
    shape = (network.onnx.batch or _CHECKED_IMAGES, size_px, size_px, channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    images = network.preprocessing.normalize(pixels)
    with torch.inference_mode():
        expected = network.network(images)
        logits = kind.logits(network, content, images)
        if logits is None:
            return None
        largest = (logits - expected).abs().max()
    difference = float(largest / expected.abs().max().clamp(min=1))
    if not difference <= MAX_DIFFERENCE:
        raise RunError(
            f"{path} is not written: its logits differ from torch's by {difference:.2g}; "
            f"{MAX_DIFFERENCE:g} is allowed"
        )
    return difference


def _write(path: Path, content: Content, undo: ExitStack) -> None:
    if isinstance(content, bytes):
        write_atomic(path, content, replace=False)
        undo.callback(path.unlink, missing_ok=True)
        return
    try:
        path.mkdir()
    except OSError as error:
        raise MachineError(f"{path} cannot be written: {error.strerror}") from None
    undo.callback(path.rmdir)
    for name, file in content.items():
        _write(path / name, file, undo)
