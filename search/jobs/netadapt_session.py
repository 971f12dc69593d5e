"""`bneck adapt` from the words to the closing lines."""

import json
import shlex
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from ...evaluate import short_count
from ...results.store.netadapt_run import AdaptationFolder, is_adaptation
from ...results.text.formatting import count_of, milliseconds
from ...search_space import RunError
from ..commands.options import INTERRUPTED
from ..runner.session import locked
from .netadapt_request import AdaptationRequest, begin, plan
from .netadapt_run import default_workers, go


def adapt_and_report(request: AdaptationRequest, *, workers: int | None, resume: bool, as_json: bool) -> None:
    """Adapt, and print what came out.

    Raises:
        BneckError: it cannot begin, or cannot go on; what was done is kept.
    """
    console = Console(stderr=as_json)
    path = Path(request.words)
    if is_adaptation(path) and not resume:
        raise RunError(f"{path} is an adaptation; go on with it: bneck adapt {path} --resume")
    folder = AdaptationFolder.open(path) if resume else begin(plan(request, console))
    console.print(opening(folder), highlight=False, markup=False, soft_wrap=True)
    try:
        with locked(folder.folder, "adapting"):
            result = go(folder, workers or default_workers(folder), console)
    except KeyboardInterrupt:
        cuts = count_of(max(0, len(folder.path()) - 1), "cut")
        typer.echo(f"stopped after {cuts}; go on with:", err=True)
        typer.echo(f"  bneck adapt {shlex.quote(str(folder.folder))} --resume", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps({**result, "path": [row.plain() for row in folder.path()]}, indent=2))
        return
    for line in summary(folder, result):
        typer.echo(line)


def opening(folder: AdaptationFolder) -> str:
    """What is about to be done, in a line."""
    settings = folder.settings
    return (
        f"{folder.folder}: {settings.name} on {settings.data.name} down to {settings.limit}, in cuts of "
        f"{100 * settings.step:g}% or more, each tuned on {settings.tune_images:,} images; {settings.device}"
    )


def summary(folder: AdaptationFolder, result: dict[str, Any]) -> list[str]:
    """What came out, and what can be done with it."""
    final = shlex.quote(str(folder.final_folder))
    return [
        *(_network(name, result[name]) for name in ("start", "final")),
        f"(on {count_of(result['test_images'], 'test image')}, looked at once; after "
        f"{count_of(result['cuts'], 'cut')})",
        f"report:    {folder.report_file}",
        f"export:    bneck export {final} --format config,onnx -o exported",
        f"evaluate:  bneck evaluate {final}",
    ]


def _network(name: str, found: dict[str, Any]) -> str:
    latency = f"{milliseconds(found['latency_ms'])}, " if found["latency_ms"] else ""
    return (
        f"{name + ':':<7}{100 * found['test_top1']:.2f}% right, loss {found['test_loss']:.3f}; {latency}"
        f"{short_count(found['macs'])} MACs, {short_count(found['params'])} parameters"
    )
