"""The command line of latency: `bneck latency`, `bneck latency-model build` and `show`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ...search_space import GoalError
from .options import BACKENDS_HELP, JsonOption, ReferenceOption, ThreadsOption

model_app = typer.Typer(
    help="Predict the latency of all networks of a space from some that are measured.", no_args_is_help=True
)


def latency(
    arch: Annotated[
        list[str], typer.Argument(metavar="ARCH...", help="published names, files, or RUN#TRIAL")
    ],
    latency_backend: Annotated[str, typer.Option(metavar="BACKEND", help=BACKENDS_HELP)] = "onnxruntime",
    latency_threads: ThreadsOption = 1,
    batch_size: Annotated[int, typer.Option(min=1, help="images a run")] = 1,
    reference_model: ReferenceOption = "mobilenet_v3_small",
    fresh: Annotated[bool, typer.Option("--fresh", help="measure anew what is cached, panel too")] = False,
    blocks: Annotated[bool, typer.Option("--blocks", help="show where the time goes, by block")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure networks on a device.

    bneck latency mobilenet_v3_large mobilenet_v2 --latency-backend torch
    """
    from ..jobs import latency as measuring
    from ..resolve.networks import resolve_network

    named = [resolve_network(words) for words in arch]
    if blocks and len(named) > 1:
        raise GoalError(f"--blocks shows one network, got {len(named)}")
    meter = measuring.make_meter(
        named[0].architecture, latency_backend, latency_threads, batch_size, reference_model
    )
    measured = measuring.measure_all(meter, named, fresh=fresh)
    table = (
        measuring.measure_layers(meter, named[0])
        if blocks and measured[0].latency.status != "failed"
        else None
    )
    if as_json:
        rows = [measuring.as_dict(each, meter) for each in measured]
        if table:
            rows[0]["blocks"] = measuring.parts_as_dicts(table)
        typer.echo(json.dumps(rows, indent=2))
    else:
        measuring.print_latencies(measured, meter)
        if table:
            measuring.print_parts(table, named[0])
    failures = [f"{each.name}: {each.latency.error}" for each in measured if each.latency.status == "failed"]
    for line in failures:
        typer.echo(f"bneck: {line}", err=True)
    if failures:
        raise typer.Exit(2)


@model_app.command()
def build(
    space: Annotated[str, typer.Argument(metavar="SPACE", help="a preset or a YAML file")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="the model's file, JSON")],
    latency_backend: Annotated[str, typer.Option(metavar="BACKEND", help=BACKENDS_HELP)] = "onnxruntime",
    networks: Annotated[
        int, typer.Option(min=20, help="to fit the model to; from 60 on it learns more details")
    ] = 30,
    held_out: Annotated[int, typer.Option(min=5, help="more networks, to judge the model by")] = 20,
    latency_threads: ThreadsOption = 1,
    reference_model: ReferenceOption = "mobilenet_v3_small",
    seed: Annotated[int, typer.Option(min=0, help="of the networks")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure some networks of a space and fit a model to them.

    bneck latency-model build mobile --latency-backend 'command:./on-phone.sh {pte}' --out phone.json
    """
    from ..jobs import latency_predictor as modelling

    modelling.require_absent(out)
    model = modelling.build(
        space, latency_backend, networks, held_out, latency_threads, reference_model, seed
    )
    model.save(out)
    if as_json:
        typer.echo(json.dumps(model.to_dict(), indent=2))
    else:
        modelling.print_model(model)
        typer.echo(f"\nsearch with it:  bneck search {space} --latency-predictor {out}")


@model_app.command()
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="that `bneck latency-model build` wrote")],
    as_json: JsonOption = False,
) -> None:
    """Show what a latency model has learned, and how well it predicts.

    bneck latency-model show phone.json
    """
    from ...evaluate.latency.predictor import LatencyPredictor
    from ..jobs import latency_predictor as modelling

    model = LatencyPredictor.load(file)
    if as_json:
        typer.echo(json.dumps(model.to_dict(), indent=2))
    else:
        modelling.print_model(model)
