"""Options that are no settings of a request, and what several commands do with them."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ...evaluate.cores import require_workers


def _checked_workers(workers: int | None) -> int | None:
    require_workers(workers)
    return workers


RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="folder of `bneck search`")]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]
YamlOption = Annotated[bool, typer.Option("--yaml", help="print the file of a preset, to start your own")]
PngOption = Annotated[
    bool, typer.Option("--png", help="also write the figures as PNG and SVG, next to the page")
]
TimeoutOption = Annotated[
    float | None,
    typer.Option("--timeout", metavar="MIN", min=0.01, help="time limit for everything, report included"),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        min=1, callback=_checked_workers, help="worker processes; by default one per core, one on a GPU"
    ),
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="continue after an interruption")]


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))
