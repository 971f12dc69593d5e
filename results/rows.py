"""The front as rows: for programs (JSON, CSV) and for people."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .record import Record

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = (
    "trial",
    "key",
    "accuracy",
    "accuracy_margin",
    "latency_ms",
    "latency_ratio",
    "latency_ratio_low",
    "latency_ratio_high",
    "macs",
    "params",
)


def front_row(record: Record) -> dict[str, Any]:
    """One network as plain values; accuracy as a share, latency in milliseconds."""
    return {
        "trial": record.trial,
        "key": record.key,
        "accuracy": record.accuracy.top1 if record.accuracy else None,
        "accuracy_margin": record.accuracy.margin if record.accuracy else None,
        "latency_ms": record.latency.latency_ms if record.latency else None,
        "latency_ratio": record.latency.ratio if record.latency else None,
        "latency_ratio_low": record.latency.ratio_low if record.latency else None,
        "latency_ratio_high": record.latency.ratio_high if record.latency else None,
        "macs": record.cost.macs,
        "params": record.cost.params,
    }


def front_json(records: Sequence[Record]) -> str:
    """A list of rows, for programs."""
    return json.dumps([front_row(record) for record in records], indent=2)


def frame(records: Sequence[Record]) -> "DataFrame":
    """A table for pandas: one row a network, columns as in `front_row`."""
    import pandas

    return pandas.DataFrame([front_row(record) for record in records], columns=list(COLUMNS))


def front_csv(records: Sequence[Record]) -> str:
    """The same columns as comma-separated values, with a heading."""
    text: str = frame(records).to_csv(index=False, lineterminator="\n")
    return text
