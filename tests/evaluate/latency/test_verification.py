"""Verified latencies: bounds by tables of Student's t, and coverage of known values."""

import math
import random
from statistics import fmean

import pytest

from bneck.evaluate import Latency
from bneck.evaluate.latency.measurement import failed_latency
from bneck.evaluate.latency.verification import VerifiedLatency, verify_latencies

# Student's t by degrees of freedom, for 95% on one side and 95% on both, as tables give it
ONE_SIDED = {1: 6.314, 2: 2.920, 3: 2.353, 4: 2.132, 10: 1.812}
TWO_SIDED = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 10: 2.228}
TABLE = 1e-3  # they have four digits


def latency(ratio: float, status: str = "ok", **more: float) -> Latency:
    return Latency(ratio, ratio, ratio, 10 * ratio, status, **more)  # type: ignore[arg-type]


def apart(log: float, ratio: float = 1.0) -> tuple[Latency, Latency]:
    """Two processes so far apart, on the log scale, around a ratio."""
    return latency(ratio * math.exp(log / 2)), latency(ratio * math.exp(-log / 2))


def assert_is(result: VerifiedLatency, ratio: float, std: float, degrees_of_freedom: int) -> None:
    """The mean and its bounds, from the standard deviation of a mean of two."""
    assert result.latency.ratio == pytest.approx(ratio)
    assert result.ratio_upper == pytest.approx(
        ratio * math.exp(ONE_SIDED[degrees_of_freedom] * std), rel=TABLE
    )
    both = math.exp(TWO_SIDED[degrees_of_freedom] * std)
    assert result.latency.ratio_low == pytest.approx(ratio / both, rel=TABLE)
    assert result.latency.ratio_high == pytest.approx(ratio * both, rel=TABLE)


def test_the_bounds_of_one_network_follow_from_its_two_processes() -> None:
    # of two values that are d apart the mean has a standard deviation of d / 2
    assert_is(verify_latencies({"a": apart(0.02, 3.0)})["a"], 3.0, 0.01, degrees_of_freedom=1)
    assert_is(verify_latencies({"a": apart(-0.02, 3.0)})["a"], 3.0, 0.01, degrees_of_freedom=1)


@pytest.mark.parametrize("count", [2, 3, 4, 10])
def test_more_networks_add_degrees_of_freedom(count: int) -> None:
    pairs = {str(number): apart(0.02 * (-1) ** number, 1.0 + number) for number in range(count)}
    for number, result in enumerate(verify_latencies(pairs).values()):
        assert_is(result, 1.0 + number, 0.01, degrees_of_freedom=count)


def test_networks_share_the_root_of_their_mean_square() -> None:
    # halves of the gaps are 0.01 and 0.07: sqrt((1 + 49) / 2) = 5
    verified = verify_latencies({"calm": apart(0.02), "wild": apart(0.14, 0.5)})
    assert_is(verified["calm"], 1.0, 0.05, degrees_of_freedom=2)
    assert_is(verified["wild"], 0.5, 0.05, degrees_of_freedom=2)


def test_the_mean_is_the_geometric_one_with_milliseconds_on_the_scale_of_the_ratio() -> None:
    verified = verify_latencies({"a": (latency(2.0), latency(8.0))})["a"].latency
    assert verified.ratio == pytest.approx(4)
    # a ratio of 1 takes 10 ms
    assert verified.latency_ms == pytest.approx(40)


def test_two_processes_that_agree_leave_no_doubt() -> None:
    verified = verify_latencies({"a": (latency(2.0), latency(2.0))})["a"]
    assert verified.latency.ratio == pytest.approx(2)
    assert (
        verified.ratio_upper
        == verified.latency.ratio
        == verified.latency.ratio_low
        == verified.latency.ratio_high
    )


def test_networks_that_failed_in_either_process_are_left_out_and_do_not_count() -> None:
    pairs = {
        "first": (failed_latency("broke"), latency(1.0)),
        "good": apart(0.02),
        "second": (latency(9.0), failed_latency("broke")),
        "both": (failed_latency("broke"), failed_latency("broke")),
    }
    verified = verify_latencies(pairs)
    assert list(verified) == ["good"]
    assert_is(verified["good"], 1.0, 0.01, degrees_of_freedom=1)


def test_failed_measurements_are_left_out() -> None:
    assert verify_latencies({}) == {}
    assert verify_latencies({"a": (failed_latency("broke"), failed_latency("broke"))}) == {}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [("ok", "ok", "ok"), ("noisy", "ok", "noisy"), ("ok", "noisy", "noisy"), ("noisy", "noisy", "noisy")],
)
def test_a_mean_is_noisy_where_a_process_was(first: str, second: str, expected: str) -> None:
    assert (
        verify_latencies({"a": (latency(1.0, first), latency(1.0, second))})["a"].latency.status == expected
    )


def test_seconds_and_pairs_add_up_and_the_greater_load_counts() -> None:
    first = latency(1.0, pairs=12, seconds=1.5, load=0.5)
    second = latency(1.0, pairs=30, seconds=2.0, load=0.25)
    for pair in ((first, second), (second, first)):
        verified = verify_latencies({"a": pair})["a"].latency
        assert (verified.pairs, verified.seconds, verified.load) == (42, 3.5, 0.5)


def test_clock_and_device_stay_as_they_were_measured() -> None:
    one = Latency(1.0, 1.0, 1.0, 10.0, "ok", clock="CPU time", device="abc")
    verified = verify_latencies({"a": (one, one)})["a"].latency
    assert (verified.clock, verified.device, verified.source) == ("CPU time", "abc", "measured")


@pytest.mark.parametrize("count", [1, 3, 8])
def test_the_truth_is_below_the_bound_in_95_of_100_and_within_both_in_as_many(count: int) -> None:
    # every process is off by its own 3%
    rng = random.Random(count)
    truths = {str(number): 0.3 * 1.5**number for number in range(count)}

    def one_process(truth: float) -> Latency:
        return latency(truth * math.exp(rng.gauss(0, 0.03)))

    below: list[bool] = []
    within: list[bool] = []
    for _ in range(1500):
        verified = verify_latencies(
            {key: (one_process(truth), one_process(truth)) for key, truth in truths.items()}
        )
        below += [truth < verified[key].ratio_upper for key, truth in truths.items()]
        within += [
            verified[key].latency.ratio_low < truth < verified[key].latency.ratio_high
            for key, truth in truths.items()
        ]
    assert fmean(below) == pytest.approx(0.95, abs=0.02)
    assert fmean(within) == pytest.approx(0.95, abs=0.02)
