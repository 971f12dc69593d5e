"""State dicts in files that other programs wrote: torch's .pth, and safetensors."""

import argparse
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...search_space import RunError
from ...search_space.errors import first_line

# keys under which training programs store the weights; averaged ones first, since they are those evaluated
_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model")
_OWN_LAYERS = ("stem", "blocks", "features", "layers", "hidden", "classifier")
_PICKLED_OBJECT = re.compile(r"(?i:unsupported global):? (?:GLOBAL )?([\w.]+)")


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a file by name, without the wrappers that training programs add. No code is run.

    `{"model": ...}`, `{"state_dict": ...}` and their averaged variants are opened; a prefix that all names
    share (`module.`, `_orig_mod.`, `model.`) is removed.

    Raises:
        RunError: the file is missing, damaged, or holds something else.
    """
    path = Path(path)
    try:
        content = _read_safetensors(path) if _is_safetensors(path) else _read_pickle(path)
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror or first_line(error)})") from None
    while (wrapped := _wrapped(content)) is not None:
        content = wrapped
    if not isinstance(content, Mapping):
        raise RunError(f"{path}: no state dict ({_kind(content)}); save model.state_dict()")
    state = {str(name): value for name, value in content.items() if name != "n_averaged"}
    if strange := [name for name, value in state.items() if not isinstance(value, Tensor)]:
        raise RunError(
            f"{path}: no state dict ({strange[0]!r} is {_kind(state[strange[0]])}); save model.state_dict()"
        )
    if not state:
        raise RunError(f"{path}: no state dict (it is empty); save model.state_dict()")
    return _without_shared_prefix(state)


def is_bneck_file(path: Path) -> bool:
    """Whether bneck wrote the file."""
    if not path.is_file() or not _is_safetensors(path):
        return False
    try:
        with safe_open(path, framework="pt") as file:
            return "bneck" in (file.metadata() or {})
    except SafetensorError:
        return False


def _is_safetensors(path: Path) -> bool:
    """By content, as names lie: eight bytes of length, then JSON."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise RunError(f"{path}: no safetensors file ({first_line(error)})") from None


def _read_pickle(path: Path) -> Any:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals([argparse.Namespace]):
            warnings.simplefilter("ignore")  # torch's advice on archives that are refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # whatever the unpickler raises on a damaged file
        text = str(error)
        if "TorchScript" in text:
            raise RunError(
                f"{path}: holds a TorchScript program; save its weights: torch.save(model.state_dict(), FILE)"
            ) from None
        if found := _PICKLED_OBJECT.search(text):
            raise RunError(
                f"{path}: holds a pickled {found[1].rstrip('.')}, which could run code when loaded; save "
                "the weights alone: torch.save(model.state_dict(), FILE)"
            ) from None
        raise RunError(f"{path}: damaged, or not written by torch.save or safetensors") from None


def _wrapped(content: Any) -> Any:
    if not isinstance(content, Mapping):
        return None
    return next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)


def _without_shared_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    first = {name.partition(".")[0] for name in state}
    if len(first) > 1 or not first.isdisjoint(_OWN_LAYERS):
        return state
    names = {name.partition(".")[2]: value for name, value in state.items()}
    return state if "" in names else _without_shared_prefix(names)


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"
