"""Cross-validation of the surrogate, and the contribution of each proxy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..statistics.arrays import Array, Indices, Values
from ..statistics.rank_correlation import bootstrap_ci95, spearman, spearman_difference
from .architecture_features import MACS
from .gaussian_process import ProxyScores, fit

N_FOLDS = 5
N_RESAMPLES = 1000

Interval = tuple[float, float]


@dataclass(frozen=True)
class PredictionMetrics:
    """Agreement of predictions with values, with 95% bootstrap intervals over networks.

    Attributes:
        spearman: rank correlation; NaN if it is undefined.
        r2: explained share of the variance; below 0 if the mean predicts better.
    """

    spearman: float
    spearman_ci95: Interval
    r2: float
    r2_ci95: Interval


@dataclass(frozen=True)
class SpearmanGain:
    """Difference of two rank correlations on the same networks."""

    spearman: float
    ci95: Interval


@dataclass(frozen=True)
class CrossValidation:
    """Out-of-fold predictions compared with the measured values.

    Noise in the values limits all metrics: none can reach 1.

    Attributes:
        networks, folds: number of networks and folds.
        full_model: metrics of the model with features and proxies.
        macs: metrics of the trend in MACs alone.
        without_proxy: metrics of the model without one proxy, by proxy.
        gain_over_macs: gain of the full model over MACs alone.
        gain_by_proxy: gain of the full model over the model without one proxy, by proxy.
    """

    networks: int
    folds: int
    full_model: PredictionMetrics
    macs: PredictionMetrics
    without_proxy: Mapping[str, PredictionMetrics]
    gain_over_macs: SpearmanGain
    gain_by_proxy: Mapping[str, SpearmanGain]


def cross_validate(
    keys: Sequence[str],
    features: Array,
    names: Sequence[str],
    values: Values,
    n_seeds: Sequence[int] | npt.NDArray[np.int64],
    noise: float | None,
    proxies: Mapping[str, ProxyScores] | None = None,
    *,
    seed: int = 0,
) -> CrossValidation:
    """Five-fold cross-validation, stratified by MACs; proxies are selected anew in every fold.

    Args:
        keys, features, names, values, n_seeds, noise, proxies: as in `fit`.
        seed: random seed for folds and bootstrap.
    Raises:
        ValueError: fewer networks than `N_FOLDS`, or an argument that `fit` refuses.
    """
    if len(keys) < N_FOLDS:
        raise ValueError(f"cross-validation needs at least {N_FOLDS} networks, got {len(keys)}")
    y, counts = np.asarray(values, dtype=np.float64), np.asarray(n_seeds)
    all_proxies = dict(proxies or {})
    parts = _stratified_folds(features[:, list(names).index(MACS)], keys, np.random.default_rng(seed))

    def predict_held_out(columns: Sequence[str], used: Mapping[str, ProxyScores]) -> Array:
        table = features[:, [list(names).index(name) for name in columns]]
        predicted = np.empty(len(keys))
        for part in range(N_FOLDS):
            train_indices, test_indices = (
                np.flatnonzero(chosen).tolist() for chosen in (parts != part, parts == part)
            )
            train_keys = [keys[index] for index in train_indices]
            model = fit(
                train_keys,
                table[train_indices],
                columns,
                y[train_indices],
                counts[train_indices],
                noise,
                used,
            )
            predicted[test_indices] = model.posterior(
                [keys[index] for index in test_indices], table[test_indices]
            ).mean
        return predicted

    full_model, macs = predict_held_out(names, all_proxies), predict_held_out([MACS], {})
    without_proxy = {
        name: predict_held_out(names, {other: proxy for other, proxy in all_proxies.items() if other != name})
        for name in all_proxies
    }
    return CrossValidation(
        networks=len(keys),
        folds=N_FOLDS,
        full_model=_metrics(full_model, y, seed),
        macs=_metrics(macs, y, seed),
        without_proxy={name: _metrics(predicted, y, seed) for name, predicted in without_proxy.items()},
        gain_over_macs=_gain(full_model, macs, y, seed),
        gain_by_proxy={
            name: _gain(full_model, predicted, y, seed) for name, predicted in without_proxy.items()
        },
    )


def _stratified_folds(macs: Array, keys: Sequence[str], rng: np.random.Generator) -> Indices:
    """Fold of each network: five neighbours by MACs are in different folds."""
    order = np.lexsort((np.asarray(keys), macs))
    fold_of = np.empty(len(order), dtype=np.intp)
    for first in range(0, len(order), N_FOLDS):
        neighbours = order[first : first + N_FOLDS]
        fold_of[neighbours] = rng.permutation(N_FOLDS)[: len(neighbours)]
    return fold_of


def _metrics(predicted: Array, values: Array, seed: int) -> PredictionMetrics:
    def rank_correlation(rows: Indices) -> float:
        return spearman(predicted[rows], values[rows])

    def r2_score(rows: Indices) -> float:
        total_sum_of_squares = float(((values[rows] - values[rows].mean()) ** 2).sum())
        return (
            1 - float(((predicted[rows] - values[rows]) ** 2).sum()) / total_sum_of_squares
            if total_sum_of_squares > 0
            else float("nan")
        )

    all_indices = np.arange(len(values))
    return PredictionMetrics(
        rank_correlation(all_indices),
        _bootstrap_ci95(rank_correlation, len(values), seed),
        r2_score(all_indices),
        _bootstrap_ci95(r2_score, len(values), seed),
    )


def _gain(one: Array, other: Array, values: Array, seed: int) -> SpearmanGain:
    difference, low, high = spearman_difference(one, other, values, np.random.default_rng(seed), N_RESAMPLES)
    return SpearmanGain(difference, (low, high))


def _bootstrap_ci95(statistic: Callable[[Indices], float], count: int, seed: int) -> Interval:
    return bootstrap_ci95(statistic, count, np.random.default_rng(seed), N_RESAMPLES)
