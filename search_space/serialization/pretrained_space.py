"""The space of pretrained networks in a run's file, with the architecture of every parent."""

from typing import Any, cast

from ..architecture import Tuned
from ..candidate_space import CandidateSpace
from ..pretrained_space import Parent, PretrainedSpace
from ..space import SearchSpace
from .architecture import read_architecture
from .space import read_space, space_to_dict
from .yaml_nodes import YamlNode

FORMAT = "pretrained-space/1"
_CUTS = ("dropped_blocks", "dropped_stages")
_PARENT = ("name", "imagenet_top1", "file", "pixel_mean", "pixel_std", "architecture")


def candidate_space_to_dict(space: CandidateSpace) -> dict[str, Any]:
    """The versioned form of either kind of space; `read_candidate_space` is the inverse."""
    if isinstance(space, SearchSpace):
        return space_to_dict(space)
    assert isinstance(space, PretrainedSpace)
    return {
        "bneck": FORMAT,
        "name": space.name,
        "image_channels": space.image_channels,
        "classes": space.classes,
        "resolution_px": list(space.resolution_px),
        "tuned": list(space.tuned),
        **{name: list(getattr(space, name)) for name in _CUTS},
        "parents": [
            {name: _plain(getattr(parent, name)) for name in _PARENT[:-1]}
            | {"architecture": parent.architecture.to_dict()}
            for parent in space.parents
        ],
    }


def read_candidate_space(entry: YamlNode) -> CandidateSpace:
    """A space from a parsed file, by its format."""
    if not isinstance(entry.value, dict) or "parents" not in entry.value:
        return read_space(entry)
    required = ("name", "image_channels", "classes", "resolution_px", "tuned", "parents")
    nodes = entry.versioned_mapping(FORMAT, required, _CUTS)
    with entry.error_context():
        return PretrainedSpace(
            name=nodes["name"].text(),
            image_channels=nodes["image_channels"].integer(),
            classes=nodes["classes"].integer(),
            resolution_px=nodes["resolution_px"].choices(YamlNode.integer),
            tuned=cast("tuple[Tuned, ...]", nodes["tuned"].choices(YamlNode.text)),
            **{name: nodes[name].choices(YamlNode.integer) for name in _CUTS if name in nodes},
            parents=tuple(_read_parent(item) for item in nodes["parents"].items()),
        )


def _read_parent(entry: YamlNode) -> Parent:
    nodes = entry.mapping(_PARENT)
    top1 = nodes["imagenet_top1"]
    return Parent(
        nodes["name"].text(),
        read_architecture(nodes["architecture"]),
        tuple(item.number() for item in nodes["pixel_mean"].items()),
        tuple(item.number() for item in nodes["pixel_std"].items()),
        None if top1.value is None else top1.number(),
        nodes["file"].text(),
    )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
