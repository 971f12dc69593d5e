"""Training in a folder, epoch by epoch, with a checkpoint after each."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from ...evaluate import Epoch
from ...evaluate.data.dataset import Data
from ...evaluate.training.checkpoint import checkpoint_of, save_checkpoint
from ...evaluate.training.trainer import Training, TrainingFailedError
from ...results.store.training_run import TrainingFolder, best_epoch
from ...search_space.errors import DivergedError
from ..console.training_progress import TrainingProgress
from ..parallel.distributed import is_first, wait_for_all

OnEpoch = Callable[[int, Epoch], None]


def run_epochs(
    folder: TrainingFolder, data: Data, shown: TrainingProgress, on_epoch: OnEpoch | None = None
) -> None:
    """Train from the last checkpoint to the end, with a checkpoint after every epoch.

    Args:
        on_epoch: told each epoch's number and values once they are saved.
    Raises:
        RunError: a file cannot be written; the last checkpoint stays.
        DivergedError: the loss is no longer a number; likewise.
    """
    settings, checkpoint = folder.settings, folder.checkpoint()
    training = Training(
        checkpoint.network(), data, settings.recipe, seed=settings.seed, conditions=settings.conditions
    )
    training.restore(checkpoint.state)
    curve = list(checkpoint.curve)
    with shown:
        while not training.done:
            start = time.perf_counter()
            try:
                point = training.run_epoch(shown.batch)
                top1, loss = training.judge()
            except TrainingFailedError as error:
                raise DivergedError(_failure(folder, error, len(curve))) from None
            seconds = time.perf_counter() - start
            curve.append(replace(point, validation_loss=loss, validation_top1=top1, seconds=seconds))
            if is_first():
                if best_epoch(curve) == training.epoch:
                    kept = checkpoint_of(training.judged, data, settings.recipe, settings.seed, curve)
                    save_checkpoint(kept, folder.model_file)
                save_progress(folder, training, curve)
                folder.write_curve(curve)
                if on_epoch is not None:
                    on_epoch(training.epoch, curve[-1])
            shown.end_epoch(curve[-1], training.waited)
    wait_for_all()


def save_progress(folder: TrainingFolder, training: Training, curve: Sequence[Epoch]) -> None:
    """Write the checkpoint that the next epoch follows from."""
    settings = folder.settings
    checkpoint = checkpoint_of(
        training.network, training.data, settings.recipe, settings.seed, curve, training.state()
    )
    save_checkpoint(checkpoint, folder.checkpoint_file)


def _failure(folder: TrainingFolder, error: TrainingFailedError, good: int) -> str:
    kept = f"{folder.checkpoint_file} is that of epoch {good}" if good else "no epoch was finished"
    return f"{folder.folder}: {error}; {kept}. Try a lower --learning-rate, or the recipe's clip or warmup"
