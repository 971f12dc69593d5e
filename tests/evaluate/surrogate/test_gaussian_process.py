"""What is believed of networks, against hand calculation, least squares, and truths that were made up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from bneck.evaluate.statistics.arrays import Array
from bneck.evaluate.statistics.rank_correlation import spearman
from bneck.evaluate.surrogate.architecture_features import MACS
from bneck.evaluate.surrogate.gaussian_process import GaussianProcess, ProxyScores, fit
from bneck.evaluate.surrogate.hyperparameters import (
    JITTER,
    Hyperparameters,
    Observations,
    fit_hyperparameters,
)
from bneck.evaluate.surrogate.kernels import CURVE, FEATURES, STRUCTURE, NormalQuantileTransform
from bneck.evaluate.surrogate.posterior import Posterior
from bneck.search_space import ScorerError

ONLY_MACS = (MACS,)
NAMES = (MACS, "one", "two")


@dataclass(frozen=True, eq=False)
class World:
    """Made-up networks: a truth that rises with log MACs, and structure of a known deviation."""

    keys: list[str]
    features: Array
    truth: Array
    rng: np.random.Generator

    @classmethod
    def of(cls, seed: int, count: int = 60, structure: float = 0.5) -> "World":
        rng = np.random.default_rng(seed)
        macs = rng.permutation(np.linspace(14, 17, count))
        others = rng.standard_normal((count, 2))
        truth = (macs - macs.mean()) / macs.std() + structure * rng.standard_normal(count)
        return cls([f"net{n:03}" for n in range(count)], np.column_stack([macs, others]), truth, rng)

    def proxy(self, noise: float) -> ProxyScores:
        """The truth with noise of a deviation."""
        scores = self.truth + noise * self.rng.standard_normal(len(self.truth))
        return ProxyScores(dict(zip(self.keys, scores.tolist(), strict=True)))

    def random_proxy(self) -> ProxyScores:
        return ProxyScores(
            dict(zip(self.keys, self.rng.standard_normal(len(self.keys)).tolist(), strict=True))
        )

    def fit(self, count: int, noise: float, proxies: dict[str, ProxyScores] | None = None) -> GaussianProcess:
        """From the first networks, trained once each with noise."""
        values = self.truth[:count] + noise * self.rng.standard_normal(count)
        ones = [1] * count
        return fit(self.keys[:count], self.features[:count], NAMES, values, ones, noise, proxies)

    def believed(self, model: GaussianProcess) -> Posterior:
        return model.posterior(self.keys, self.features)


def column(*logs: float) -> Array:
    return np.array(logs)[:, None]


def believed_of(
    hyperparameters: Hyperparameters, values: Sequence[float], n_seeds: Sequence[int]
) -> Posterior:
    """Of networks `a`, `b`, ... of equal MACs, and of one more, `new`, that was not trained."""
    keys = [chr(ord("a") + n) for n in range(len(values))]
    model = GaussianProcess.of(hyperparameters, keys, column(*[15.0] * len(keys)), ONLY_MACS, values, n_seeds)
    return model.posterior([*keys, "new"], column(*[15.0] * (len(keys) + 1)))


# Hand calculation


def test_one_training_is_shrunk_by_its_share_of_noise() -> None:
    # 1 of the mean, 2 of the structure, 3 of the noise: the network itself moves by 3/6 of what was seen,
    # another network by 1/6; what is left is 3 - 3*3/6 and 3 - 1*1/6
    found = believed_of(Hyperparameters(constant=1, structure=2, noise=3), [12.0], [1])
    assert found.mean == pytest.approx([6, 2])
    np.testing.assert_allclose(found.covariance, [[1.5, 1 - 0.5], [1 - 0.5, 3 - 1 / 6]], rtol=1e-6)


def test_centre_and_scale_are_in_the_unit_of_the_values() -> None:
    # the same, ten times as large, around 100: 12 above the centre in units of the scale
    hyperparameters = Hyperparameters(centre=100, scale=10, constant=1, structure=2, noise=3)
    found = believed_of(hyperparameters, [220.0], [1])
    assert found.mean == pytest.approx([160, 120])
    assert found.std == pytest.approx(np.sqrt([150, 100 * (3 - 1 / 6)]))


def test_three_trainings_have_a_third_of_the_noise() -> None:
    # 3 / 3 = 1 of noise: 3 / 4
    assert believed_of(Hyperparameters(constant=1, structure=2, noise=3), [12.0], [3]).mean[
        0
    ] == pytest.approx(9)


def test_many_trainings_leave_the_noise_over_their_root() -> None:
    found = believed_of(Hyperparameters(constant=1, structure=2, noise=4), [1.0, 5.0], [10_000, 400])
    assert found.std[:2] == pytest.approx([2 / 100, 2 / 20], rel=3e-3)
    assert found.mean[:2] == pytest.approx([1, 5], rel=0.01)


def test_two_networks_tell_a_slope() -> None:
    # at scaled log MACs -1 and 1 and noise 0.5, the slope's precision is 1/0.16 + 2/0.5; its mean starts
    # at 0.7 and sees (1.5 + 0.5) / 2 = 1
    model = GaussianProcess.of(
        Hyperparameters(constant=1e6, noise=0.5), ["a", "b"], column(10, 12), ONLY_MACS, [-0.5, 1.5], [1, 1]
    )
    found = model.posterior(["c", "d"], column(11, 13))
    slope = (0.7 / 0.16 + 1 * 4) / (1 / 0.16 + 4)
    assert found.mean[1] - found.mean[0] == pytest.approx(2 * slope)
    assert found.mean[0] == pytest.approx(0.5, abs=1e-5)


def test_half_the_reliability_is_half_the_variance() -> None:
    scores = {"a": 1.0, "b": 2.0, "c": 5.0, "d": 7.0}
    keys, features, values = ["a", "b", "c"], column(10, 10, 10), [1.0, 0.0, 3.0]

    def told(reliability: float, variance: float) -> Posterior:
        hyperparameters = Hyperparameters(structure=0.5, noise=0.5, proxies={"j": variance})
        proxy = ProxyScores(scores, reliability)
        model = GaussianProcess.of(
            hyperparameters, keys, features, ONLY_MACS, values, [1, 1, 1], {"j": proxy}
        )
        return model.posterior(["d"], column(10))

    assert told(0.5, 2).mean == pytest.approx(told(1, 1).mean)
    assert told(0.5, 1).mean != pytest.approx(told(1, 1).mean)
    assert told(0, 1).mean == pytest.approx(told(1, 0).mean)


def test_weights_are_the_shares_of_what_is_expected_of_each_part() -> None:
    # at scaled log MACs -1 and 1, of the difference over the root of 2 the slope has variance 2, structure
    # and noise 1 each; it was seen as 4 / sqrt(2). Squared means 8 * (2/4)**2 and 8 * (1/4)**2, what is
    # left 2 - 2*2/4 and 1 - 1/4: 3 to 1.25
    hyperparameters = Hyperparameters(constant=1, mean_slope=0, slope=1, structure=1, noise=1)
    model = GaussianProcess.of(hyperparameters, ["a", "b"], column(10, 12), ONLY_MACS, [-2.0, 2.0], [1, 1])
    expected = {"macs": 3 / 4.25, "features": 0, "structure": 1.25 / 4.25}
    assert model.variance_shares == pytest.approx(expected)


def test_scores_count_by_the_normal_quantile_of_their_rank() -> None:
    # of four: 1/2, the middle of 1 + 1/2 and 2 + 1/2, and 3 + 1/2, over 4
    found = NormalQuantileTransform.of([5.0, 2.0, 1.0, 2.0])([1.0, 2.0, 5.0, 3.5, 9.0])
    edge = norm.ppf(3.5 / 4)
    assert found == pytest.approx([-edge, 0, edge, edge / 2, edge])


# The likeliest


@pytest.mark.parametrize(
    ("noise", "scale"),
    # a variance of 4 over 0 and 4, less the mean of noise / 1 and noise / 4; never below half of 2
    [(0.0, 2), (1.0, np.sqrt(4 - 5 / 8)), (100.0, 1), (None, 2)],
)
def test_the_scale_is_the_deviation_without_the_noise(noise: float | None, scale: float) -> None:
    model = fit(["a", "b"], column(14, 15), ONLY_MACS, [0.0, 4.0], [1, 4], noise)
    assert (model.hyperparameters.centre, model.hyperparameters.scale) == pytest.approx((2, scale))


def test_of_a_straight_line_without_noise_the_least_squares_line_is_found() -> None:
    logs, asked = np.linspace(14, 17, 8), np.linspace(13, 18, 7)
    values = 70 + 3 * logs + 1e-4 * np.cos(logs)
    model = fit([f"n{n}" for n in range(8)], logs[:, None], ONLY_MACS, values, [1] * 8, 0.0)
    found = model.posterior([f"m{n}" for n in range(7)], asked[:, None])
    assert found.mean == pytest.approx(np.polyval(np.polyfit(logs, values, 1), asked), abs=2e-3)
    assert model.variance_shares["macs"] > 0.999


@pytest.mark.parametrize("noise", [0.3, None])
def test_the_variances_are_the_likeliest_by_scipys_density(noise: float | None) -> None:
    world = World.of(3)
    hyperparameters = Hyperparameters()
    start = GaussianProcess.of(hyperparameters, world.keys, world.features, NAMES, world.truth, [1] * 60)
    kernels = start.kernels(start.observed, start.observed)
    shares = 1 / world.rng.integers(1, 4, 60)
    values = world.truth - hyperparameters.mean_slope * start.observed.macs
    found, density = fit_hyperparameters(Observations(values, kernels, shares, noise), hyperparameters, [])

    def by_scipy(variances: dict[str, float]) -> float:
        parts = hyperparameters.parts | {n: v for n, v in variances.items() if n != "noise"}
        covariance = sum(v * kernels[n] for n, v in parts.items() if n in kernels)
        covariance += np.diag(variances["noise"] * shares + JITTER)
        seen = multivariate_normal(np.zeros(60), covariance).logpdf(values) + 30 * np.log(2 * np.pi)
        # the beliefs: power / 2 * log(v) - v / (2 width**2)
        beliefs = {CURVE: (0.3, 0.5), FEATURES: (0.4, 0.5), STRUCTURE: (0.5, 1.25)}
        beliefs |= {"noise": (0.7, 1.0)} if noise is None else {}
        return float(
            seen
            + sum(
                power / 2 * np.log(variances[n]) - variances[n] / (2 * width**2)
                for n, (width, power) in beliefs.items()
            )
        )

    best = {n: getattr(found, n) for n in (CURVE, FEATURES, STRUCTURE, "noise")}
    assert density == pytest.approx(by_scipy(best), abs=1e-5)
    sought = [n for n in best if noise is None or n != "noise"]
    for name in sought:
        for factor in (0.5, 0.9, 1.1, 2):
            assert by_scipy({**best, name: factor * best[name]}) < density + 1e-5


def test_noise_that_is_not_told_is_found_from_what_more_trainings_change() -> None:
    rng = np.random.default_rng(4)
    count = 120
    n_seeds = np.where(np.arange(count) < 60, 1, 16)
    macs = rng.uniform(14, 17, count)
    values = macs + 0.3 * rng.standard_normal(count) + 0.8 * rng.standard_normal(count) / np.sqrt(n_seeds)
    model = fit([f"n{n}" for n in range(count)], macs[:, None], ONLY_MACS, values, n_seeds, None)
    assert np.sqrt(model.hyperparameters.noise) * model.hyperparameters.scale == pytest.approx(0.8, rel=0.2)
    assert np.sqrt(model.hyperparameters.structure) * model.hyperparameters.scale == pytest.approx(
        0.3, rel=0.3
    )


def test_noise_that_is_told_stays_as_it_is() -> None:
    model = World.of(0).fit(10, 0.4)
    assert np.sqrt(model.hyperparameters.noise) * model.hyperparameters.scale == pytest.approx(0.4)


def test_from_one_network_the_larger_is_believed_to_be_the_better() -> None:
    world = World.of(1)
    for value in (0.0, 5.0, -3.0):
        model = fit(world.keys[:1], world.features[:1], NAMES, [value], [1], None)
        found = world.believed(model).mean[1:]
        assert spearman(found, world.features[1:, 0]) == pytest.approx(1)


def test_equal_values_are_no_failure() -> None:
    world = World.of(2)
    for noise in (None, 0.0, 0.1):
        found = world.believed(fit(world.keys[:4], world.features[:4], NAMES, [0.8] * 4, [1] * 4, noise))
        assert found.mean[:4] == pytest.approx([0.8] * 4, abs=0.1)
        assert np.isfinite(found.sample(np.random.default_rng(0), 3)).all()


def test_networks_of_equal_macs_and_equal_features_are_told_by_their_trainings() -> None:
    table = np.ones((4, 3))
    found = fit(list("abcd"), table, NAMES, [1.0, 2.0, 3.0, 4.0], [9] * 4, 0.1).posterior(list("abcd"), table)
    assert found.mean == pytest.approx([1, 2, 3, 4], abs=0.1)


# Judges


def test_a_random_proxy_mostly_gets_no_weight_and_a_good_one_gets_much() -> None:
    variance_shares = []
    for seed in range(20):
        world = World.of(seed)
        model = world.fit(24, 0.3, {"random": world.random_proxy(), "good": world.proxy(0.2)})
        variance_shares.append((model.variance_shares["random"], model.variance_shares["good"]))
        assert ("random" in model.dropped_proxies) == (model.variance_shares["random"] == 0)
        assert sum(model.variance_shares.values()) == pytest.approx(1)
    random, good = np.array(variance_shares).T
    assert (random == 0).sum() >= 15
    # 0.25 of structure, of 1.25 in all
    assert 0.1 < good.mean() < 0.25 and (good > 0.05).sum() >= 18


def test_of_two_proxies_that_say_the_same_one_is_dropped() -> None:
    world = World.of(5)
    proxy = world.proxy(0.1)
    model = world.fit(30, 0.2, {"one": proxy, "other": proxy})
    assert len(model.dropped_proxies) == 1 and len(model.proxies) == 1
    [(name, reason)] = model.dropped_proxies.items()
    assert reason.startswith(f"proxy {name} adds too little") and model.variance_shares[name] == 0


def test_a_proxy_that_says_what_macs_say_is_dropped() -> None:
    world = World.of(6)
    proxy = ProxyScores(dict(zip(world.keys, world.features[:, 0].tolist(), strict=True)))
    assert set(world.fit(20, 0.2, {"size": proxy}).dropped_proxies) == {"size"}
    same = ProxyScores(dict.fromkeys(world.keys, 1.0))
    assert set(world.fit(20, 0.2, {"same": same}).dropped_proxies) == {"same"}


def test_a_proxy_that_counts_must_know_every_network_and_may_be_told_later() -> None:
    world = World.of(7)
    proxy = world.proxy(0.05)
    last = world.keys[-1]
    observed = ProxyScores({key: score for key, score in proxy.scores.items() if key != last})
    model = world.fit(30, 0.1, {"good": observed})
    with pytest.raises(ScorerError, match=f"^proxy good: has no score for network {last}; score it"):
        world.believed(model)
    # beyond the best and the worst that were known
    high, low = (
        model.posterior([last], world.features[-1:], {"good": {last: score}}).mean[0] for score in (9.0, -9.0)
    )
    assert high > low + 0.5


def test_a_proxy_that_lacks_a_trained_network_is_refused() -> None:
    with pytest.raises(ScorerError, match=r"^proxy j: has no score for network net000"):
        World.of(0).fit(5, 0.1, {"j": ProxyScores({"net001": 1.0})})


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_refused(score: float) -> None:
    with pytest.raises(ScorerError, match="network a: a score must be finite"):
        ProxyScores({"a": score})


@pytest.mark.parametrize("reliability", [-0.1, 1.1])
def test_a_reliability_lies_between_0_and_1(reliability: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        ProxyScores({}, reliability)


# Simulations


@pytest.mark.slow
def test_from_twelve_trainings_networks_are_ranked_no_worse_than_by_macs_and_better_with_a_proxy() -> None:
    found = []
    for seed in range(30):
        world = World.of(100 + seed)
        plain = world.fit(12, 0.6)
        helped = world.fit(12, 0.6, {"good": world.proxy(0.3)})
        told = (world.features[:, 0], world.believed(plain).mean, world.believed(helped).mean)
        found.append([spearman(each, world.truth) for each in told])
    macs, alone, with_proxy = np.mean(found, axis=0)
    assert alone >= macs
    assert with_proxy > alone + 0.01


def test_features_that_tell_half_are_used() -> None:
    gains = []
    for seed in range(10):
        world = World.of(200 + seed, structure=0.1)
        truth = world.truth + 0.7 * world.features[:, 1]
        model = fit(world.keys[:25], world.features[:25], NAMES, truth[:25], [1] * 25, 0.0)
        told = world.believed(model).mean[25:]
        gains.append(spearman(told, truth[25:]) - spearman(world.features[25:, 0], truth[25:]))
        assert model.variance_shares["features"] > 0.1
    assert np.mean(gains) > 0.1


@pytest.mark.parametrize("count", [12, 30])
@pytest.mark.slow
def test_nine_of_ten_truths_lie_in_the_interval(count: int) -> None:
    inside: list[Any] = []
    for seed in range(40):
        world = World.of(300 + seed)
        found = world.believed(world.fit(count, 0.5))
        inside.append(abs(found.mean - world.truth) <= 1.645 * found.std)
    covered = np.array(inside)
    assert 0.83 <= covered[:, :count].mean() <= 0.96
    assert 0.83 <= covered[:, count:].mean() <= 0.96


def test_a_covariance_is_symmetric_without_negative_eigenvalues() -> None:
    world = World.of(8)
    covariance = world.believed(world.fit(20, 0.3, {"good": world.proxy(0.2)})).covariance
    assert (covariance == covariance.T).all()
    assert np.linalg.eigvalsh(covariance).min() > -1e-9


# What changes nothing


def test_the_order_of_the_networks_changes_no_bit() -> None:
    world = World.of(9)
    values, n_seeds = world.truth[:15], world.rng.integers(1, 4, 15)
    proxies = {"good": world.proxy(0.2)}
    order = world.rng.permutation(15)
    given = fit(world.keys[:15], world.features[:15], NAMES, values, n_seeds, 0.2, proxies)
    mixed = fit(
        [world.keys[n] for n in order],
        world.features[order],
        NAMES,
        values[order],
        n_seeds[order],
        0.2,
        proxies,
    )
    for one, other in zip(
        (world.believed(given).mean, world.believed(given).covariance),
        (world.believed(mixed).mean, world.believed(mixed).covariance),
        strict=True,
    ):
        assert (one == other).all()


def test_units_of_values_features_and_scores_change_nothing() -> None:
    world = World.of(10)
    proxy = world.proxy(0.2)
    cubed = ProxyScores({key: score**3 for key, score in proxy.scores.items()})
    table = world.features * [1 / np.log(2), 1000, 0.01] + [5, 0, 3]

    def told(unit: float, features: Array, proxy: ProxyScores) -> tuple[Posterior, dict[str, float]]:
        values = unit * world.truth[:20]
        model = fit(world.keys[:20], features[:20], NAMES, values, [2] * 20, 0.3 * unit, {"j": proxy})
        return model.posterior(world.keys, features), model.variance_shares

    (one, variance_shares), (other, others) = told(1, world.features, proxy), told(100, table, cubed)
    np.testing.assert_allclose(other.mean / 100, one.mean, atol=1e-4)
    np.testing.assert_allclose(other.std / 100, one.std, atol=1e-4)
    assert others == pytest.approx(variance_shares, abs=1e-4)


def test_a_network_far_outside_what_was_seen_is_no_further_than_the_edge() -> None:
    world = World.of(11, structure=0.0)
    model = fit(world.keys[:20], world.features[:20], NAMES, world.features[:20, 1], [1] * 20, 0.1)
    far = np.array([[15.5, 1e3, 0], [15.5, 1e6, 0]])
    found = model.posterior(["far", "further"], far).mean
    assert found[0] == found[1] < 5


# What is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keys": ["a"]}, "lengths above 0, got 1, 2, 2, 2"),
        ({"keys": ["a", "a"]}, "duplicate keys"),
        ({"values": [1.0, float("nan")]}, "must be finite"),
        ({"n_seeds": [1, 0]}, "at least 1 training, got 0"),
        ({"names": ["size"]}, "need a column log_macs, got size"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {
        "keys": ["a", "b"],
        "features": column(1, 2),
        "names": ONLY_MACS,
        "values": [1.0, 2.0],
        "n_seeds": [1, 1],
        "noise": None,
    }
    with pytest.raises(ValueError, match=message):
        fit(**{**given, **change})
