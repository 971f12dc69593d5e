"""Training to a rung and on from there: the result is that of one uninterrupted training run."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...evaluate import Accuracy, Epoch
from ...evaluate.scorers import EvaluationContext
from ...evaluate.scorers.fine_tuning import context_for, initial_network
from ...evaluate.training.checkpoint import load_checkpoint, make_checkpoint, save_checkpoint
from ...evaluate.training.trainer import ComputeConfig, Trainer
from ...search_space import Architecture, RunError


@dataclass(frozen=True)
class PartialTrainingResult:
    """The accuracy at a rung.

    Attributes:
        accuracy: with the seconds of this part of the training.
        restart_reason: why training started from scratch; empty if it was resumed.
    """

    accuracy: Accuracy
    restart_reason: str = ""


def train_to_epoch(
    epochs: int,
    architecture: Architecture,
    context: EvaluationContext,
    seed: int,
    partial_checkpoint: Path,
    final: Path,
) -> PartialTrainingResult:
    """Train up to `epochs` of a recipe that may have more, and evaluate on the validation set.

    Args:
        partial_checkpoint: resumed from if it exists, and written unless the recipe is finished.
        final: checkpoint after the recipe's last epoch.
    Raises:
        NonFiniteLossError: the loss is NaN or infinite.
        RunError: a file cannot be written.
    """
    start = time.perf_counter()
    context = context_for(architecture, context)
    training, curve, problem = _resume_or_restart(epochs, architecture, context, seed, partial_checkpoint)
    while training.epoch < epochs:
        curve.append(training.run_epoch())
    evaluation = training.evaluate_images()
    network, path, state = training.network, partial_checkpoint, None
    if training.done:
        network, path = training.eval_network, final
    else:
        state = training.state()
    save_checkpoint(make_checkpoint(network, context.data, context.recipe, seed, curve, state), path)
    accuracy = training.accuracy(evaluation, time.perf_counter() - start, curve)
    return PartialTrainingResult(accuracy, problem)


def _resume_or_restart(
    epochs: int, architecture: Architecture, context: EvaluationContext, seed: int, partial_checkpoint: Path
) -> tuple[Trainer, list[Epoch], str]:
    """The trainer, its curve so far, and the reason if it starts from scratch."""
    trainer = partial(
        Trainer,
        data=context.data,
        recipe=context.recipe,
        seed=seed,
        compute=ComputeConfig(context.device),
        distillation=context.distillation,
    )
    try:
        checkpoint = load_checkpoint(partial_checkpoint)
        same = (checkpoint.architecture, checkpoint.recipe, checkpoint.seed) == (
            architecture,
            context.recipe,
            seed,
        )
        if not same or not checkpoint.state or len(checkpoint.curve) > epochs:
            raise RunError(f"{partial_checkpoint}: is of another training run")
        training = trainer(checkpoint.network())
        training.restore(checkpoint.state)
        return training, list(checkpoint.curve), ""
    except RunError as error:
        return trainer(initial_network(architecture, seed, context.parents)), [], str(error)
