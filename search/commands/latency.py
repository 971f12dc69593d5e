"""`bneck latency` and `bneck latency-predictor build`."""

import typer

from ...search_space import GoalError
from ..console.terminal import echo
from ..resolve.requests import LatencyPredictorRequest, LatencyRequest
from .options import JsonOption, print_json


def latency(request: LatencyRequest, as_json: JsonOption = False) -> None:
    """Measure the latency of networks on a device.

    bneck latency mobilenet_v3_large mobilenet_v2 --latency-backend torch
    """
    from ..jobs import latency as job
    from ..resolve.networks import resolve_network

    named = [resolve_network(name) for name in request.archs]
    if request.blocks and len(named) > 1:
        raise GoalError(f"--blocks measures one network, got {len(named)}")
    meter = job.make_meter(
        named[0].architecture,
        request.latency_backend,
        request.latency_threads,
        request.batch_size,
        request.reference_model,
    )
    measured = job.measure_all(meter, named, fresh=request.fresh)
    failures = [f"{each.name}: {each.latency.error}" for each in measured if each.latency.status == "failed"]
    layers = job.measure_layers(meter, named[0]) if request.blocks and not failures else None
    if as_json:
        rows = [job.as_dict(each, meter) for each in measured]
        if layers:
            rows[0]["blocks"] = job.parts_as_dicts(layers)
        print_json(rows)
    else:
        job.print_latencies(measured, meter)
        if layers:
            job.print_parts(layers, named[0])
    for line in failures:
        echo(f"bneck: {line}", err=True)
    if failures:
        raise typer.Exit(2)


def build(request: LatencyPredictorRequest, as_json: JsonOption = False) -> None:
    """Measure networks of a space and fit a latency predictor to them.

    bneck latency-predictor build mobile --latency-backend 'command:./on-phone.sh {pte}' --file phone.json
    """
    from ..jobs import latency_predictor as job

    job.require_absent(request.file)
    predictor = job.build(request)
    predictor.save(request.file, replace=False)
    if as_json:
        print_json(predictor.to_dict())
    else:
        job.print_model(predictor)
        echo(f"\nsearch:  bneck search {request.space} --latency-predictor {request.file}")
