"""`bneck proxy`: score networks by one evaluator, with several seeds each."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import typer

from ...evaluate import format_count
from ...evaluate.scorers import EvaluationContext, Score, Scorer, evaluator
from ...search_space import ScorerError, cost
from ...search_space.errors import NonFiniteLossError
from ..console.interrupts import interrupted_exit_code, print_interrupted
from ..console.progress import Progress, Status, progress
from ..console.tables import print_lines, print_table, wide_console
from ..console.terminal import Console, echo
from ..resolve.datasets import open_images
from ..resolve.environment import torch_device
from ..resolve.networks import NamedArchitecture, resolve_network
from ..resolve.recipes import choose_recipe
from ..resolve.requests import ProxyRequest
from .job import print_result
from .training_request import for_data


@dataclass(frozen=True)
class NetworkScores:
    """Scores of a network.

    Attributes:
        scores: by seed 0, 1, ...; fewer after a failure.
        problem: why scoring failed; empty otherwise.
    """

    named: NamedArchitecture
    scores: tuple[Score, ...]
    problem: str = ""

    @property
    def value(self) -> float:
        """Mean over the seeds."""
        return statistics.fmean(score.value for score in self.scores)

    @property
    def std(self) -> float | None:
        """Sample standard deviation over the seeds; None for a single seed."""
        values = [score.value for score in self.scores]
        return statistics.stdev(values) if len(values) > 1 else None

    @property
    def cpu_seconds(self) -> float:
        return sum(score.cpu_seconds for score in self.scores)


def proxy_and_report(request: ProxyRequest, *, as_json: bool) -> None:
    """Score all networks and print them, best first.

    Raises:
        BneckError: the request is invalid, or scoring fails for every network.
    """
    proxy, networks = prepare(request)
    scored: list[NetworkScores] = []
    interrupted = False
    try:
        with progress(Console(stderr=True)) as display:
            score_all(proxy, networks, request.seeds, display, scored)
    except KeyboardInterrupt:
        interrupted = True
    if not interrupted and not _ranked(scored):
        raise ScorerError("; ".join(dict.fromkeys(each.problem for each in scored)))
    for each in scored:
        if each.problem:
            echo(f"skipped {each.named.name}: {each.problem}", err=True)
    caveat: str = getattr(proxy, "caveat", "")
    if as_json:
        print_result(as_dict(scored, request, caveat), (), as_json=True)
    else:
        _print(scored, request, caveat)
    if interrupted:
        print_interrupted(
            f"interrupted after {len(scored)} of {len(networks)} networks; their scores are printed above, "
            "and are not stored"
        )
        raise typer.Exit(interrupted_exit_code())


def prepare(request: ProxyRequest) -> tuple[Scorer, list[NamedArchitecture]]:
    """The evaluator, and the distinct networks adapted to the data set.

    Raises:
        BneckError: the request is invalid.
    """
    named = [resolve_network(name) for name in dict.fromkeys(request.archs)]
    device = torch_device(request.device)
    _, data = open_images(request)
    overrides = {"epochs": request.epochs} if request.epochs else {}
    chosen = choose_recipe(request.recipe, overrides, data.count("train"))
    if request.evaluator == "train":
        echo(chosen.text, err=True)
    proxy = evaluator(request.evaluator, EvaluationContext(data, chosen.recipe, device))
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
    """Score one network after the other.

    Args:
        scored: results are appended here, so that they survive an interruption.
    """
    total = len(networks) * seeds
    for number, named in enumerate(networks):
        scores: list[Score] = []
        problem = ""
        try:
            for seed in range(seeds):
                display.update_status(Status("evaluating", number * seeds + seed, total))
                # Drop the weights: those of all networks would not fit into memory.
                scores.append(replace(proxy.score(named.architecture, seed), network=None))
        except (ScorerError, NonFiniteLossError) as error:
            problem = str(error)
        scored.append(NetworkScores(named, tuple(scores), problem))
    display.update_status(Status("evaluating", total, total))


def as_dict(scored: Sequence[NetworkScores], request: ProxyRequest, caveat: str) -> dict[str, Any]:
    """The content of `--json`."""
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
        "skipped": {each.named.name: each.problem for each in scored if each.problem},
    }


def _ranked(scored: Sequence[NetworkScores]) -> list[NetworkScores]:
    """Successfully scored networks, best first; ties in the requested order."""
    return sorted((each for each in scored if not each.problem), key=lambda each: each.value, reverse=True)


def _print(scored: Sequence[NetworkScores], request: ProxyRequest, caveat: str) -> None:
    rows = []
    for each in _ranked(scored):
        macs = format_count(cost(each.named.architecture).macs)
        rows.append((each.named.name, macs, value_text(each), f"{each.cpu_seconds:.2f}"))
    console = wide_console()
    print_table(console, ("network", "MACs", request.evaluator, "CPU s"), rows)
    if caveat:
        print_lines(console, f"{request.evaluator}: {caveat}")


def value_text(network_scores: NetworkScores) -> str:
    """Five significant digits, or all before the point, with the deviation: `0.8412 ± 0.0031`."""
    value, std = network_scores.value, network_scores.std
    decimals = max(0, 5 - len(str(int(abs(value)))))
    text = f"{value:,.{decimals}f}"
    return text if std is None else f"{text} ± {std:,.{decimals}f}"
