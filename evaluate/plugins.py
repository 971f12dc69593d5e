"""Objects by name: built in, registered by an installed package, or `module:attribute`."""

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from ..search_space import PluginError, UnknownNameError


def is_reference(name: str) -> bool:
    """Whether a name has the form `module:attribute`, such as `my_package.samplers:Annealing`."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and all(part.isidentifier() for part in f"{module}.{attribute}".split("."))


def load_reference(name: str) -> Any:
    """Import the object that `module:attribute` names; modules of the working directory count.

    Raises:
        PluginError: there is no such module or attribute, or importing it fails.
    """
    module_name, _, path = name.partition(":")
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.append(folder)
    try:
        loaded: Any = import_module(module_name)
        for attribute in path.split("."):
            loaded = getattr(loaded, attribute)
    except Exception as error:
        raise PluginError(f"{name} cannot be imported: {type(error).__name__}: {error}") from error
    return loaded


def installed_names(group: str) -> tuple[str, ...]:
    """Names that installed packages have registered in an entry-point group."""
    return tuple(sorted({point.name for point in entry_points(group=group)}))


def resolve(
    kind: str, name: str, group: str, builtin: Mapping[str, Callable[[], Any]], forms: Iterable[str] = ()
) -> Any:
    """The object that a name stands for.

    Args:
        kind: what is named, for messages: `sampler`.
        group: entry-point group, such as `bneck.samplers`.
        builtin: loaders by name; they win over entry points.
        forms: further names to list where the name is unknown, such as `folder:PATH`.
    Raises:
        UnknownNameError: no such name.
        PluginError: it is registered or written as `module:attribute`, but cannot be imported.
    """
    if name in builtin:
        return builtin[name]()
    for point in entry_points(group=group, name=name):
        try:
            return point.load()
        except Exception as error:
            raise PluginError(
                f"{kind} {name} ({point.value}) cannot be imported: {type(error).__name__}: {error}"
            ) from error
    if is_reference(name):
        return load_reference(name)
    raise UnknownNameError(kind, name, [*builtin, *forms, *installed_names(group), "module:attribute"])


def object_label(value: object) -> str:
    """How a file records an object that has no name: `<function my_train>`, `<TPESampler>`."""
    kind = type(value).__name__
    name = getattr(value, "__qualname__", None)
    return f"<{kind} {name}>" if name else f"<{kind}>"


def is_object_label(name: str) -> bool:
    """Whether a recorded name stands for an object that only its own process had."""
    return name.startswith("<")
