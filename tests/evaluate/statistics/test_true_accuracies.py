"""The posterior of true accuracies by hand, and in simulated searches that replicate what looks best."""

import math

import numpy as np
import pytest

from bneck.evaluate.statistics.arrays import Array
from bneck.evaluate.statistics.outcomes import ALL_IMAGES
from bneck.evaluate.statistics.true_accuracies import ConditionalPosteriors, Errors, TrueAccuracies

FLAT = np.ones((4, 1))
LAST_HIGH = np.array([0.0, 0, 0, 4])


def errors_of(n_trainings: list[int], own_variance: float = 0) -> Errors:
    """Of groups whose noise has the deviation 1."""
    counts = np.array(n_trainings, dtype=np.float64)
    return Errors(1 / counts, np.full(len(counts), own_variance))


def posterior_given(
    n_trainings: list[int],
    noise: float = 1,
    structure: float = 1,
    own_variance: float = 0,
    common_std: float = 0,
) -> TrueAccuracies:
    """Networks of equal MACs with means 0, 0, 0 and 4, given the deviations."""
    counts, groups = np.unique(n_trainings, return_inverse=True)
    errors = errors_of(counts.tolist(), own_variance)
    deviations = np.array([noise]), np.array([structure])
    conditional = ConditionalPosteriors.of(LAST_HIGH, groups, errors, FLAT, *deviations)
    return TrueAccuracies(LAST_HIGH, FLAT, groups, ALL_IMAGES, np.full(4, common_std), conditional, 1)


def test_a_mean_is_drawn_half_way_to_the_trend_where_noise_and_structure_are_alike() -> None:
    # a flat trend through 0, 0, 0 and 4 is 1; each is believed in by half
    assert posterior_given([1, 1, 1, 1]).expected.tolist() == pytest.approx([0.5, 0.5, 0.5, 2.5])


def test_three_trainings_are_believed_more_than_one() -> None:
    # variances 2, 2, 2 and 1 + 1/3: the trend is 4 x .75 / (1.5 + .75) = 4/3, the last is believed by 3/4
    assert posterior_given([1, 1, 1, 3]).expected[3] == pytest.approx(4 / 3 + 0.75 * (4 - 4 / 3))


def test_the_spread_is_that_of_a_network_around_the_trend_and_that_of_the_trend() -> None:
    posterior = posterior_given([1, 1, 1, 1])
    # 1/2 around the trend; half of the trend's own 2/4
    assert (posterior.std**2).tolist() == pytest.approx([0.5 + 0.25 * 0.5] * 4)


def test_what_the_images_do_to_a_network_alone_does_not_shrink_with_more_trainings() -> None:
    # noise 1 in 4 trainings, own variance 1/2: 1 of 1 + 1/2 + 1/4 is structure, and all of it remains
    posterior = posterior_given([4, 4, 4, 4], own_variance=0.5)
    share = 1 / 1.75
    assert posterior.expected[3] == pytest.approx(1 + 3 * share)
    # around the trend; the trend's own variance is 1.75/4
    assert posterior.std[0] ** 2 == pytest.approx(share * 0.75 + (1 - share) ** 2 * 1.75 / 4)
    # on these images only the noise remains: 1/4, shrunk by 1.5/1.75
    assert posterior.seed_std[0] ** 2 == pytest.approx(1.5 / 1.75 / 4)


def test_a_shift_of_all_networks_widens_intervals_and_cancels_in_differences() -> None:
    alone, shifted = posterior_given([1] * 4), posterior_given([1] * 4, common_std=3)
    assert (shifted.std**2 - alone.std**2).tolist() == pytest.approx([9] * 4)
    assert shifted.expected.tolist() == alone.expected.tolist()
    spread = [np.ptp(each.draw(4000)[:, :2], axis=1).mean() for each in (alone, shifted)]
    assert spread[0] == pytest.approx(spread[1])


def test_the_draws_have_the_mean_and_the_spread_of_the_mixture() -> None:
    rng = np.random.default_rng(0)
    trainings = [rng.normal(0.8, 0.01, 1 + (number < 8)).tolist() for number in range(30)]
    posterior = TrueAccuracies.of(trainings, rng.uniform(1e6, 2e6, 30))
    assert posterior is not None
    draws = posterior.draw(40_000)
    assert draws.mean(0) == pytest.approx(posterior.expected, abs=2e-4)
    assert draws.std(0) == pytest.approx(posterior.std, rel=0.03)
    estimate = posterior.estimates()[0]
    assert estimate.high - estimate.value == pytest.approx(1.96 * posterior.std[0])


def test_an_interval_ends_at_one() -> None:
    posterior = TrueAccuracies.of([[0.999, 0.991], [0.998], [0.997]], [1e6, 2e6, 3e6])
    assert posterior is not None
    assert max(each.high for each in posterior.estimates()) == 1


@pytest.mark.parametrize("apart", [0.0, 1.0, 5.0])
def test_the_likelihood_of_two_networks_is_that_of_their_difference(apart: float) -> None:
    # the difference is normal with variance 2 (noise^2 + structure^2)
    def expected(variance: float) -> float:
        return -0.5 * math.log(variance) - apart**2 / (2 * 2 * variance)

    means, group, once = np.array([0.0, apart]), np.zeros(2, dtype=np.intp), errors_of([1])
    pairs = np.ones(2), np.array([0.5, 2.0])
    found = ConditionalPosteriors.of(means, group, once, FLAT[:2], *pairs).log_likelihood
    assert found[0] - found[1] == pytest.approx(expected(1.25) - expected(5))


def test_the_noise_is_unknown_without_a_network_that_was_trained_twice() -> None:
    assert TrueAccuracies.of([[0.9], [0.8]], [1e6, 2e6]) is None


def simulated_search(
    rng: np.random.Generator, noise: float, structure: float, slope: float
) -> tuple[Array, TrueAccuracies]:
    """Truth and posterior of 60 networks; the best mean is trained again, 12 times, up to four trainings."""
    size = rng.uniform(-1, 1, 60)
    truth = 70 + slope * size + structure * rng.standard_normal(60)
    trainings = [[value + noise * rng.standard_normal()] for value in truth]
    for _ in range(12):
        best = max((n for n in range(60) if len(trainings[n]) < 4), key=lambda n: np.mean(trainings[n]))
        trainings[best].append(truth[best] + noise * rng.standard_normal())
    posterior = TrueAccuracies.of(trainings, np.exp(14 + size))
    assert posterior is not None
    return truth, posterior


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "structure", "slope"), [(0.4, 0.4, 1.0), (0.6, 0.3, 0.5), (0.6, 0.2, 0.0)])
def test_selection_by_lucky_trainings_biases_neither_noise_nor_the_best_network(
    noise: float, structure: float, slope: float
) -> None:
    rng = np.random.default_rng(1)
    covered, biases, noises = [], [], []
    for _ in range(100):
        truth, posterior = simulated_search(rng, noise, structure, slope)
        draws = posterior.draw(1000)
        best = int(draws.mean(0).argmax())
        low, high = np.quantile(draws[:, best], (0.025, 0.975))
        covered.append(low <= truth[best] <= high)
        biases.append(draws[:, best].mean() - truth[best])
        noises.append(posterior.noise.std)
    # the standard error of a coverage of 0.95 in 100 searches is 0.022
    assert np.mean(covered) >= 0.89
    assert abs(np.mean(biases)) < 0.25 * noise
    assert np.mean(noises) == pytest.approx(noise, rel=0.06)


def test_the_best_of_many_equal_networks_is_shrunk_to_the_others() -> None:
    rng = np.random.default_rng(0)
    raw, shrunk = [], []
    for _ in range(4):
        trainings = [[0.9 + rng.normal(0, 0.01)] for _ in range(60)]
        for again in trainings[:12]:
            again.append(0.9 + rng.normal(0, 0.01))
        posterior = TrueAccuracies.of(trainings, rng.uniform(1e5, 1e6, 60))
        assert posterior is not None
        means = np.array([np.mean(each) for each in trainings])
        best = int(means.argmax())
        raw.append(means[best] - 0.9)
        shrunk.append(posterior.draw()[:, best].mean() - 0.9)
    # the highest of 60 normal values lies 2.3 deviations up
    assert np.mean(raw) == pytest.approx(0.023, abs=0.005)
    assert abs(np.mean(shrunk)) < 0.007


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_a_trend_has_the_degree_that_the_networks_show(degree: int) -> None:
    rng = np.random.default_rng(degree)
    macs = np.geomspace(1e5, 1e7, 40)
    x = np.linspace(-1, 1, 40)
    truth = 0.8 + sum(0.03 * x**power for power in range(1, degree + 1))
    first = truth + rng.normal(0, 0.004, 40)
    posterior = TrueAccuracies.of([(value, value + 0.004 * rng.normal()) for value in first], macs.tolist())
    assert posterior is not None
    each = posterior.conditional
    shares = [each.weights[(each.trend != 0).sum(1) == size].sum() for size in (1, 2, 3)]
    assert int(np.argmax(shares)) == degree
    assert shares[degree] > 0.5
    assert sum(shares) == pytest.approx(1)
    assert posterior.draw().mean(0) == pytest.approx(posterior.expected, abs=1e-3)
