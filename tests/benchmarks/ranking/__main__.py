"""Rank correlation of proxies with training, and its value to a search and to NetAdapt.

    python -m tests.benchmarks.ranking [--workers 2] [--stages truth,proxies,surrogate,netadapt,fronts]

30 networks of space tiny, evenly spaced in log MACs, on Fashion-MNIST; each trained with three seeds,
long (54,000 images x 4 epochs) and short (10,000 x 2). Results are cached in `--cache FILE` and trained
networks next to it: an interrupted run resumes, a finished one only prints.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from scipy.stats import rankdata

from bneck.evaluate.statistics.arrays import Values

from .fronts import MINUTES, fronts_table
from .ground_truth import LONG, SHORT, few, truth
from .netadapt import netadapt_table
from .proxies import Scores, all_scores
from .surrogate import surrogate_table
from .tables import proxies_table, reliability_table, rows_of, show

STAGES = ("truth", "proxies", "surrogate", "netadapt", "fronts")
CHEAP = ("naswot", "supernet")


def both_ranks(scores: Sequence[Scores]) -> list[tuple[str, Values, float, float]]:
    """Mean of the ranks by MACs and by a supernet; added after the other results were known."""
    ranks = {each.proxy.name: rankdata(each.mean) for each in scores}
    rows = []
    for each in (each for each in scores if each.proxy.evaluator.endswith(":FILES")):
        name = each.proxy.name
        rows.append((f"macs + {name}, ranks", ranks["macs"] + ranks[name], each.once, each.each))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("runs/benchmarks/ranking.jsonl"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--stages", default=",".join(STAGES))
    parser.add_argument("--minutes", type=float, default=MINUTES, help="duration of each search")
    arguments = parser.parse_args()
    stages = arguments.stages.split(",")
    if unknown := set(stages) - set(STAGES):
        parser.error(f"unknown stage {', '.join(unknown)}; known: {', '.join(STAGES)}")
    console = Console(width=200)
    context = (arguments.cache, arguments.workers, console)
    long, short = truth(LONG, few(), *context), truth(SHORT, few(), *context)
    if "truth" in stages:
        show(console, "Reliability of training", reliability_table({"long": long, "short": short}))
    if "proxies" in stages or "surrogate" in stages:
        scores = all_scores(few(), *context)
        rows = rows_of(scores)
        each = float(short.cpu_seconds.mean())
        rows += [
            ("short training", short.accuracy[:, 0], 0.0, each),
            ("short training, loss", -short.loss[:, 0], 0.0, each),
            ("3 short trainings, loss", -short.loss.mean(1), 0.0, 3 * each),
            *both_ranks(scores),
            ("long training", long.accuracy[:, 0], 0.0, float(long.cpu_seconds.mean())),
        ]
        if "proxies" in stages:
            show(console, "Proxies and long training", proxies_table(rows, long.value, long.macs))
        if "surrogate" in stages:
            sets = {
                "features": (),
                "features, naswot": ("naswot",),
                "features, supernet": ("supernet",),
                "features, all cheap proxies": CHEAP,
            }
            show(console, "Surrogate fitted to 12 trained networks", surrogate_table(long, scores, sets))
    if "netadapt" in stages:
        show(console, "NetAdapt to 0.7 of the latency", netadapt_table(*context))
    if "fronts" in stages:
        title = f"Searches of {arguments.minutes:g} minutes on one core"
        show(console, title, fronts_table(*context, arguments.minutes))


if __name__ == "__main__":
    main()
