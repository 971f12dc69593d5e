"""Surrogate fitted to 12 trained networks: rank correlation on the others, with and without proxies."""

from collections.abc import Mapping, Sequence

import numpy as np
from rich.table import Table

from bneck.evaluate.statistics.rank_correlation import spearman
from bneck.evaluate.surrogate.architecture_features import feature_matrix
from bneck.evaluate.surrogate.gaussian_process import ProxyScores, fit
from bneck.search.console.tables import plain_table

from .ground_truth import Array, Truth
from .proxies import Scores

RESULTS = 12
SPLITS = 100


def surrogate_table(truth: Truth, scores: Sequence[Scores], sets: Mapping[str, Sequence[str]]) -> Table:
    """Spearman with the ground truth on the held-out networks, over random choices of 12 training networks.

    Args:
        sets: names of proxies by the name of their set.
    """
    rng = np.random.default_rng(0)
    splits = [spread_choice(len(truth.networks), rng) for _ in range(SPLITS)]
    by_name = {each.proxy.name: each for each in scores}
    spearmans: dict[str, list[float]] = {"macs": [], "one training run each": []}
    for chosen in splits:
        rest = np.setdiff1d(np.arange(len(truth.networks)), chosen)
        spearmans["macs"].append(spearman(truth.macs[rest], truth.value[rest]))
        spearmans["one training run each"].append(spearman(truth.accuracy[rest, 1], truth.value[rest]))
        for name, proxies in sets.items():
            used = {proxy: _proxy_scores(truth, by_name[proxy]) for proxy in proxies}
            spearmans.setdefault(name, []).append(_surrogate_spearman(truth, chosen, rest, used))
    table = plain_table(
        "inputs", "mean Spearman", "5% to 95% quantile", "above MACs", "wins of 100", left=("inputs",)
    )
    macs = np.array(spearmans["macs"])
    for name, values in spearmans.items():
        numbers = np.array(values)
        low, high = np.quantile(numbers, (0.05, 0.95))
        gain = numbers - macs
        table.add_row(
            name,
            f"{numbers.mean():.2f}",
            f"{low:.2f} to {high:.2f}",
            f"{gain.mean():+.2f}" if name != "macs" else "",
            f"{(gain > 0).sum()}" if name != "macs" else "",
        )
    return table


def spread_choice(count: int, rng: np.random.Generator) -> Array:
    """12 positions, one from each twelfth by MACs."""
    shares = np.array_split(np.arange(count), RESULTS)
    return np.array([rng.choice(share) for share in shares])


def _proxy_scores(truth: Truth, scores: Scores) -> ProxyScores:
    return ProxyScores(dict(zip(truth.keys, scores.mean.tolist(), strict=True)))


def _surrogate_spearman(
    truth: Truth, chosen: Array, rest: Array, proxies: Mapping[str, ProxyScores]
) -> float:
    names, features = feature_matrix(truth.networks)
    keys = np.array(truth.keys)
    model = fit(
        keys[chosen].tolist(),
        features[chosen],
        names,
        truth.accuracy[chosen, 0],
        np.ones(len(chosen), dtype=np.int64),
        None,
        proxies,
    )
    mean = model.posterior(keys[rest].tolist(), features[rest]).mean
    return spearman(mean, truth.value[rest])
