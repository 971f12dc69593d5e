"""Train the network of a training folder, with a checkpoint after every epoch."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ...evaluate import Epoch
from ...evaluate.data.dataset import Data
from ...evaluate.training.checkpoint import make_checkpoint, save_checkpoint
from ...evaluate.training.distillation import Distillation, load_teacher
from ...evaluate.training.trainer import Trainer
from ...results.store.training_run import TrainingRun, best_epoch
from ...search_space.errors import DivergedError, NonFiniteLossError
from ..console.training_progress import TrainingProgress
from ..parallel.distributed import barrier, is_main_process

OnEpoch = Callable[[int, Epoch], None]


def run_epochs(
    folder: TrainingRun,
    data: Data,
    display: TrainingProgress,
    on_epoch: OnEpoch | None = None,
) -> None:
    """Train from the last checkpoint to the last epoch.

    Args:
        on_epoch: called with the number and metrics of each epoch after its checkpoint is saved.
    Raises:
        RunError: a file cannot be written; the last checkpoint remains.
        DivergedError: the loss is NaN or infinite; the last checkpoint remains.
    """
    settings, checkpoint = folder.settings, folder.checkpoint()
    training = Trainer(
        checkpoint.network(),
        data,
        settings.recipe,
        seed=settings.seed,
        compute=settings.compute,
        distillation=_distillation(folder),
    )
    training.restore(checkpoint.state)
    curve = list(checkpoint.curve)
    with display:
        while not training.done:
            start = time.perf_counter()
            try:
                point = training.run_epoch(display.batch)
                top1, loss = training.evaluate()
            except NonFiniteLossError as error:
                raise DivergedError(_failure(folder, error, len(curve))) from None
            seconds = time.perf_counter() - start
            curve.append(replace(point, validation_loss=loss, validation_top1=top1, seconds=seconds))
            if is_main_process():
                if best_epoch(curve) == training.epoch:
                    best = make_checkpoint(training.eval_network, data, settings.recipe, settings.seed, curve)
                    save_checkpoint(best, folder.model_file)
                save_progress(folder, training, curve)
                folder.write_curve(curve)
                if on_epoch is not None:
                    on_epoch(training.epoch, curve[-1])
            display.end_epoch(curve[-1], training.data_wait_fraction)
    barrier()


def _distillation(folder: TrainingRun) -> Distillation | None:
    weight = folder.settings.soft_label_weight
    return Distillation(load_teacher(folder.teacher_file), weight) if weight else None


def save_start(folder: TrainingRun, training: Trainer, teacher: Path | None = None) -> None:
    """Save the initial weights, a copy of the teacher, and which file of the data is in which split."""
    folder.save_manifest(training.data)
    if teacher:
        folder.store_teacher(teacher)
    save_progress(folder, training, [])


def save_progress(folder: TrainingRun, training: Trainer, curve: Sequence[Epoch]) -> None:
    """Save the checkpoint that training resumes from."""
    settings = folder.settings
    checkpoint = make_checkpoint(
        training.network, training.data, settings.recipe, settings.seed, curve, training.state()
    )
    save_checkpoint(checkpoint, folder.checkpoint_file)


def _failure(folder: TrainingRun, error: NonFiniteLossError, n_finished_epochs: int) -> str:
    checkpoint = (
        f"{folder.checkpoint_file} holds epoch {n_finished_epochs}"
        if n_finished_epochs
        else "no epoch was finished"
    )
    return (
        f"{folder.folder}: {error}; {checkpoint}. Lower --learning-rate, or set max_grad_norm or "
        "warmup_fraction in the recipe"
    )
