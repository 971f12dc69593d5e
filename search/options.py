"""Options that several commands share."""

from typing import Annotated

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="print JSON for programs")]
BACKENDS_HELP = (
    "onnxruntime, torch, torch-compile, openvino, executorch, ncnn, torch-cuda, torch-cuda-graph, or "
    "'command:TEMPLATE' for any other device (docs/guide/devices.md)"
)
ThreadsOption = Annotated[int, typer.Option(min=1, help="threads that run a network")]
ReferenceOption = Annotated[str, typer.Option(help="published network that latency is a ratio to")]
