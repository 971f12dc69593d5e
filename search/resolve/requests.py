"""Requests of the commands: the settings of each, by name.

No heavy library is imported here, so that the command line can show its help at once.
"""

from dataclasses import dataclass
from pathlib import Path

from .options import DataOptions, DeviceOptions, LatencyOptions, LimitOptions, argument, option

PUBLISHED_BASELINES = ("mobilenet_v3_small", "mobilenet_v2")


@dataclass(frozen=True, kw_only=True)
class SearchRequest(DataOptions, LatencyOptions, DeviceOptions, LimitOptions):
    """Settings of `bneck search`.

    Attributes:
        baselines: names of published networks; None for the default of the evaluator.
        replicates: None for a fifth of `n_trials`.
    """

    panel = None

    space: str = argument("tiny", "preset or YAML file; with --resume a run folder", "SPACE")
    out: Path | None = option(None, "folder of the run; by default runs/SPACE-DATA-N", metavar="DIR")
    n_trials: int = option(
        60, "number of networks to evaluate", minimum=1, metavar="N", names=("--n-trials", "--trials")
    )
    objectives: str = option(
        "accuracy,latency",
        "quantities to optimise, of accuracy, latency, macs, params; or reward:0.5x (5ms, 60M), a scalarised "
        "objective that costs 5% of the accuracy at twice the target",
    )
    evaluator: str = option(
        "train",
        "how accuracy is evaluated: train, supernet:FILE, inherit:FILE, table:FILE or module:attribute",
    )
    sampler: str = option("ehvi", "ehvi (bneck's own), random, tpe, nsga2, gp or module:attribute")
    seed: int = option(0, "random seed for the sampler and all training runs", minimum=0)
    replicates: int | None = option(
        None,
        "additional training runs with other seeds where the front is undecided; by default a fifth of "
        "--n-trials",
        minimum=0,
    )
    baselines: tuple[str, ...] | None = option(
        None,
        "published network to train for comparison; repeatable, none for none",
        metavar="NAME",
        names=("--baseline",),
    )
    enqueue_published: bool = option(False, "evaluate the published networks of the space first")
    transfer_from: Path | None = option(None, "warm-start from another run of this space", metavar="RUN")
    latency_predictor: Path | None = option(
        None, "predict latency by a file of `bneck latency-predictor build`", metavar="FILE"
    )
    no_latency_predictor: bool = option(False, "measure the latency of every network")
    epochs: int = option(20, "epochs per network", minimum=1)
    min_epochs: int | None = option(
        None,
        "epochs after which the best networks are promoted and the others paused (successive halving)",
        minimum=1,
    )
    reduction_factor: int = option(
        2, "with --min-epochs, one network in this many is promoted to the next rung", minimum=2
    )
    batch_size: int = option(64, "images per training step", minimum=4)
    learning_rate: float = option(0.08, "peak of the cosine learning rate schedule", minimum=0.0)
    storage: str = option("", "Optuna storage; by default SQLite in the run's folder", metavar="URL")

    @property
    def baseline_names(self) -> tuple[str, ...]:
        if self.baselines is None:
            return PUBLISHED_BASELINES if self.evaluator == "train" else ()
        return () if self.baselines == ("none",) else self.baselines
