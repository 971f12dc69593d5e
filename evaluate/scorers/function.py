"""Evaluators of third parties: functions, objects and factories as a `Scorer`."""

import inspect
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ...search_space import Architecture, PluginError, ScorerError
from ..training.accuracy import Accuracy
from . import EvaluationContext, Score, Scorer

Evaluate = Callable[[Architecture, int], float | Accuracy]


@dataclass(frozen=True)
class FunctionScorer:
    """A function of architecture and seed as a `Scorer`.

    Attributes:
        function: returns top-1 as a fraction (0 to 1), or an `Accuracy`.
        images: number of validation images, for the confidence interval of a bare fraction.
    """

    name: str
    function: Evaluate
    images: int

    def score(self, architecture: Architecture, seed: int) -> Score:
        """Call the function; a bare fraction becomes an `Accuracy` without loss and curve.

        Raises:
            ScorerError: the result is not an accuracy from 0 to 1.
        """
        start, cpu_start = time.perf_counter(), time.process_time()
        result = self.function(architecture, seed)
        seconds = time.perf_counter() - start
        if not isinstance(result, Accuracy):
            try:
                result = Accuracy(float(result), math.nan, self.images, 0, seed, seconds, ())
            except (TypeError, ValueError):
                raise ScorerError(
                    f"evaluator {self.name}: must return a fraction or an Accuracy, got {result!r}"
                ) from None
        if not 0 <= result.top1 <= 1:
            raise ScorerError(f"evaluator {self.name}: accuracy must be from 0 to 1, got {result.top1}")
        try:
            _ = result.correct
        except ValueError as error:
            raise ScorerError(f"evaluator {self.name}: {error}") from None
        return Score(result.top1, time.process_time() - cpu_start, replace(result, seed=seed))


def adapt(name: str, source: Any, context: EvaluationContext) -> Scorer:
    """A third party's object as a `Scorer`.

    Args:
        source: a `Scorer`; a function of architecture and seed (see `FunctionScorer`); or a factory of
            either: a function of an `EvaluationContext`, or a class.
    Raises:
        PluginError: it is none of these.
    """
    if not isinstance(source, type):
        if hasattr(source, "score"):
            scorer: Scorer = source
            return scorer
        if _n_parameters(source) == 2:
            return FunctionScorer(name, source, context.data.count("validation"))
    if isinstance(source, type) or _n_parameters(source) == 1:
        made = source(context) if _n_parameters(source) else source()
        if hasattr(made, "score") or _n_parameters(made) == 2:
            return adapt(name, made, context)
    raise PluginError(
        f"evaluator {name}: must be a Scorer, a function (architecture, seed) -> accuracy, or a factory of "
        f"these that takes an EvaluationContext, got {source!r}"
    )


def _n_parameters(source: Any) -> int | None:
    """Number of positional parameters without default; None if it cannot be called."""
    if not callable(source):
        return None
    try:
        parameters = inspect.signature(source).parameters.values()
    except ValueError:  # builtins
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in positional and each.default is each.empty for each in parameters)
