"""The command line of adaptation: `bneck netadapt`."""

from pathlib import Path
from typing import Annotated

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
from .train import (
    AUGMENT_HELP,
    BatchSizeOption,
    EmaOption,
    EpochsOption,
    LearningRateOption,
    OptimizerOption,
    RecipeOption,
    ResolutionOption,
    recipe_overrides,
)

RESUMABLE = ("network", "resume", "workers", "as_json")


def netadapt(
    context: typer.Context,
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK",
            help="RUN#TRIAL, a folder of `bneck train` or its file; a published name or a network's file "
            "is trained first; with --resume an adaptation's folder",
        ),
    ],
    max_latency: Annotated[
        str | None, typer.Option(metavar="LIMIT", help="limit on latency: 5ms, or 0.5x the reference's")
    ] = None,
    to: Annotated[
        float | None, typer.Option(metavar="SHARE", help="limit on latency as a share of the start's own")
    ] = None,
    max_macs: Annotated[
        str | None, typer.Option(metavar="LIMIT", help="limit on multiply-adds, like 60M")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help=f"{DATA_HELP}; by default what it was trained on, or digits")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="the adaptation's folder; by default RUN/netadapt/trial-N-1 or runs/netadapt-NETWORK-DATA-N",
        ),
    ] = None,
    step: Annotated[
        float,
        typer.Option(min=0.001, max=0.5, help="what a cut saves at least, as a share of the start's cost"),
    ] = 0.025,
    finetune_images: Annotated[
        int, typer.Option(min=16, help="training images that each cut is tuned on")
    ] = 2000,
    final: Annotated[
        str, typer.Option(help="weights that the last training begins from: inherit or scratch")
    ] = "inherit",
    latency_predictor: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="predict latency by a file of `bneck latency-model build`"),
    ] = None,
    latency_backend: Annotated[
        str, typer.Option(metavar="BACKEND", help=f"for latency: none, {BACKENDS_HELP}")
    ] = "onnxruntime",
    latency_threads: ThreadsOption = 1,
    reference_model: ReferenceOption = "mobilenet_v3_small",
    recipe: RecipeOption = None,
    epochs: EpochsOption = None,
    batch_size: BatchSizeOption = None,
    learning_rate: LearningRateOption = None,
    optimizer: OptimizerOption = None,
    augment: Annotated[str | None, typer.Option(metavar="A+B", help=AUGMENT_HELP)] = None,
    ema: EmaOption = None,
    resolution: ResolutionOption = None,
    seed: Annotated[int, typer.Option(min=0, help="of all that is drawn")] = 0,
    train_images: TrainImagesOption = None,
    validation_images: ValidationImagesOption = None,
    data_root: DataRootOption = None,
    download: DownloadOption = False,
    device: DeviceOption = "auto",
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="that compute in the first and last training; by default one a core"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes; by default one a core, one on a GPU")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on with an adaptation that was stopped")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Cut a trained network down to a limit, where it loses least (NetAdapt).

    bneck netadapt runs/mobile-photos-1#best --max-latency 5ms

    The recipe is by default that of the network's own training.
    """
    from ..jobs.netadapt_request import NetAdaptRequest, parse_final_initialization
    from ..jobs.netadapt_session import netadapt_and_report
    from ..jobs.training_request import TrainingRequest

    if resume:
        given = [name for name in context.params if was_given(context, name) and name not in RESUMABLE]
        if given:
            names = ", ".join("--" + name.replace("_", "-") for name in given)
            raise GoalError(f"{names} cannot change with --resume; the adaptation keeps what it began with")
    if latency_predictor:
        for name in ("latency_backend", "latency_threads", "reference_model"):
            if was_given(context, name):
                option = "--" + name.replace("_", "-")
                raise GoalError(
                    f"{option} and --latency-predictor exclude each other; the file says where it is from"
                )
    training = TrainingRequest(
        arch=network,
        data=data or "",
        out=out,
        recipe=recipe,
        overrides=recipe_overrides(context),
        seed=seed,
        resolution_px=resolution,
        data_root=data_root,
        download=download,
        train_images=train_images,
        validation_images=validation_images,
        device=device,
        threads=threads,
    )
    request = NetAdaptRequest(
        training=training,
        max_latency=max_latency,
        max_macs=max_macs,
        share=to,
        step=step,
        finetune_images=finetune_images,
        final=parse_final_initialization(final),
        model=latency_predictor,
        latency_backend=latency_backend,
        threads=latency_threads,
        reference_model=reference_model,
    )
    netadapt_and_report(request, workers=workers, resume=resume, as_json=as_json)
