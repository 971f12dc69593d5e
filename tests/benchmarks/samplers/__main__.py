"""Hypervolume of samplers after a number of evaluations, without any training.

    python -m tests.benchmarks.samplers --table FILE [--seeds 5] [--only zcu102,made-up] [--samplers own,tpe]

The table is a CSV of trained networks of Accel-NASBench: genes, top1_percent and measurements of devices;
boosted trees fitted to it evaluate every network of its space. `made-up` evaluates space mobile-small by
a synthetic function with strong pairwise interactions of genes. Every evaluation counts; infeasible and
duplicate networks add nothing. Reported are seeds 5 and up; `--design` takes 0 and up, the seeds that
bneck's sampler was designed on. Results are cached in a file: a second run only prints.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bneck.search.console.tables import plain_table

from ..job_cache import Job, run_all
from .landscapes import LANDSCAPES, Evaluation, landscape
from .measures import duplicates, hypervolumes, mean_and_deviation, mean_curve, needed, proposal_ms, wasted
from .peers import GP, SAMPLERS
from .searches import job

MARKS, EVALUATIONS = (50, 100, 200, 400), 400
FIRST_SEED = 5  # earlier seeds were used to design the sampler
Runs = Mapping[str, Sequence[Sequence[Evaluation]]]
"""By sampler and seed, the evaluations in order."""


def summary(runs: Runs, worst: tuple[float, float], evaluations: int) -> list[dict[str, Any]]:
    """One row per sampler."""
    marks = sorted({mark for mark in MARKS if mark < evaluations} | {min(evaluations, MARKS[-1])})
    curves = {name: [hypervolumes(found, worst) for found in each] for name, each in runs.items()}
    means = {name: mean_curve(each) for name, each in curves.items()}
    peers = [mean[-1] for name, mean in means.items() if name not in ("own", GP)]
    targets = {"best_peer": max(peers, default=None), "gp": means[GP][-1] if GP in means else None}
    return [
        {
            "sampler": name,
            "seeds": len(runs[name]),
            "hypervolume": {
                mark: mean_and_deviation([curve[mark - 1] for curve in curves[name]])
                for mark in marks
                if mark <= len(means[name])
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
            "proposal_ms": mean_curve([proposal_ms(found) for found in runs[name]]),
            "wasted": mean_and_deviation([wasted(found) for found in runs[name]])[0],
            "duplicates": mean_and_deviation([duplicates(found) for found in runs[name]])[0],
        }
        for name in runs
    ]


def best_known(runs: Runs, worst: tuple[float, float]) -> tuple[float, float]:
    """Highest hypervolume of a single search, and hypervolume of the union of all."""
    every = [found for each in runs.values() for found in each]
    together = hypervolumes((each for found in every for each in found), worst)[-1]
    return max(hypervolumes(found, worst)[-1] for found in every), together


def spread(mean: float, std: float | None) -> str:
    return f"{mean:.2f}" if std is None else f"{mean:.2f} ± {std:.2f}"


def table_of(rows: Sequence[Mapping[str, Any]]) -> Table:
    marks = max((row["hypervolume"] for row in rows), key=len)
    heads = [f"after {mark}" for mark in marks]
    table = plain_table(
        "sampler", "seeds", *heads, "to best peer", "to GP", "CPU-ms", "at end", "infeasible", "duplicates",
        left=("sampler",),
    )  # fmt: skip
    for row in rows:
        values = [row["hypervolume"].get(mark) for mark in marks]
        table.add_row(
            row["sampler"],
            str(row["seeds"]),
            *(spread(*value) if value else "" for value in values),
            *(
                str(row["needed"][target] or "never") if row["targets"][target] else ""
                for target in row["needed"]
            ),
            *(f"{ms:.1f}" for ms in row["proposal_ms"]),
            f"{row['wasted']:.1f}",
            f"{row['duplicates']:.1f}",
        )
    return table


def names(text: str, known: Sequence[str]) -> list[str]:
    given = text.split(",") if text else []
    if unknown := set(given) - set(known):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    return [name for name in known if name in given]


def arguments_of() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    everywhere, all_samplers = ",".join(LANDSCAPES), ",".join(SAMPLERS)

    def landscapes(text: str) -> list[str]:
        return names(text, LANDSCAPES)

    def samplers(text: str) -> list[str]:
        return names(text, tuple(SAMPLERS))

    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--design", action="store_true", help="use seeds 0 and up")
    parser.add_argument("--only", type=landscapes, default=everywhere, help=f"of {everywhere}")
    parser.add_argument("--samplers", type=samplers, default=all_samplers, help=f"of {all_samplers}")
    parser.add_argument("--gp-on", type=landscapes, default=everywhere, help="landscapes; GP takes long")
    parser.add_argument("--gp-seeds", type=int, default=3)
    parser.add_argument("--evaluations", type=int, default=EVALUATIONS)
    parser.add_argument("--cache", type=Path, default=Path("runs/benchmarks/samplers.jsonl"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not arguments.table.is_file():
        parser.error(f"--table: no such file: {arguments.table}")
    return arguments


def main() -> None:
    arguments = arguments_of()
    console = Console(width=200, stderr=arguments.json)
    start = 0 if arguments.design else FIRST_SEED

    def jobs_of(name: str, sampler: str) -> list[Job]:
        if sampler == GP and name not in arguments.gp_on:
            return []
        seeds = min(arguments.gp_seeds, arguments.seeds) if sampler == GP else arguments.seeds
        return [
            job(arguments.table, name, sampler, seed, arguments.evaluations)
            for seed in range(start, start + seeds)
        ]

    jobs = {
        (name, sampler): jobs_of(name, sampler) for sampler in arguments.samplers for name in arguments.only
    }
    results = run_all(
        [each for group in jobs.values() for each in group], arguments.cache, arguments.workers, console
    )
    report = []
    for name in arguments.only:
        runs = {
            sampler: [
                [Evaluation(*each) for each in results[job.key]["evaluations"]] for job in jobs[name, sampler]
            ]
            for sampler in arguments.samplers
            if jobs[name, sampler]
        }
        worst = landscape(name, arguments.table).worst
        rows = summary(runs, worst, arguments.evaluations)
        single, together = best_known(runs, worst)
        report.append({"landscape": name, "best_search": single, "all_searches": together, "samplers": rows})
        if not arguments.json:
            console.print(
                f"\n[bold]{name}[/]: hypervolume; best search {single:.2f}, union of all {together:.2f}"
            )
            console.print(table_of(rows))
    if arguments.json:
        print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
