"""Imports point down: search -> results -> evaluate -> search_space."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("search_space", "evaluate", "results", "search")


def imported_layers(source: str, package: str) -> Iterator[str]:
    """The layers that a module imports from.

    Args:
        package: that the module is in, such as `bneck.search`.
    """
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            above = parents[: len(parents) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        for name in names:
            words = name.split(".")
            if words[0] == "bneck" and len(words) > 1:
                yield words[1]


def modules_of(layer: str) -> dict[Path, str]:
    """The files of a layer with the package each is in."""
    files = sorted((ROOT / layer).rglob("*.py"))
    return {path: ".".join(["bneck", *path.relative_to(ROOT).parts[:-1]]) for path in files}


@pytest.mark.parametrize(
    ("source", "layers"),
    [
        ("from ..search import cli", ["search"]),
        ("from .. import results, search_space", ["results", "search_space"]),
        ("from ..search_space.space import Gene, Genes", ["search_space", "search_space"]),
        ("from .latency import Latency", ["evaluate"]),
        ("from . import latency", ["evaluate"]),
        ("import bneck.search.cli as cli", ["search"]),
        ("from bneck.results import Record", ["results"]),
        ("def late():\n    from ..results import Record", ["results"]),
        ("import json\nfrom pathlib import Path", []),
    ],
)
def test_imports_are_found_however_they_are_written(source: str, layers: list[str]) -> None:
    assert list(imported_layers(source, "bneck.evaluate")) == layers


def test_an_import_from_a_deeper_package_is_followed_up() -> None:
    assert list(imported_layers("from ....search import cli", "bneck.evaluate.latency.backends")) == [
        "search"
    ]


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_down(layer: str) -> None:
    modules = modules_of(layer)
    assert modules
    allowed = LAYERS[: LAYERS.index(layer) + 1]
    upward = [
        f"{path.relative_to(ROOT)} imports {target}"
        for path, package in modules.items()
        for target in imported_layers(path.read_text(encoding="utf-8"), package)
        if target not in allowed
    ]
    assert upward == []


def test_the_packages_that_are_installed_are_those_on_disk() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    on_disk = {
        ".".join(["bneck", *path.parent.relative_to(ROOT).parts])
        for layer in LAYERS
        for path in (ROOT / layer).rglob("__init__.py")
    }
    assert set(setuptools["packages"]) == on_disk
    assert len(setuptools["packages"]) == len(on_disk)
    folders = {package: package.removeprefix("bneck.").replace(".", "/") for package in on_disk}
    assert setuptools["package-dir"] == folders


def test_every_module_lies_in_a_package() -> None:
    loose = [
        path for layer in LAYERS for path in modules_of(layer) if not (path.parent / "__init__.py").exists()
    ]
    assert loose == []


def test_search_space_works_without_the_heavy_libraries() -> None:
    script = """
import random, sys
from bneck.search_space import architecture_yaml, cost, load_space
space = load_space("tiny")
network = space.decode(space.sample(random.Random(0)))
cost(network), architecture_yaml(network), space.encode(network), space.size
print(*{"torch", "torchvision", "optuna", "pandas", "numpy", "fvcore"} & set(sys.modules))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
