"""The command line of noise: `bneck seed-variance`."""

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
    ValidationImagesOption,
    was_given,
)

RESUMABLE = ("space", "resume", "timeout_minutes", "seeds", "n_trials", "workers", "as_json")


def seed_variance(
    context: typer.Context,
    space: Annotated[
        str,
        typer.Argument(metavar="SPACE", help="a preset, a YAML file, or with --resume the study's folder"),
    ],
    data: Annotated[str, typer.Option(help=DATA_HELP)] = "digits",
    timeout_minutes: Annotated[
        float | None,
        typer.Option(
            "--timeout", metavar="MIN", min=0.01, help="stop after so many, and tell from what there is"
        ),
    ] = None,
    networks: Annotated[int, typer.Option(min=6, help="spread evenly by the logarithm of MACs")] = 12,
    seeds: Annotated[int, typer.Option(min=2, help="trainings of each network, with seeds 0, 1, ...")] = 3,
    evaluator: Annotated[
        str, typer.Option(help="that judges a network: train, or any other that a search may use")
    ] = "train",
    epochs: Annotated[int, typer.Option(min=1, help="times that a network sees the training images")] = 20,
    train_images: TrainImagesOption = None,
    validation_images: ValidationImagesOption = None,
    max_macs: Annotated[
        str | None, typer.Option(metavar="LIMIT", help="limit on multiply-adds, like 60M")
    ] = None,
    max_params: Annotated[
        str | None, typer.Option(metavar="LIMIT", help="limit on parameters, like 3M")
    ] = None,
    n_trials: Annotated[
        int,
        typer.Option(
            "--n-trials",
            "--trials",
            min=2,
            help="networks that the search would judge that this is made for",
        ),
    ] = 60,
    seed: Annotated[int, typer.Option(min=0, help="of the choice of networks")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="the study's folder; by default runs/seed-variance-SPACE-DATA-N"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes; by default one a core, one on a GPU")
    ] = None,
    data_root: DataRootOption = None,
    download: DownloadOption = False,
    device: DeviceOption = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="go on with a study that was stopped, or with more --seeds")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell how noisy trainings are, and whether a search is worth its time.

    bneck seed-variance tiny --data fashion-mnist --train-images 10000 --epochs 2 --timeout 30
    """
    from ..jobs import seed_study as seed_variance_job

    if resume:
        given = [name for name in context.params if was_given(context, name) and name not in RESUMABLE]
        if given:
            names = ", ".join("--" + name.replace("_", "-") for name in given)
            raise GoalError(f"{names} cannot change with --resume; the study keeps what it began with")
        study = seed_variance_job.resume(
            Path(space),
            seeds if was_given(context, "seeds") else None,
            n_trials if was_given(context, "n_trials") else None,
        )
    else:
        study = seed_variance_job.create(
            seed_variance_job.NoiseRequest(
                space=space,
                data=data,
                out=out,
                networks=networks,
                seeds=seeds,
                evaluator=evaluator,
                epochs=epochs,
                seed=seed,
                max_macs=max_macs,
                max_params=max_params,
                train_images=train_images,
                validation_images=validation_images,
                data_root=data_root,
                download=download,
                device=device,
                n_trials=n_trials,
            )
        )
    seed_variance_job.train_and_report(
        study, workers=workers, timeout_minutes=timeout_minutes, as_json=as_json
    )
