"""What a dozen stand-alone results tell of the other networks: MACs, features, and the judges together."""

from collections.abc import Mapping, Sequence

import numpy as np
from rich.table import Table

from bneck.evaluate.statistics.rank_correlation import spearman
from bneck.evaluate.surrogate.architecture_features import feature_matrix
from bneck.evaluate.surrogate.gaussian_process import ProxyScores, fit
from bneck.search.console.tables import plain_table

from .judges import Scores
from .truth import Array, Truth

RESULTS = 12
SPLITS = 100


def joined_table(truth: Truth, scores: Sequence[Scores], sets: Mapping[str, Sequence[str]]) -> Table:
    """Spearman with the truth of the networks left out, over many choices of a dozen that were trained once.

    Args:
        sets: names of judges by the name of their set.
    """
    rng = np.random.default_rng(0)
    splits = [spread_choice(len(truth.networks), rng) for _ in range(SPLITS)]
    by_name = {each.judge.name: each for each in scores}
    found: dict[str, list[float]] = {"macs": [], "one training of each": []}
    for chosen in splits:
        rest = np.setdiff1d(np.arange(len(truth.networks)), chosen)
        found["macs"].append(spearman(truth.macs[rest], truth.value[rest]))
        found["one training of each"].append(spearman(truth.accuracy[rest, 1], truth.value[rest]))
        for name, judges in sets.items():
            used = {judge: _judge(truth, by_name[judge]) for judge in judges}
            found.setdefault(name, []).append(_foretold(truth, chosen, rest, used))
    table = plain_table(
        "from", "Spearman, mean", "middle 90% of choices", "above macs", "in of 100", left=("from",)
    )
    macs = np.array(found["macs"])
    for name, values in found.items():
        numbers = np.array(values)
        low, high = np.quantile(numbers, (0.05, 0.95))
        apart = numbers - macs
        table.add_row(
            name,
            f"{numbers.mean():.2f}",
            f"{low:.2f} to {high:.2f}",
            f"{apart.mean():+.2f}" if name != "macs" else "",
            f"{(apart > 0).sum()}" if name != "macs" else "",
        )
    return table


def spread_choice(count: int, rng: np.random.Generator) -> Array:
    """A dozen places, one from each of a dozen equal shares by MACs."""
    shares = np.array_split(np.arange(count), RESULTS)
    return np.array([rng.choice(share) for share in shares])


def _judge(truth: Truth, scores: Scores) -> ProxyScores:
    return ProxyScores(dict(zip(truth.keys, scores.mean.tolist(), strict=True)))


def _foretold(truth: Truth, chosen: Array, rest: Array, judges: Mapping[str, ProxyScores]) -> float:
    names, features = feature_matrix(truth.networks)
    keys = np.array(truth.keys)
    model = fit(
        keys[chosen].tolist(),
        features[chosen],
        names,
        truth.accuracy[chosen, 0],
        np.ones(len(chosen), dtype=np.int64),
        None,
        judges,
    )
    mean = model.posterior(keys[rest].tolist(), features[rest]).mean
    return spearman(mean, truth.value[rest])
