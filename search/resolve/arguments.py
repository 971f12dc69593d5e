"""Arguments of `run_search`: values to the words of a request, and objects that have no words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...search_space import GoalError, SearchSpace
from .objects import SearchObjects

_PATHS = ("out", "data_root", "transfer_from", "latency_predictor")
_LIMITS = ("max_macs", "max_params")


def split_arguments(options: Mapping[str, Any]) -> tuple[dict[str, Any], SearchObjects]:
    """The fields of a `SearchRequest`, and the objects among the arguments.

    Raises:
        GoalError: an argument has the wrong type.
        DataError: data of the caller's cannot be used.
    """
    objects: dict[str, Any] = {}
    words = dict(options)
    parents = words.get("pretrained")
    if parents and not isinstance(parents, bool):
        words |= {"pretrained": True, "parents": (parents,) if isinstance(parents, str) else tuple(parents)}
    for name, value in options.items():
        if name == "space" and isinstance(value, SearchSpace):
            objects[name], words[name] = value, value.name
        elif name == "data" and isinstance(value, Path):
            words[name] = f"folder:{value}"
        elif name in ("data", "evaluator", "sampler", "storage") and not isinstance(value, str):
            if name == "data":
                from ...evaluate.data.dataset import load_data

                objects[name] = load_data(value)
            else:
                objects[name] = _checked(name, value)
        elif name == "teacher" and value is not None:
            words[name] = str(getattr(value, "folder", value))
        elif name == "objectives" and not isinstance(value, str):
            words[name] = ",".join(map(str, value))
        elif name == "baselines" and value is not None:
            words[name] = (value,) if isinstance(value, str) else tuple(value)
        elif name in _PATHS and value is not None:
            words[name] = Path(getattr(value, "folder", value))  # a Run stands for its folder
        elif name in _LIMITS and isinstance(value, int | float):
            words[name] = f"{value:.0f}"
        elif name == "space":
            words[name] = str(value)
    found = SearchObjects(**objects)
    return words | found.labels, found


def _checked(name: str, value: Any) -> Any:
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage

    valid = {
        "evaluator": callable(value) or hasattr(value, "score"),
        "sampler": isinstance(value, BaseSampler) or callable(value),
        "storage": isinstance(value, BaseStorage),
    }
    expected = {
        "evaluator": "a name or a function of architecture and seed",
        "sampler": "a name or an Optuna sampler",
        "storage": "a URL or an Optuna storage",
    }
    if not valid[name]:
        raise GoalError(f"{name} must be {expected[name]}, got {type(value).__name__}")
    return value
