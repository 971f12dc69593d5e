"""The teacher of trainings, by name."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...results.store.experiment import RUN_FILE, settings_name
from ...search_space import PRETRAINED, PUBLISHED_NAMES, GoalError, RunError
from .trained_networks import require_held_out, resolve_checkpoint

if TYPE_CHECKING:
    from ...evaluate.data.dataset import Data


@dataclass(frozen=True)
class ResolvedTeacher:
    """A teacher that fits the data.

    Attributes:
        name: as given; of the best network of a search `RUN#TRIAL`.
        path: a file of bneck, or an ONNX model.
        weight: of its soft labels in the loss.
    """

    name: str
    path: Path
    weight: float


def resolve_teacher(name: str, data: "Data") -> ResolvedTeacher:
    """A trained network for the classes of the data, which never saw its held-out images.

    Args:
        name: `RUN` (its most accurate network), `RUN#TRIAL`, a folder of `bneck train`, its file or an ONNX
            model.
    Raises:
        BneckError: there is none by this name, or it is for other data.
    """
    from ...evaluate.training.checkpoint import load_checkpoint
    from ...evaluate.training.distillation import ONNX_SUFFIX, SOFT_LABEL_WEIGHT, load_teacher

    if settings_name(Path(name)) == RUN_FILE:
        from ...results import Run

        name = f"{name}#{Run.open(name).best().trial}"
    if (name in PRETRAINED or name in PUBLISHED_NAMES or name.startswith("timm:")) and not Path(
        name
    ).exists():
        raise GoalError(
            f"teacher {name} knows other classes; fine-tune it on these images first: bneck train {name} "
            f"--pretrained --data {data.name} --out DIR, then --teacher DIR"
        )
    path = Path(name) if name.endswith(ONNX_SUFFIX) else None
    if path is None:
        file = resolve_checkpoint(name)
        path = file.path
        require_held_out(file, load_checkpoint(path), data)
    try:
        load_teacher(path).require_fits(data)
    except RunError as error:
        raise GoalError(
            f"teacher {name}: {error}; fine-tune it on these images first, by `bneck train`"
        ) from None
    return ResolvedTeacher(name, path, SOFT_LABEL_WEIGHT)
