"""Requests of the commands that train or evaluate single networks: the settings of each, by name."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .options import (
    DATA_HELP,
    DEFAULT,
    PREDICTOR_HELP,
    REQUIRED,
    TEACHER_HELP,
    DataOptions,
    DatasetOptions,
    DeviceOptions,
    LatencyOptions,
    RecipeOptions,
    argument,
    backend_option,
    network_argument,
    networks_argument,
    option,
    resolution_option,
    seed_option,
)

NO_WEIGHTS = "none"  # as --init
FREEZE_HELP = "backbone: train only the layers after the pooling; early-stages: also the last stage"


@dataclass(frozen=True, kw_only=True)
class TrainingRequest(DataOptions, RecipeOptions):
    """Settings of `bneck train`.

    Attributes:
        weights: file with the ImageNet weights, as their source stores them.
        data: empty for that of the search if the network is `RUN#TRIAL`, else the digits.
        init: trained network whose weights the training starts from; `none` for random weights. By default
            `RUN#TRIAL` starts from its own.
    """

    panel = None

    arch: str = network_argument("published name, file or RUN#TRIAL; with --resume the folder of a training")
    data: str = option("", f"{DATA_HELP}; by default that of the search for RUN#TRIAL, else digits")
    out: Path | None = option(None, "output folder; by default runs/ARCH-DATA-N", metavar="DIR")
    init: str | None = option(
        None,
        "start from the weights of a network that bneck trained; none for random weights; by default "
        "RUN#TRIAL starts from its own",
        metavar="RUN#TRIAL|DIR|FILE",
    )
    teacher: str | None = option(None, TEACHER_HELP, metavar="RUN|DIR|FILE")
    pretrained: bool = option(False, "start from ImageNet weights")
    weights: Path | None = option(
        None, "read the ImageNet weights from a file, without a download", metavar="FILE"
    )
    freeze: str | None = option(None, FREEZE_HELP, metavar="PART")
    resolution_px: int | None = resolution_option()
    seed: int = seed_option("random seed for weights, image order and augmentation")
    precision: str = option("auto", "auto, fp32, bf16 or fp16; auto is fp32 on a CPU, bf16 on a GPU")
    compiled: bool = option(False, "compile the network by torch.compile", names=("--compile",))
    threads: int | None = option(None, "threads for training; by default one per core", minimum=1)


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest(DatasetOptions, LatencyOptions, DeviceOptions):
    """Settings of `bneck evaluate`; empty `data` means the data set of the training."""

    panel = None

    checkpoint: str = argument(REQUIRED, "folder of `bneck train`, its file, or RUN#TRIAL", "CHECKPOINT")
    split: str = option(
        "test", "test, validation or train; all for every image, such as a folder of test images"
    )
    data: str = option("", f"{DATA_HELP}; by default that of the training")
    latency_backend: str = backend_option()


@dataclass(frozen=True, kw_only=True)
class ComparisonRequest(DataOptions, RecipeOptions, LatencyOptions):
    """Settings of `bneck compare`.

    Attributes:
        augment: one augmentation for all networks, or several, separated by commas, to compare on one
            network.
    """

    panel = None

    archs: tuple[str, ...] = networks_argument()
    seeds: int = option(3, "training runs per network, with seeds 0, 1, ...", minimum=1)
    augment: str | None = option(
        None, "augmentations to compare on one network; a single one is for all networks", metavar="A,B,C"
    )
    out: Path | None = option(None, "output folder; by default runs/compare-DATA-N", metavar="DIR")
    pretrained: bool = option(False, "start from ImageNet weights")
    freeze: str | None = option(None, FREEZE_HELP, metavar="PART")
    resolution_px: int | None = resolution_option()
    latency_backend: str = backend_option()

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
        equal = {"recipe": self.recipe or DEFAULT, "init": None if self.pretrained else NO_WEIGHTS}
        return TrainingRequest(
            **{**_shared(self), **equal, "seed": seed, "out": out, "threads": 1, **variant}
        )


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
    latency_backend: str = backend_option()
    resolution_px: int | None = resolution_option()
    seed: int = seed_option()
    threads: int | None = option(
        None, "threads for the first and the final training; by default one per core", minimum=1
    )

    @property
    def training(self) -> TrainingRequest:
        """The first training, of a network that has no weights yet."""
        return TrainingRequest(arch=self.network, **_shared(self))


def _shared(request: RecipeOptions) -> dict[str, Any]:
    """The settings that a request has in common with `TrainingRequest`."""
    names = {each.name for each in fields(TrainingRequest)} & {each.name for each in fields(request)}
    return {name: getattr(request, name) for name in names}
