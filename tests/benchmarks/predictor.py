"""Rank correlation of the accuracy surrogate on held-out networks of a tabular benchmark.

    python -m tests.benchmarks.predictor --table FILE [--accuracy COLUMN] [--ignore COLUMN,COLUMN] [--json]

The table is a CSV with `macs`, `params`, the accuracy in percent, and one column per gene. Ten training
samples of each size are drawn; normal noise of known variance is added to their accuracy. Models are
tested on 500 other networks without added noise. `proxy` is a synthetic proxy, the accuracy with noise of
two points; `random` is noise alone.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import RidgeCV

from bneck.evaluate.statistics.arrays import Array
from bneck.evaluate.statistics.rank_correlation import spearman
from bneck.evaluate.surrogate.architecture_features import MACS
from bneck.evaluate.surrogate.gaussian_process import ProxyScores, fit
from bneck.search.console.tables import plain_table

SIZES, NOISES, SAMPLES, OTHERS = (12, 30, 60, 100), (0.0, 1.0), 10, 500
PROXY_NOISE = 2.0
TOP = 5
INSIDE = 1.645  # 90% of a normal distribution lie within this many standard deviations
METHODS = ("macs", "ridge", "forest", "predictor", "predictor + random", "predictor + proxy")


@dataclass(frozen=True, eq=False)
class Networks:
    """A tabular benchmark: `n x p` features and `n` accuracies in percent."""

    names: tuple[str, ...]
    features: Array
    accuracy: Array


@dataclass(frozen=True)
class Result:
    """One method on one sample.

    Attributes:
        regret: percentage points between the best network and the best of the predicted top five.
        coverage: fraction of networks in the 90% interval; None for methods without interval.
    """

    spearman: float
    regret: float
    cpu_seconds: float
    coverage: float | None = None


def load(path: Path, accuracy: str, ignored: list[str]) -> Networks:
    """Numbers are used as they are, categories are one-hot encoded."""
    table = pd.read_csv(path)
    genes = pd.get_dummies(table.drop(columns=[accuracy, "macs", "params", *ignored]), dtype=float)
    logs = np.log(table[["macs", "params"]].to_numpy(dtype=np.float64))
    names = (MACS, "log_params", *genes.columns)
    features = np.column_stack([logs, genes.to_numpy(dtype=np.float64)])
    return Networks(names, features, table[accuracy].to_numpy(dtype=np.float64))


def results(networks: Networks, size: int, noise: float, seed: int) -> Iterator[tuple[str, Result]]:
    """Every method on one sample; the seed draws noise and networks."""
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(len(networks.accuracy))
    seen, others = drawn[:size], drawn[size : size + OTHERS]
    values = networks.accuracy[seen] + noise * rng.standard_normal(size)
    truth = networks.accuracy[others]
    given, asked = networks.features[seen], networks.features[others]

    def scored(predicted: Array, start: float, std: Array | None = None) -> Result:
        best = np.argsort(-predicted, kind="stable")[:TOP]
        inside = None if std is None else float(np.mean(abs(predicted - truth) <= INSIDE * std))
        spent = time.process_time() - start
        return Result(spearman(predicted, truth), float(truth.max() - truth[best].max()), spent, inside)

    yield "macs", scored(asked[:, 0], time.process_time())
    deviations = given.std(0)
    scaled = [
        (table - given.mean(0)) / np.where(deviations > 0, deviations, np.inf) for table in (given, asked)
    ]
    for name, model in (
        ("ridge", RidgeCV(10.0 ** np.arange(-2, 4))),
        ("forest", RandomForestRegressor(100, random_state=seed)),
    ):
        start = time.process_time()
        yield name, scored(model.fit(scaled[0], values).predict(scaled[1]), start)
    keys = [str(place) for place in drawn[: size + OTHERS]]
    every = networks.accuracy[drawn[: size + OTHERS]]
    scores = {
        "random": rng.standard_normal(len(keys)),
        "proxy": every + PROXY_NOISE * rng.standard_normal(len(keys)),
    }
    for proxy in ("", "random", "proxy"):
        proxies = {proxy: ProxyScores(dict(zip(keys, scores[proxy].tolist(), strict=True)))} if proxy else {}
        start = time.process_time()
        counts = np.ones(size, dtype=np.int64)
        model = fit(keys[:size], given, networks.names, values, counts, noise or None, proxies)
        posterior = model.posterior(keys[size:], asked)
        yield " + ".join(["predictor", *proxies]), scored(posterior.mean, start, posterior.std)


def mean_of(found: list[Result]) -> Mapping[str, float | None]:
    covered = [each.coverage for each in found if each.coverage is not None]
    return {
        "spearman": float(np.mean([each.spearman for each in found])),
        "spearman_deviation": float(np.std([each.spearman for each in found], ddof=1)),
        "regret_points": float(np.mean([each.regret for each in found])),
        "cpu_ms": 1000 * float(np.mean([each.cpu_seconds for each in found])),
        "coverage": float(np.mean(covered)) if covered else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--accuracy", default="top1_percent")
    parser.add_argument("--ignore", default="latency_ms_zcu102,images_per_s_tpuv3")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    networks = load(arguments.table, arguments.accuracy, arguments.ignore.split(","))
    table = plain_table(
        "networks",
        "noise",
        "method",
        "Spearman",
        "sd",
        f"top-{TOP} regret",
        "in 90%",
        "CPU-ms",
        left=("method",),
    )
    rows = []
    for size in SIZES:
        for noise in NOISES:
            found: dict[str, list[Result]] = {name: [] for name in METHODS}
            for seed in range(SAMPLES):
                for name, result in results(networks, size, noise, seed):
                    found[name].append(result)
            for name in METHODS:
                mean = mean_of(found[name])
                rows.append({"networks": size, "noise_points": noise, "method": name, **mean})
                covered = "" if mean["coverage"] is None else f"{mean['coverage']:.0%}"
                table.add_row(
                    str(size),
                    f"{noise:g}",
                    name,
                    f"{mean['spearman']:.3f}",
                    f"{mean['spearman_deviation']:.3f}",
                    f"{mean['regret_points']:.2f}",
                    covered,
                    f"{mean['cpu_ms']:.0f}",
                )
    if arguments.json:
        print(json.dumps(rows, indent=2))
    else:
        Console(width=110).print(table)


if __name__ == "__main__":
    main()
