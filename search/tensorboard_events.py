"""The curves of a training as event files of TensorBoard."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from ..evaluate import Epoch
from ..search_space import RunError
from .training import OnEpoch

NAMES = {
    "train_loss": "loss/train",
    "validation_loss": "loss/validation",
    "train_top1": "top-1/train",
    "validation_top1": "top-1/validation",
    "seconds": "seconds",
}


def require_tensorboard() -> None:
    """Raise `RunError` where TensorBoard is not installed."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:
        raise RunError("--tensorboard needs a package more: pip install 'bneck[tensorboard]'") from None


@contextmanager
def events(folder: Path, done: int) -> Iterator[OnEpoch]:
    """What writes an epoch's values into `folder`.

    Args:
        done: epochs that were done before; later ones in older files are void.
    Raises:
        RunError: TensorBoard is not installed.
    """
    require_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder), purge_step=done + 1) as writer:

        def write(epoch: int, point: Epoch) -> None:
            for name, value in asdict(point).items():
                if value is not None:
                    writer.add_scalar(NAMES[name], value, epoch)

        yield write
