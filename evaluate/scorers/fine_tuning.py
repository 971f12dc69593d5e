"""Fine-tuning of pretrained networks: initial weights, normalisation of images, and what stays frozen."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from ...search_space import Architecture, Parent, SpaceError
from ...search_space.architecture import Tuned
from ...search_space.network import Network
from ..inheritance.inherit import inherit
from ..training.pretrained import pretrained_network
from ..training.recipe import Freeze
from ..training.train import seeded_network
from . import EvaluationContext

FREEZE: Mapping[Tuned, Freeze] = {"all": "none", "last-stage": "early-stages", "head": "backbone"}
Parents = Mapping[str, Parent]


def initial_network(architecture: Architecture, seed: int, parents: Parents) -> Network:
    """A network at the start of its training: the parent's weights, and a classifier drawn by the seed.

    All weights are drawn if the architecture has no parent.

    Raises:
        RunError: the weights cannot be read, or do not fit.
        SpaceError: the parent is not known.
    """
    parent = _parent_of(architecture, parents)
    if parent is None:
        return seeded_network(architecture, seed)
    return inherit(_source(parent), architecture, seed=seed)


def context_for(architecture: Architecture, context: EvaluationContext) -> EvaluationContext:
    """The context with images and recipe for the pretrained network that an architecture starts from, if any.

    Images are normalised as the parent was trained, and what is not tuned is frozen.

    Raises:
        SpaceError: that network is not known.
    """
    parent = _parent_of(architecture, context.parents)
    if parent is None or architecture.fine_tuning is None:
        return context
    return replace(
        context,
        data=context.data.with_normalization(*parent.normalization(context.data.image_channels)),
        recipe=replace(context.recipe, freeze=FREEZE[architecture.fine_tuning.tuned]),
    )


def _parent_of(architecture: Architecture, parents: Parents) -> Parent | None:
    if architecture.fine_tuning is None:
        return None
    name = architecture.fine_tuning.parent
    if name not in parents:
        raise SpaceError(f"network {architecture.key} starts from {name}, whose weights are not known here")
    return parents[name]


@lru_cache(maxsize=4)
def _source(parent: Parent) -> Network:
    return pretrained_network(parent.name, parent.file or None)
