"""`bneck proxy`: networks judged by one scorer, with several seeds each."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import typer
from rich.console import Console
from rich.markup import escape

from ...evaluate import format_count
from ...evaluate.scorers import EvaluationContext, Score, Scorer, evaluator
from ...search_space import ScorerError, cost
from ...search_space.errors import NonFiniteLossError
from ..console.exit_codes import INTERRUPTED
from ..console.progress import Progress, Status, progress
from ..console.tables import plain_table, wide_console
from ..resolve.datasets import open_images
from ..resolve.environment import torch_device
from ..resolve.networks import NamedArchitecture, resolve_network
from ..resolve.requests import ProxyRequest
from .training_request import for_data, recipe_for


@dataclass(frozen=True)
class NetworkScores:
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
    def std(self) -> float | None:
        """Between the seeds; None of a single one."""
        values = [score.value for score in self.scores]
        return statistics.stdev(values) if len(values) > 1 else None

    @property
    def cpu_seconds(self) -> float:
        """Of all seeds together."""
        return sum(score.cpu_seconds for score in self.scores)


def proxy_and_report(request: ProxyRequest, *, as_json: bool) -> None:
    """Judge all and print them best first.

    Raises:
        BneckError: it cannot begin, or not one network can be judged.
    """
    proxy, networks = prepare(request)
    scored: list[NetworkScores] = []
    stopped = False
    try:
        with progress(Console(stderr=True)) as display:
            score_all(proxy, networks, request.seeds, display, scored)
    except KeyboardInterrupt:
        stopped = True
    if not stopped and not any(_ranked(scored)):
        raise ScorerError("; ".join(dict.fromkeys(each.problem for each in scored)))
    for each in scored:
        if each.problem:
            typer.echo(f"left out: {each.named.name}: {each.problem}", err=True)
    caveat: str = getattr(proxy, "caveat", "")
    if as_json:
        typer.echo(json.dumps(as_dict(scored, request, caveat), indent=2))
    else:
        _print(scored, request, caveat)
    if stopped:
        typer.echo(f"stopped with {len(scored)} of {len(networks)} networks judged", err=True)
        raise typer.Exit(INTERRUPTED)


def prepare(request: ProxyRequest) -> tuple[Scorer, list[NamedArchitecture]]:
    """The scorer, and the networks for its images, each once.

    Raises:
        BneckError: whatever cannot be met.
    """
    named = [resolve_network(words) for words in dict.fromkeys(request.archs)]
    device = torch_device(request.device)
    _, data = open_images(request)
    recipe = recipe_for(request.recipe, data)
    recipe = replace(recipe, epochs=request.epochs or recipe.epochs)
    proxy = evaluator(request.evaluator, EvaluationContext(data, recipe, device))
    torch.set_num_threads(request.threads)
    fitted = [
        NamedArchitecture(each.name, for_data(each.architecture, data, request.resolution_px))
        for each in named
    ]
    return proxy, fitted


def score_all(
    proxy: Scorer,
    networks: Sequence[NamedArchitecture],
    seeds: int,
    display: Progress,
    scored: list[NetworkScores],
) -> None:
    """Judge one after the other.

    Args:
        scored: what is known so far, added to, so that it outlives an interruption.
    """
    total = len(networks) * seeds
    for number, named in enumerate(networks):
        scores: list[Score] = []
        problem = ""
        try:
            for seed in range(seeds):
                display.update_status(Status("evaluating", number * seeds + seed, total))
                # Weights of networks that were judged would add up.
                scores.append(replace(proxy.score(named.architecture, seed), network=None))
        except (ScorerError, NonFiniteLossError) as error:
            problem = str(error)
        scored.append(NetworkScores(named, tuple(scores), problem))
    display.update_status(Status("evaluating", total, total))


def as_dict(scored: Sequence[NetworkScores], request: ProxyRequest, caveat: str) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "evaluator": request.evaluator,
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
                "std": each.std,
                "values": [score.value for score in each.scores],
                "cpu_seconds": each.cpu_seconds,
            }
            for each in _ranked(scored)
        ],
        "left_out": {each.named.name: each.problem for each in scored if each.problem},
    }


def _ranked(scored: Sequence[NetworkScores]) -> list[NetworkScores]:
    """Those with a value, the best first; equal ones in the order they were asked for."""
    valid = [each for each in scored if not each.problem]
    return sorted(valid, key=lambda each: each.value, reverse=True)


def _print(scored: Sequence[NetworkScores], request: ProxyRequest, caveat: str) -> None:
    console = wide_console()
    table = plain_table("network", "MACs", request.evaluator, "CPU s", left=("network",))
    for each in _ranked(scored):
        macs = format_count(cost(each.named.architecture).macs)
        table.add_row(escape(each.named.name), macs, value_text(each), f"{each.cpu_seconds:.2f}")
    console.print(table)
    if caveat:
        console.print(f"{request.evaluator}: {caveat}", highlight=False, markup=False, soft_wrap=True)


def value_text(network_scores: NetworkScores) -> str:
    """`0.8412 ± 0.0031`: five digits or all before the point, and as many decimals for the deviation."""
    value, std = network_scores.value, network_scores.std
    decimals = max(0, 5 - len(str(int(abs(value)))))
    text = f"{value:,.{decimals}f}"
    return text if std is None else f"{text} ± {std:,.{decimals}f}"
