"""The command line of training: `bneck train`, `evaluate`, `compare`, `recipe` and `data`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ...search_space import GoalError
from .options import (
    BACKENDS_HELP,
    DATA_HELP,
    DataRootOption,
    DeviceOption,
    DownloadOption,
    JsonOption,
    ReferenceOption,
    ThreadsOption,
    TrainImagesOption,
    ValidationImagesOption,
    was_given,
)

RESUMABLE = ("arch", "out", "resume", "as_json", "tensorboard", "png", "download")
RECIPE_FIELDS = ("epochs", "batch_size", "learning_rate", "optimizer", "augment", "ema", "freeze")

RecipeOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="guide, torchvision-mobilenetv3, small-images or a YAML file; "
        "by default small-images for images in memory and guide for folders",
    ),
]
EpochsOption = Annotated[int | None, typer.Option(min=1, help="instead of the recipe's")]
BatchSizeOption = Annotated[int | None, typer.Option(min=1, help="instead of the recipe's")]
LearningRateOption = Annotated[float | None, typer.Option(min=0.0, help="instead of the recipe's")]
OptimizerOption = Annotated[str | None, typer.Option(help="sgd, adam, adamw or rmsprop")]
EmaOption = Annotated[float | None, typer.Option(help="decay of a moving average of the weights")]
PretrainedOption = Annotated[
    bool, typer.Option("--pretrained", help="begin from torchvision's ImageNet weights")
]
FreezeOption = Annotated[
    str | None, typer.Option(metavar="backbone", help="train what follows the pooling alone")
]
ResolutionOption = Annotated[
    int | None,
    typer.Option(min=8, help="side of the images, px; by default the network's, or that of small images"),
]
PngOption = Annotated[bool, typer.Option("--png", help="write the pictures as PNG into DIR/pictures too")]
AUGMENT_HELP = (
    "none, or of flip-crop, autoaugment, randaugment, trivialaugment, mixup, cutmix, random-erase, "
    "joined by +"
)


def train(
    context: typer.Context,
    arch: Annotated[
        str,
        typer.Argument(
            metavar="ARCH",
            help="a published name, a file, RUN#TRIAL, or with --resume a training",
        ),
    ],
    data: Annotated[str, typer.Option(help=DATA_HELP)] = "digits",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="the training's folder; by default runs/ARCH-DATA-N")
    ] = None,
    recipe: RecipeOption = None,
    epochs: EpochsOption = None,
    batch_size: BatchSizeOption = None,
    learning_rate: LearningRateOption = None,
    optimizer: OptimizerOption = None,
    augment: Annotated[str | None, typer.Option(metavar="A+B", help=AUGMENT_HELP)] = None,
    ema: EmaOption = None,
    pretrained: PretrainedOption = False,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="torchvision's weights as a file, instead of torch's cache"),
    ] = None,
    freeze: FreezeOption = None,
    init: Annotated[
        str | None,
        typer.Option(metavar="RUN#TRIAL|DIR|FILE", help="begin from a network that bneck trained"),
    ] = None,
    resolution: ResolutionOption = None,
    seed: Annotated[int, typer.Option(min=0, help="of the weights, the order and the augmentation")] = 0,
    train_images: TrainImagesOption = None,
    validation_images: ValidationImagesOption = None,
    data_root: DataRootOption = None,
    download: DownloadOption = False,
    device: DeviceOption = "auto",
    precision: Annotated[
        str, typer.Option(help="auto, fp32, bf16 or fp16; auto is fp32 on a CPU, bf16 on a GPU")
    ] = "auto",
    compiled: Annotated[bool, typer.Option("--compile", help="by torch.compile")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="that compute; by default one a core")] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="write event files into DIR/tensorboard")
    ] = False,
    png: PngOption = False,
    resume: Annotated[bool, typer.Option("--resume", help="go on with a training that was stopped")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a network on your images.

    bneck train mobilenet_v3_small --data folder:photos --pretrained --epochs 5 --out runs/photos

    Several GPUs: torchrun --no-python --nproc-per-node 4 bneck train ... --out DIR
    """
    from ..jobs.training_request import TrainingRequest
    from ..jobs.training_session import train_and_report

    if resume and out is None:
        given = [name for name in context.params if was_given(context, name) and name not in RESUMABLE]
        if given:
            names = ", ".join("--" + name.replace("_", "-") for name in given)
            raise GoalError(f"{names} cannot change with --resume; the training keeps what it began with")
    request = TrainingRequest(
        arch=arch,
        data=data,
        out=out,
        recipe=recipe,
        overrides=recipe_overrides(context),
        seed=seed,
        resolution_px=resolution,
        pretrained=pretrained,
        weights=weights,
        init=init,
        data_root=data_root,
        download=download,
        train_images=train_images,
        validation_images=validation_images,
        device=device,
        precision=precision,
        compiled=compiled,
        threads=threads,
    )
    train_and_report(request, resume=resume, tensorboard=tensorboard, png=png, as_json=as_json)


def evaluate(
    checkpoint: Annotated[
        str, typer.Argument(metavar="CHECKPOINT", help="a folder of `bneck train`, its file, or RUN#TRIAL")
    ],
    data: Annotated[str | None, typer.Option(help=f"{DATA_HELP}; by default what it was trained on")] = None,
    split: Annotated[str, typer.Option(help="test, validation or train")] = "test",
    latency_backend: Annotated[
        str, typer.Option(metavar="BACKEND", help=f"for latency: none, {BACKENDS_HELP}")
    ] = "onnxruntime",
    latency_threads: ThreadsOption = 1,
    reference_model: ReferenceOption = "mobilenet_v3_small",
    data_root: DataRootOption = None,
    download: DownloadOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Judge a trained network on images.

    bneck evaluate runs/photos --data folder:photos --json
    """
    from .evaluate import evaluate_and_measure, print_evaluation

    result = evaluate_and_measure(
        checkpoint,
        data=data,
        split=split,
        backend=latency_backend,
        threads=latency_threads,
        reference_model=reference_model,
        data_root=data_root,
        download=download,
        device=device,
    )
    if as_json:
        typer.echo(json.dumps(result, indent=2))
    else:
        print_evaluation(result)


def compare(
    context: typer.Context,
    arch: Annotated[
        list[str], typer.Argument(metavar="ARCH...", help="published names, files, or RUN#TRIAL")
    ],
    data: Annotated[str, typer.Option(help=DATA_HELP)] = "digits",
    recipe: RecipeOption = None,
    seeds: Annotated[int, typer.Option(min=1, help="trainings of each, with seeds 0, 1, ...")] = 3,
    augment: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,C",
            help="compare these augmentations on one network; one alone is for all networks",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="by default runs/compare-DATA-N")] = None,
    epochs: EpochsOption = None,
    batch_size: BatchSizeOption = None,
    learning_rate: LearningRateOption = None,
    optimizer: OptimizerOption = None,
    ema: EmaOption = None,
    pretrained: PretrainedOption = False,
    freeze: FreezeOption = None,
    resolution: ResolutionOption = None,
    train_images: TrainImagesOption = None,
    validation_images: ValidationImagesOption = None,
    data_root: DataRootOption = None,
    download: DownloadOption = False,
    device: DeviceOption = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes; by default one a core, one on a GPU")
    ] = None,
    latency_backend: Annotated[
        str, typer.Option(metavar="BACKEND", help=f"for latency: none, {BACKENDS_HELP}")
    ] = "onnxruntime",
    reference_model: ReferenceOption = "mobilenet_v3_small",
    png: PngOption = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on with a comparison of the same words in --out DIR")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train networks alike, several seeds each.

    bneck compare mobilenet_v3_small mobilenet_v2 --data fashion-mnist --seeds 3
    """
    from ..jobs.comparison import THREADS_PER_TRAINING, ComparisonRequest, compare_and_report
    from ..jobs.training_request import TrainingRequest

    if resume and out is None:
        raise GoalError("--resume needs --out DIR, the folder of the comparison")
    augments = tuple(words.strip() for words in augment.split(",")) if augment else ()
    compared = augments if len(augments) > 1 else ()
    if compared and len(arch) > 1:
        raise GoalError("augmentations are compared on one network; give one ARCH, or one --augment")
    template = TrainingRequest(
        arch=arch[0],
        data=data,
        recipe=recipe,
        overrides=recipe_overrides(context, without="augment" if compared else ""),
        resolution_px=resolution,
        pretrained=pretrained,
        data_root=data_root,
        download=download,
        train_images=train_images,
        validation_images=validation_images,
        device=device,
        threads=THREADS_PER_TRAINING,
    )
    request = ComparisonRequest(template, tuple(arch), compared, seeds, out, latency_backend, reference_model)
    compare_and_report(request, workers=workers, resume=resume, png=png, as_json=as_json)


def recipe(
    name: Annotated[str | None, typer.Argument(metavar="NAME|FILE", help="a preset or a file")] = None,
    as_json: JsonOption = False,
    as_yaml: Annotated[
        bool, typer.Option("--yaml", help="print a preset's file, to start an own one")
    ] = False,
) -> None:
    """Show a training recipe, or list the presets.

    bneck recipe small-images --yaml > mine.yaml
    """
    from ...evaluate.training.recipe import RECIPES, load_recipe, preset_recipe_yaml, recipe_yaml
    from ...search_space import UnknownNameError

    if name is None:
        typer.echo(json.dumps(list(RECIPES)) if as_json else "\n".join(RECIPES))
    elif as_yaml:
        if name not in RECIPES:
            raise UnknownNameError("recipe", name, RECIPES)
        typer.echo(preset_recipe_yaml(name), nl=False)
    elif as_json:
        typer.echo(json.dumps(asdict(load_recipe(name)), indent=2))
    else:
        typer.echo(recipe_yaml(load_recipe(name)), nl=False)


def data(
    name: Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)],
    check: Annotated[bool, typer.Option("--check", help="decode every image of a folder")] = False,
    data_root: DataRootOption = None,
    download: DownloadOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a data set holds, class by class.

    bneck data folder:photos --check
    """
    from ...evaluate.data.dataset import load_data
    from .data import as_dict, print_data

    result = as_dict(load_data(name, root=data_root, download=download), check=check)
    if as_json:
        typer.echo(json.dumps(result, indent=2))
    else:
        print_data(result)


def recipe_overrides(context: typer.Context, without: str = "") -> tuple[tuple[str, Any], ...]:
    """The fields of the recipe that the command line sets otherwise."""
    given = [name for name in RECIPE_FIELDS if name in context.params and name != without]
    return tuple((name, context.params[name]) for name in given if context.params[name] is not None)
