"""Tensors on disk: one safetensors file with weights, the state of their training, and words about both."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ...search_space import RunError
from ...search_space.errors import first_line
from ...search_space.serialization.atomic_write import write_whole

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
    named = {WEIGHTS + name: value for name, value in weights.items()}
    named |= {STATE + name: value for name, value in state.items()}
    write_whole(path, save({name: _plain(value) for name, value in named.items()}, dict(metadata)))


def read_tensors(path: Path, form: str, what: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The metadata, and all tensors by their names in the file.

    Args:
        form: that the file must have.
        what: such a file is, for messages: `checkpoint`.
    Raises:
        RunError: it is damaged or of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise RunError(f"{path}: no {what} of bneck ({first_line(error)})") from None
    found = metadata.get("bneck")
    if found != form:
        raise RunError(f"{path}: must be a {what} of form {form}, got {found or 'another kind of file'}")
    return metadata, tensors


def tensors_under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those whose names begin with a prefix, named by the rest."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _plain(value: Tensor) -> Tensor:
    return value.detach().cpu().contiguous(memory_format=torch.contiguous_format)
