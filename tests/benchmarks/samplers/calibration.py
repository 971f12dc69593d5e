"""How often the 90% intervals of bneck's sampler hold the networks that it proposes, in Markdown.

    python -m tests.benchmarks.samplers.calibration --table FILE --ofa DIR [--noise 0.3,1.0]

Whole searches of landscapes with known accuracy and latency (see `python -m tests.benchmarks.samplers -h`).
An interval is that of the surrogate at the time of the proposal, for the true accuracy and for log latency.
`z` is the error in predicted standard deviations: its mean is 0 and its deviation 1 where they are right.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from threadpoolctl import threadpool_limits

from bneck.evaluate.surrogate.encoder import Candidate
from bneck.search.samplers.acquisition import Acquisition
from bneck.search.samplers.ehvi import EhviSampler

from .landscapes import Evaluation, Evaluator, Sources, landscape
from .own import own

Z90 = 1.645


@dataclass(frozen=True)
class Prediction:
    """What the surrogates said of a proposed network."""

    key: str
    accuracy: tuple[float, float]
    log_latency: tuple[float, float]


def search(evaluator: Evaluator, evaluations: int) -> tuple[list[Prediction], list[Evaluation]]:
    """One search of bneck's sampler, with the predictions of all proposals by its acquisition."""
    predictions: list[Prediction] = []
    maximize = EhviSampler._maximize

    def recording(self: EhviSampler, acquisition: Any, *arguments: Any) -> Candidate | None:
        best = maximize(self, acquisition, *arguments)
        if best is not None and isinstance(acquisition, Acquisition) and acquisition.latency:
            (mean,), (std,) = acquisition.accuracy.predict([best])
            (log_ms,), (log_std,) = acquisition.latency.predict([best])
            predictions.append(Prediction(best.architecture.key, (mean, std), (log_ms, log_std)))
        return best

    with threadpool_limits(1), patch.object(EhviSampler, "_maximize", recording):
        return predictions, own(evaluator, evaluations)


def rows(
    name: str, noise: float, searches: Sequence[tuple[list[Prediction], list[Evaluation]]]
) -> Iterator[str]:
    for half in (0, 1):
        accuracy, latency = [], []
        for predictions, evaluations in searches:
            truth = {each.key: each for each in evaluations}
            middle = len(predictions) // 2
            for each in predictions[middle:] if half else predictions[:middle]:
                if each.key in truth:
                    mean, std = each.accuracy
                    accuracy.append((truth[each.key].accuracy - mean) / std)
                    mean, std = each.log_latency
                    latency.append((math.log(truth[each.key].cost) - mean) / std)
        cells = (
            f"{np.mean(np.abs(z) <= Z90):.2f} | {np.mean(z):+.2f} | {np.std(z):.2f}"
            for z in (accuracy, latency)
        )
        yield f"| {name} | {noise:g} | {('first', 'second')[half]} | {len(accuracy)} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", type=Path, required=True, help="CSV file of Accel-NASBench")
    parser.add_argument(
        "--ofa", type=Path, required=True, help="folder of the Once-for-All predictor and latencies"
    )
    parser.add_argument("--only", default="ofa-note10,zcu102")
    parser.add_argument("--noise", default="0.3,1.0", help="standard deviations in points")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--evaluations", type=int, default=100)
    options = parser.parse_args()
    print(
        "| landscape | noise | half | proposals | accuracy | mean z | std z | log latency | mean z | std z |"
    )
    print("| --- " * 10 + "|")
    for name in options.only.split(","):
        known = landscape(name, Sources(options.table, options.ofa))
        for noise in map(float, options.noise.split(",")):
            found = [
                search(Evaluator(known, noise, seed), options.evaluations)
                for seed in range(20, 20 + options.seeds)
            ]
            print("\n".join(rows(name, noise, found)), flush=True)


if __name__ == "__main__":
    main()
