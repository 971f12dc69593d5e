"""Options of a command from the fields of its request."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
import typer
from typer.testing import CliRunner

from bneck.search.commands.expand import Given, expand
from bneck.search.resolve.options import Request, argument, option
from bneck.search_space import GoalError


@dataclass(frozen=True, kw_only=True)
class Group(Request):
    panel: ClassVar[str | None] = "Others"

    threads: int = option(1, "threads of each process", minimum=1)


@dataclass(frozen=True, kw_only=True)
class Example(Group):
    panel = None

    name: str = argument("tiny", "name of a thing", "NAME")
    seed: int | None = option(None, "random seed", minimum=0, maximum=9)
    n_trials: int = option(3, "number of networks", names=("--n-trials", "--trials"), metavar="N")
    folder: Path | None = option(None, "folder to write")
    fast: bool = option(False, "skip the slow part")
    tags: tuple[str, ...] | None = option(None, "repeatable", names=("--tag",))


Call = Callable[..., tuple[int, str]]


@pytest.fixture
def received() -> list[Any]:
    return []


@pytest.fixture
def call(received: list[Any]) -> Call:
    app = typer.Typer()

    @app.command()
    @expand
    def command(request: Example, given: Given, other: Annotated[int, typer.Option(min=1)] = 2) -> None:
        """Do it."""
        received.extend((request, given, other))

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, words)
        return result.exit_code, result.output

    return run


def test_defaults_are_those_of_the_dataclass(call: Call, received: list[Any]) -> None:
    assert call()[0] == 0
    request, given, other = received
    assert request == Example()
    assert (dict(given.flags), other) == ({}, 2)


def test_values_have_the_types_of_the_fields(call: Call, received: list[Any]) -> None:
    words = [
        "x",
        "--seed",
        "4",
        "--trials",
        "9",
        "--folder",
        "a/b",
        "--fast",
        "--tag",
        "p",
        "--tag",
        "q",
        "--threads",
        "2",
        "--other",
        "5",
    ]
    assert call(*words)[0] == 0
    request, given, other = received
    assert request == Example(
        name="x", seed=4, n_trials=9, folder=Path("a/b"), fast=True, tags=("p", "q"), threads=2
    )
    assert other == 5
    assert given.flags["n_trials"] == "--n-trials"
    assert "seed" in given


@pytest.mark.parametrize(
    "words", [["--seed", "-1"], ["--seed", "10"], ["--threads", "0"], ["--no-fast"], ["--n_trials", "3"]]
)
def test_bounds_and_spellings_are_those_of_the_field(
    call: Call, received: list[Any], words: list[str]
) -> None:
    assert call(*words)[0] == 2
    assert received == []


def test_the_help_is_that_of_the_field(call: Call) -> None:
    code, shown = call("--help")
    assert code == 0
    assert all(text in shown for text in ("random seed", "--trials", "threads of each process", "Others"))
    assert "--no-fast" not in shown


def test_python_callers_meet_the_same_bounds() -> None:
    with pytest.raises(GoalError, match="--seed must be at most 9, got 10"):
        Example(seed=10)
    with pytest.raises(GoalError, match="--threads must be at least 1, got 0"):
        Example(threads=0)


def test_what_was_given_can_be_refused() -> None:
    given = Given({"seed": "--seed", "n_trials": "--n-trials"})
    given.require_resumable("seed", "n_trials")
    with pytest.raises(GoalError, match="--seed, --n-trials cannot change with --resume"):
        given.require_resumable()
    with pytest.raises(GoalError, match="--seed and --fast exclude each other: both"):
        given.exclude("--fast", "threads", "seed", reason="both")
