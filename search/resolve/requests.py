"""Requests of the commands that work on a space or on no network: the settings of each, by name.

No heavy library is imported here, so that the command line can show its help at once.
"""

from dataclasses import dataclass
from pathlib import Path

from ...search_space import GoalError
from ...search_space.pretrained_space import DROPPED_BLOCKS, DROPPED_STAGES
from .options import (
    DATA_HELP,
    PREDICTOR_HELP,
    RECIPE_HELP,
    REQUIRED,
    TEACHER_HELP,
    DataOptions,
    DatasetOptions,
    DeviceOptions,
    LatencyOptions,
    LimitOptions,
    RecipeOptions,
    TrainImagesOptions,
    argument,
    flag_of,
    networks_argument,
    option,
    resolution_option,
    seed_option,
)

N_TRIALS, N_PRETRAINED_TRIALS = 60, 24
CUTS = ("depth", "none")  # of pretrained networks
PRETRAINED_BASELINE = "pretrained"
PUBLISHED_BASELINES = ("mobilenet_v3_small", "mobilenet_v2")


@dataclass(frozen=True, kw_only=True)
class SearchRequest(DataOptions, LatencyOptions, RecipeOptions, LimitOptions):
    """Settings of `bneck search`.

    Attributes:
        space: empty for that of `search.resolve.default_space`, unless `pretrained`.
        baselines: names of published networks, or `pretrained`; None for the default of evaluator and images.
        replicates: None for a fifth of `n_trials`.
        n_trials: None for the default of the kind of search.
    """

    panel = None

    space: str = argument(
        "", "preset or YAML file, by default chosen from the images; with --resume a run folder", "SPACE"
    )
    out: Path | None = option(None, "output folder; by default runs/SPACE-DATA-N", metavar="DIR")
    pretrained: bool = option(
        False,
        "fine-tune pretrained networks instead of searching a space: those on this machine, at several "
        "resolutions, with all, the last stage or the head tuned",
        panel="Pretrained networks",
    )
    parents: tuple[str, ...] = option(
        (),
        "a pretrained network in place of all on this machine: a published name, NAME=FILE with its weights, "
        "a folder of `bneck train`, its file or RUN#TRIAL; repeatable",
        metavar="NAME",
        names=("--parent",),
        panel="Pretrained networks",
    )
    max_resolution: int | None = option(
        None,
        "highest resolution, px; by default that of each network, on a CPU without limits 128",
        minimum=32,
        metavar="PX",
        panel="Pretrained networks",
    )
    cuts: str = option(
        CUTS[0],
        f"smaller forms of pretrained networks: none, or depth, without up to {DROPPED_STAGES[-1]} of their "
        f"last stages and up to {DROPPED_BLOCKS[-1]} residual blocks",
        metavar="KIND",
        panel="Pretrained networks",
    )
    n_trials: int | None = option(
        None,
        f"number of networks to evaluate; by default {N_TRIALS}, with --pretrained {N_PRETRAINED_TRIALS}",
        minimum=1,
        maximum=1_000_000,
        metavar="N",
        names=("--n-trials", "--trials"),
    )
    objectives: str = option(
        "accuracy,latency",
        "quantities to optimise, of accuracy, latency, macs, params; or reward:0.5x (5ms, 60M), a scalarised "
        "objective that costs 5% of the accuracy at twice the target",
    )
    evaluator: str = option(
        "train",
        "how accuracy is evaluated: train, supernet:FILE, finetuned-supernet:FILE, table:FILE or "
        "module:attribute",
    )
    sampler: str = option("ehvi", "ehvi (bneck's own), random, tpe, nsga2, gp or module:attribute")
    seed: int = option(
        0, "random seed for the sampler; those of the training runs are derived from it", minimum=0
    )
    replicates: int | None = option(
        None,
        "additional training runs with other seeds where the front is undecided; by default a fifth of "
        "--n-trials",
        minimum=0,
    )
    baselines: tuple[str, ...] | None = option(
        None,
        "published network to train for comparison, or pretrained: the largest pretrained network within the "
        "limits, fine-tuned (by default too, for photos if there is one on this machine); repeatable, none "
        "for none",
        metavar="NAME",
        names=("--baseline",),
    )
    enqueue_published: bool = option(False, "evaluate the published networks of the space first")
    transfer_from: Path | None = option(None, "warm-start from another run of this space", metavar="RUN")
    latency_predictor: Path | None = option(None, PREDICTOR_HELP, metavar="FILE", panel="Latency")
    no_latency_predictor: bool = option(False, "measure the latency of every network", panel="Latency")
    min_epochs: int | None = option(
        None,
        "epochs after which the best networks are promoted and the others paused (successive halving)",
        minimum=1,
        panel="Training",
    )
    reduction_factor: int = option(
        2,
        "with --min-epochs, one network in this many is promoted to the next rung",
        minimum=2,
        panel="Training",
    )
    teacher: str | None = option(None, TEACHER_HELP, metavar="RUN|DIR|FILE", panel="Training")
    storage: str = option("", "Optuna storage; by default SQLite in the run's folder", metavar="URL")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.teacher and self.evaluator != "train":
            raise GoalError(f"--teacher needs --evaluator train, got {self.evaluator}")
        if self.cuts not in CUTS:
            raise GoalError(f"--cuts must be {' or '.join(CUTS)}, got {self.cuts}")
        if not self.pretrained and (self.parents or self.max_resolution or self.cuts != CUTS[0]):
            raise GoalError("--parent, --max-resolution and --cuts need --pretrained")
        if self.pretrained:
            for name in ("enqueue_published", "latency_predictor"):
                if getattr(self, name):
                    raise GoalError(f"{flag_of(name)} and --pretrained exclude each other")

    @property
    def trials(self) -> int:
        return self.n_trials or (N_PRETRAINED_TRIALS if self.pretrained else N_TRIALS)

    @property
    def baseline_names(self) -> tuple[str, ...]:
        if self.baselines is None:
            return PUBLISHED_BASELINES if self.evaluator == "train" and not self.pretrained else ()
        return () if self.baselines == ("none",) else self.baselines


@dataclass(frozen=True, kw_only=True)
class DatasetRequest(DatasetOptions):
    """Settings of `bneck describe data`."""

    data: str = argument(REQUIRED, DATA_HELP, "NAME")


@dataclass(frozen=True, kw_only=True)
class SupernetRequest(TrainImagesOptions, RecipeOptions):
    """Settings of `bneck supernet`; empty `space` with --resume means the space of the file."""

    panel = None

    space: str = argument("", "preset or YAML file; may be left out with --resume", "SPACE")
    file: Path = option(REQUIRED, "file of the supernet, safetensors", metavar="FILE")
    minutes: float | None = option(
        None,
        "training budget in minutes of CPU time (on a GPU wall time), instead of --epochs",
        minimum=0.001,
    )
    strategy: str = option(
        "uniform",
        "sampled networks per step: uniform, one at random; balanced, every choice equally often; sandwich, "
        "the largest, and distilled from it the smallest and two at random (for GPUs)",
    )
    max_macs: str | None = option(
        None, "train no network above this number of multiply-adds, such as 60M", metavar="LIMIT"
    )
    seed: int = seed_option("random seed for weights, sampled networks, image order and augmentation")


@dataclass(frozen=True, kw_only=True)
class SeedStudyRequest(DataOptions, RecipeOptions):
    """Settings of `bneck seed-variance`."""

    panel = None

    space: str = argument(REQUIRED, "preset or YAML file; with --resume the folder of a study", "SPACE")
    networks: int = option(12, "number of networks, spread evenly by log MACs", minimum=6)
    seeds: int = option(3, "training runs per network, with seeds 0, 1, ...", minimum=2)
    evaluator: str = option("train", "how accuracy is evaluated: train, or any other evaluator of a search")
    max_macs: str | None = option(None, "limit on multiply-adds, such as 60M", metavar="LIMIT")
    max_params: str | None = option(None, "limit on parameters, such as 3M", metavar="LIMIT")
    n_trials: int = option(
        N_TRIALS,
        "number of networks of the planned search",
        minimum=2,
        metavar="N",
        names=("--n-trials", "--trials"),
    )
    seed: int = seed_option("random seed for the choice of networks")
    out: Path | None = option(
        None, "output folder; by default runs/seed-variance-SPACE-DATA-N", metavar="DIR"
    )


@dataclass(frozen=True, kw_only=True)
class ProxyRequest(DataOptions, DeviceOptions):
    """Settings of `bneck proxy`."""

    panel = None

    archs: tuple[str, ...] = networks_argument()
    evaluator: str = option(
        "naswot",
        "zero-cost proxies: naswot, synflow, zico, jacob_cov, grad_norm, snip; costs: macs, params, depth; "
        "train; from a file: supernet:FILE, finetuned-supernet:FILE, table:FILE",
        metavar="NAME",
    )
    seeds: int = option(1, "evaluations per network, with seeds 0, 1, ...", minimum=1)
    recipe: str | None = option(None, RECIPE_HELP, metavar="NAME|FILE")
    epochs: int | None = option(None, "number of epochs; by default of the recipe", minimum=1)
    resolution_px: int | None = resolution_option()
    threads: int = option(1, "threads for the evaluation", minimum=1)


@dataclass(frozen=True, kw_only=True)
class LatencyRequest(LatencyOptions):
    """Settings of `bneck latency`."""

    panel = None

    archs: tuple[str, ...] = networks_argument()
    batch_size: int = option(1, "images per run", minimum=1)
    fresh: bool = option(False, "measure again what is cached, the reference panel too")
    blocks: bool = option(False, "measure the time of each block")


@dataclass(frozen=True, kw_only=True)
class LatencyPredictorRequest(LatencyOptions):
    """Settings of `bneck latency-predictor build`."""

    panel = None

    space: str = argument(REQUIRED, "preset or YAML file", "SPACE")
    file: Path = option(REQUIRED, "file of the predictor, JSON", metavar="FILE")
    networks: int = option(30, "networks to fit the predictor to; 60 or more give more terms", minimum=20)
    held_out: int = option(20, "further networks to validate the predictor on", minimum=5)
    seed: int = seed_option("random seed for the choice of networks")
