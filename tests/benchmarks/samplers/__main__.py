"""Hypervolume of samplers after a number of evaluations, without any training; tables in Markdown.

    python -m tests.benchmarks.samplers --table FILE --ofa DIR [--seeds 20] [--noise 0,0.3,1.0]
        [--only zcu102,ofa-note10] [--samplers random,tpe,own]

--table is a CSV of trained networks of Accel-NASBench: genes, top1_percent and measurements of devices;
boosted trees fitted to it evaluate every network of its space. --ofa is a folder with the accuracy predictor
and the latency tables of a Samsung Note 10 of the Once-for-All space. `made-up` evaluates space mobile-small
by a synthetic function with strong pairwise interactions of genes. The -tight and -loose landscapes limit
latency.

Noise, in points, is added to every accuracy that a sampler sees, fresh for each evaluation. bneck learns it
from replicates; without noise it knows that there is none. Reported is the true hypervolume of the front that
each would recommend: bneck by the posterior of the true accuracies, the others by the mean that they saw.
Every evaluation counts, replicates and duplicates too; infeasible networks add nothing. Differences are
paired by seed, with a 95% interval and p of Wilcoxon's signed-rank test after Holm's correction.

Reported are seeds 5 and up; --design takes 0 and up, the seeds that bneck's sampler was designed on. Results
are cached in a file: a second run only prints.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ..job_cache import Job, run_all
from .landscapes import LANDSCAPES, Evaluation, Sources, landscape
from .peers import GP, OWN, SAMPLERS
from .report import best_known, differences, differences_table, summary, summary_table
from .searches import GP_EVALUATIONS, job

FIRST_SEED = 5  # earlier seeds were used to design the sampler
DEFAULT_SAMPLERS = "random,nsga2,pymoo,tpe,pyglove,gp,own"


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

    def levels(text: str) -> list[float]:
        return [float(each) for each in text.split(",")]

    parser.add_argument("--table", type=Path, help="CSV file of Accel-NASBench")
    parser.add_argument("--ofa", type=Path, help="folder of the Once-for-All predictor and latencies")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--design", action="store_true", help="use seeds 0 and up")
    parser.add_argument("--only", type=landscapes, default="zcu102,made-up", help=f"of {everywhere}")
    parser.add_argument("--samplers", type=samplers, default=DEFAULT_SAMPLERS, help=f"of {all_samplers}")
    parser.add_argument("--noise", type=levels, default="0", help="standard deviations in points")
    parser.add_argument("--gp-on", type=landscapes, default=everywhere, help="landscapes; GP takes long")
    parser.add_argument("--gp-seeds", type=int, default=3)
    parser.add_argument("--gp-evaluations", type=int, default=GP_EVALUATIONS)
    parser.add_argument("--own-evaluations", type=int, default=400, help="of bneck and its ablations")
    parser.add_argument("--evaluations", type=int, default=400)
    parser.add_argument("--cache", type=Path, default=Path("runs/benchmarks/samplers.jsonl"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    arguments.sources = Sources(arguments.table, arguments.ofa)
    for name in arguments.only:
        if option := arguments.sources.option_of(name):
            parser.error(f"landscape {name} needs {option}")
    for path in (arguments.table, arguments.ofa):
        if path and not path.exists():
            parser.error(f"no such file or folder: {path}")
    return arguments


def main() -> None:
    arguments = arguments_of()
    console = Console(width=200, stderr=True)
    start = 0 if arguments.design else FIRST_SEED

    def jobs_of(name: str, noise: float, sampler: str) -> list[Job]:
        if sampler == GP and name not in arguments.gp_on:
            return []
        seeds = min(arguments.gp_seeds, arguments.seeds) if sampler == GP else arguments.seeds
        limit = arguments.own_evaluations if sampler.startswith(OWN) else arguments.evaluations
        limit = arguments.gp_evaluations if sampler == GP else limit
        return [
            job(arguments.sources, name, sampler, noise, seed, min(limit, arguments.evaluations))
            for seed in range(start, start + seeds)
        ]

    places = [(name, noise) for name in arguments.only for noise in arguments.noise]
    jobs = {(*place, sampler): jobs_of(*place, sampler) for sampler in arguments.samplers for place in places}
    results = run_all(
        [each for group in jobs.values() for each in group], arguments.cache, arguments.workers, console
    )
    report = []
    for name, noise in places:
        runs = {
            sampler: [
                [Evaluation(*each) for each in results[job.key]["evaluations"]]
                for job in jobs[name, noise, sampler]
            ]
            for sampler in arguments.samplers
            if jobs[name, noise, sampler]
        }
        worst = landscape(name, arguments.sources).worst
        rows, pairs = summary(runs, worst, noise), differences(runs, worst, noise)
        single, together = best_known(runs, worst)
        report.append(
            {
                "landscape": name,
                "noise": noise,
                "best_search": single,
                "all_searches": together,
                "samplers": rows,
                "differences": {
                    f"{other} {mark}": {**pair._asdict(), "holm": p}
                    for (other, mark), (pair, p) in pairs.items()
                },
            }
        )
        if not arguments.json:
            print(f"\n### {name}, noise {noise:g}\n")
            print(f"Hypervolume; best search {single:.2f}, union of all {together:.2f}.\n")
            print("\n".join(summary_table(rows, noise)))
            if pairs:
                print("\n" + "\n".join(differences_table(pairs)))
    if arguments.json:
        print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
