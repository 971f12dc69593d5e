"""The Pareto front as rows, JSON and CSV.

| column | meaning |
| --- | --- |
| `trial` | number; `RUN#TRIAL` in a front over several searches |
| `accuracy` | estimated accuracy, a fraction: it corrects for selection; the mean while that is impossible |
| `accuracy_low`, `accuracy_high` | its 95% interval on unseen images; without replicates without seed noise |
| `mean_accuracy` | mean validation accuracy of `n_seeds` trainings |
| `pareto_probability` | probability of being Pareto-optimal; empty while unknown |
| `reward` | value of the `reward` objective |
| `latency_ms`, `latency_ratio` | with the 95% interval `latency_ratio_low`, `latency_ratio_high` |
| `macs`, `params` | counts |
| `network` | pretrained network, resolution and what is tuned; empty for a network trained from scratch |
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...evaluate import Objective
from ...search_space.pretrained_space import candidate_text
from ..analysis.front_posterior import FrontPosterior
from ..analysis.macs_baseline import MacsBaseline
from ..store.fidelities import EpochsSpent
from ..store.trial import Record

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = (
    "trial",
    "key",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "mean_accuracy",
    "n_seeds",
    "pareto_probability",
    "reward",
    "latency_ms",
    "latency_ratio",
    "latency_ratio_low",
    "latency_ratio_high",
    "macs",
    "params",
    "network",
)


def front_row(
    record: Record, front_posterior: FrontPosterior | None = None, reward: Objective | None = None
) -> dict[str, Any]:
    """One network as plain values: accuracy as a fraction, latency in ms."""
    known_posterior = front_posterior if front_posterior and record in front_posterior else None
    accuracy = record.estimated_accuracy if record.trainings else None
    return {
        "trial": record.label,
        "key": record.key,
        "accuracy": accuracy.value if accuracy else None,
        "accuracy_low": accuracy.low if accuracy else None,
        "accuracy_high": accuracy.high if accuracy else None,
        "mean_accuracy": record.top1 if record.trainings else None,
        "n_seeds": len(record.trainings),
        "pareto_probability": known_posterior.pareto_probability(record) if known_posterior else None,
        "reward": record.value(reward) if reward else None,
        "latency_ms": record.latency.latency_ms if record.latency else None,
        "latency_ratio": record.latency.ratio if record.latency else None,
        "latency_ratio_low": record.latency.ratio_low if record.latency else None,
        "latency_ratio_high": record.latency.ratio_high if record.latency else None,
        "macs": record.cost.macs,
        "params": record.cost.params,
        "network": candidate_text(record.architecture) or None,
    }


def front_dict(
    records: Sequence[Record],
    front_posterior: FrontPosterior | None = None,
    macs_baseline: MacsBaseline | None = None,
    epochs_spent: EpochsSpent | None = None,
    reward: Objective | None = None,
    warnings: Sequence[str] = (),
    pretrained_baseline: Record | None = None,
) -> dict[str, Any]:
    """The front and its statistics as plain values, for `result.json` and `bneck front --json`.

    Keys: `front` (rows as in `front_row`); `seed_variance` and `image_sampling` (null while unknown);
    `macs_baseline`; `pretrained_baseline` (a row, on the front or not: the most accurate of the pretrained
    networks at the highest resolution within the limits; null without any); `early_stopping` (networks by
    epochs; null without early stopping); `warnings` about the accuracies.
    """
    noise = front_posterior and {
        "std": front_posterior.noise.std,
        "degrees_of_freedom": front_posterior.noise.degrees_of_freedom,
        "replicates": front_posterior.replicates,
        "least_significant_difference": front_posterior.least_significant_difference(),
    }
    known = front_posterior and front_posterior.image_sampling.known
    images = front_posterior and {
        "images": front_posterior.image_sampling.images,
        "correlation_between_networks": front_posterior.image_sampling.between,
        "correlation_within_networks": front_posterior.image_sampling.within,
    }
    return {
        "front": [front_row(record, front_posterior, reward) for record in records],
        "seed_variance": noise,
        "image_sampling": images if known else None,
        "macs_baseline": macs_baseline and macs_baseline.as_dict,
        "pretrained_baseline": pretrained_baseline
        and front_row(pretrained_baseline, front_posterior, reward),
        "early_stopping": epochs_spent and epochs_spent.as_dict,
        "warnings": list(warnings),
    }


def front_json(
    records: Sequence[Record],
    front_posterior: FrontPosterior | None = None,
    macs_baseline: MacsBaseline | None = None,
    epochs_spent: EpochsSpent | None = None,
    reward: Objective | None = None,
    warnings: Sequence[str] = (),
    pretrained_baseline: Record | None = None,
) -> str:
    """`front_dict` as JSON."""
    front = front_dict(
        records, front_posterior, macs_baseline, epochs_spent, reward, warnings, pretrained_baseline
    )
    return json.dumps(front, indent=2)


def front_dataframe(
    records: Sequence[Record], front_posterior: FrontPosterior | None = None, reward: Objective | None = None
) -> "DataFrame":
    """A data frame with one row per network and the columns of `front_row`."""
    import pandas

    rows = [front_row(record, front_posterior, reward) for record in records]
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def front_csv(
    records: Sequence[Record], front_posterior: FrontPosterior | None = None, reward: Objective | None = None
) -> str:
    """The same as CSV with a header."""
    text: str = front_dataframe(records, front_posterior, reward).to_csv(index=False, lineterminator="\n")
    return text
