"""Objects by name: built in, by entry point, or `module:attribute`."""

import sys
from pathlib import Path
from typing import Any

import pytest

from bneck.evaluate import plugins
from bneck.evaluate.plugins import installed_names, is_reference, load_reference, resolve
from bneck.search_space import PluginError, UnknownNameError

GROUP = "bneck.samplers"


class Point:
    """An entry point without a package."""

    def __init__(self, name: str, value: str) -> None:
        self.name, self.value = name, value

    def load(self) -> Any:
        return load_reference(self.value)


@pytest.fixture(autouse=True)
def points(monkeypatch: pytest.MonkeyPatch) -> list[Point]:
    registered = [Point("root", "math:sqrt"), Point("broken", "bneck_no_such_module:x")]

    def entry_points(group: str, name: str | None = None) -> list[Point]:
        return [each for each in registered if group == GROUP and name in (None, each.name)]

    monkeypatch.setattr(plugins, "entry_points", entry_points)
    return registered


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("math:sqrt", True),
        ("my_package.samplers:Annealing", True),
        ("module:Outer.inner", True),
        ("command:./run.sh {onnx}", False),
        ("folder:a/b", False),
        ("tpe", False),
        ("module:", False),
        (":attribute", False),
    ],
)
def test_a_reference_is_a_dotted_module_and_a_dotted_attribute(name: str, expected: bool) -> None:
    assert is_reference(name) is expected


def test_a_built_in_name_wins_over_entry_points() -> None:
    assert resolve("sampler", "root", GROUP, {"root": lambda: 1}) == 1


def test_an_entry_point_is_loaded_by_its_name() -> None:
    assert resolve("sampler", "root", GROUP, {})(9) == 3
    assert installed_names(GROUP) == ("broken", "root")


def test_a_module_of_the_working_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bneck_test_own_module.py").write_text("class Outer:\n    value = 42\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert resolve("sampler", "bneck_test_own_module:Outer.value", GROUP, {}) == 42


@pytest.mark.parametrize("name", ["bneck_no_such_module:x", "math:no_such_function", "broken"])
def test_what_cannot_be_imported_is_named_with_the_reason(name: str) -> None:
    with pytest.raises(PluginError, match=rf"{name}.*cannot be imported: \w+Error: "):
        resolve("sampler", name, GROUP, {})


def test_an_unknown_name_lists_built_in_names_forms_and_entry_points() -> None:
    with pytest.raises(UnknownNameError) as refusal:
        resolve("data set", "nothing", GROUP, {"digits": lambda: 1}, ("folder:PATH",))
    for known in ("digits", "folder:PATH", "root", "module:attribute"):
        assert known in str(refusal.value)
