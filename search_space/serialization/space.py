"""Search spaces as YAML files, and the presets."""

from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..choices import BLOCK_GENES, HeadChoices, StageChoices, StemChoices
from ..space import SearchSpace
from .yaml_nodes import YamlNode, parse_named

FORMAT = "space/1"
PRESETS = ("tiny", "mobile-32", "mobile-64", "mobile-128", "mobile-small", "mobile")


def load_space(name_or_path: str | Path) -> SearchSpace:
    """Load a preset by name, or a YAML file.

    Raises:
        UnknownNameError: neither a preset nor a file.
        FileFormatError: names file, line, key, value and remedy.
    """
    return read_space(parse_named("space", name_or_path, PRESETS, preset_yaml))


def preset_yaml(name: str) -> str:
    """Text of a preset's file, as a start for a space of one's own."""
    return files(__package__).joinpath("presets", f"{name}.yaml").read_text(encoding="utf-8")


def read_space(entry: YamlNode) -> SearchSpace:
    """A space from a parsed file."""
    required = ("name", "resolution_px", "stem", "stages", "head")
    nodes = entry.versioned_mapping(FORMAT, required, ("image_channels", "classes"))
    with entry.error_context():
        return SearchSpace(
            name=nodes["name"].text(),
            resolution_px=nodes["resolution_px"].choices(YamlNode.integer),
            stem=_read_stem(nodes["stem"]),
            stages=tuple(_read_stage(item) for item in nodes["stages"].items()),
            head=_read_head(nodes["head"]),
            image_channels=nodes["image_channels"].integer() if "image_channels" in nodes else 3,
            classes=nodes["classes"].integer() if "classes" in nodes else 1000,
        )


_READERS: dict[str, Any] = {
    "activation": YamlNode.text,
    "attention": YamlNode.text,
    "squeeze": YamlNode.text,
    "expansion": YamlNode.number,
}


def _read_choices(entry: YamlNode, required: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, Any]:
    nodes = entry.mapping(required, optional)
    return {
        name: item.choices(_READERS.get(name, YamlNode.integer))
        for name, item in nodes.items()
        if name != "shared"
    }


def _read_stem(entry: YamlNode) -> StemChoices:
    with entry.error_context():
        return StemChoices(**_read_choices(entry, ("out",), ("activation", "kernel", "stride")))


def _read_head(entry: YamlNode) -> HeadChoices:
    with entry.error_context():
        return HeadChoices(**_read_choices(entry, ("features",), ("hidden", "activation")))


def _read_stage(entry: YamlNode) -> StageChoices:
    required = ("out", "kernel", "expansion")
    optional = tuple(field.name for field in fields(StageChoices) if field.name not in required)
    choices = _read_choices(entry, required, optional)
    shared = entry.value.get("shared")
    if shared is not None:
        all_shared = shared.value == "all"
        choices["shared"] = BLOCK_GENES if all_shared else tuple(item.text() for item in shared.items())
    with entry.error_context():
        return StageChoices(**choices)


def space_to_dict(space: SearchSpace) -> dict[str, Any]:
    """The versioned form used in files; `read_space` is the inverse."""

    def choice_lists(choices: Any) -> dict[str, list[Any]]:
        return {field.name: list(getattr(choices, field.name)) for field in fields(choices)}

    return {
        "bneck": FORMAT,
        "name": space.name,
        "resolution_px": list(space.resolution_px),
        "image_channels": space.image_channels,
        "classes": space.classes,
        "stem": choice_lists(space.stem),
        "stages": [choice_lists(stage) for stage in space.stages],
        "head": choice_lists(space.head),
    }
