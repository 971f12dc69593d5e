"""Learning curves as TensorBoard event files."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ...evaluate import Epoch
from ...evaluate.optional_dependencies import optional_import
from ...search_space import RunError
from .training_loop import OnEpoch

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

NAMES = {
    "train_loss": "loss/train",
    "validation_loss": "loss/validation",
    "train_top1": "top-1/train",
    "validation_top1": "top-1/validation",
    "seconds": "seconds",
}


def summary_writer() -> "type[SummaryWriter]":
    """TensorBoard's writer class.

    Raises:
        RunError: TensorBoard is not installed.
    """
    with optional_import("--tensorboard", extra="tensorboard", error=RunError):
        from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter


@contextmanager
def events(folder: Path, done: int) -> Iterator[OnEpoch]:
    """A callback that writes the metrics of each epoch into `folder`.

    Args:
        done: finished epochs; later events in older files are purged.
    Raises:
        RunError: TensorBoard is not installed.
    """
    with summary_writer()(str(folder), purge_step=done + 1) as writer:

        def write(epoch: int, point: Epoch) -> None:
            for name, value in asdict(point).items():
                if value is not None:
                    writer.add_scalar(NAMES[name], value, epoch)

        yield write
