"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="print JSON for programs")]
BACKENDS_HELP = (
    "onnxruntime, torch, torch-compile, openvino, executorch, ncnn, torch-cuda, torch-cuda-graph, or "
    "'command:TEMPLATE' for any other device (docs/guide/devices.md)"
)
ThreadsOption = Annotated[int, typer.Option(min=1, help="threads that run a network")]
ReferenceOption = Annotated[str, typer.Option(help="published network that latency is a ratio to")]
DATA_HELP = "digits, fashion-mnist, cifar10, cifar100, folder:PATH or torchvision:NAME"
DataRootOption = Annotated[Path | None, typer.Option(help="where the files of a data set known by name are")]
DownloadOption = Annotated[bool, typer.Option("--download", help="fetch missing data files")]
TrainImagesOption = Annotated[
    int | None, typer.Option(min=1, help="train on so many images at most, evenly by class")
]
ValidationImagesOption = Annotated[
    int | None, typer.Option(min=1, help="validate on so many images at most, evenly by class")
]
DeviceOption = Annotated[str, typer.Option(help="to compute on: auto, cpu or cuda")]

TimeoutOption = Annotated[
    float | None,
    typer.Option("--timeout", metavar="MIN", min=0.01, help="stop starting new work after this many minutes"),
]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, help="worker processes; by default one per core, one on a GPU")
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="continue after an interruption")]
LATENCY_NAMES = ("latency_backend", "latency_threads", "reference_model")
PREDICTOR_REASON = "the file holds the device that it was measured on"


def was_given(context: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line, rather than having its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
