"""Networks, or augmentations, trained with the same seeds and held against each other.

A seed is a block: with it all contestants start by the same rule and see the images in the same
order. Differences are taken within seeds, so what a seed does to all of them cancels.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from ...evaluate import Latency, wilson_half_width
from ...evaluate.statistics.reliability import residual_std, student_t_quantile, studentized_range
from ..text.formatting import pluralize

_MOST_LISTED = 4


@dataclass(frozen=True)
class Result:
    """One training.

    Attributes:
        name: of the contestant.
        top1, loss: on the test images.
        images: number of test images.
        seconds: that training took.
    """

    name: str
    seed: int
    top1: float
    loss: float
    validation_top1: float
    images: int
    seconds: float
    epochs: int


@dataclass(frozen=True)
class Variant:
    """What was trained several times.

    Attributes:
        key: of the architecture.
        latency: None where it was not measured.
        results: one a seed, at least one.
    Raises:
        ValueError: no result, or two of one seed.
    """

    name: str
    key: str
    macs: int
    params: int
    latency: Latency | None
    results: tuple[Result, ...]

    def __post_init__(self) -> None:
        if not self.results:
            raise ValueError(f"{self.name}: a contestant needs a result, got none")
        if len(set(self.seeds)) < len(self.results):
            raise ValueError(f"{self.name}: a seed may have one result, got the seeds {self.seeds}")

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(result.seed for result in self.results)

    @property
    def measured(self) -> Latency | None:
        """The latency, if the device gave a time."""
        return self.latency if self.latency and self.latency.status != "failed" else None

    @property
    def mean(self) -> float:
        """Of the test top-1 over the seeds."""
        return statistics.fmean(result.top1 for result in self.results)

    @property
    def std(self) -> float | None:
        """Sample standard deviation of the test top-1 over the seeds; None with one."""
        top1s = [result.top1 for result in self.results]
        return statistics.stdev(top1s) if len(top1s) > 1 else None

    @property
    def top1_ci95(self) -> float:
        """Half the 95% interval of `mean`, of what `ci95_source` says.

        Over the seeds by Student's t, which leaves out that other test images would give another
        accuracy; with one seed by Wilson's score, which leaves out all that another seed would change.
        """
        count = len(self.results)
        if self.std is None:
            return wilson_half_width(self.mean, self.results[0].images)
        return student_t_quantile(count - 1) * self.std / math.sqrt(count)

    @property
    def ci95_source(self) -> Literal["seeds", "images"]:
        return "seeds" if len(self.results) > 1 else "images"


@dataclass(frozen=True)
class Comparison:
    """Contestants, in the order they were asked for.

    Attributes:
        data: name of the data set.
        recipe: how all were trained, in words.
        reference: name of the network for which a latency's ratio is 1; empty if none was measured.
        factor: that differs between the contestants.
    Raises:
        ValueError: no contestant, or two of one name.
    """

    variants: tuple[Variant, ...]
    data: str
    recipe: str
    reference: str = ""
    factor: Literal["networks", "augmentations"] = "networks"

    def __post_init__(self) -> None:
        names = [each.name for each in self.variants]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"contestants must have names of their own, got {names}")

    @property
    def images(self) -> int:
        """Number of test images."""
        return self.variants[0].results[0].images

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those that all contestants were trained with, in order."""
        return tuple(sorted(set.intersection(*(set(each.seeds) for each in self.variants))))

    @property
    def complete(self) -> bool:
        """Whether all were trained with the same seeds."""
        return all(set(each.seeds) == set(self.seeds) for each in self.variants)

    @property
    def best(self) -> Variant:
        """The highest mean; the first of equal ones."""
        return max(self.variants, key=lambda each: each.mean)

    @property
    def indistinguishable_from_best(self) -> list[Variant]:
        """The others that cannot be told apart from the best."""
        others = (each for each in self.variants if each is not self.best)
        return [each for each in others if not self.is_significant(self.best, each)]

    def difference(self, a: Variant, b: Variant) -> float:
        """How much higher the test top-1 of `a` is, over the seeds of all; of the means if there are none."""
        if not self.seeds:
            return a.mean - b.mean
        top1s = [{result.seed: result.top1 for result in each.results} for each in (a, b)]
        return statistics.fmean(top1s[0][seed] - top1s[1][seed] for seed in self.seeds)

    def significance_threshold(self, a: Variant, b: Variant) -> float:
        """How large a difference in test top-1 must be to be no accident (95%).

        With several seeds it is the same for all pairs: Tukey's honestly significant difference,
        seeds as blocks, which for two contestants is the paired t test. It takes the deviation for
        equal among contestants, for three seeds are too few to know it of each pair, and it allows
        for the number of pairs. With one seed, only the test images count, as if each contestant
        had its own.

        Source: Montgomery, Design and Analysis of Experiments, sections 3.5 and 4.1.
        """
        if self.least_significant_difference is None:
            return math.hypot(*(wilson_half_width(each.mean, self.images) for each in (a, b)))
        return self.least_significant_difference

    def is_significant(self, a: Variant, b: Variant) -> bool:
        """Whether the difference is no accident (95% for all pairs, see `significance_threshold`)."""
        return abs(self.difference(a, b)) > self.significance_threshold(a, b)

    def verdict(self) -> str:
        """Which is best, which may be as good, and what so few seeds cannot show."""
        best, others = self.best, len(self.variants) - 1
        on = f"on {self.images:,} test images"
        if not others:
            return f"{best.name} has {accuracy_text(best)} {on}."
        indistinguishable_from_best = [each.name for each in self.indistinguishable_from_best]
        if not indistinguishable_from_best:
            rest = f"it can be told apart from {'the other' if others == 1 else f'all {others} others'}"
        elif len(indistinguishable_from_best) > _MOST_LISTED:
            rest = f"{len(indistinguishable_from_best)} of {others} others cannot be told apart from it"
        else:
            rest = f"{joined_names(indistinguishable_from_best)} cannot be told apart from it"
        return f"Best {on} is {best.name} with {accuracy_text(best)}; {rest}. {self._power_text()}"

    def _power_text(self) -> str:
        """What cannot be seen with so many seeds."""
        others = (each for each in self.variants if each is not self.best)
        least = min(self.significance_threshold(self.best, each) for each in others)
        whose = "" if self.complete else " that all share"
        text = (
            f"With {pluralize(len(self.seeds), 'seed')}{whose} "
            f"a difference under {percentage_points(least)} points would not be seen"
        )
        if self.least_significant_difference is None:
            text += ", and what another seed would change is not even in that"
        return f"{text}."

    @cached_property
    def least_significant_difference(self) -> float | None:
        """The least difference, for all pairs, over the seeds; None with fewer than two seeds, or alone."""
        seeds, count = self.seeds, len(self.variants)
        if len(seeds) < 2 or count < 2:
            return None
        top1s = [{result.seed: result.top1 for result in each.results} for each in self.variants]
        noise = residual_std([[top1[seed] for seed in seeds] for top1 in top1s])
        # Equal counts of right answers in all seeds are luck: the difference is known to an image at best.
        noise = max(noise, 1 / self.images / math.sqrt(2))
        return studentized_range(count, (count - 1) * (len(seeds) - 1)) * noise / math.sqrt(len(seeds))


def accuracy_text(variant: Variant) -> str:
    """`93.1 ± 0.4%`."""
    return f"{100 * variant.mean:.1f} ± {percentage_points(variant.top1_ci95)}%"


def percentage_points(share: float) -> str:
    """Percentage points: one decimal, two below a tenth."""
    return f"{100 * share:.{1 if share >= 0.001 else 2}f}"


def joined_names(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
