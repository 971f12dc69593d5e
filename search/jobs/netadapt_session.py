"""`bneck netadapt` from the words to the closing lines."""

import json
import shlex
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from ...evaluate import format_count
from ...results.store.experiment import NETADAPT_FILE, settings_name
from ...results.store.netadapt_run import NetAdaptRun
from ...results.text.formatting import milliseconds, pluralize
from ...search_space import RunError
from ..console.exit_codes import INTERRUPTED
from ..parallel.lock import run_lock
from ..resolve.requests import NetAdaptRequest
from .netadapt_request import create_netadapt_run, plan
from .netadapt_run import default_workers, run_netadapt


def netadapt_and_report(
    request: NetAdaptRequest, *, workers: int | None, resume: bool, as_json: bool
) -> None:
    """Adapt, and print what came out.

    Raises:
        BneckError: it cannot begin, or cannot go on; what was done is kept.
    """
    console = Console(stderr=as_json)
    path = Path(request.network)
    if settings_name(path) == NETADAPT_FILE and not resume:
        raise RunError(f"{path} is an adaptation; go on with it: bneck netadapt {path} --resume")
    folder = NetAdaptRun.open(path) if resume else create_netadapt_run(plan(request, console))
    console.print(start_message(folder), highlight=False, markup=False, soft_wrap=True)
    try:
        with run_lock(folder.folder, "adapting"):
            result = run_netadapt(folder, workers or default_workers(folder), console)
    except KeyboardInterrupt:
        cuts = pluralize(max(0, len(folder.path()) - 1), "step")
        typer.echo(f"stopped after {cuts}; go on with:", err=True)
        typer.echo(f"  bneck netadapt {shlex.quote(str(folder.folder))} --resume", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps({**result, "path": [row.as_row() for row in folder.path()]}, indent=2))
        return
    for line in summary(folder, result):
        typer.echo(line)


def start_message(folder: NetAdaptRun) -> str:
    """What is about to be done, in a line."""
    settings = folder.settings
    return (
        f"{folder.folder}: {settings.name} on {settings.data.name} down to {settings.limit}, in cuts of "
        f"{100 * settings.step:g}% or more, each tuned on {settings.finetune_images:,} images; "
        f"{settings.device}"
    )


def summary(folder: NetAdaptRun, result: dict[str, Any]) -> list[str]:
    """What came out, and what can be done with it."""
    final = shlex.quote(str(folder.final_folder))
    return [
        *(_network(name, result[name]) for name in ("start", "final")),
        f"(on {pluralize(result['test_images'], 'test image')}, looked at once; after "
        f"{pluralize(result['n_steps'], 'step')})",
        f"report:    {folder.report_file}",
        f"export:    bneck export {final} --format config,onnx -o exported",
        f"evaluate:  bneck evaluate {final}",
    ]


def _network(name: str, metrics: dict[str, Any]) -> str:
    latency = f"{milliseconds(metrics['latency_ms'])}, " if metrics["latency_ms"] else ""
    return (
        f"{name + ':':<7}{100 * metrics['test_top1']:.2f}% right, loss {metrics['test_loss']:.3f}; {latency}"
        f"{format_count(metrics['macs'])} MACs, {format_count(metrics['params'])} parameters"
    )
