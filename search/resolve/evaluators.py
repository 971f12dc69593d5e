"""Names of evaluators that give accuracies."""

from pathlib import Path

from ...evaluate.scorers import SCORER_NAMES, scorer_kind
from ...search_space import GoalError

ACCURACY_EVALUATORS = ("train", "supernet", "finetuned-supernet", "table")


def resolve_evaluator(name: str) -> str:
    """The name of an evaluator that gives accuracies, its files with absolute paths.

    Raises:
        UnknownNameError: no such evaluator.
        GoalError: it gives no accuracy, as proxies do.
    """
    kind, files = scorer_kind(name), name.partition(":")[2]
    if kind in ("object", "plugin"):
        return name
    if kind not in ACCURACY_EVALUATORS:
        known = ", ".join(each for each in SCORER_NAMES if each.partition(":")[0] in ACCURACY_EVALUATORS)
        raise GoalError(
            f"--evaluator {name} gives no accuracy, which a search needs; choose one of {known} or "
            "module:attribute"
        )
    return f"{kind}:{','.join(str(Path(file).resolve()) for file in files.split(','))}" if files else kind


def with_absolute_files(name: str) -> str:
    """The name of an evaluator that is valid in every working directory."""
    kind, files = scorer_kind(name), name.partition(":")[2]
    return resolve_evaluator(name) if files and kind in ACCURACY_EVALUATORS else name
