"""safetensors files with weights, training state and metadata."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ...search_space import RunError
from ...search_space.errors import first_line
from ...search_space.printable import printable, utf8_problem
from ...search_space.serialization.atomic_write import write_atomic

STATE = "state."
_OLD_PREFIX = "weights."  # of the weights in files of earlier versions


def write_tensors(
    path: Path,
    weights: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    *,
    replace: bool = True,
) -> None:
    """Write a file atomically. Weights keep their plain names; those of the training state get a prefix.

    Args:
        metadata: includes the schema of the file under the key `bneck`.
        replace: whether an existing file is replaced; otherwise it is an error.
    Raises:
        RunError: the file cannot be written (no space, no permission).
    """
    all_tensors = dict(weights) | {STATE + name: value for name, value in state.items()}
    content = save({name: _contiguous_cpu(value) for name, value in all_tensors.items()}, dict(metadata))
    write_atomic(path, content, replace=replace)


def read_tensors(path: Path, schema: str, kind: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Read the metadata and all tensors by name.

    Args:
        schema: required value of the metadata key `bneck`.
        kind: kind of file for error messages, such as `checkpoint`.
    Raises:
        RunError: the file is damaged or has another schema.
    """
    if problem := utf8_problem(str(path)):  # the library opens no such path
        raise RunError(f"{printable(str(path))}: cannot be read: {problem}")
    foreign = (
        "; torchvision's weights are read by `bneck train NETWORK --weights FILE`"
        if kind == "checkpoint"
        else ""
    )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise RunError(f"{path}: not a bneck {kind} ({first_line(error)}){foreign}") from None
    actual = metadata.get("bneck")
    if actual != schema:
        raise RunError(
            f"{path}: must be a {kind} with schema {schema}, got {actual or f'no schema{foreign}'}"
        )
    return metadata, tensors


def split_tensors(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights and the training state of a file, each by plain name."""
    weights = {
        name.removeprefix(_OLD_PREFIX): value for name, value in tensors.items() if not name.startswith(STATE)
    }
    return weights, select_prefix(STATE, tensors)


def select_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors whose names start with `prefix`, which is removed."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _contiguous_cpu(value: Tensor) -> Tensor:
    return value.detach().cpu().contiguous(memory_format=torch.contiguous_format)
