"""The command line of supernets: `bneck supernet train` and `show`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ...search_space import GoalError
from .options import (
    DATA_HELP,
    DataRootOption,
    DeviceOption,
    DownloadOption,
    JsonOption,
    TrainImagesOption,
    was_given,
)
from .train import (
    AUGMENT_HELP,
    BatchSizeOption,
    EmaOption,
    EpochsOption,
    LearningRateOption,
    OptimizerOption,
    RecipeOption,
    recipe_overrides,
)

RESUMABLE = ("out", "resume", "data_root", "download", "device", "as_json")

supernet_app = typer.Typer(
    help="Train one network that holds all networks of a space, and judges each in about a second.",
    no_args_is_help=True,
)


@supernet_app.command()
def train(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="FILE", help="the supernet's file, safetensors")],
    space: Annotated[
        str | None,
        typer.Argument(metavar="SPACE", help="a preset or a YAML file; with --resume the file knows it"),
    ] = None,
    data: Annotated[str, typer.Option(help=DATA_HELP)] = "digits",
    minutes: Annotated[
        float | None,
        typer.Option(min=0.001, help="of computing (CPU time; on a GPU the clock's), instead of epochs"),
    ] = None,
    epochs: EpochsOption = None,
    strategy: Annotated[
        str,
        typer.Option(
            help="networks of a step: uniform, one at random; balanced, every choice equally often; "
            "sandwich, the largest, and on its answers the smallest and two at random (for GPUs)"
        ),
    ] = "uniform",
    max_macs: Annotated[
        str | None, typer.Option(metavar="LIMIT", help="train no network above these multiply-adds, like 60M")
    ] = None,
    recipe: RecipeOption = None,
    batch_size: BatchSizeOption = None,
    learning_rate: LearningRateOption = None,
    optimizer: OptimizerOption = None,
    augment: Annotated[str | None, typer.Option(metavar="A+B", help=AUGMENT_HELP)] = None,
    ema: EmaOption = None,
    seed: Annotated[
        int, typer.Option(min=0, help="of the weights, the networks, the order and the augmentation")
    ] = 0,
    train_images: TrainImagesOption = None,
    data_root: DataRootOption = None,
    download: DownloadOption = False,
    device: DeviceOption = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="go on with a training that was stopped")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a supernet; `--evaluator supernet:FILE` judges networks with it.

    bneck supernet train tiny --data digits --minutes 3 --max-macs 2M --out tiny.safetensors
    """
    from ..jobs.supernet import SupernetRequest, train_and_report

    if space is None and not resume:
        raise GoalError("a supernet needs a SPACE: bneck supernet train SPACE --out FILE")
    if minutes is not None and epochs is not None:
        raise GoalError("--minutes and --epochs exclude each other; choose one")
    if space is None:
        given = [name for name in context.params if was_given(context, name) and name not in RESUMABLE]
        if given:
            names = ", ".join("--" + name.replace("_", "-") for name in given)
            raise GoalError(f"{names} cannot change with --resume; the supernet keeps what it began with")
    request = SupernetRequest(
        space=space,
        data=data,
        out=out,
        recipe=recipe,
        overrides=recipe_overrides(context),
        minutes=minutes,
        strategy=strategy,
        max_macs=max_macs,
        seed=seed,
        train_images=train_images,
        data_root=data_root,
        download=download,
        device=device,
    )
    train_and_report(request, resume=resume, as_json=as_json)


@supernet_app.command()
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="that `bneck supernet train` wrote")],
    as_json: JsonOption = False,
) -> None:
    """Show what a supernet holds, and how it was trained.

    bneck supernet show tiny.safetensors
    """
    from ...evaluate.supernet.checkpoint import load_supernet
    from ..jobs.supernet import as_dict, summary_lines

    trained = load_supernet(file)
    if as_json:
        typer.echo(json.dumps(as_dict(trained, file), indent=2))
    else:
        for line in summary_lines(trained, file):
            typer.echo(line)
