"""Posterior of the true accuracies of evaluated networks: their expectations over seeds and over images.

Networks are replicated because they looked good, so that their first trainings were lucky on average. A
likelihood of all trainings of all networks accounts for that; statistics of the replicated ones alone do not.

    training = trend in log MACs + structure of the network + images + noise

Trend (constant, linear or quadratic, flat prior), structure and noise are normal. The degree of the trend and
the deviations of structure (prior in proportion to its root) and noise (flat prior of its logarithm) are
averaged, weighted by their marginal likelihood. The
noise is that of the replicated networks, and of others in proportion to the binomial variances. What the
sample of images does follows from the outcomes (`ImageSampling`): a shift common to all networks, and one of
each, which its trainings share. Sums over networks are sums over groups of equal trainings and variances.

Source: Gelman et al. 2013, Bayesian Data Analysis, 3rd edition, sections 5.4, 8.1 (selection that depends on
observed data is ignorable) and 14.2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .arrays import Array, Values
from .estimate import Estimate
from .macs_trend import polynomial_basis
from .outcomes import ALL_IMAGES, ImageSampling
from .seed_noise import SeedNoise

N_POSTERIOR_DRAWS = 2000
_N_NOISE_GRID, _N_STRUCTURE_GRID = 16, 20
_NOISE_RANGE = 5.0  # factor below and above the pooled deviation within networks
Z95 = 1.96


@dataclass(frozen=True, eq=False)
class TrueAccuracies:
    """Posterior of the true accuracies of `n` networks.

    Attributes:
        means: `n` means over the trainings.
        design: `n x p` basis of the trend.
        groups: `n` indices into the groups of networks.
        images: how accuracies vary with the sample of images.
        common_std: `n` deviations that the sample causes for all networks together.
        conditional: given each of `g` pairs of deviations of noise and structure.
        degrees_of_freedom: trainings beyond the first of each network.
    """

    means: Array
    design: Array
    groups: NDArray[np.intp]
    images: ImageSampling
    common_std: Array
    conditional: "ConditionalPosteriors"
    degrees_of_freedom: int

    @classmethod
    def of(
        cls,
        trainings: Sequence[Values],
        macs: Values,
        min_std: float = 1e-9,
        images: ImageSampling = ALL_IMAGES,
    ) -> "TrueAccuracies | None":
        """The posterior; None if no network has two trainings, since the noise is then unknown.

        Args:
            trainings: accuracies of each network, one per seed, at least one.
            macs: `n`.
            min_std: lower bound of the noise deviation, since accuracies are quantized.
            images: without it the images are all, not a sample.
        """
        n_trainings = np.array([len(each) for each in trainings])
        degrees_of_freedom = int(n_trainings.sum()) - len(n_trainings)
        if degrees_of_freedom < 1:
            return None
        flat = np.concatenate([np.asarray(each, dtype=np.float64) for each in trainings])
        starts = np.concatenate([[0], n_trainings.cumsum()[:-1]])
        means = np.add.reduceat(flat, starts) / n_trainings
        variances = images.variances(means)
        common, own, between_trainings = images.shares
        # The noise is that of the networks that have replicates; of others by their binomial variance.
        reference = float(variances[n_trainings > 1].mean())
        squares = np.add.reduceat((flat - np.repeat(means, n_trainings)) ** 2, starts)
        within = float((squares * reference / variances).sum())
        min_std = max(min_std, np.sqrt(between_trainings * reference))
        pooled = max(np.sqrt(within / degrees_of_freedom), min_std)
        noise_grid = pooled * np.geomspace(1 / _NOISE_RANGE, _NOISE_RANGE, _N_NOISE_GRID)
        noise_grid = np.unique(np.maximum(noise_grid, min_std))
        # Squares, since the trend may span much more than the structure; above 0, where equal MACs tie. A
        # step between squares is as wide as its root.
        roots = (np.arange(_N_STRUCTURE_GRID) + 0.5) / _N_STRUCTURE_GRID
        structure_grid = roots**2 * max(float(np.ptp(means)), min_std)
        noise, structure = (each.ravel() for each in np.meshgrid(noise_grid, structure_grid, indexing="ij"))
        design = polynomial_basis(macs)
        kinds, groups = np.unique(np.column_stack([n_trainings, variances]), axis=0, return_inverse=True)
        error = Errors(kinds[:, 1] / reference / kinds[:, 0], own * kinds[:, 1])
        groups = groups.reshape(-1)
        log_likelihood = -degrees_of_freedom * np.log(noise) - within / (2 * noise**2)
        prior = log_likelihood + np.log(structure)
        weighted = average_degrees(
            [
                ConditionalPosteriors.of(means, groups, error, design[:, :size], noise, structure).weighted(
                    prior
                )
                for size in range(1, design.shape[1] + 1)
            ]
        )
        common_std = np.sqrt(common * variances)
        return cls(means, design, groups, images, common_std, weighted, degrees_of_freedom)

    @cached_property
    def noise(self) -> SeedNoise:
        """Posterior median of the noise deviation."""
        levels, indices = np.unique(self.conditional.noise, return_inverse=True)
        shares = np.bincount(indices, self.conditional.weights)
        median = np.exp(np.interp(0.5, shares.cumsum() - shares / 2, np.log(levels)))
        return SeedNoise(float(median), self.degrees_of_freedom)

    @cached_property
    def expected(self) -> Array:
        """`n` posterior means of the true accuracies."""
        own, of_trend = self._weights_of_mean
        expected: Array = (self.design * of_trend[self.groups]).sum(1) + own[self.groups] * self.means
        return expected

    @cached_property
    def std(self) -> Array:
        """`n` posterior standard deviations of the true accuracies."""
        each = self.conditional
        rest, weights = 1 - each.shrinkage, each.weights
        own, of_trend = self._weights_of_mean
        # The variance is that within the pairs of deviations, and that of the mean between them.
        between = [
            np.einsum("g,gc,gp->gcp", np.sqrt(weights), rest, each.trend)
            - np.sqrt(weights)[:, None, None] * of_trend,
            np.sqrt(weights)[:, None] * (each.shrinkage - own),
        ]
        quadratic = np.einsum("g,gc,gpq->cpq", weights, rest**2, each.trend_covariance)
        quadratic += np.einsum("gcp,gcq->cpq", between[0], between[0])
        linear = np.einsum("gcp,gc->cp", between[0], between[1])
        square = (between[1] ** 2).sum(0)
        design, means, groups = self.design, self.means, self.groups
        variance = (weights @ each.conditional_variance)[groups]
        variance = variance + np.einsum("np,npq,nq->n", design, quadratic[groups], design)
        variance += 2 * means * (design * linear[groups]).sum(1) + means**2 * square[groups]
        std: Array = np.sqrt(np.maximum(variance, 0) + self.common_std**2)
        return std

    @cached_property
    def seed_std(self) -> Array:
        """`n` deviations that more trainings would reduce to 0."""
        std: Array = np.sqrt(self.conditional.weights @ self.conditional.seed_variance)[self.groups]
        return std

    def estimates(self) -> list[Estimate]:
        """Posterior mean and 95% interval of each true accuracy, within 0 to 1."""
        rows = (self.expected, self.expected - Z95 * self.std, self.expected + Z95 * self.std)
        return [Estimate(*row) for row in np.clip(np.column_stack(rows), 0, 1).tolist()]

    def draw(self, count: int = N_POSTERIOR_DRAWS, places: "slice | NDArray[np.intp]" = slice(None)) -> Array:
        """`count` draws of the true accuracies of the networks at `places`; always the same."""
        rng = np.random.default_rng(0)
        numbers = rng.multinomial(count, self.conditional.weights)
        means, design, groups = self.means[places], self.design[places], self.groups[places]
        each, draws = self.conditional, []
        for place in np.flatnonzero(numbers):
            trend = each.draw_trend(rng, int(place), int(numbers[place])) @ design.T
            own = rng.standard_normal((numbers[place], len(means)))
            own *= np.sqrt(each.conditional_variance[place, groups])
            draws.append(trend + each.shrinkage[place, groups] * (means - trend) + own)
        common = rng.standard_normal((count, 1)) * self.common_std[places]
        accuracies: Array = np.concatenate(draws) + common
        return accuracies

    @cached_property
    def _weights_of_mean(self) -> tuple[Array, Array]:
        """By group: weight of the own mean, and coefficients of the trend times its weight."""
        each = self.conditional
        of_trend = np.einsum("g,gc,gp->cp", each.weights, 1 - each.shrinkage, each.trend)
        return each.weights @ each.shrinkage, of_trend


@dataclass(frozen=True, eq=False)
class Errors:
    """Variances of the means of `c` groups of networks.

    Attributes:
        noise_factor: `c` variances by seed noise, in multiples of that of one training.
        own_variance: `c` variances that the sample of images causes for each network.
    """

    noise_factor: Array
    own_variance: Array


@dataclass(frozen=True, eq=False)
class ConditionalPosteriors:
    """Posteriors given each of `g` pairs of deviations, for `c` groups of networks.

    Attributes:
        noise: `g` deviations.
        shrinkage: `g x c` fractions of the residuals from the trend attributed to the networks.
        conditional_variance: `g x c` variances of the true accuracies given trend and common shift.
        seed_variance: `g x c` variances of the accuracies on these images given the trend.
        trend, trend_covariance: `g x p` coefficients and `g x p x p` covariances.
        log_likelihood: `g`, of the means, marginal over the trend, up to a constant.
        weights: `g` posterior probabilities.
        networks: number of networks.
    """

    noise: Array
    shrinkage: Array
    conditional_variance: Array
    seed_variance: Array
    trend: Array
    trend_covariance: Array
    log_likelihood: Array
    weights: Array
    networks: int

    @classmethod
    def of(
        cls,
        means: Array,
        groups: NDArray[np.intp],
        errors: "Errors",
        design: Array,
        noise: Array,
        structure: Array,
    ) -> "ConditionalPosteriors":
        """Weighted by the likelihood of the means alone.

        Args:
            groups: `n` indices into the errors.
            errors: of the means of each group.
        """
        # Residuals of one trend, since sums of squares of the means would lose digits.
        anchor = np.linalg.lstsq(design, means, rcond=None)[0]
        residuals = means - design @ anchor
        members = [groups == group for group in range(len(errors.own_variance))]
        xx = np.array([design[own].T @ design[own] for own in members])
        xy = np.array([design[own].T @ residuals[own] for own in members])
        yy = np.array([residuals[own] @ residuals[own] for own in members])
        sizes = np.array([own.sum() for own in members])

        noise_variance, own_variance = noise[:, None] ** 2 * errors.noise_factor, errors.own_variance
        structure_variance = structure[:, None] ** 2
        total_variance = structure_variance + own_variance + noise_variance
        precision = np.einsum("gc,cpq->gpq", 1 / total_variance, xx)
        covariance = np.linalg.inv(precision)
        scores = (1 / total_variance) @ xy
        trend = np.einsum("gpq,gq->gp", covariance, scores)
        log_likelihood = -0.5 * (
            np.log(total_variance) @ sizes
            + np.linalg.slogdet(precision)[1]
            + (1 / total_variance) @ yy
            - (trend * scores).sum(1)
        )
        shrinkage = structure_variance / total_variance
        return cls(
            noise=noise,
            shrinkage=shrinkage,
            conditional_variance=shrinkage * (own_variance + noise_variance),
            seed_variance=(structure_variance + own_variance) / total_variance * noise_variance,
            trend=anchor + trend,
            trend_covariance=covariance,
            log_likelihood=log_likelihood,
            weights=noise,
            networks=len(means),
        ).weighted(np.zeros(len(noise)))

    def weighted(self, log_likelihood: Array) -> "ConditionalPosteriors":
        """Weighted by a further factor of the likelihood too."""
        logs = self.log_likelihood + log_likelihood
        weights = np.exp(logs - logs.max())
        return replace(self, log_likelihood=logs, weights=weights / weights.sum())

    def padded(self, size: int) -> "ConditionalPosteriors":
        """With coefficients of 0 up to `size`."""
        missing = size - self.trend.shape[1]
        return replace(
            self,
            trend=np.pad(self.trend, ((0, 0), (0, missing))),
            trend_covariance=np.pad(self.trend_covariance, ((0, 0), (0, missing), (0, missing))),
        )

    def draw_trend(self, rng: np.random.Generator, place: int, count: int) -> Array:
        """`count x p` coefficients given the pair of deviations at `place`."""
        covariance = self.trend_covariance[place]
        size = int((np.diag(covariance) > 0).sum())
        root = np.zeros_like(covariance)
        root[:size, :size] = np.linalg.cholesky(covariance[:size, :size])
        draws: Array = self.trend[place] + rng.standard_normal((count, len(root))) @ root.T
        return draws


def average_degrees(degrees: Sequence[ConditionalPosteriors]) -> ConditionalPosteriors:
    """Average over trends of degree 0, 1, ..., each weighted by its marginal likelihood.

    A flat prior of the coefficients cannot compare degrees. For this alone, theirs has the information of one
    network (unit information: Kass & Wasserman 1995, doi:10.1080/01621459.1995.10476592). A trend that is
    always quadratic says that networks are on the front that are not.
    """
    networks = degrees[0].networks
    logs = []
    for degree, each in enumerate(degrees):
        best = each.log_likelihood.argmax()
        log_determinant = -np.linalg.slogdet(each.trend_covariance[best])[1]
        logs.append(each.log_likelihood + log_determinant / 2 - degree / 2 * math.log(1 + networks))
    size = degrees[-1].trend.shape[1]
    padded = [each.padded(size) for each in degrees]
    joined = {
        name: np.concatenate([getattr(each, name) for each in padded])
        for name in (
            "noise",
            "shrinkage",
            "conditional_variance",
            "seed_variance",
            "trend",
            "trend_covariance",
        )
    }
    log_likelihood = np.concatenate(logs)
    weights = np.exp(log_likelihood - log_likelihood.max())
    return ConditionalPosteriors(
        **joined, log_likelihood=log_likelihood, weights=weights / weights.sum(), networks=networks
    )
