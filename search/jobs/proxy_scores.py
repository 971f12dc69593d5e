"""`bneck score`: networks judged by one scorer, with several seeds each."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import typer
from rich.console import Console
from rich.markup import escape

from ...evaluate import short_count
from ...evaluate.scorers import Means, Score, Scorer, scorer
from ...evaluate.training.trainer import TrainingFailedError
from ...search_space import ScorerError, cost
from ..commands.front import plain_table, wide_console
from ..commands.inspect import NamedArchitecture, find
from ..commands.options import INTERRUPTED
from ..console.progress import Progress, Status, progress
from ..runner.create import torch_device
from ..runner.worker import open_images
from .training_request import for_data, recipe_for


@dataclass(frozen=True)
class ScoreRequest:
    """What a person asked for, in words; see `bneck score --help`."""

    archs: tuple[str, ...]
    scorer: str
    data: str
    seeds: int = 1
    recipe: str | None = None
    epochs: int | None = None
    resolution_px: int | None = None
    train_images: int | None = None
    validation_images: int | None = None
    data_root: Path | None = None
    download: bool = False
    device: str = "auto"
    threads: int = 1


@dataclass(frozen=True)
class Judged:
    """What a scorer says of a network.

    Attributes:
        scores: by seeds 0, 1, ...; fewer if one could not be had.
        problem: why; empty if all is well.
    """

    named: NamedArchitecture
    scores: tuple[Score, ...]
    problem: str = ""

    @property
    def value(self) -> float:
        """The mean over the seeds."""
        return statistics.fmean(score.value for score in self.scores)

    @property
    def deviation(self) -> float | None:
        """Between the seeds; None of a single one."""
        values = [score.value for score in self.scores]
        return statistics.stdev(values) if len(values) > 1 else None

    @property
    def cpu_seconds(self) -> float:
        """Of all seeds together."""
        return sum(score.cpu_seconds for score in self.scores)


def score_and_report(request: ScoreRequest, *, as_json: bool) -> None:
    """Judge all and print them best first.

    Raises:
        BneckError: it cannot begin, or not one network can be judged.
    """
    judge, networks = prepared(request)
    found: list[Judged] = []
    stopped = False
    try:
        with progress(Console(stderr=True)) as shown:
            judge_all(judge, networks, request.seeds, shown, found)
    except KeyboardInterrupt:
        stopped = True
    if not stopped and not any(_ranked(found)):
        raise ScorerError("; ".join(dict.fromkeys(each.problem for each in found)))
    for each in found:
        if each.problem:
            typer.echo(f"left out: {each.named.name}: {each.problem}", err=True)
    caveat: str = getattr(judge, "caveat", "")
    if as_json:
        typer.echo(json.dumps(as_dict(found, request, caveat), indent=2))
    else:
        _print(found, request, caveat)
    if stopped:
        typer.echo(f"stopped with {len(found)} of {len(networks)} networks judged", err=True)
        raise typer.Exit(INTERRUPTED)


def prepared(request: ScoreRequest) -> tuple[Scorer, list[NamedArchitecture]]:
    """The scorer, and the networks for its images, each once.

    Raises:
        BneckError: whatever cannot be met.
    """
    named = [find(words) for words in dict.fromkeys(request.archs)]
    device = torch_device(request.device)
    _, data = open_images(request)
    recipe = recipe_for(request.recipe, data)
    recipe = replace(recipe, epochs=request.epochs or recipe.epochs)
    judge = scorer(request.scorer, Means(data, recipe, device))
    torch.set_num_threads(request.threads)
    fitted = [
        NamedArchitecture(each.name, for_data(each.architecture, data, request.resolution_px))
        for each in named
    ]
    return judge, fitted


def judge_all(
    judge: Scorer,
    networks: Sequence[NamedArchitecture],
    seeds: int,
    shown: Progress,
    found: list[Judged],
) -> None:
    """Judge one after the other.

    Args:
        found: what is known so far, added to, so that it outlives an interruption.
    """
    total = len(networks) * seeds
    for number, named in enumerate(networks):
        scores: list[Score] = []
        problem = ""
        try:
            for seed in range(seeds):
                shown.show(Status("judging", number * seeds + seed, total))
                # Weights of networks that were judged would add up.
                scores.append(replace(judge.score(named.architecture, seed), network=None))
        except (ScorerError, TrainingFailedError) as error:
            problem = str(error)
        found.append(Judged(named, tuple(scores), problem))
    shown.show(Status("judging", total, total))


def as_dict(found: Sequence[Judged], request: ScoreRequest, caveat: str) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "scorer": request.scorer,
        "data": request.data,
        "seeds": request.seeds,
        "caveat": caveat,
        "networks": [
            {
                "name": each.named.name,
                "key": each.named.architecture.key,
                "resolution_px": each.named.architecture.resolution_px,
                "macs": cost(each.named.architecture).macs,
                "value": each.value,
                "deviation": each.deviation,
                "values": [score.value for score in each.scores],
                "cpu_seconds": each.cpu_seconds,
            }
            for each in _ranked(found)
        ],
        "left_out": {each.named.name: each.problem for each in found if each.problem},
    }


def _ranked(found: Sequence[Judged]) -> list[Judged]:
    """Those with a value, the best first; equal ones in the order they were asked for."""
    whole = [each for each in found if not each.problem]
    return sorted(whole, key=lambda each: each.value, reverse=True)


def _print(found: Sequence[Judged], request: ScoreRequest, caveat: str) -> None:
    console = wide_console()
    table = plain_table("network", "MACs", request.scorer, "CPU s", left=("network",))
    for each in _ranked(found):
        macs = short_count(cost(each.named.architecture).macs)
        table.add_row(escape(each.named.name), macs, value_text(each), f"{each.cpu_seconds:.2f}")
    console.print(table)
    if caveat:
        console.print(f"{request.scorer}: {caveat}", highlight=False, markup=False, soft_wrap=True)


def value_text(judged: Judged) -> str:
    """`0.8412 ± 0.0031`: five digits or all before the point, and as many decimals for the deviation."""
    value, deviation = judged.value, judged.deviation
    decimals = max(0, 5 - len(str(int(abs(value)))))
    text = f"{value:,.{decimals}f}"
    return text if deviation is None else f"{text} ± {deviation:,.{decimals}f}"
