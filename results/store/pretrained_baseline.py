"""The pretrained network that a search from scratch is compared with, by its name in the settings."""

from dataclasses import replace

from ...evaluate.latency.reference_panel import parse_reference
from ...search_space import Architecture, ArchitectureError, Parent
from ...search_space.architecture import FineTuning
from ...search_space.pretrained_space import published_parent

PREFIX = "pretrained:"


def is_pretrained(name: str) -> bool:
    """Whether a baseline is a pretrained network: `pretrained:efficientnet_lite0@64px`."""
    return name.startswith(PREFIX)


def pretrained_name(network: Architecture) -> str:
    """The name of a candidate of a `PretrainedSpace`, all of which is tuned."""
    assert network.fine_tuning
    return f"{PREFIX}{network.fine_tuning.parent}@{network.resolution_px}px"


def parent_of(name: str) -> Parent:
    """The network whose weights a baseline of this name starts from.

    Raises:
        ArchitectureError: there is none by this name.
    """
    return published_parent(parse_reference(name.removeprefix(PREFIX))[0])


def pretrained_architecture(name: str) -> Architecture:
    """The network of this name, with ImageNet's classes.

    Raises:
        ArchitectureError: there is none by this name, or it names no resolution.
    """
    parent, (_, side) = parent_of(name), parse_reference(name.removeprefix(PREFIX))
    if side is None:
        raise ArchitectureError("baseline", f"must end with a resolution such as @64px, got {name}")
    return replace(parent.architecture, resolution_px=side, fine_tuning=FineTuning(parent.name))
