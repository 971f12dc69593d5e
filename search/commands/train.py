"""`bneck train`."""

from typing import Annotated

import typer

from ..resolve.training_requests import TrainingRequest
from .expand import Given
from .options import JsonOption, PngOption, ResumeOption

RESUMABLE = ("arch", "out", "resume", "as_json", "tensorboard", "png", "download")


def train(
    request: TrainingRequest,
    given: Given,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="write event files into DIR/tensorboard")
    ] = False,
    png: PngOption = False,
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a network on your images.

    bneck train mobilenet_v3_small --data folder:photos --pretrained --epochs 5 --out runs/photos

    Several GPUs: torchrun --no-python --nproc-per-node 4 bneck train ... --out DIR
    """
    from ..jobs.training_session import train_and_report

    if resume and request.out is None:
        given.require_resumable(*RESUMABLE, "data")
    train_and_report(
        request,
        resume=resume,
        confirmed=given.confirmed(request),
        tensorboard=tensorboard,
        png=png,
        as_json=as_json,
    )
