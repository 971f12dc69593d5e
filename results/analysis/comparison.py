"""Comparison of networks, or of augmentations, that were trained with the same seeds.

Seeds are blocks: with one seed all variants use the same initialization rule and the same image order.
Differences are taken within seeds, so the main effect of a seed cancels.
"""

import math
import statistics
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from ...evaluate import Latency, wilson_interval
from ...evaluate.statistics.outcomes import paired_std, unpack_outcomes
from ...evaluate.statistics.reliability import residual_std, student_t_quantile, studentized_range
from ...evaluate.statistics.true_accuracies import Z95
from ...evaluate.training.trivial_accuracy import TrivialAccuracy


@dataclass(frozen=True)
class Result:
    """Result of one training.

    Attributes:
        name: name of the variant.
        top1, loss: on the test images.
        images: number of test images.
        seconds: training time.
        balanced_accuracy: mean recall of the classes on the test images.
        outcomes: which test images were classified correctly, by `pack_outcomes`; empty if unknown.
    """

    name: str
    seed: int
    top1: float
    loss: float
    validation_top1: float
    images: int
    seconds: float
    epochs: int
    balanced_accuracy: float
    outcomes: str = ""


@dataclass(frozen=True)
class Variant:
    """A network (or an augmentation) trained with one or more seeds.

    Attributes:
        key: key of the architecture.
        latency: None if not measured.
        results: one per seed, at least one.
    Raises:
        ValueError: no result, or two results with the same seed.
    """

    name: str
    key: str
    macs: int
    params: int
    latency: Latency | None
    results: tuple[Result, ...]

    def __post_init__(self) -> None:
        if not self.results:
            raise ValueError(f"{self.name}: needs at least one result, got none")
        if len(set(self.seeds)) < len(self.results):
            raise ValueError(f"{self.name}: at most one result per seed, got seeds {self.seeds}")

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(result.seed for result in self.results)

    @property
    def measured(self) -> Latency | None:
        """The latency unless the measurement failed."""
        return self.latency if self.latency and self.latency.status != "failed" else None

    @property
    def mean(self) -> float:
        """Mean test top-1 over the seeds."""
        return statistics.fmean(result.top1 for result in self.results)

    @property
    def std(self) -> float | None:
        """Sample standard deviation of the test top-1 over the seeds; None with one."""
        top1s = [result.top1 for result in self.results]
        return statistics.stdev(top1s) if len(top1s) > 1 else None

    @property
    def top1_ci95(self) -> tuple[float, float]:
        """95% interval of `mean`; `ci95_source` names the source of variation.

        With several seeds: Student's t over the seeds, for the given test images. With one seed: Wilson's
        score interval for the test images, without seed noise.
        """
        count = len(self.results)
        if self.std is None:
            return wilson_interval(self.mean, self.results[0].images)
        half_width = student_t_quantile(count - 1) * self.std / math.sqrt(count)
        return max(0.0, self.mean - half_width), min(1.0, self.mean + half_width)

    @property
    def ci95_source(self) -> Literal["seeds", "images"]:
        return "seeds" if len(self.results) > 1 else "images"


@dataclass(frozen=True)
class Comparison:
    """Variants in the order requested.

    Attributes:
        data: name of the data set.
        recipe: training recipe in words.
        reference: network with latency ratio 1; empty if no latency was measured.
        factor: what differs between the variants.
        trivial: accuracy without looking at the test images; None if it is not known.
    Raises:
        ValueError: no variant, or two with the same name.
    """

    variants: tuple[Variant, ...]
    data: str
    recipe: str
    reference: str = ""
    factor: Literal["networks", "augmentations"] = "networks"
    trivial: TrivialAccuracy | None = None

    def __post_init__(self) -> None:
        names = [each.name for each in self.variants]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"variants must have unique names, got {names}")

    @property
    def images(self) -> int:
        """Number of test images."""
        return self.variants[0].results[0].images

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that all variants share, ascending."""
        return tuple(sorted(set.intersection(*(set(each.seeds) for each in self.variants))))

    @property
    def complete(self) -> bool:
        """Whether all variants were trained with the same seeds."""
        return all(set(each.seeds) == set(self.seeds) for each in self.variants)

    def is_better_than_majority(self, variant: Variant) -> bool:
        """Whether the mean test top-1 is significantly above chance and the majority class (95%)."""
        return self.trivial is None or self.trivial.is_beaten_by(variant.mean)

    @property
    def best(self) -> Variant:
        """The variant with the highest mean; ties go to the first."""
        return max(self.variants, key=lambda each: each.mean)

    @property
    def indistinguishable_from_best(self) -> list[Variant]:
        """The others without a significant difference from the best."""
        others = (each for each in self.variants if each is not self.best)
        return [each for each in others if not self.is_significant(self.best, each)]

    def difference(self, a: Variant, b: Variant) -> float:
        """Mean test top-1 of `a` minus that of `b`, over the shared seeds; over all if none is shared."""
        if not self.seeds:
            return a.mean - b.mean
        top1s = [{result.seed: result.top1 for result in each.results} for each in (a, b)]
        return statistics.fmean(top1s[0][seed] - top1s[1][seed] for seed in self.seeds)

    def significance_threshold(self, a: Variant, b: Variant) -> float:
        """Smallest significant difference in test top-1 (95%).

        With several seeds it is equal for all pairs: Tukey's honestly significant difference with seeds as
        blocks (for two variants: the paired t test). It assumes equal variance of all variants and corrects
        for the number of pairs. With one seed only the test images count, paired.

        Source: Montgomery, Design and Analysis of Experiments, sections 3.5 and 4.1.
        """
        if self.least_significant_difference is None:
            return Z95 * self._image_std(a.results[0], b.results[0])
        return self.least_significant_difference

    def _image_std(self, a: Result, b: Result) -> float:
        """Standard error of a difference of two trainings over the test images."""
        if a.outcomes and b.outcomes:
            first, second = (unpack_outcomes(each.outcomes, self.images) for each in (a, b))
            return paired_std(first, second)
        intervals = [wilson_interval(each.top1, self.images) for each in (a, b)]
        return math.hypot(*(high - low for low, high in intervals)) / (2 * Z95)

    def is_significant(self, a: Variant, b: Variant) -> bool:
        """Whether the difference exceeds `significance_threshold`."""
        return abs(self.difference(a, b)) > self.significance_threshold(a, b)

    @cached_property
    def least_significant_difference(self) -> float | None:
        """Tukey's HSD over the shared seeds; None with fewer than two seeds or two variants."""
        seeds, count = self.seeds, len(self.variants)
        if len(seeds) < 2 or count < 2:
            return None
        top1s = [{result.seed: result.top1 for result in each.results} for each in self.variants]
        noise = residual_std([[top1[seed] for seed in seeds] for top1 in top1s])
        # Equal counts in all seeds would give zero variance; accuracy has a resolution of one image.
        noise = max(noise, 1 / self.images / math.sqrt(2))
        return studentized_range(count, (count - 1) * (len(seeds) - 1)) * noise / math.sqrt(len(seeds))
