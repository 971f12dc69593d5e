"""A network against the baselines of its search, in one sentence."""

from collections.abc import Mapping, Sequence

from ...evaluate import Accuracy, wilson_interval
from ...evaluate.statistics.estimate import Estimate
from ..analysis.front_posterior import FrontPosterior
from ..store.search_run import Baseline, Verification
from ..store.trial import Record
from .formatting import joined_names


def baselines_text(
    record: Record,
    baselines: Sequence[Baseline],
    verifications: Mapping[str, Verification],
    front_posterior: FrontPosterior | None,
) -> str:
    """Accuracy of a network minus that of each baseline, with the 95% interval, and the ratio of latencies.

    On the test images, which the search did not select by, where the network was evaluated on them. Empty
    without baselines.

    Args:
        front_posterior: None where the seed variance is unknown.
    """
    if not baselines or not record.trainings:
        return ""
    tested = verifications.get(record.key)
    if tested and tested.test_top1 is not None and all(each.test_images for each in baselines):
        own = _on_images(tested.test_top1, tested.test_images)
        others = [_on_images(each.test_top1, each.test_images) for each in baselines]
        start = f"On {tested.test_images:,} test images, first seed"
    else:
        own = record.estimated_accuracy
        others = [baseline_accuracy(each.accuracy, front_posterior) for each in baselines]
        start = "On validation images, by which the search selected it"
    parts = [
        f"{difference_text(own.minus(other))} against {each.name}{_latency_text(record, each)}"
        for each, other in zip(baselines, others, strict=True)
    ]
    return f"{start}: {joined_names(parts)} (95% intervals)."


def baseline_accuracy(accuracy: Accuracy, front_posterior: FrontPosterior | None) -> Estimate:
    """The accuracy of a network that was not selected by it."""
    if front_posterior is not None:
        return front_posterior.estimate_unselected(accuracy)
    return Estimate(accuracy.top1, *accuracy.ci95)


def difference_text(difference: Estimate) -> str:
    """`+1.2 pp (-0.3 to 2.7)`."""
    value, low, high = (100 * each for each in (difference.value, difference.low, difference.high))
    return f"{value:+.1f} pp ({low:.1f} to {high:.1f})"


def _on_images(top1: float, images: int) -> Estimate:
    return Estimate(top1, *wilson_interval(top1, images))


def _latency_text(record: Record, baseline: Baseline) -> str:
    """` at 0.12x its latency`."""
    if record.latency is None or not baseline.latency.ratio:
        return ""
    return f" at {record.latency.ratio / baseline.latency.ratio:.2f}x its latency"
