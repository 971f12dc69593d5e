"""Tables of a benchmark of samplers, in Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .landscapes import Evaluation
from .measures import (
    Recommendation,
    duplicates,
    hypervolumes,
    infeasible_percent,
    mean_and_deviation,
    mean_curve,
    needed,
    proposal_ms,
    recommendation,
)
from .paired import PairedDifference, holm, paired_difference
from .peers import GP, OWN

MARKS = (50, 100, 200, 400)
Search = Sequence[Evaluation]
Runs = Mapping[str, Sequence[Search]]
"""By sampler and seed, the evaluations in order."""
Reports = Mapping[str, Sequence[Mapping[int, Recommendation]]]
"""By sampler and seed, the recommended front after a number of evaluations."""


def recommendations(runs: Runs, worst: tuple[float, float], noise: float) -> Reports:
    """Recommended fronts of all searches; bneck's by the posterior if there is noise."""

    def marked(sampler: str, search: Search) -> dict[int, Recommendation]:
        by_posterior = noise > 0 and sampler.startswith(OWN)
        return {
            mark: recommendation(search[:mark], worst, by_posterior=by_posterior)
            for mark in MARKS
            if mark <= len(search)
        }

    return {sampler: [marked(sampler, each) for each in searches] for sampler, searches in runs.items()}


def summary(runs: Runs, worst: tuple[float, float], noise: float) -> list[dict[str, Any]]:
    """One row per sampler."""
    reports = recommendations(runs, worst, noise)
    curves = {name: [hypervolumes(each, worst) for each in searches] for name, searches in runs.items()}
    means = {name: mean_curve(each) for name, each in curves.items()}
    longest = max(map(len, means.values()))
    peers = [mean[-1] for n, mean in means.items() if not n.startswith((OWN, GP)) and len(mean) == longest]
    targets = {"best_peer": max(peers, default=None), "gp": means[GP][-1] if GP in means else None}
    return [
        {
            "sampler": name,
            "seeds": len(searches),
            "hypervolume": {
                mark: mean_and_deviation([each[mark].true for each in reports[name]])
                for mark in reports[name][0]
            },
            "overclaimed": {
                mark: mean_and_deviation([each[mark].claimed - each[mark].true for each in reports[name]])
                for mark in reports[name][0]
            },
            "targets": targets,
            "needed": {
                target: None if value is None else needed(means[name], value)
                for target, value in targets.items()
            },
            "needed_by_seed": {
                target: None if value is None else [needed(curve, value) for curve in curves[name]]
                for target, value in targets.items()
            },
            "proposal_ms": mean_curve([proposal_ms(each) for each in searches]),
            "infeasible_percent": mean_and_deviation([infeasible_percent(each) for each in searches])[0],
            "duplicates": mean_and_deviation([duplicates(each) for each in searches])[0],
        }
        for name, searches in runs.items()
    ]


def differences(
    runs: Runs, worst: tuple[float, float], noise: float
) -> dict[tuple[str, int], tuple[PairedDifference, float]]:
    """True hypervolume of `own` minus that of each other sampler at each mark, and Holm's adjusted p value.

    The correction is over all of them.
    """
    reports = recommendations(runs, worst, noise)
    pairs: dict[tuple[str, int], PairedDifference] = {}
    for name, others in reports.items():
        for mark in others[0] if name != OWN and OWN in reports else ():
            mine = [each[mark].true for each in reports[OWN] if mark in each]
            if difference := paired_difference(mine, [each[mark].true for each in others]):
                pairs[name, mark] = difference
    adjusted = holm([each.p for each in pairs.values()])
    return {place: (each, p) for (place, each), p in zip(pairs.items(), adjusted, strict=True)}


def best_known(runs: Runs, worst: tuple[float, float]) -> tuple[float, float]:
    """Highest hypervolume of a single search, and hypervolume of the union of all."""
    every = [found for each in runs.values() for found in each]
    together = hypervolumes((each for found in every for each in found), worst)[-1]
    return max(hypervolumes(found, worst)[-1] for found in every), together


def summary_table(rows: Sequence[Mapping[str, Any]], noise: float) -> Iterator[str]:
    marks = max((row["hypervolume"] for row in rows), key=len)
    heads = [f"after {mark}" for mark in marks]
    claims = [f"claimed - true, {mark}" for mark in marks] if noise else []
    targets = [] if noise else ["to best peer", "to GP"]
    yield from _head(
        "sampler", "seeds", *heads, *claims, *targets, "CPU-ms", "at end", "infeasible %", "duplicates"
    )
    for row in rows:
        columns = [row["hypervolume"], *([row["overclaimed"]] if noise else [])]
        needed_evaluations = [
            str(row["needed"][target] or "never") if value else "" for target, value in row["targets"].items()
        ]
        yield _row(
            row["sampler"],
            row["seeds"],
            *(spread(*column[mark]) if mark in column else "" for column in columns for mark in marks),
            *([] if noise else needed_evaluations),
            *(f"{ms:.1f}" for ms in row["proposal_ms"]),
            f"{row['infeasible_percent']:.0f}",
            f"{row['duplicates']:.1f}",
        )


def differences_table(
    pairs: Mapping[tuple[str, int], tuple[PairedDifference, float]],
) -> Iterator[str]:
    names, marks = dict.fromkeys(name for name, _ in pairs), sorted({mark for _, mark in pairs})
    yield from _head(f"{OWN} minus", "pairs", *(f"after {mark}" for mark in marks))
    for name in names:
        cells = [pairs.get((name, mark)) for mark in marks]
        seeds = max(cell[0].seeds for cell in cells if cell)
        yield _row(name, seeds, *(_difference(*cell) if cell else "" for cell in cells))


def spread(mean: float, std: float | None) -> str:
    return f"{mean:.2f}" if std is None else f"{mean:.2f} ± {std:.2f}"


def _difference(difference: PairedDifference, adjusted: float) -> str:
    p = f"p = {adjusted:.2g}" if adjusted >= 0.001 else "p < 0.001"
    return f"{difference.mean:+.2f} [{difference.low:.2f}, {difference.high:.2f}], {p}"


def _head(*names: object) -> Iterator[str]:
    yield _row(*names)
    yield _row(*("---" for _ in names))


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"
