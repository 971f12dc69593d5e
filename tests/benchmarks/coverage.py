"""Bias and coverage of what a report says, over simulated searches whose truth is known, in Markdown.

    python -m tests.benchmarks.coverage [--searches N] [--cache FILE] [--workers N]

A search has 60 networks and 12 replicates. Results are stored in the cache, and a stopped run continues.
"""

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console

from ..simulation.adaptive_search import simulate
from ..simulation.latency import DEVICES, SPACES, interval_coverage
from ..simulation.scores import Scores, Share, calibration, scores_of
from ..simulation.world import SETTINGS, UNSTRUCTURED, Setting
from .job_cache import Job, Result, run_all

SEARCHES = 200
LATENCY_REPETITIONS = 50


def one_search(setting: Setting, seed: int) -> Result:
    return asdict(scores_of(simulate(setting, seed)))


def one_predictor(space: str, device: str, seed: int) -> Result:
    return {"counts": interval_coverage(space, device, seed)}


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _table(titles: Sequence[str], rows: Iterator[Sequence[object]]) -> Iterator[str]:
    yield _row(*titles)
    yield _row(*["---"] * len(titles))
    yield from (_row(*cells) for cells in rows)
    yield ""


def _search_rows(found: dict[Setting, list[Scores]]) -> Iterator[Sequence[object]]:
    for setting, scores in found.items():
        yield (
            setting,
            Share.of([each.front_covered for each in scores]),
            Share.of([(int(each.best_covered), 1) for each in scores]),
            Share.of([each.difference_covered for each in scores]),
            *(
                f"{np.mean([getattr(each, name) for each in scores]):+.2f}"
                for name in ("front_bias", "front_raw_bias", "best_bias", "best_raw_bias")
            ),
            f"{np.exp(np.mean(np.log([each.noise_ratio for each in scores]))):.2f}",
            Share.of([(int(each.distinguished), 1) for each in scores]),
        )


def _calibration_rows(found: dict[Setting, list[Scores]]) -> Iterator[Sequence[object]]:
    for said, true, error, count in calibration([each for scores in found.values() for each in scores]):
        yield f"{said:.3f}", f"{true:.3f} ± {error:.3f}", count


def _latency_rows(results: Mapping[str, Result]) -> Iterator[Sequence[object]]:
    for space in SPACES:
        for device in DEVICES:
            names = (f"{space}, {device}, seed {seed}" for seed in range(LATENCY_REPETITIONS))
            yield space, device, Share.of([results[name]["counts"] for name in names])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--searches", type=int, default=SEARCHES, help="for each setting")
    parser.add_argument("--cache", type=Path, default=Path("runs/coverage.jsonl"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    settings = (*SETTINGS, *UNSTRUCTURED)
    jobs = [
        Job(f"{setting}, seed {seed}", one_search, (setting, seed))
        for seed in range(arguments.searches)
        for setting in settings
    ]
    jobs += [
        Job(f"{space}, {device}, seed {seed}", one_predictor, (space, device, seed), 0.2)
        for seed in range(LATENCY_REPETITIONS)
        for space in SPACES
        for device in DEVICES
    ]
    results = run_all(jobs, arguments.cache, arguments.workers, Console(stderr=True))
    found = {
        setting: [Scores(**results[f"{setting}, seed {seed}"]) for seed in range(arguments.searches)]
        for setting in settings
    }
    titles = (
        "noise/structure/slope (points)",
        "front in 95% interval",
        "best",
        "differences",
        "bias of the front",
        "of its means",
        "bias of the best",
        "of its mean",
        "noise, said/true",
        "best significantly above the largest",
    )
    lines = [
        *_table(titles, _search_rows(found)),
        *_table(
            ("P(Pareto)", "true", "networks"), _calibration_rows({each: found[each] for each in SETTINGS})
        ),
        *_table(("space", "device", "in 90% interval"), _latency_rows(results)),
    ]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
