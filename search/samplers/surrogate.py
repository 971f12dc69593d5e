"""Models of a quantity of networks, learned from those that were judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ...evaluate.surrogate.gaussian_process import Judge, Predictor, fit
from ...evaluate.surrogate.hyperparameters import Prior
from .encoding import Known, Seen
from .expected_hypervolume import Array

Found = Mapping[int, tuple[float, int]]

EARLIER = "earlier"
TRUSTED = 0.0  # the likelihood that an earlier search must add: it is no judge that may be useless
GROWTH = 1.1
MOST_FITTED = 200


@dataclass(frozen=True, eq=False)
class Earlier:
    """What another search of the same space has learned; how it orders networks may hold here too."""

    predictor: Predictor

    def scores(self, networks: Sequence[Seen]) -> list[float]:
        """What it believes of each."""
        keys = [each.architecture.key for each in networks]
        found: list[float] = self.predictor.posterior(keys, _features(networks)).mean.tolist()
        return found

    @cached_property
    def own(self) -> Mapping[str, float]:
        """By the networks that were judged there."""
        return dict(zip(self.predictor.known.keys, self.predictor.fitted.tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class Surrogate:
    """A quantity of any network, as believed from what was found of some.

    Attributes:
        known: the networks it is learned from, `n`, and `values` of theirs.
        earlier: an earlier search that tells something here; None where there is none.
    """

    prior: Prior
    names: tuple[str, ...]
    known: Sequence[Known]
    values: Array
    earlier: Earlier | None = None

    def of(self, networks: Sequence[Seen]) -> tuple[Array, Array]:
        """Means and deviations of networks that were not judged."""
        keys = [f"new {place}" for place in range(len(networks))]
        earlier = dict(zip(keys, self.earlier.scores(networks), strict=True)) if self.earlier else {}
        found = self._predictor.posterior(keys, _features(networks), {EARLIER: earlier})
        return found.mean, found.deviation

    @property
    def of_known(self) -> Array:
        """Means of the networks that it is learned from, without the noise of their trainings."""
        return self._predictor.fitted

    def awaiting(self, pending: Sequence[Seen]) -> "Surrogate":
        """The same as if networks that are being judged came out as expected (a kriging believer).

        Source: Ginsbourger et al. 2010, doi:10.1007/978-3-642-10701-6_6.
        """
        if not pending:
            return self
        values = np.append(self.values, self.of(pending)[0])
        return replace(self, known=[*self.known, *map(Known, pending)], values=values)

    @cached_property
    def _predictor(self) -> Predictor:
        keys = [each.key for each in self.known]
        networks = [each.seen for each in self.known]
        trainings = [each.trainings for each in self.known]
        judges = judges_of(self.earlier, self.known)
        return Predictor.of(self.prior, keys, _features(networks), self.names, self.values, trainings, judges)


@dataclass
class Learner:
    """Makes surrogates; how much each part of a model varies is found anew when a tenth more is known.

    So most proposals cost no fit, and what is proposed follows from what is known alone.

    Attributes:
        names: of the features.
    """

    names: tuple[str, ...]
    earlier: Earlier | None = None
    _fitted: dict[str, tuple[object, Predictor]] = field(default_factory=dict)

    def learn(
        self,
        quantity: str,
        known: Sequence[Known],
        values: Sequence[float],
        noise: float | None,
        kept: Sequence[int],
    ) -> Surrogate:
        """The surrogate of a quantity.

        Args:
            known: at least one network, in the order of their trials.
            noise: deviation of a value of one training; found with the rest if None.
            kept: places of those that the surrogate looks at.
        """
        size = _step_below(len(known))
        places = np.unique(np.linspace(0, size - 1, min(size, MOST_FITTED)).round().astype(int))
        first = [known[place] for place in places]
        heights = [values[place] for place in places]
        told = ([each.key for each in first], heights, [each.trainings for each in first], noise)
        if quantity not in self._fitted or self._fitted[quantity][0] != told:
            judges = judges_of(self.earlier, first) if quantity == "accuracy" else {}
            keys, _, trainings, _ = told
            features = _features([each.seen for each in first])
            model = fit(keys, features, self.names, heights, trainings, noise, judges, TRUSTED)
            self._fitted[quantity] = told, model
        model = self._fitted[quantity][1]
        earlier = self.earlier if EARLIER in model.judges else None
        looked_at = [known[place] for place in kept]
        heights = [values[place] for place in kept]
        return Surrogate(model.prior, self.names, looked_at, np.array(heights), earlier)


def judges_of(earlier: Earlier | None, known: Sequence[Known]) -> Mapping[str, Judge]:
    """The earlier search as a judge of the networks known, which rank among those judged there."""
    if earlier is None:
        return {}
    scores = earlier.scores([each.seen for each in known])
    return {EARLIER: Judge({**earlier.own, **dict(zip([each.key for each in known], scores, strict=True))})}


def _step_below(count: int) -> int:
    """The last step of a ladder, each a tenth above the one before, that is not above the count."""
    step = 1
    while (following := max(step + 1, round(step * GROWTH))) <= count:
        step = following
    return step


def _features(networks: Sequence[Seen]) -> Array:
    return np.array([each.features for each in networks])
