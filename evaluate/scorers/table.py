"""Scores from a CSV file: a tabular benchmark, or results of trainings elsewhere."""

import csv
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...search_space import Architecture, FileFormatError, ScorerError
from ...search_space.serialization.yaml_nodes import YamlNode
from ..training.accuracy import Accuracy
from . import EvaluationContext, Score

REQUIRED, OPTIONAL = ("key", "top1"), ("seed", "loss", "seconds")


@dataclass(frozen=True)
class TableScorer:
    """Lookup of accuracies in a table.

    Attributes:
        rows: accuracies by architecture key, in file order; a seed selects the row `seed % number of rows`.
    """

    name: str
    rows: Mapping[str, tuple[Accuracy, ...]]

    def score(self, architecture: Architecture, seed: int) -> Score:
        start = time.process_time()
        network_rows = self.rows.get(architecture.key, ())
        if not network_rows:
            file = self.name.partition(":")[2]
            raise ScorerError(f"{file}: no row with key {architecture.key}; add one, or train the network")
        accuracy = network_rows[seed % len(network_rows)]
        return Score(accuracy.top1, time.process_time() - start, accuracy)


def read_table(path: Path, images: int) -> dict[str, tuple[Accuracy, ...]]:
    """Read the accuracies of a CSV file, by architecture key.

    Required columns: `key` and `top1` (fraction from 0 to 1). Optional: `seed`, `loss` and `seconds`. Other
    columns are ignored. A missing loss is NaN, a missing time 0, and a missing seed the index of the row
    among the rows of its key.

    Args:
        images: number of validation images behind each accuracy.
    Raises:
        FileFormatError: the file is missing or invalid; names line and column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
        raise FileFormatError(f"{path}: cannot be read: {reason}") from None
    lines = csv.reader(text.splitlines(), strict=True)
    accuracies: dict[str, list[Accuracy]] = {}
    try:
        columns = _columns(next(lines, []), str(path))
        for values in lines:
            if values:
                row = _row(columns, values, str(path), lines.line_num)
                key, accuracy = _accuracy(row, images, accuracies)
                accuracies.setdefault(key, []).append(accuracy)
    except csv.Error as error:
        raise FileFormatError(f"{path}:{lines.line_num}: invalid CSV: {error}") from None
    return {key: tuple(rows) for key, rows in accuracies.items()}


def make(name: str, context: EvaluationContext) -> TableScorer:
    return TableScorer(name, read_table(Path(name.partition(":")[2]), context.data.count("validation")))


def _columns(header: list[str], source: str) -> list[str]:
    columns = [column.strip() for column in header]
    for column in (*REQUIRED, *OPTIONAL):
        column_entry = YamlNode(None, source, 1, column)
        if columns.count(column) > 1:
            raise column_entry.error("duplicate column")
        if column in REQUIRED and column not in columns:
            raise column_entry.error(f"missing column; the columns are: {', '.join(columns) or 'none'}")
    return columns


def _row(columns: list[str], values: list[str], source: str, line: int) -> dict[str, YamlNode]:
    if len(values) != len(columns):
        raise YamlNode(None, source, line, "").error(f"{len(values)} values for {len(columns)} columns")
    pairs = zip(columns, values, strict=True)
    return {column: YamlNode(value.strip(), source, line, column) for column, value in pairs}


def _accuracy(
    row: Mapping[str, YamlNode], images: int, accuracies: Mapping[str, list[Accuracy]]
) -> tuple[str, Accuracy]:
    key, top1 = row["key"].text(), _number(row["top1"])
    if not key:
        raise row["key"].error("must be the key of an architecture, got an empty value")
    if top1 > 1:
        raise row["top1"].error(f"must be a fraction from 0 to 1, got {row['top1'].value_text}")
    seed = _seed(row["seed"]) if "seed" in row else len(accuracies.get(key, ()))
    if any(seed == other.seed for other in accuracies.get(key, ())):
        raise row["seed"].error(f"duplicate seed {seed} for key {key}")
    return key, Accuracy(
        top1=top1,
        loss=_number(row["loss"]) if "loss" in row else math.nan,
        images=images,
        images_seen=0,
        seed=seed,
        seconds=_number(row["seconds"]) if "seconds" in row else 0.0,
        curve=(),
    )


def _number(entry: YamlNode) -> float:
    """A finite number of at least 0."""
    try:
        value = float(entry.text())
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise entry.error(f"must be a number of at least 0, got '{entry.value_text}'")
    return value


def _seed(entry: YamlNode) -> int:
    try:
        return int(entry.text())
    except ValueError:
        raise entry.error(f"must be a whole number, got '{entry.value_text}'") from None
