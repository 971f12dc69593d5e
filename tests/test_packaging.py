"""What `pip install .` puts on a machine."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.slow
def test_a_plain_install_has_one_import_name_with_presets_and_types(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "installed"
    left_out = shutil.ignore_patterns(".*", "runs", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=left_out)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(target), str(source)], check=True)
    assert {path.name for path in target.iterdir() if "dist-info" not in path.name} == {"bneck", "bin"}
    installed = {path.relative_to(target / "bneck").as_posix() for path in (target / "bneck").rglob("*.*")}
    presets = {
        f"search_space/serialization/presets/{name}.yaml"
        for name in ("tiny", "mobile-32", "mobile-64", "mobile-128", "mobile-small", "mobile")
    }
    assert {*presets, "results/pages/templates/base.html.j2"} <= installed
    assert {f"{name}/py.typed" for name in ("search_space", "search", "evaluate", "results")} <= installed
    asked = "import bneck.search_space as s; print(s.__file__, s.load_space('tiny').name)"
    shown = subprocess.run(
        [sys.executable, "-c", asked],
        env={"PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.split() == [str(target / "bneck" / "search_space" / "__init__.py"), "tiny"]


def test_the_lowest_versions_that_are_tested_are_the_bounds() -> None:
    extra = PROJECT["optional-dependencies"]["test"]
    bounds = dict(line.split(">=") for line in [*PROJECT["dependencies"], *extra])
    pins = dict(line.split("==") for line in (ROOT / ".ci" / "lowest.txt").read_text().split())
    assert set(bounds) == set(pins)
    for name, bound in bounds.items():
        assert (pins[name] + ".0").startswith(bound), f"{name}: bound {bound}, tested {pins[name]}"


def test_every_dependency_is_justified() -> None:
    page = (ROOT / "docs" / "decisions" / "0001-dependencies.md").read_text(encoding="utf-8")
    for line in PROJECT["dependencies"]:
        assert f"| {line.split('>=')[0]} |" in page
