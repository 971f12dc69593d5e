"""What a network's accuracy is likely to be, from its trainings, those of others, and cheap judges.

A network's accuracy is the sum of a rising trend in log MACs, what its features tell beyond MACs, what its
genes tell where they are among the features, what judges tell beyond MACs, and what nothing tells (its
structure); the mean of its trainings adds noise.
All are normal, so what is believed of any networks is a normal distribution in closed form; how much
each part varies is the likeliest under priors that let few trainings change little.

Source: Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, sections 2.2, 2.7 and 5.4.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...search_space.errors import ScorerError
from ..statistics.reliability import Array, Values
from .gene_kernels import added
from .hyperparameters import JITTER, Prior, Seen, likeliest
from .kernels import CONSTANT, CURVE, SLOPE, Places, Scaling, covariances
from .posterior import Posterior, one_thread

TREND = "macs"
# In the logarithm of the density: of 40 useless judges that were simulated, 2 or 3 gain more (12 and 24
# networks). The usual 5% test of a variance, 1.36, also drops many that are useful at 12.
LEAST_GAIN = 0.5

_LEAST_SHARE = 0.5  # of the values' deviation that counts as the networks' own, however large the noise
_LEAST_SCALE = 0.01  # of the values, where they do not differ at all

Scores = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, eq=False)
class Judge:
    """A cheap judge.

    Attributes:
        scores: by the key of the network, of all networks that matter; only their order counts.
        reliability: how well a score agrees with itself, from 0 to 1.
    Raises:
        ScorerError: a score is not finite.
        ValueError: the reliability is out of range.
    """

    scores: Mapping[str, float]
    reliability: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.reliability <= 1:
            raise ValueError(f"reliability must be from 0 to 1, got {self.reliability}")
        for key, score in self.scores.items():
            if not np.isfinite(score):
                raise ScorerError(f"network {key}: a score must be finite, got {score}; leave the judge out")


@dataclass(frozen=True, eq=False)
class Predictor:
    """Made by `fit`, or by `Predictor.of` where the prior is known.

    Attributes:
        known: the trained networks, `n`.
        values, trainings: of each, `n`.
        judges: those that count.
        dropped: judges that do not, each with the reason in a sentence.
    """

    prior: Prior
    scaling: Scaling
    known: Places
    values: Array
    trainings: Array
    judges: Mapping[str, Judge] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        prior: Prior,
        keys: Sequence[str],
        features: Array,
        names: Sequence[str],
        values: Values,
        trainings: Sequence[int] | npt.NDArray[np.int64],
        judges: Mapping[str, Judge] | None = None,
        dropped: Mapping[str, str] | None = None,
    ) -> "Predictor":
        """From a prior that is given; the arguments are those of `fit`."""
        heights, counts = np.asarray(values, dtype=np.float64), np.asarray(trainings, dtype=np.float64)
        _check(keys, features, heights, counts)
        used = judges or {}
        scores = _scores_of(keys, used, {})
        pools = {name: tuple(judge.scores.values()) for name, judge in used.items()}
        scaling = Scaling.of(names, features, scores, pools)
        known = scaling.places(keys, features, scores)
        return cls(prior, scaling, known, heights, counts, used, dropped or {})

    @one_thread()
    def posterior(self, keys: Sequence[str], features: Array, scores: Scores | None = None) -> Posterior:
        """What is believed of some networks, trained or not.

        Args:
            features: `m x p`, columns as in `fit`.
            scores: of judges by network, where those given to `fit` do not tell.
        Raises:
            ScorerError: a judge that counts has no score of a network.
        """
        asked = self.scaling.places(keys, features, _scores_of(keys, self.judges, scores or {}))
        across = self._root @ added(self._parts(self.known, asked).values())
        mean = self.prior.rise * asked.macs + across.T @ self._surprise
        covariance = added(self._parts(asked, asked).values()) - across.T @ across
        scale = self.prior.scale
        return Posterior(self.prior.centre + scale * mean, scale**2 * (covariance + covariance.T) / 2)

    @property
    @one_thread()
    def fitted(self) -> Array:
        """`n`: the expected values of the trained networks, without the noise of their trainings.

        As `posterior(...).mean` of them, at no cost.
        """
        noise = self.prior.noise / self.trainings + JITTER
        left = self.scaled - noise * (self._root.T @ self._surprise)
        found: Array = self.prior.centre + self.prior.scale * left
        return found

    @cached_property
    @one_thread()
    def weights(self) -> dict[str, float]:
        """Share of each part in the variance between the trained networks; dropped judges have 0.

        `macs` is the trend. A part's variance is what is expected of it after all that was seen.
        """
        kernels = self._parts(self.known, self.known)
        trend = kernels[SLOPE] + kernels[CURVE]
        found = {TREND: self._variance(trend, self.prior.rise * self.known.macs)}
        others = (name for name in kernels if name not in (CONSTANT, SLOPE, CURVE))
        found |= {name: self._variance(kernels[name]) for name in others}
        total = sum(found.values())
        shares = {name: variance / total if total > 0 else 0.0 for name, variance in found.items()}
        return shares | dict.fromkeys(self.dropped, 0.0)

    def _variance(self, kernel: Array, expected: Array | float = 0.0) -> float:
        across = self._root @ kernel
        mean = expected + across.T @ self._surprise
        covariance = kernel - across.T @ across
        return max(0.0, float(mean.var() + np.diag(covariance).mean() - covariance.mean()))

    @cached_property
    def _root(self) -> Array:
        """`n x n`, whose square is the inverse of the covariance of what was seen."""
        seen = added(self._parts(self.known, self.known).values())
        seen += np.diag(self.prior.noise / self.trainings + JITTER)
        found: Array = np.linalg.inv(np.linalg.cholesky(seen))
        return found

    @cached_property
    def _surprise(self) -> Array:
        found: Array = self._root @ self.beyond_rise
        return found

    @property
    def beyond_rise(self) -> Array:
        """`n`: the values in units of the prior's scale, less what its rise expects."""
        return self.scaled - self.prior.rise * self.known.macs

    @property
    def scaled(self) -> Array:
        """`n`: the values less the prior's centre, in units of its scale."""
        found: Array = (self.values - self.prior.centre) / self.prior.scale
        return found

    def _parts(self, one: Places, other: Places) -> dict[str, Array]:
        kernels = self.kernels(one, other)
        return {n: variance * kernels[n] for n, variance in self.prior.parts.items() if n in kernels}

    def kernels(self, one: Places, other: Places) -> dict[str, Array]:
        """The covariances of each part at variance 1, judges by their reliability."""
        kernels = covariances(one, other)
        return kernels | {name: judge.reliability * kernels[name] for name, judge in self.judges.items()}


@one_thread()
def fit(
    keys: Sequence[str],
    features: Array,
    names: Sequence[str],
    values: Values,
    trainings: Sequence[int] | npt.NDArray[np.int64],
    noise: float | None,
    judges: Mapping[str, Judge] | None = None,
    least_gain: float = LEAST_GAIN,
) -> Predictor:
    """The likeliest model of some trained networks, with the judges that add something.

    Judges are dropped one at a time, the least useful first, while leaving one out costs less
    likelihood than `least_gain`. The order of the networks and the units
    of values, features and scores change nothing; the same arguments give the same model.

    Args:
        keys: of `n` different networks, at least one.
        features: `n x p`, `log_macs` among the columns.
        names: of the columns, `p`.
        values: `n`, higher is better (accuracy, or minus the loss), the mean over the trainings.
        trainings: of each network, at least 1.
        noise: deviation of one training, in the unit of the values; found with the rest if None.
        judges: by name.
    Raises:
        ScorerError: a judge has no score of a trained network.
        ValueError: lengths that differ, a repeated key, a value that is not finite.
    """
    _check(keys, features, np.asarray(values), np.asarray(trainings))
    order = np.argsort(np.asarray(keys))  # sums depend on the order by a rounding
    ordered = [keys[place] for place in order], features[order], names
    heights, counts = np.asarray(values, dtype=np.float64)[order], np.asarray(trainings)[order]
    given = dict(judges or {})
    prior = _prior_of(heights, counts, noise)
    model = Predictor.of(prior, *ordered, heights, counts, given)
    own_noise = None if noise is None else (noise / prior.scale) ** 2
    seen = Seen(model.beyond_rise, model.kernels(model.known, model.known), 1 / counts, own_noise)
    kept, dropped = list(given), dict[str, str]()
    likely, density = likeliest(seen, prior, kept)
    while kept:
        without = {name: likeliest(seen, prior, [other for other in kept if other != name]) for name in kept}
        least = max(kept, key=lambda name: without[name][1])
        gain = density - without[least][1]
        if gain >= least_gain:
            break
        dropped[least] = (
            f"judge {least} adds too little to what MACs, features and other judges tell: its log-likelihood "
            f"ratio is {max(gain, 0.0):.2f}, and {least_gain} is asked for"
        )
        kept.remove(least)
        likely, density = without[least]
    used = {name: given[name] for name in kept}
    return Predictor.of(likely, *ordered, heights, counts, used, dropped)


def _prior_of(values: Array, trainings: Array, noise: float | None) -> Prior:
    """The values' mean, and the deviation that the networks have of their own."""
    centre, spread = float(values.mean()), float(values.std())
    if spread <= 1e-9 * abs(centre):
        return Prior(centre, noise or _LEAST_SCALE * abs(centre) or 1.0)
    of_noise = (noise or 0.0) ** 2 * float((1 / trainings).mean())
    return Prior(centre, math.sqrt(max(spread**2 - of_noise, (_LEAST_SHARE * spread) ** 2)))


def _check(keys: Sequence[str], features: Array, values: Array, trainings: Array) -> None:
    if not len(keys) == len(features) == len(values) == len(trainings) > 0:
        lengths = ", ".join(str(len(each)) for each in (keys, features, values, trainings))
        raise ValueError(f"keys, features, values and trainings must be of one length above 0, got {lengths}")
    if len(set(keys)) < len(keys):
        raise ValueError("each network may be there once, with the mean of its trainings")
    if not (np.isfinite(values).all() and np.isfinite(features).all()):
        raise ValueError("values and features must be finite")
    if not (trainings >= 1).all():
        raise ValueError(f"a network needs at least 1 training, got {trainings.min():g}")


def _scores_of(keys: Sequence[str], judges: Mapping[str, Judge], more: Scores) -> dict[str, list[float]]:
    """Of the networks by each judge."""
    found = {}
    for name, judge in judges.items():
        known = {**judge.scores, **more.get(name, {})}
        if lacking := [key for key in keys if key not in known]:
            raise ScorerError(
                f"judge {name}: has no score of network {lacking[0]}; score it, or leave it out"
            )
        found[name] = [known[key] for key in keys]
    return found
