"""Requests of the commands: the settings of each, by name.

No heavy library is imported here, so that the command line can show its help at once.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ...search_space import GoalError
from .options import (
    BACKENDS_HELP,
    DATA_HELP,
    RECIPE_HELP,
    REQUIRED,
    DataOptions,
    DatasetOptions,
    DeviceOptions,
    LatencyOptions,
    LimitOptions,
    RecipeOptions,
    TrainImagesOptions,
    argument,
    flag_of,
    option,
)

NETWORKS_HELP = "published names, files, RUN#TRIAL or folders of `bneck train`"
FREEZE_HELP = "backbone: train only the layers after the pooling; early-stages: also the last stage"
PREDICTOR_HELP = "predict latency by a file of `bneck latency-predictor build`"
RESOLUTION_HELP = "side of the images, px; by default that of the network, or of small images"
N_TRIALS, N_PRETRAINED_TRIALS = 60, 24
EPOCHS, BATCH_SIZE, LEARNING_RATE = 20, 64, 0.08
FINE_TUNING = "fine-tuning"
PUBLISHED_BASELINES = ("mobilenet_v3_small", "mobilenet_v2")


@dataclass(frozen=True, kw_only=True)
class SearchRequest(DataOptions, LatencyOptions, DeviceOptions, LimitOptions):
    """Settings of `bneck search`.

    Attributes:
        baselines: names of published networks; None for the default of the evaluator.
        replicates: None for a fifth of `n_trials`.
        n_trials, epochs, batch_size, learning_rate: None for the default of the kind of search.
    """

    panel = None

    space: str = argument("tiny", "preset or YAML file; with --resume a run folder", "SPACE")
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
        "published network to train for comparison; repeatable, none for none",
        metavar="NAME",
        names=("--baseline",),
    )
    enqueue_published: bool = option(False, "evaluate the published networks of the space first")
    transfer_from: Path | None = option(None, "warm-start from another run of this space", metavar="RUN")
    latency_predictor: Path | None = option(None, PREDICTOR_HELP, metavar="FILE", panel="Latency")
    no_latency_predictor: bool = option(False, "measure the latency of every network", panel="Latency")
    epochs: int | None = option(
        None,
        f"epochs per network; by default {EPOCHS}, with --pretrained of recipe {FINE_TUNING}",
        minimum=1,
        panel="Training",
    )
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
    batch_size: int | None = option(
        None,
        f"images per training step; by default {BATCH_SIZE}, with --pretrained of recipe {FINE_TUNING}",
        minimum=4,
        panel="Training",
    )
    learning_rate: float | None = option(
        None,
        f"peak of the cosine learning rate schedule; by default {LEARNING_RATE}, with --pretrained of recipe "
        f"{FINE_TUNING}",
        minimum=0.0,
        maximum=1e38,
        panel="Training",
    )
    storage: str = option("", "Optuna storage; by default SQLite in the run's folder", metavar="URL")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.pretrained and (self.parents or self.max_resolution):
            raise GoalError("--parent and --max-resolution need --pretrained")
        if self.pretrained:
            for name in ("enqueue_published", "latency_predictor"):
                if getattr(self, name):
                    raise GoalError(f"{flag_of(name)} and --pretrained exclude each other")

    @property
    def trials(self) -> int:
        return self.n_trials or (N_PRETRAINED_TRIALS if self.pretrained else N_TRIALS)

    @property
    def recipe_overrides(self) -> dict[str, Any]:
        """Fields of the recipe that the user chose."""
        values = {name: getattr(self, name) for name in ("epochs", "batch_size", "learning_rate")}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def baseline_names(self) -> tuple[str, ...]:
        if self.baselines is None:
            return PUBLISHED_BASELINES if self.evaluator == "train" and not self.pretrained else ()
        return () if self.baselines == ("none",) else self.baselines


def _network(help: str = "published name, file, RUN#TRIAL or folder of `bneck train`") -> Any:
    return argument(REQUIRED, help, "ARCH")


def _networks() -> Any:
    return argument(REQUIRED, NETWORKS_HELP, "ARCH...")


def _resolution() -> Any:
    return option(None, RESOLUTION_HELP, minimum=8, metavar="PX", names=("--resolution",))


def _backend() -> Any:
    return option("onnxruntime", f"none, {BACKENDS_HELP}", metavar="BACKEND")


def _seed(help: str = "random seed") -> Any:
    return option(0, help, minimum=0)


@dataclass(frozen=True, kw_only=True)
class TrainingRequest(DataOptions, RecipeOptions):
    """Settings of `bneck train`.

    Attributes:
        weights: file with the ImageNet weights, as their source stores them.
        init: trained network whose weights the training starts from.
    """

    panel = None

    arch: str = _network("published name, file or RUN#TRIAL; with --resume the folder of a training")
    out: Path | None = option(None, "output folder; by default runs/ARCH-DATA-N", metavar="DIR")
    init: str | None = option(
        None, "start from the weights of a network that bneck trained", metavar="RUN#TRIAL|DIR|FILE"
    )
    teacher: str | None = option(
        None, "learn the soft labels of a trained network, too", metavar="RUN#TRIAL|DIR|FILE"
    )
    pretrained: bool = option(False, "start from ImageNet weights")
    weights: Path | None = option(
        None, "read the ImageNet weights from a file, without a download", metavar="FILE"
    )
    freeze: str | None = option(None, FREEZE_HELP, metavar="PART")
    resolution_px: int | None = _resolution()
    seed: int = _seed("random seed for weights, image order and augmentation")
    precision: str = option("auto", "auto, fp32, bf16 or fp16; auto is fp32 on a CPU, bf16 on a GPU")
    compiled: bool = option(False, "compile the network by torch.compile", names=("--compile",))
    threads: int | None = option(None, "threads for training; by default one per core", minimum=1)


@dataclass(frozen=True, kw_only=True)
class DatasetRequest(DatasetOptions):
    """Settings of `bneck describe data`."""

    data: str = argument(REQUIRED, DATA_HELP, "NAME")


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest(DatasetOptions, LatencyOptions, DeviceOptions):
    """Settings of `bneck evaluate`; empty `data` means the data set of the training."""

    panel = None

    checkpoint: str = argument(REQUIRED, "folder of `bneck train`, its file, or RUN#TRIAL", "CHECKPOINT")
    split: str = option(
        "test", "test, validation or train; all for every image, such as a folder of test images"
    )
    data: str = option("", f"{DATA_HELP}; by default that of the training")
    latency_backend: str = _backend()


@dataclass(frozen=True, kw_only=True)
class ComparisonRequest(DataOptions, RecipeOptions, LatencyOptions):
    """Settings of `bneck compare`.

    Attributes:
        augment: one augmentation for all networks, or several, separated by commas, to compare on one
            network.
    """

    panel = None

    archs: tuple[str, ...] = _networks()
    seeds: int = option(3, "training runs per network, with seeds 0, 1, ...", minimum=1)
    augment: str | None = option(
        None, "augmentations to compare on one network; a single one is for all networks", metavar="A,B,C"
    )
    out: Path | None = option(None, "output folder; by default runs/compare-DATA-N", metavar="DIR")
    pretrained: bool = option(False, "start from ImageNet weights")
    freeze: str | None = option(None, FREEZE_HELP, metavar="PART")
    resolution_px: int | None = _resolution()
    latency_backend: str = _backend()

    @property
    def augments(self) -> tuple[str, ...]:
        """The augmentations to compare; empty to compare networks."""
        names = tuple(each.strip() for each in self.augment.split(",")) if self.augment else ()
        return names if len(names) > 1 else ()

    @property
    def names(self) -> tuple[str, ...]:
        return self.augments or self.archs

    def training(self, name: str, seed: int, out: Path | None) -> TrainingRequest:
        """One training run of the comparison, on one thread.

        Args:
            name: of the network, or the augmentation.
        """
        variant = {"augment": name, "arch": self.archs[0]} if self.augments else {"arch": name}
        return TrainingRequest(**{**_shared(self), "seed": seed, "out": out, "threads": 1, **variant})


@dataclass(frozen=True, kw_only=True)
class NetAdaptRequest(DataOptions, RecipeOptions, LatencyOptions):
    """Settings of `bneck netadapt`; empty `data` means the data set of the training, or digits."""

    panel = None

    network: str = argument(
        REQUIRED,
        "RUN#TRIAL, folder of `bneck train`, its file, or an untrained network, which is trained first; with "
        "--resume the folder of an adaptation",
        "NETWORK",
    )
    max_latency: str | None = option(
        None, "limit on latency: 5ms, or 0.5x that of the reference model", metavar="LIMIT"
    )
    to: float | None = option(
        None, "limit on latency as a fraction of the initial latency", metavar="FRACTION"
    )
    max_macs: str | None = option(None, "limit on multiply-adds, such as 60M", metavar="LIMIT")
    data: str = option("", f"{DATA_HELP}; by default that of the training, or digits")
    out: Path | None = option(
        None,
        "output folder; by default RUN/netadapt/trial-N-1 or runs/netadapt-NETWORK-DATA-N",
        metavar="DIR",
    )
    pretrained: bool = option(False, "train an untrained network from its ImageNet weights first")
    weights: Path | None = option(
        None, "read the ImageNet weights from a file, without a download", metavar="FILE"
    )
    cuts: str = option(
        "width,depth,kernel,attention,resolution",
        "kinds of cuts to propose: width of an expansion, a stage or the head, depth (a residual block), "
        "kernel, attention, resolution",
        metavar="KIND,...",
    )
    step: float = option(
        0.025,
        "minimum cost reduction per step, as a fraction of the initial cost",
        minimum=0.001,
        maximum=0.5,
    )
    finetune_images: int = option(2000, "training images for the short fine-tuning of each step", minimum=16)
    distillation: float = option(
        0.7,
        "weight of the initial network's soft labels in the loss of all tuning; 0 for none",
        minimum=0.0,
        maximum=1.0,
    )
    final: str = option("inherit", "initial weights of the final training: inherit or scratch")
    latency_predictor: Path | None = option(None, PREDICTOR_HELP, metavar="FILE", panel="Latency")
    latency_backend: str = _backend()
    resolution_px: int | None = _resolution()
    seed: int = _seed()
    threads: int | None = option(
        None, "threads for the first and the final training; by default one per core", minimum=1
    )

    @property
    def training(self) -> TrainingRequest:
        """The first training, of a network that has no weights yet."""
        return TrainingRequest(arch=self.network, **_shared(self))


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
    seed: int = _seed("random seed for weights, sampled networks, image order and augmentation")


@dataclass(frozen=True, kw_only=True)
class SeedStudyRequest(DataOptions, DeviceOptions):
    """Settings of `bneck seed-variance`."""

    panel = None

    space: str = argument(REQUIRED, "preset or YAML file; with --resume the folder of a study", "SPACE")
    networks: int = option(12, "number of networks, spread evenly by log MACs", minimum=6)
    seeds: int = option(3, "training runs per network, with seeds 0, 1, ...", minimum=2)
    evaluator: str = option("train", "how accuracy is evaluated: train, or any other evaluator of a search")
    epochs: int = option(EPOCHS, "epochs per network", minimum=1)
    max_macs: str | None = option(None, "limit on multiply-adds, such as 60M", metavar="LIMIT")
    max_params: str | None = option(None, "limit on parameters, such as 3M", metavar="LIMIT")
    n_trials: int = option(
        N_TRIALS,
        "number of networks of the planned search",
        minimum=2,
        metavar="N",
        names=("--n-trials", "--trials"),
    )
    seed: int = _seed("random seed for the choice of networks")
    out: Path | None = option(
        None, "output folder; by default runs/seed-variance-SPACE-DATA-N", metavar="DIR"
    )


@dataclass(frozen=True, kw_only=True)
class ProxyRequest(DataOptions, DeviceOptions):
    """Settings of `bneck proxy`."""

    panel = None

    archs: tuple[str, ...] = _networks()
    evaluator: str = option(
        "naswot",
        "zero-cost proxies: naswot, synflow, zico, jacob_cov, grad_norm, snip; costs: macs, params, depth; "
        "train; from a file: supernet:FILE, finetuned-supernet:FILE, table:FILE",
        metavar="NAME",
    )
    seeds: int = option(1, "evaluations per network, with seeds 0, 1, ...", minimum=1)
    recipe: str | None = option(None, RECIPE_HELP, metavar="NAME|FILE")
    epochs: int | None = option(None, "number of epochs; by default of the recipe", minimum=1)
    resolution_px: int | None = _resolution()
    threads: int = option(1, "threads for the evaluation", minimum=1)


@dataclass(frozen=True, kw_only=True)
class LatencyRequest(LatencyOptions):
    """Settings of `bneck latency`."""

    panel = None

    archs: tuple[str, ...] = _networks()
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
    seed: int = _seed("random seed for the choice of networks")


def _shared(request: RecipeOptions) -> dict[str, Any]:
    """The settings that a request has in common with `TrainingRequest`."""
    names = {each.name for each in fields(TrainingRequest)} & {each.name for each in fields(request)}
    return {name: getattr(request, name) for name in names}
