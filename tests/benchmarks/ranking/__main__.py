"""Judges of networks held against trainings, and what that is worth to a search and to NetAdapt.

    python -m tests.benchmarks.ranking [--workers 2] [--stages truth,judges,joined,narrower,fronts]

30 networks of space tiny, spread by the logarithm of MACs, on Fashion-MNIST; each trained with three seeds,
long (54,000 images x 4 epochs) and short (10,000 x 2). What is measured is kept in `--kept FILE`, and what is
trained beside it, so that a stopped run goes on and a repeat only prints.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from scipy.stats import rankdata

from bneck.evaluate.statistics.arrays import Values

from .fronts import MINUTES, fronts_table
from .joined import joined_table
from .judges import Scores, all_scores
from .narrower import narrower_table
from .tables import judges_table, reliability_table, rows_of, show
from .truth import LONG, SHORT, few, truth

STAGES = ("truth", "judges", "joined", "narrower", "fronts")
CHEAP = ("naswot", "supernet")


def both_ranks(scores: Sequence[Scores]) -> list[tuple[str, Values, float, float]]:
    """MACs and a supernet, each counting half; thought of after the others were seen."""
    ranks = {each.judge.name: rankdata(each.mean) for each in scores}
    found = []
    for each in (each for each in scores if each.judge.words.endswith(":FILES")):
        name = each.judge.name
        found.append((f"macs + {name}, ranks", ranks["macs"] + ranks[name], each.once, each.each))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kept", type=Path, default=Path("runs/benchmarks/ranking.jsonl"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--stages", default=",".join(STAGES))
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of each search")
    arguments = parser.parse_args()
    stages = arguments.stages.split(",")
    if unknown := set(stages) - set(STAGES):
        parser.error(f"unknown stage {', '.join(unknown)}; known: {', '.join(STAGES)}")
    console = Console(width=200)
    means = (arguments.kept, arguments.workers, console)
    long, short = truth(LONG, few(), *means), truth(SHORT, few(), *means)
    if "truth" in stages:
        show(console, "Trainings", reliability_table({"long": long, "short": short}))
    if "judges" in stages or "joined" in stages:
        scores = all_scores(few(), *means)
        rows = rows_of(scores)
        each = float(short.cpu_seconds.mean())
        rows += [
            ("short training", short.accuracy[:, 0], 0.0, each),
            ("short training, loss", -short.loss[:, 0], 0.0, each),
            ("3 short trainings, loss", -short.loss.mean(1), 0.0, 3 * each),
            *both_ranks(scores),
            ("long training", long.accuracy[:, 0], 0.0, float(long.cpu_seconds.mean())),
        ]
        if "judges" in stages:
            show(console, "Judges against the long trainings", judges_table(rows, long.value, long.macs))
        if "joined" in stages:
            sets = {
                "features": (),
                "features, naswot": ("naswot",),
                "features, supernet": ("supernet",),
                "features, all cheap judges": CHEAP,
            }
            show(console, "From a dozen trained networks", joined_table(long, scores, sets))
    if "narrower" in stages:
        show(console, "To 0.7 of the latency", narrower_table(*means))
    if "fronts" in stages:
        title = f"Searches of {arguments.minutes:g} minutes on one core"
        show(console, title, fronts_table(*means, arguments.minutes))


if __name__ == "__main__":
    main()
