"""Imports point down: across the four folders, and between the rooms of each."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("search_space", "evaluate", "results", "search")
ROOMS = {  # from the top floor to the ground
    "search_space": (
        "serialization", "counting", "onnx_graph", "source_weights", "network", "space", "pretrained_space",
        "automaton", "candidate_space", "choices", "pretrained_weights", "reference_networks", "cost",
        "architecture", "faults", "errors", "urls", "printable",
    ),
    "evaluate": (
        "api", "classifier", "hub_config", "fvcore_audit", "scorers", "netadapt", "inheritance", "supernet",
        "training", "objectives", "latency", "preprocessing", "data", "surrogate", "statistics", "trust",
        "plugins", "onnx_session", "cores", "optional_dependencies", "user_cache",
    ),
    "results": ("joined_runs", "run", "outputs", "pages", "export", "plots", "text", "analysis", "store"),
    "search": ("cli", "commands", "api", "jobs", "runner", "resolve", "samplers", "parallel", "console"),
}  # fmt: skip
MOST_MODULES = 16


def imports(source: str, package: str) -> Iterator[str]:
    """The objects and modules of bneck that a module imports, by their full names.

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
        yield from (name for name in names if name.startswith("bneck."))


def package_of(path: Path) -> str:
    return ".".join(["bneck", *path.relative_to(ROOT).parts[:-1]])


def modules_of(layer: str) -> list[Path]:
    return sorted((ROOT / layer).rglob("*.py"))


def module_name(path: Path) -> str:
    return f"{package_of(path)}.{path.stem}".removesuffix(".__init__")


def imported_modules(path: Path, known: frozenset[str]) -> Iterator[str]:
    """The modules that a module imports, the packages that only hand names on included."""
    for name in imports(path.read_text(encoding="utf-8"), package_of(path)):
        while name not in known and "." in name:
            name = name.rpartition(".")[0]
        if name in known:
            yield name


ALL_MODULES = {module_name(path): path for layer in LAYERS for path in modules_of(layer)}
KNOWN = frozenset(ALL_MODULES)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("from ..search import cli", ["bneck.search.cli"]),
        ("from .. import results, search_space", ["bneck.results", "bneck.search_space"]),
        ("from .latency import Latency", ["bneck.evaluate.latency.Latency"]),
        ("from . import latency", ["bneck.evaluate.latency"]),
        ("import bneck.search.cli as cli", ["bneck.search.cli"]),
        ("from bneck.results import Record", ["bneck.results.Record"]),
        ("def late():\n    from ..results import Record", ["bneck.results.Record"]),
        ("import json\nfrom pathlib import Path", []),
    ],
)
def test_imports_are_found_however_they_are_written(source: str, names: list[str]) -> None:
    assert list(imports(source, "bneck.evaluate")) == names


def test_an_import_from_a_deeper_package_is_followed_up() -> None:
    package = "bneck.evaluate.latency.backends"
    assert list(imports("from ....search import cli", package)) == ["bneck.search.cli"]


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_down_between_the_folders(layer: str) -> None:
    allowed = {f"bneck.{each}" for each in LAYERS[: LAYERS.index(layer) + 1]}
    upward = [
        f"{module_name(path)} imports {name}"
        for path in modules_of(layer)
        for name in imports(path.read_text(encoding="utf-8"), package_of(path))
        if ".".join(name.split(".")[:2]) not in allowed
    ]
    assert upward == []


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_down_between_the_rooms(layer: str) -> None:
    order, upward = ROOMS[layer], []
    for path in modules_of(layer):
        own = module_name(path).split(".")[2:3]
        if not own:
            continue  # the folder's own __init__ hands on names from all floors
        for name in imports(path.read_text(encoding="utf-8"), package_of(path)):
            parts = name.split(".")
            if parts[1] == layer and (
                len(parts) < 3 or parts[2] not in order or order.index(parts[2]) < order.index(own[0])
            ):
                upward.append(f"{module_name(path)} imports {name}")
    assert upward == []


@pytest.mark.parametrize("layer", LAYERS)
def test_every_room_has_its_place_in_the_order(layer: str) -> None:
    on_disk = {path.relative_to(ROOT / layer).parts[0].removesuffix(".py") for path in modules_of(layer)}
    assert on_disk - {"__init__"} <= set(ROOMS[layer])


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: set(imported_modules(path, KNOWN)) - {name} for name, path in ALL_MODULES.items()}
    for name in graph:  # importing a module runs the packages around it, which is no arrow that anybody wrote
        graph[name] = {each for each in graph[name] if not name.startswith(f"{each}.")}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_room_holds_more_than_sixteen_modules() -> None:
    rooms = {path.parent for path in ALL_MODULES.values()}
    counts = {str(room.relative_to(ROOT)): len([*room.glob("*.py")]) - 1 for room in rooms}
    assert {room: count for room, count in counts.items() if count > MOST_MODULES} == {}


def test_the_packages_that_are_installed_are_those_on_disk() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    on_disk = {package_of(path) for path in ALL_MODULES.values() if path.name == "__init__.py"}
    folders = {package: package.removeprefix("bneck.").replace(".", "/") for package in on_disk}
    folders["bneck.testing"] = "tests/contracts"
    assert sorted(setuptools["packages"]) == sorted(folders)
    assert setuptools["package-dir"] == folders


def test_every_module_lies_in_a_package() -> None:
    assert [path for path in ALL_MODULES.values() if not (path.parent / "__init__.py").exists()] == []


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
