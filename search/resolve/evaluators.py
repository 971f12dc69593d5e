"""Evaluators of accuracy: by name, or a function of the caller's."""

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path

from ...evaluate import Accuracy
from ...evaluate.plugins import is_object_label
from ...evaluate.scorers import SCORER_NAMES, EvaluationContext, Score, Scorer, evaluator, scorer_kind
from ...search_space import Architecture, GoalError, ScorerError
from .objects import Evaluate

ACCURACY_EVALUATORS = ("train", "supernet", "inherit", "table")


@dataclass(frozen=True)
class FunctionScorer:
    """A function of architecture and seed as a scorer.

    Attributes:
        images: number of validation images, which confidence intervals are computed from.
    """

    name: str
    function: Evaluate
    images: int

    def score(self, architecture: Architecture, seed: int) -> Score:
        """Call the function; a bare number becomes an accuracy without loss or curve.

        Raises:
            ScorerError: the result is no accuracy from 0 to 1.
        """
        start, cpu_start = time.perf_counter(), time.process_time()
        result = self.function(architecture, seed)
        seconds = time.perf_counter() - start
        if not isinstance(result, Accuracy):
            result = Accuracy(float(result), math.nan, self.images, 0, seed, seconds, ())
        if not 0 <= result.top1 <= 1:
            raise ScorerError(f"evaluator {self.name}: accuracy must be from 0 to 1, got {result.top1}")
        return Score(result.top1, time.process_time() - cpu_start, replace(result, seed=seed))


def resolve_scorer(name: str, context: EvaluationContext, function: Evaluate | None = None) -> Scorer:
    """The scorer of a name, or of a function in its place.

    Raises:
        BneckError: no such scorer, or its file is missing or does not fit.
    """
    if function is not None:
        return FunctionScorer(name, function, context.data.count("validation"))
    return evaluator(name, context)


def resolve_evaluator(name: str) -> str:
    """The name of an evaluator that gives accuracies, its files with absolute paths.

    Raises:
        UnknownNameError: no such evaluator.
        GoalError: it gives no accuracy, as proxies do.
    """
    if is_object_label(name):
        return name
    kind, files = scorer_kind(name), name.partition(":")[2]
    if kind not in ACCURACY_EVALUATORS:
        known = ", ".join(each for each in SCORER_NAMES if each.partition(":")[0] in ACCURACY_EVALUATORS)
        raise GoalError(f"--evaluator {name} gives no accuracy, which a search needs; choose one of {known}")
    return f"{kind}:{','.join(str(Path(file).resolve()) for file in files.split(','))}" if files else kind
