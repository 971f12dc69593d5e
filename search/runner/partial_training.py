"""Training a network to a rung, and on from there: one training, whose pauses leave no trace in it."""

import time
from dataclasses import dataclass
from pathlib import Path

from ...evaluate import Accuracy, Epoch
from ...evaluate.scorers import Means
from ...evaluate.training.checkpoint import checkpoint_of, load_checkpoint, save_checkpoint
from ...evaluate.training.train import seeded_network
from ...evaluate.training.trainer import Conditions, Training
from ...search_space import Architecture, RunError


@dataclass(frozen=True)
class Reached:
    """What a network is worth after so many epochs.

    Attributes:
        accuracy: its seconds are those of this part of the training.
        from_start: why it was trained from the start; empty where it went on.
    """

    accuracy: Accuracy
    from_start: str = ""


def train_to(
    epochs: int, architecture: Architecture, means: Means, seed: int, paused: Path, final: Path
) -> Reached:
    """Train to so many epochs by a recipe that may have more, and judge as at the end of a training.

    Args:
        paused: where the training goes on from, if it is there, and waits afterwards.
        final: where the network is kept after the recipe's last epoch, as one trained in one go.
    Raises:
        TrainingFailedError: the loss is no longer a number.
        RunError: a file cannot be written.
    """
    start = time.perf_counter()
    training, curve, problem = _at_pause(epochs, architecture, means, seed, paused)
    while training.epoch < epochs:
        curve.append(training.run_epoch())
    top1, loss = training.judge()
    network, path, state = training.network, paused, None
    if training.done:
        network, path = training.judged, final
    else:
        state = training.state()
    save_checkpoint(checkpoint_of(network, means.data, means.recipe, seed, curve, state), path)
    images, seconds = means.data.count("validation"), time.perf_counter() - start
    return Reached(Accuracy(top1, loss, images, training.seen, seed, seconds, tuple(curve)), problem)


def _at_pause(
    epochs: int, architecture: Architecture, means: Means, seed: int, paused: Path
) -> tuple[Training, list[Epoch], str]:
    """The training as it was left, its curve, and why it is at its start instead."""
    conditions = Conditions(means.device)
    try:
        known = load_checkpoint(paused)
        same = (known.architecture, known.recipe, known.seed) == (architecture, means.recipe, seed)
        if not same or not known.state or len(known.curve) > epochs:
            raise RunError(f"{paused}: is not a pause of this training")
        training = Training(known.network(), means.data, means.recipe, seed=seed, conditions=conditions)
        training.restore(known.state)
        return training, list(known.curve), ""
    except RunError as error:
        network = seeded_network(architecture, seed)
        return Training(network, means.data, means.recipe, seed=seed, conditions=conditions), [], str(error)
