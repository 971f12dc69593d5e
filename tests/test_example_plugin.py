"""A third-party package extends bneck: by `module:attribute`, and by entry points once it is installed."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bneck.evaluate import load_data
from bneck.evaluate.data.dataset import Data
from bneck.testing import DataContract, EvaluatorContract, LatencyBackendContract, SamplerContract

EXAMPLE = Path(__file__).parent / "example_plugin"
PROJECT = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module", autouse=True)
def importable() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLE))
        yield


class TestExampleSampler(SamplerContract):
    @pytest.fixture
    def sampler(self) -> str:
        return "bneck_example.sampler:independent"


class TestExampleLatencyBackend(LatencyBackendContract):
    @pytest.fixture
    def backend_name(self) -> str:
        return "bneck_example.backend:backend"


class TestExampleEvaluator(EvaluatorContract):
    @pytest.fixture
    def evaluator_name(self) -> str:
        return "bneck_example.evaluator:evaluate"


class TestExampleData(DataContract):
    @pytest.fixture
    def data(self) -> Data:
        return load_data("bneck_example.data:load")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the metadata that pip would write for the example package."""
    site = tmp_path_factory.mktemp("site")
    metadata = site / "bneck_example-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: bneck-example\nVersion: 1.0\n")
    groups = PROJECT["entry-points"]
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in groups.items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    return site


def bneck(*words: str, folder: Path, path: tuple[Path, ...]) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("bneck")
    joined = os.pathsep.join([*map(str, path), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [str(program), *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": joined.rstrip(os.pathsep)},
        capture_output=True,
        text=True,
        check=False,
    )


SHORT = ("--n-trials", "4", "--baseline", "none", "--replicates", "0", "--workers", "2")


@pytest.mark.slow
@pytest.mark.parametrize("by", ["entry points", "references"])
def test_a_search_uses_a_sampler_evaluator_backend_and_data_of_others(
    by: str, tmp_path: Path, installed: Path
) -> None:
    short = by == "entry points"
    names = {
        "--sampler": "example-sampler" if short else "bneck_example.sampler:independent",
        "--evaluator": "example-evaluator" if short else "bneck_example.evaluator:evaluate",
        "--latency-backend": "example-backend" if short else "bneck_example.backend:backend",
        "--data": "example-data" if short else "bneck_example.data:load",
    }
    words = [word for pair in names.items() for word in pair]
    path = (installed, EXAMPLE) if short else (EXAMPLE,)
    ran = bneck("search", "tiny", *words, *SHORT, "--out", "run", folder=tmp_path, path=path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    shown = bneck("front", "run", "--json", folder=tmp_path, path=path)
    front = json.loads(shown.stdout)["front"]
    assert front
    for each in front:  # a nanosecond per MAC, and accuracy by a formula
        assert each["latency_ms"] == pytest.approx(each["macs"] * 1e-6, rel=0.1)


@pytest.mark.slow
def test_a_name_that_no_package_registers_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    ran = bneck("search", "tiny", "--sampler", "example-sampler", folder=tmp_path, path=(EXAMPLE,))
    assert ran.returncode == 2
    assert "example-sampler" in ran.stderr
    assert "ehvi" in ran.stderr
