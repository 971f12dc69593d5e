"""Search over pretrained networks against simpler ways to a network for photos, at equal CPU time.

    python -m tests.benchmarks.pretrained --images DIR --cache pretrained.jsonl [--minutes 5]

DIR has the data sets trashnet, flowers and cifar10 as folders or zip files. Limits are shares of the latency
(or of the MACs) of EfficientNet-Lite0 at 128 px. Every arm gets the same CPU time per data set and seed: a
search stops by it, and its front is read at every limit; arms B, C and E train a network for each limit,
all for the epochs that the time pays for, networks that serve several limits once. Test images are used
once, after a training or a search. A call stops after `--minutes`, prints the tables of what is there, and
the next call resumes; a step takes some minutes, in one process with one thread. Several calls with
different `--only` may share a cache. Arm C needs `pip install torch-pruning` and is skipped without.
"""

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path

from ..job_cache import load_results
from .arms import Benchmark
from .images import DATA_SETS
from .limits import SHARES
from .pruning import is_installed
from .report import Report
from .results import ARMS, OutOfTimeError, selected

ARM_MINUTES = 12.0
SEEDS = 3


def compute(benchmark: Benchmark, patterns: Sequence[str], seeds: int) -> None:
    """Run what is missing, complete seeds of a data set first; arm W only where a pattern names it."""
    patterns = patterns or ("*/[!W]",)
    for data in DATA_SETS:
        for seed in range(seeds):
            for arm in ARMS:
                if arm == "C" and not is_installed():
                    benchmark.console.print("arm C is left out: pip install torch-pruning")
                    continue
                for limit in benchmark.limits:
                    if selected(patterns, data, arm, limit, seed):
                        benchmark.point(data, arm, limit, seed)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\n" + "\n".join(f"{arm}  {text}" for arm, text in ARMS.items()),
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("runs/benchmarks/pretrained.jsonl"))
    parser.add_argument("--only", action="append", default=[], metavar="DATA/ARM/LIMIT/SEED")
    parser.add_argument(
        "--scale", type=float, default=1.0, help=f"of the {ARM_MINUTES:g} CPU minutes of an arm"
    )
    parser.add_argument("--limit-by", choices=("latency", "macs"), default="latency")
    parser.add_argument("--limits", type=float, nargs="+", default=list(SHARES))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--space", default="", help="of arm D; by default that of a search")
    parser.add_argument("--max-epochs", type=int, default=60, help="of a training outside a search")
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="start no step after; 0 to report only"
    )
    options = parser.parse_args()
    benchmark = Benchmark(
        options.images.absolute(),
        options.cache.absolute(),
        options.limit_by,
        ARM_MINUTES * options.scale,
        options.space,
        options.max_epochs,
        tuple(options.limits),
        time.monotonic() + 60 * options.minutes,
    )
    try:
        compute(benchmark, options.only, options.seeds)
    except OutOfTimeError:
        benchmark.console.print("out of time; call again to go on")
    benchmark.deadline = -math.inf
    started = [data for data in DATA_SETS if any(f" {data}/" in key for key in load_results(benchmark.cache))]
    print("\n".join(Report(benchmark, started, range(options.seeds)).lines()))


if __name__ == "__main__":
    main()
