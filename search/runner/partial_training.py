"""Training a network to a rung, and on from there: one training, whose pauses leave no trace in it."""

import time
from dataclasses import dataclass
from pathlib import Path

from ...evaluate import Accuracy, Epoch
from ...evaluate.scorers import EvaluationContext
from ...evaluate.training.checkpoint import load_checkpoint, make_checkpoint, save_checkpoint
from ...evaluate.training.train import seeded_network
from ...evaluate.training.trainer import ComputeConfig, Trainer
from ...search_space import Architecture, RunError


@dataclass(frozen=True)
class PartialTrainingResult:
    """What a network is worth after so many epochs.

    Attributes:
        accuracy: its seconds are those of this part of the training.
        restart_reason: why it was trained from the start; empty where it went on.
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
    """Train to so many epochs by a recipe that may have more, and judge as at the end of a training.

    Args:
        partial_checkpoint: where the training goes on from, if it is there, and waits afterwards.
        final: where the network is kept after the recipe's last epoch, as one trained in one go.
    Raises:
        NonFiniteLossError: the loss is no longer a number.
        RunError: a file cannot be written.
    """
    start = time.perf_counter()
    training, curve, problem = _resume_or_restart(epochs, architecture, context, seed, partial_checkpoint)
    while training.epoch < epochs:
        curve.append(training.run_epoch())
    top1, loss = training.evaluate()
    network, path, state = training.network, partial_checkpoint, None
    if training.done:
        network, path = training.eval_network, final
    else:
        state = training.state()
    save_checkpoint(make_checkpoint(network, context.data, context.recipe, seed, curve, state), path)
    images, seconds = context.data.count("validation"), time.perf_counter() - start
    return PartialTrainingResult(
        Accuracy(top1, loss, images, training.images_seen, seed, seconds, tuple(curve)), problem
    )


def _resume_or_restart(
    epochs: int, architecture: Architecture, context: EvaluationContext, seed: int, partial_checkpoint: Path
) -> tuple[Trainer, list[Epoch], str]:
    """The training as it was left, its curve, and why it is at its start instead."""
    compute = ComputeConfig(context.device)
    try:
        checkpoint = load_checkpoint(partial_checkpoint)
        same = (checkpoint.architecture, checkpoint.recipe, checkpoint.seed) == (
            architecture,
            context.recipe,
            seed,
        )
        if not same or not checkpoint.state or len(checkpoint.curve) > epochs:
            raise RunError(f"{partial_checkpoint}: is not a pause of this training")
        training = Trainer(checkpoint.network(), context.data, context.recipe, seed=seed, compute=compute)
        training.restore(checkpoint.state)
        return training, list(checkpoint.curve), ""
    except RunError as error:
        network = seeded_network(architecture, seed)
        return Trainer(network, context.data, context.recipe, seed=seed, compute=compute), [], str(error)
