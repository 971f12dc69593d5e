"""Every command of the README runs, in its order, in one folder, as a newcomer would run it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
SHORT = "--n-trials 2 --epochs 1 --baseline none"


def commands() -> list[str]:
    lines = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
    return [line.partition("  #")[0].strip() for line in lines if line.strip()]


def shortened(command: str) -> str:
    """A search for two networks, each trained once over the images; a model of the fewest networks."""
    if command.startswith("bneck latency-predictor build"):
        return f"{command} --networks 20 --held-out 5"
    if command.startswith("bneck compare"):
        return f"{command} --epochs 1"
    if command.startswith("bneck seed-variance"):
        return f"{command} --networks 6 --seeds 2 --epochs 1"
    is_new_search = command.startswith("bneck search") and "--resume" not in command
    return f"{command} {SHORT}" if is_new_search else command


def pi(script: Path) -> None:
    """A board that takes a millisecond for every megabyte of a model, and one to begin with."""
    script.write_text('#!/bin/sh\nwc -c < "$1" | awk \'{print 1 + $1 / 1e6, "ms"}\'\n')
    script.chmod(0o755)


def photos(folder: Path) -> None:
    for name, colour in (("cats", (200, 120, 60)), ("dogs", (60, 90, 160))):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            Image.new("RGB", (240, 180), tuple(c + number for c in colour)).save(
                folder / name / f"{number}.jpg"
            )


def test_the_commands_that_install_are_those_of_the_makefile_and_of_ci() -> None:
    assert [line for line in commands() if not line.startswith("bneck ")] == [
        "pip install .",
        "make search",
        "make test",
    ]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    [targets] = re.findall(r"^make (.+)$", script, flags=re.MULTILINE)
    assert {"search", "test"} <= set(targets.split())


@pytest.mark.slow
def test_every_bneck_command_of_the_readme_runs(tmp_path: Path) -> None:
    photos(tmp_path / "photos")
    pi(tmp_path / "on-pi.sh")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = [line for line in commands() if line.startswith("bneck ")]
    told = {line.split()[1] for line in ran}
    assert told == {
        "search",
        "front",
        "report",
        "export",
        "inspect",
        "describe",
        "latency",
        "latency-predictor",
        "train",
        "evaluate",
        "compare",
        "seed-variance",
    }
    for line in ran:
        done = subprocess.run(
            shortened(line),
            shell=True,
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    assert (tmp_path / "runs" / "tiny-digits-1" / "report.html").is_file()
    assert {path.suffix for path in (tmp_path / "exported").iterdir()} == {".yaml", ".onnx"}


def python_blocks(page: str) -> str:
    """All Python of a page, as one program."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL))


@pytest.mark.slow
def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", python_blocks(README)], cwd=tmp_path, check=True)
    assert "plotly" in (tmp_path / "pareto.html").read_text(encoding="utf-8")
    assert (tmp_path / "runs" / "python" / "report.html").is_file()


@pytest.mark.slow
def test_the_guide_to_python_runs_from_top_to_bottom(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "guide" / "python.md").read_text(encoding="utf-8")
    checks = """
assert len(front) >= 1 and len(table) >= 4 and figure.data and not network.training
assert {path.suffix for path in paths} == {".yaml", ".onnx"}
"""
    program = f"{python_blocks(page)}\n{checks}"
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert ran.stdout.split()[-1] == "216589760"  # MACs of MobileNetV3-Large


def test_the_pictures_of_the_readme_are_there() -> None:
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", README)
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)
