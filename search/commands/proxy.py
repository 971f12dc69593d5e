"""The command line of scorers: `bneck proxy`."""

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
)
from .train import EpochsOption, RecipeOption, ResolutionOption

SCORER_HELP = (
    "train; zero-cost: naswot, synflow, zico, jacob_cov, grad_norm, snip; costs: macs, params, depth; "
    "or of a file: supernet:FILE, inherit:FILE, table:FILE"
)
_TRAINING = ("train", "inherit")


def proxy(
    arch: Annotated[
        list[str], typer.Argument(metavar="ARCH...", help="published names, files, or RUN#TRIAL")
    ],
    evaluator: Annotated[str, typer.Option(metavar="NAME", help=SCORER_HELP)] = "naswot",
    data: Annotated[str, typer.Option(help=DATA_HELP)] = "digits",
    seeds: Annotated[int, typer.Option(min=1, help="judgements of each, with seeds 0, 1, ...")] = 1,
    recipe: RecipeOption = None,
    epochs: EpochsOption = None,
    resolution: ResolutionOption = None,
    train_images: TrainImagesOption = None,
    validation_images: ValidationImagesOption = None,
    data_root: DataRootOption = None,
    download: DownloadOption = False,
    device: DeviceOption = "auto",
    threads: Annotated[int, typer.Option(min=1, help="that compute")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Judge networks without a search, best first.

    bneck proxy mobilenet_v3_small mobilenet_v2 --evaluator naswot --seeds 3
    """
    from ...evaluate.scorers import scorer_kind
    from ..jobs.proxy_scores import ProxyRequest, proxy_and_report

    kind = scorer_kind(evaluator)
    for option, value in (("--recipe", recipe), ("--epochs", epochs)):
        if value is not None and kind not in _TRAINING:
            raise GoalError(f"{option} is for the scorers {' and '.join(_TRAINING)}; {kind} trains nothing")
    request = ProxyRequest(
        archs=tuple(arch),
        evaluator=evaluator,
        data=data,
        seeds=seeds,
        recipe=recipe,
        epochs=epochs,
        resolution_px=resolution,
        train_images=train_images,
        validation_images=validation_images,
        data_root=data_root,
        download=download,
        device=device,
        threads=threads,
    )
    proxy_and_report(request, as_json=as_json)
