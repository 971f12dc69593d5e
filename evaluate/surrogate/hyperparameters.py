"""How much each part of a network's accuracy varies: as given, or the likeliest for what was seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import minimize  # at once: `one_thread` limits what is loaded by then

from ..statistics.reliability import Array
from .gene_kernels import BEND, GENES, PART, SIZES, WHOLE
from .kernels import CONSTANT, CURVE, FEATURES, SLOPE, STRUCTURE

NOISE = "noise"
JITTER = 1e-9  # variance, in units of the scale: keeps what is seen without noise solvable

_MOST_STEPS = 60
_BOUNDS = (-16.0, 3.0)
_START = 0.1
_STARTS: tuple[Mapping[str, float], ...] = (
    {FEATURES: 0.02, STRUCTURE: 0.3},
    {FEATURES: 0.5, STRUCTURE: 0.02},
)


@dataclass(frozen=True)
class _Belief:
    """Density of a deviation s before anything was seen: `s ** power * exp(-s**2 / (2 * width**2))`.

    With power 0, nothing is the likeliest. A power keeps a variance that a few networks cannot tell from
    0, so that no interval is too narrow (Chung et al. 2013, doi:10.1007/s11336-013-9328-2).
    """

    width: float
    power: float = 0.0


_BELIEFS = {
    CURVE: _Belief(0.3, 0.5),
    FEATURES: _Belief(0.7, 0.05),
    SIZES: _Belief(0.7, 0.05),
    BEND: _Belief(0.7, 0.05),
    GENES: _Belief(0.7, 0.05),
    WHOLE: _Belief(0.7, 0.05),
    STRUCTURE: _Belief(0.5, 1.25),
    NOISE: _Belief(0.7, 1.0),
}
_JUDGE = _Belief(0.7)
_PART = _Belief(0.3, 0.3)
_FOUND = (CURVE, FEATURES, SIZES, BEND, GENES, WHOLE, STRUCTURE)


@dataclass(frozen=True)
class Prior:
    """What is believed of any network before it is trained; variances in units of `scale` squared.

    Attributes:
        centre, scale: of the values, in their unit.
        constant: variance of the mean.
        rise: expected slope in scaled log MACs; above 0, for larger networks are mostly better.
        slope: variance of the slope.
        curve: variance of what bends the slope.
        features: variance of what features tell beyond MACs.
        sizes, bend: variance of what sizes tell beyond MACs, along straight lines and around them.
        genes, whole: variance of what single genes tell, and of what all of them together do.
        stages: variance of what the genes of each stage tell, and those of stem, head and resolution, by
            `part stage2` and the like.
        structure: variance of what nothing tells but a training of the network itself.
        noise: variance of one training.
        judges: variance of what each judge tells beyond MACs, were it fully reliable.
    """

    centre: float = 0.0
    scale: float = 1.0
    constant: float = 1.0
    rise: float = 0.7
    slope: float = 0.16
    curve: float = 0.0
    features: float = 0.0
    sizes: float = 0.0
    bend: float = 0.0
    genes: float = 0.0
    whole: float = 0.0
    structure: float = 0.0
    noise: float = 0.0
    stages: Mapping[str, float] = field(default_factory=dict)
    judges: Mapping[str, float] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, float]:
        """The variances by the names of `covariances`."""
        own = {
            CONSTANT: self.constant,
            SLOPE: self.slope,
            CURVE: self.curve,
            FEATURES: self.features,
            SIZES: self.sizes,
            BEND: self.bend,
            GENES: self.genes,
            WHOLE: self.whole,
            STRUCTURE: self.structure,
        }
        return own | dict(self.stages) | dict(self.judges)


@dataclass(frozen=True, eq=False)
class Seen:
    """What was seen of `n` trained networks, in units of the prior's scale.

    Attributes:
        values: `n`, less what the prior's rise expects.
        parts: `n x n` covariances at variance 1, by part.
        shares: `n`, one over the number of trainings.
        noise: variance of one training; None where it is to be found.
    """

    values: Array
    parts: Mapping[str, Array]
    shares: Array
    noise: float | None


def likeliest(seen: Seen, prior: Prior, judges: Sequence[str]) -> tuple[Prior, float]:
    """The variances of the greatest posterior density, with its logarithm up to a constant.

    Args:
        prior: tells all but the variances that are sought.
        judges: those that may count.
    """
    names = [name for name in _FOUND if name in seen.parts and seen.parts[name].any()]
    names += (stages := [name for name in seen.parts if name.startswith(PART)])
    kernels = [seen.parts[name] for name in (*names, *judges)]
    names += judges
    fixed = prior.constant * seen.parts[CONSTANT] + prior.slope * seen.parts[SLOPE]
    fixed = fixed + np.diag((seen.noise or 0.0) * seen.shares + JITTER)
    if seen.noise is None:
        names, kernels = [*names, NOISE], [*kernels, np.diag(seen.shares)]
    beliefs = [_PART if name in stages else _BELIEFS.get(name, _JUDGE) for name in names]
    power = np.array([each.power for each in beliefs]) / 2
    pull = np.array([each.width**-2 for each in beliefs]) / 2
    stack = np.array(kernels)

    def loss(logs: Array) -> tuple[float, Array]:
        variances = np.exp(logs)
        lower = np.linalg.cholesky(fixed + np.tensordot(variances, stack, 1))
        root = np.linalg.inv(lower)
        inverse = root.T @ root
        weights = inverse @ seen.values
        density = -0.5 * float(seen.values @ weights) - float(np.log(np.diag(lower)).sum())
        slopes = np.tensordot(stack, np.outer(weights, weights) - inverse, 2) / 2 * variances
        density += float((power * logs - pull * variances).sum())
        return -density, -(slopes + power - pull * variances)

    found = [
        minimize(
            loss,
            np.log([start.get(name, _START) for name in names]),
            jac=True,
            method="L-BFGS-B",
            bounds=[_BOUNDS] * len(names),
            options={"maxiter": _MOST_STEPS},
        )
        for start in _STARTS
    ]
    best = min(found, key=lambda each: round(float(each.fun), 6))  # the first of equal ones, on any machine
    variances = dict(zip(names, np.exp(best.x).tolist(), strict=True))
    likely = replace(
        prior,
        **{name: variances.get(name, 0.0) for name in _FOUND},
        noise=variances.get(NOISE, seen.noise or 0.0),
        stages={name: variances[name] for name in stages},
        judges={name: variances[name] for name in judges},
    )
    return likely, -float(best.fun)
