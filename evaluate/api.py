"""Training and evaluation of one network as function calls."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, get_args

from ..search_space import Architecture, DataError, RunError, UnknownNameError
from ..search_space.errors import first_line
from ..search_space.faults import explained_faults
from ..search_space.network import Network, build_network
from ..search_space.serialization.architecture import load_config
from .data.dataset import DataSource, EvaluationSplit, load_data, load_whole
from .inheritance.inherit import inherit
from .training.accuracy import Accuracy
from .training.checkpoint import load_checkpoint
from .training.distillation import Distillation, Teacher
from .training.metrics import Metrics, compute_metrics, predict
from .training.recipe import Recipe, load_recipe
from .training.state_dict_file import read_state_dict
from .training.train import seeded_network
from .training.train import train as train_in_place

__all__ = ["TrainedNetwork", "evaluate", "load_data", "load_network", "network_from", "train"]


class TrainedNetwork(NamedTuple):
    """Result of `train`.

    Attributes:
        network: with its trained weights, in evaluation mode.
        accuracy: on the validation images, with the learning curve.
    """

    network: Network
    accuracy: Accuracy


@explained_faults()
def train(
    architecture: Architecture,
    data: DataSource,
    recipe: Recipe | str | Path | None = None,
    *,
    init: Network | None = None,
    teacher: Network | None = None,
    seed: int = 0,
    device: str = "cpu",
    on_epoch: Callable[[int, int], None] | None = None,
) -> TrainedNetwork:
    """Train a network and evaluate it on the validation images.

    Input channels and classes are taken from the data; the resolution is that of the architecture.

    Args:
        data: see `load_data`.
        recipe: hyperparameters; also the name of a preset or a YAML file. By default `Recipe()`: 10 epochs
            of SGD with a cosine schedule.
        init: a trained network of the same or a larger architecture to inherit the weights of (see
            `inherit`); by default random weights.
        teacher: a trained network for the same classes and normalisation of pixels, whose soft labels count
            0.7 in the loss.
        seed: determines initial weights, image order, augmentation and dropout. On one thread of one
            machine the result is reproducible bit for bit.
        device: `cpu` or `cuda`.
        on_epoch: called after each epoch with the number of completed epochs and the total.
    Raises:
        DataError: the data cannot be read; see `load_data`.
        UnknownNameError: the recipe is neither a preset nor a file.
        RunError: the architecture is not a smaller form of `init`.
        NonFiniteLossError: the loss is NaN or infinite.
        MachineError: out of memory, or another fault of the machine.

    Example:
        >>> import random
        >>> from bneck.evaluate import Recipe, load_data, train
        >>> from bneck.search_space import load_space
        >>> space = load_space("tiny")
        >>> architecture = space.decode(space.sample(random.Random(0)))
        >>> network, accuracy = train(architecture, load_data("digits"), Recipe(epochs=1), seed=7)
        >>> accuracy.images, len(accuracy.curve)
        (359, 1)
        >>> 0 < accuracy.top1 <= 1
        True
    """
    images = load_data(data)
    architecture = replace(
        architecture, image_channels=images.image_channels, classes=len(images.class_names)
    )
    network = inherit(init, architecture, seed=seed) if init else seeded_network(architecture, seed)
    distillation = Distillation(Teacher.of(teacher, images)) if teacher else None
    if not isinstance(recipe, Recipe):
        recipe = Recipe() if recipe is None else load_recipe(recipe)
    accuracy = train_in_place(
        network, images, recipe, seed=seed, device=device, on_epoch=on_epoch, distillation=distillation
    )
    return TrainedNetwork(network.eval(), accuracy)


def load_network(path: str | Path) -> Network:
    """A trained network from a file that bneck wrote or exported (`.safetensors`), in evaluation mode.

    Tensors in the file have the names of the network's state dict.

    Raises:
        RunError: the file is missing, damaged or not a file of bneck.
    """
    return load_checkpoint(path).network()


def network_from(config: str | Path, weights: str | Path | None = None) -> Network:
    """A trained network from its config and its weights, in evaluation mode.

    Args:
        config: a YAML config or `config.json` of bneck, or a folder with the second.
        weights: `.safetensors` or `.pth` file with the names of the network's state dict; by default
            `model.safetensors` beside the config.
    Raises:
        BneckError: a file is missing or damaged, or the weights are of another network.
    """
    path = Path(config) / "config.json" if Path(config).is_dir() else Path(config)
    file = Path(weights) if weights else path.with_name("model.safetensors")
    architecture, norm_eps = load_config(path)
    network = build_network(architecture, norm_eps=1e-5 if norm_eps is None else norm_eps)
    try:
        network.load_state_dict(read_state_dict(file))
    except RuntimeError as error:
        raise RunError(f"{file}: not the weights of {path} ({first_line(error)})") from None
    return network.eval()


@explained_faults()
def evaluate(
    network: Network,
    data: DataSource,
    split: EvaluationSplit = "test",
    *,
    device: str = "cpu",
    class_names: Sequence[str] | None = None,
) -> Metrics:
    """Evaluate a network on a split: accuracy, loss, calibration error, metrics per class.

    Args:
        network: trained on the same data, or on data with the same classes and normalisation
            (see `Data.with_normalization`). It is moved to the device and set to evaluation mode.
        data: see `load_data`.
        split: `train`, `validation` or `test`; or `all` for all images, such as a folder of test images
            only, whose classes may have no image.
        device: `cpu` or `cuda`.
        class_names: classes of the network, in order, if a folder for `all` does not have each of them.
    Raises:
        DataError: the data cannot be read, or has other channels or classes than the network.
        UnknownNameError: no such split.
        MachineError: out of memory, or another fault of the machine.

    Example:
        >>> from bneck.evaluate import Recipe, evaluate, load_data, train
        >>> from bneck.search_space import load_space
        >>> import random
        >>> space = load_space("tiny")
        >>> data = load_data("digits")
        >>> network, _ = train(space.decode(space.sample(random.Random(0))), data, Recipe(epochs=1))
        >>> metrics = evaluate(network, data, "test")
        >>> metrics.images, [row.name for row in metrics.classes[:3]]
        (359, ['0', '1', '2'])
    """
    if split not in get_args(EvaluationSplit):
        raise UnknownNameError("split", split, get_args(EvaluationSplit))
    images = load_whole(data, class_names) if split == "all" else load_data(data)
    architecture = network.architecture
    expected = (architecture.image_channels, architecture.classes)
    actual = (images.image_channels, len(images.class_names))
    if actual != expected:
        raise DataError(
            f"{images.name}: the network needs {expected[0]} channels and {expected[1]} classes, "
            f"got {actual[0]} and {actual[1]}{'; pass class_names' if split == 'all' else ''}"
        )
    return compute_metrics(*predict(network, images, split, device=device), images.class_names)
