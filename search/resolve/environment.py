"""Compute device, and names of new folders."""

from pathlib import Path

from ...results.store.new_folder import NumberedFolder
from ...search_space import GoalError


def numbered_run_directory(what: str, data: str) -> NumberedFolder:
    """`runs/WHAT-DATA-N` with the first unused number, for a space or a network by name or file."""
    kind, _, path = data.partition(":")
    file = Path(what)
    stem = file.stem if file.suffix in (".yaml", ".yml", ".json") else file.name
    return NumberedFolder(Path("runs") / f"{stem.replace('#', '-')}-{Path(path or kind).name}")


def torch_device(wanted: str) -> str:
    """`cpu` or `cuda`; `auto` is `cuda` if there is a GPU.

    Raises:
        GoalError: another name, or no GPU.
    """
    import torch

    if wanted not in ("auto", "cpu", "cuda"):
        raise GoalError(f"--device must be auto, cpu or cuda, got '{wanted}'")
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise GoalError("--device cuda: torch finds no GPU; use --device cpu")
    return wanted
