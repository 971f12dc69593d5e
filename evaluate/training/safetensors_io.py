"""Tensors on disk: one safetensors file with weights, the state of their training, and words about both."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ...search_space import RunError
from ...search_space.errors import first_line
from ...search_space.serialization.atomic_write import write_atomic

WEIGHTS, STATE = "weights.", "state."


def write_tensors(
    path: Path, weights: Mapping[str, Tensor], state: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write the file whole or not at all.

    Args:
        metadata: with the file's form under `bneck`.
    Raises:
        RunError: it cannot be written: no space, no permission.
    """
    all_tensors = {WEIGHTS + name: value for name, value in weights.items()}
    all_tensors |= {STATE + name: value for name, value in state.items()}
    write_atomic(
        path, save({name: _contiguous_cpu(value) for name, value in all_tensors.items()}, dict(metadata))
    )


def read_tensors(path: Path, schema: str, kind: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The metadata, and all tensors by their names in the file.

    Args:
        schema: that the file must have.
        kind: such a file is, for messages: `checkpoint`.
    Raises:
        RunError: it is damaged or of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise RunError(f"{path}: no {kind} of bneck ({first_line(error)})") from None
    actual = metadata.get("bneck")
    if actual != schema:
        raise RunError(f"{path}: must be a {kind} of form {schema}, got {actual or 'another kind of file'}")
    return metadata, tensors


def select_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those whose names begin with a prefix, named by the rest."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _contiguous_cpu(value: Tensor) -> Tensor:
    return value.detach().cpu().contiguous(memory_format=torch.contiguous_format)
