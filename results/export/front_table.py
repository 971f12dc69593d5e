"""The front as rows: for programs (JSON, CSV) and for people.

| column | is |
| --- | --- |
| `accuracy` | the mean of the validation accuracies of `trainings` trainings, a share |
| `accuracy_margin` | half its 95% interval, by the noise of seeds; of the images while that is unknown |
| `accuracy_low`, `accuracy_high` | 95%, of the true accuracy without luck; empty while the noise is unknown |
| `on_front_probability` | to be truly on the front of what was judged; empty while unknown |
| `reward` | of accuracy and the distance to a target, where that is the objective |
| `latency_ms`, `latency_ratio` | with `latency_ratio_low` and `latency_ratio_high`, 95% |
| `macs`, `params` | counts |
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...evaluate import Objective
from ..analysis.front_posterior import Certainty
from ..analysis.macs_baseline import MacsRule
from ..store.fidelities import Spent
from ..store.trial import Record
from ..text.formatting import noise_margin

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = (
    "trial",
    "key",
    "accuracy",
    "accuracy_margin",
    "accuracy_low",
    "accuracy_high",
    "trainings",
    "on_front_probability",
    "reward",
    "latency_ms",
    "latency_ratio",
    "latency_ratio_low",
    "latency_ratio_high",
    "macs",
    "params",
)


def front_row(
    record: Record, certainty: Certainty | None = None, reward: Objective | None = None
) -> dict[str, Any]:
    """One network as plain values; accuracy as a share, latency in milliseconds."""
    noise = certainty.noise if certainty else None
    sure = certainty if certainty and record in certainty else None
    low, high = sure.interval(record) if sure else (None, None)
    return {
        "trial": record.trial,
        "key": record.key,
        "accuracy": record.top1 if record.trainings else None,
        "accuracy_margin": noise_margin(record, noise) if record.trainings else None,
        "accuracy_low": low,
        "accuracy_high": high,
        "trainings": len(record.trainings),
        "on_front_probability": sure.on_front_probability(record) if sure else None,
        "reward": record.value(reward) if reward else None,
        "latency_ms": record.latency.latency_ms if record.latency else None,
        "latency_ratio": record.latency.ratio if record.latency else None,
        "latency_ratio_low": record.latency.ratio_low if record.latency else None,
        "latency_ratio_high": record.latency.ratio_high if record.latency else None,
        "macs": record.cost.macs,
        "params": record.cost.params,
    }


def front_json(
    records: Sequence[Record],
    certainty: Certainty | None = None,
    rule: MacsRule | None = None,
    spent: Spent | None = None,
    reward: Objective | None = None,
) -> str:
    """For programs: the rows as `front`; `noise` (null while it is unknown); `macs_rule`, the baseline;
    `early_stopping`, how many networks reached which epochs (null where all are trained in full).
    """
    noise = certainty and {
        "deviation": certainty.noise.deviation,
        "freedom": certainty.noise.freedom,
        "repeats": certainty.repeats,
        "tellable_difference": certainty.noise.tellable(),
    }
    found = {
        "front": [front_row(record, certainty, reward) for record in records],
        "noise": noise,
        "macs_rule": rule and rule.as_dict,
        "early_stopping": spent and spent.as_dict,
    }
    return json.dumps(found, indent=2)


def frame(
    records: Sequence[Record], certainty: Certainty | None = None, reward: Objective | None = None
) -> "DataFrame":
    """A table for pandas: one row a network, columns as in `front_row`."""
    import pandas

    rows = [front_row(record, certainty, reward) for record in records]
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def front_csv(
    records: Sequence[Record], certainty: Certainty | None = None, reward: Objective | None = None
) -> str:
    """The same columns as comma-separated values, with a heading."""
    text: str = frame(records, certainty, reward).to_csv(index=False, lineterminator="\n")
    return text
