"""Parsed YAML and JSON in which every value knows its line and path, for exact errors.

Scalars follow YAML 1.2: `no` and `12:30` stay strings, `1e-3` is a number.
"""

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ..errors import BneckError, FieldError, FileFormatError, UnknownNameError

T = TypeVar("T")
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
        return str(self.to_python())

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
    """Parse YAML or JSON.

    Raises:
        FileFormatError: the text is not valid YAML, or a key is duplicated.
    """
    text = text.expandtabs() if source.endswith(".json") else text
    try:
        node = _compose(text)
    except RecursionError:
        raise FileFormatError(f"{source}: is nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FileFormatError(f"{source}:{line}: no valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise FileFormatError(f"{source}: no valid YAML: {error}") from None
    if node is None:
        raise FileFormatError(f"{source}: is empty")
    return _build_node(node, source, "", node.start_mark.line + 1, ())


def _compose(text: str) -> yaml.Node | None:
    """The node tree by libyaml, which is five times faster; errors are those of the Python parser."""
    if yaml.__with_libyaml__:
        with suppress(yaml.YAMLError):
            return yaml.compose(text, Loader=yaml.CSafeLoader)
    return yaml.compose(text, Loader=yaml.SafeLoader)


def parse_file(path: str | Path) -> YamlNode:
    """Read a YAML or JSON file.

    Raises:
        FileFormatError: the file is missing, unreadable or broken.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
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


def _build_node(
    node: yaml.Node, source: str, path: str, line: int, ancestors: tuple[yaml.Node, ...]
) -> YamlNode:
    if node in ancestors:
        raise YamlNode(None, source, line, path).error("refers to one of its own ancestors")
    ancestors = (*ancestors, node)
    value: Any
    if isinstance(node, yaml.MappingNode):
        value = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            child_path = f"{path}.{key}" if path else key
            key_line = key_node.start_mark.line + 1
            if key in value:
                raise YamlNode(None, source, key_line, child_path).error("duplicate key")
            value[key] = _build_node(value_node, source, child_path, key_line, ancestors)
    elif isinstance(node, yaml.SequenceNode):
        value = [
            _build_node(item, source, f"{path}[{number}]", item.start_mark.line + 1, ancestors)
            for number, item in enumerate(node.value, start=1)
        ]
    else:
        quoted = isinstance(node, yaml.ScalarNode) and bool(node.style)
        value = node.value if quoted else _scalar(node.value)
    return YamlNode(value, source, line, path)


def _scalar(text: str) -> Any:
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
