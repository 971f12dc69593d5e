"""Parsed YAML and JSON in which every value knows its line and path, for exact errors.

Scalars follow YAML 1.2: `no` and `12:30` stay strings, `1e-3` is a number.
"""

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ..errors import BneckError, FieldError, FileFormatError, UnknownNameError, first_line
from ..printable import printable

T = TypeVar("T")
MAX_BYTES = 8_000_000
MAX_CHARACTERS_IN_PYTHON = 500_000  # its parser is slow
MAX_NODES = 200_000
MAX_DEPTH = 32
MAX_SHOWN = 200
_INTEGER = re.compile(r"[-+]?[0-9]{1,30}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS: dict[str, Any] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True)
class YamlNode:
    """A value of a file.

    Attributes:
        value: a scalar, a list of nodes, or a dict of nodes.
        source: name of the file.
        line: line number from 1; that of the key if the value has one.
        path: path in the file, such as `blocks[2].kernel`; empty for the whole file.
    """

    value: Any
    source: str
    line: int
    path: str

    @property
    def place(self) -> str:
        """`space.yaml:7: stages[2].kernel`."""
        return f"{self.source}:{self.line}" + (f": {self.path}" if self.path else "")

    def error(self, problem: str) -> FileFormatError:
        return FileFormatError(f"{self.place}: {problem}")

    def mapping(self, required: Collection[str], optional: Collection[str] = ()) -> dict[str, "YamlNode"]:
        """Items of a mapping; a missing or unknown key is an error."""
        if not isinstance(self.value, dict):
            raise self.error(f"must be a mapping with {', '.join(required)}, got {self.value_text}")
        known = [*required, *optional]
        for key, entry in self.value.items():
            if key not in known:
                raise entry.error(f"unknown key; known here: {', '.join(known)}")
        for key in required:
            if key not in self.value:
                raise self.error(f"'{key}' is missing")
        return dict(self.value)

    def versioned_mapping(
        self, schema: str, required: Collection[str], optional: Collection[str] = ()
    ) -> dict[str, "YamlNode"]:
        """Items of a mapping whose key `bneck` holds the schema version, which is checked first."""
        version = self.value.get("bneck") if isinstance(self.value, dict) else None
        if version is not None and version.value != schema:
            same_kind = version.value_text.startswith(f"{schema.partition('/')[0]}/")
            remedy = "; use the version of bneck that wrote it, or create it anew" if same_kind else ""
            raise version.error(f"must be {schema}, got {version.value_text}{remedy}")
        return self.mapping(("bneck", *required), optional)

    def items(self) -> list["YamlNode"]:
        """Items of a list."""
        if not isinstance(self.value, list):
            raise self.error(f"must be a list, got {self.value_text}")
        return self.value

    def integer(self, minimum: int | None = None) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.error(f"must be a whole number, got {self.value_text}")
        if minimum is not None and self.value < minimum:
            raise self.error(f"must be at least {minimum}, got {self.value_text}")
        return self.value

    def number(self) -> float:
        if not isinstance(self.value, int | float) or isinstance(self.value, bool):
            raise self.error(f"must be a number, got {self.value_text}")
        return self.value

    def require_between(self, minimum: float, maximum: float) -> None:
        """Raise an error if the value is a number outside the range; other values pass."""
        number = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        if number and not minimum <= self.value <= maximum:
            raise self.error(f"must be from {minimum:,} to {maximum:,}, got {self.value_text}")

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.error(f"must be text, got {self.value_text}")
        return self.value

    def boolean(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.error(f"must be true or false, got {self.value_text}")
        return self.value

    def choices(self, read: Callable[["YamlNode"], T]) -> tuple[T, ...]:
        """A list of distinct values, or a single value."""
        entries = self.items() if isinstance(self.value, list) else [self]
        values = tuple(read(entry) for entry in entries)
        if not values:
            raise self.error("must hold at least one choice")
        if len(set(values)) < len(values):
            raise self.error(f"holds a choice twice: {self.value_text}")
        return values

    @property
    def value_text(self) -> str:
        """The value for a message, in one line and shortened."""
        text = str(self.to_python())
        return printable(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…")

    def to_python(self) -> Any:
        """The value as plain Python objects."""
        if isinstance(self.value, dict):
            return {key: entry.to_python() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [entry.to_python() for entry in self.value]
        return self.value

    @contextmanager
    def error_context(self) -> Iterator[None]:
        """Add line and path to the errors of a constructor."""
        try:
            yield
        except FileFormatError:
            raise
        except FieldError as error:
            location = self.value.get(error.field, self) if isinstance(self.value, dict) else self
            raise YamlNode(None, self.source, location.line, self.path).error(str(error)) from None
        except BneckError as error:
            raise self.error(str(error)) from None


def parse(text: str, source: str) -> YamlNode:
    """Parse YAML or JSON; anchors are not followed, so that a small text has a small value.

    Raises:
        FileFormatError: the text is not valid YAML, a key is duplicated, or it is too long or too deep.
    """
    text = text.expandtabs() if source.endswith(".json") else text
    try:
        root = _read(text, source)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FileFormatError(f"{source}:{line}: no valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise FileFormatError(f"{source}: no valid YAML: {first_line(error)}") from None
    if root is None:
        raise FileFormatError(f"{source}: is empty")
    return root


def _read(text: str, source: str) -> YamlNode | None:
    """The tree by libyaml, which is ten times faster; errors are those of the Python parser."""
    if yaml.__with_libyaml__:
        try:
            return _build_tree(yaml.parse(text, Loader=yaml.CSafeLoader), source)
        except yaml.YAMLError:
            if len(text) > MAX_CHARACTERS_IN_PYTHON:
                raise
    return _build_tree(yaml.parse(text, Loader=yaml.SafeLoader), source)


def _build_tree(events: Iterable[yaml.Event], source: str) -> YamlNode | None:
    """The root of the first document; the bounds hold while it grows."""
    root: YamlNode | None = None
    parents: list[_Parent] = []
    count = 0
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            parents.pop()
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        line = event.start_mark.line + 1 if event.start_mark else 1
        parent = parents[-1] if parents else None
        if isinstance(event, yaml.AliasEvent):
            place = parent.node if parent else YamlNode(None, source, line, "")
            raise replace(place, line=line).error(f"alias *{event.anchor} is not supported; repeat the value")
        if parent is None and root is not None:
            raise FileFormatError(f"{source}:{line}: must hold one document, got another")
        if parent and parent.awaits_key:
            if not isinstance(event, yaml.ScalarEvent):
                raise replace(parent.node, line=line).error("a key must be text")
            parent.set_key(str(event.value), line)
            continue
        node = parent.child(_value(event), line) if parent else YamlNode(_value(event), source, line, "")
        root = root or node
        count += 1
        if count > MAX_NODES:
            raise node.error(f"has more than {MAX_NODES:,} values")
        if not isinstance(event, yaml.ScalarEvent):
            parents.append(_Parent(node))
        if len(parents) > MAX_DEPTH:
            raise YamlNode(None, source, line, "").error(f"is nested more than {MAX_DEPTH} deep")
    return root


@dataclass
class _Parent:
    """A mapping or list whose items are being read."""

    node: YamlNode
    key: str | None = None
    key_line: int = 0

    @property
    def awaits_key(self) -> bool:
        return isinstance(self.node.value, dict) and self.key is None

    def set_key(self, key: str, line: int) -> None:
        path = f"{self.node.path}.{key}" if self.node.path else key
        if key in self.node.value:
            raise YamlNode(None, self.node.source, line, path).error("duplicate key")
        self.key, self.key_line = key, line

    def child(self, value: Any, line: int) -> YamlNode:
        node, key = self.node, self.key
        if key is None:
            item = YamlNode(value, node.source, line, f"{node.path}[{len(node.value) + 1}]")
            node.value.append(item)
            return item
        self.key = None
        item = YamlNode(value, node.source, self.key_line, f"{node.path}.{key}" if node.path else key)
        node.value[key] = item
        return item


def _value(event: yaml.Event) -> Any:
    if isinstance(event, yaml.MappingStartEvent):
        return {}
    if isinstance(event, yaml.SequenceStartEvent):
        return []
    assert isinstance(event, yaml.ScalarEvent)
    return event.value if event.style else _scalar(event.value)


def parse_file(path: str | Path) -> YamlNode:
    """Read a YAML or JSON file.

    Raises:
        FileFormatError: the file is missing, unreadable or broken.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise FileFormatError(f"{path}: must have at most {MAX_BYTES / 1e6:g} MB")
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
        raise FileFormatError(f"{path}: cannot be read: {reason}") from None
    return parse(text, str(path))


def parse_named(
    kind: str, name_or_path: str | Path, presets: Collection[str], load_text: Callable[[str], str]
) -> YamlNode:
    """Parse a preset by name, or a file.

    Args:
        kind: kind of file, for messages.
        load_text: returns the text of a preset.
    Raises:
        UnknownNameError: neither a preset nor a file.
        FileFormatError: the file is missing, unreadable or broken.
    """
    if isinstance(name_or_path, str) and name_or_path in presets:
        return parse(load_text(name_or_path), f"{name_or_path}.yaml")
    path = Path(name_or_path)
    if not path.is_file() and path.suffix not in (".yaml", ".yml", ".json"):
        raise UnknownNameError(kind, str(name_or_path), presets)
    return parse_file(path)


def dump(value: Any) -> str:
    """YAML that `parse` reads back unchanged: strings that look like numbers are quoted."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    pass


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    text = str(text)
    style = None if _scalar(text) is text else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_multi_representer(str, _represent_text)  # texts that are marked as read from a file


def _scalar(text: str) -> Any:
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text
