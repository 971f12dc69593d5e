"""Pretrained networks by name or file, as the parents of a search."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ...evaluate import Goals, Latency
from ...results.store.pretrained_baseline import pretrained_name
from ...search_space import PRETRAINED, Architecture, CandidateSpace, GoalError, Parent
from ...search_space.pretrained_space import pretrained_space, published_parent
from ..samplers.highest_resolutions import highest_resolutions
from .trained_networks import resolve_checkpoint

UNLIMITED_RESOLUTION_PX = 128


def resolve_parents(names: Sequence[str]) -> tuple[Parent, ...]:
    """The pretrained networks of a search; the weights of each are read once.

    Args:
        names: published names, `NAME=FILE`, or trainings of bneck; all that are on this machine if empty.
    Raises:
        GoalError: no pretrained network is on this machine.
        BneckError: a name is unknown, or weights cannot be read.
    """
    return tuple(_parent(name) for name in names or _available())


def _available() -> tuple[str, ...]:
    from ...evaluate.training.pretrained import available_pretrained

    if names := available_pretrained():
        return names
    raise GoalError(
        "--pretrained: no pretrained network is on this machine; name one to download, such as "
        "--parent mobilenet_v3_large"
    )


def _parent(name: str) -> Parent:
    published, _, file = name.partition("=")
    if file:
        return _from_weights(published, str(Path(file).resolve()))
    if "#" in name or Path(name).exists():
        return _from_training(name)
    return _from_weights(name, "")


def _from_training(name: str) -> Parent:
    """A network that bneck trained, with the accuracy on its own data unknown to other data."""
    from ...evaluate.training.checkpoint import load_checkpoint

    path = resolve_checkpoint(name).path.resolve()
    trained = load_checkpoint(path)
    label = Path(name).name if Path(name).exists() else name
    return Parent(
        label, trained.architecture.without_fine_tuning, trained.pixel_mean, trained.pixel_std, file=str(path)
    )


def _from_weights(name: str, file: str) -> Parent:
    from ...evaluate.training.pretrained import pretrained_network, pretrained_normalization

    architecture = pretrained_network(name, file or None).architecture
    known = PRETRAINED.get(name)
    return Parent(
        name,
        architecture,
        *pretrained_normalization(name, file or None),
        imagenet_top1=known.top1 / 100 if known else None,
        file=file,
    )


def pretrained_baseline(
    space: CandidateSpace, goals: Goals, latency_of: Callable[[Architecture], Latency], device: str
) -> str | None:
    """Name of the pretrained network within the limits that is expected to be best, for a comparison.

    Args:
        space: of the search, with the channels and classes of its data.
        latency_of: some resolutions are measured if there is a limit on latency.
    Returns:
        None if all violate a limit.
    Raises:
        GoalError: no pretrained network is on this machine.
    """
    limited = bool(goals.constraints) or device != "cpu"
    parents = [published_parent(name) for name in _available()]
    candidates = pretrained_space(parents, None if limited else UNLIMITED_RESOLUTION_PX)
    candidates = candidates.for_data(space.image_channels, space.classes)
    best = highest_resolutions(candidates, goals, latency_of)
    return pretrained_name(best[0]) if best else None
