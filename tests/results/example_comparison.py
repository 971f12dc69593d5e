"""Made-up comparisons: contestants by their right answers in percent, one value a seed."""

from collections.abc import Mapping, Sequence

from bneck.evaluate import Latency
from bneck.results.analysis.comparison import Comparison, Result, Variant

IMAGES = 1000


def latency(ratio: float, reference_ms: float = 2.0) -> Latency:
    """Its interval is from 10% below to 20% above."""
    return Latency(ratio, 0.9 * ratio, 1.2 * ratio, ratio * reference_ms, "ok")


def results(name: str, percents: Mapping[int, float], images: int = IMAGES) -> tuple[Result, ...]:
    return tuple(
        Result(name, seed, percent / 100, 0.5, percent / 100 + 0.01, images, 30.0 + seed, 4, percent / 100)
        for seed, percent in percents.items()
    )


def variant(
    name: str,
    percents: Sequence[float] | Mapping[int, float],
    ratio: float | None = None,
    *,
    macs: int = 2_000_000,
    images: int = IMAGES,
) -> Variant:
    """The seeds are 0, 1, ... if they are not given."""
    by_seed = percents if isinstance(percents, Mapping) else dict(enumerate(percents))
    measured = None if ratio is None else latency(ratio)
    return Variant(name, f"key-{name}", macs, 50_000, measured, results(name, by_seed, images))


def comparison(*variants: Variant) -> Comparison:
    return Comparison(variants, "digits", "4 epochs", "mobilenet_v2")
