"""Where the latencies of an adaptation are from: a device, and a model of the network's narrower forms."""

import random

from rich.console import Console

from ...evaluate import Latency, LatencySetup
from ...evaluate.latency.meter import LatencyMeter, unavailable_reason
from ...evaluate.latency.predictor import MIN_NETWORKS, LatencyPredictor
from ...evaluate.netadapt.channel_groups import sample_narrower_network
from ...results.text.formatting import milliseconds
from ...search_space import Architecture, BackendError, GoalError
from ..resolve.networks import NamedArchitecture
from ..resolve.requests import NetAdaptRequest
from .latency import make_meter, measure_all

MODEL_NETWORKS = 64
MAX_DRAWS = 20 * MODEL_NETWORKS


def resolve_latency_source(
    request: NetAdaptRequest, architecture: Architecture, console: Console
) -> tuple[LatencySetup | None, LatencyPredictor | None, LatencyMeter | None]:
    """The setup, what predicts, and what measures: from a model's file, or from this device.

    Raises:
        BneckError: the device does not work, the model cannot be read, or none can be learned.
    """
    if request.latency_predictor:
        model = LatencyPredictor.load(request.latency_predictor)
        return model.setup, model, meter_or_problem(model.setup)[0]
    if request.latency_backend == "none":
        return None, None, None
    meter = make_meter(
        architecture, request.latency_backend, request.latency_threads, 1, request.reference_model
    )
    if request.max_macs is not None:
        return meter.setup, None, meter
    model = fit_local_predictor(request.network, architecture, meter, request.seed, console)
    return meter.setup, model, meter


def fit_local_predictor(
    name: str, architecture: Architecture, meter: LatencyMeter, seed: int, console: Console
) -> LatencyPredictor:
    """A latency model fitted to narrower forms of one network, measured now.

    A cut saves about as much as a measurement is uncertain by, so cuts are not measured one by one:
    what many measurements have in common tells them apart better.

    Raises:
        GoalError: the network has too few narrower forms.
        BackendError: the device fails at too many of them.
    """
    rng = random.Random(seed)
    networks = [architecture]
    for _ in range(MAX_DRAWS):
        drawn = sample_narrower_network(architecture, rng)
        if drawn not in networks and len(networks) < MODEL_NETWORKS:
            networks.append(drawn)
    if len(networks) < MIN_NETWORKS:
        raise GoalError(
            f"{name} has too few narrower forms ({len(networks)}) to learn its latency from; "
            "give --max-macs, or a --latency-predictor FILE"
        )
    named = [NamedArchitecture(each.key, each) for each in networks]
    measured = [each.latency for each in measure_all(meter, named, fresh=False)]
    known = {
        network: latency.ratio
        for network, latency in zip(networks, measured, strict=True)
        if latency.status != "failed"
    }
    if len(known) < MIN_NETWORKS:
        failure = next(each.error for each in measured if each.status == "failed")
        raise BackendError(f"too few narrower forms of {name} could be measured; one of them: {failure}")
    model = LatencyPredictor.fit(
        list(known), list(known.values()), setup=meter.setup, space=f"narrower forms of {name}"
    )
    console.print(
        f"latency: {milliseconds(measured[0].latency_ms)}, predicted within "
        f"{100 * model.conformal_margin:.0f}% for 9 of 10 narrower forms (from {len(known)} measured ones); "
        "networks that are kept are measured",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return model


def meter_or_problem(setup: LatencySetup | None) -> tuple[LatencyMeter | None, str]:
    """What measures here as in a setup, or why nothing can."""
    if setup is None:
        return None, ""
    problem = unavailable_reason(setup)
    return (None if problem else LatencyMeter.from_setup(setup)), problem


def measure_or_predict(
    architecture: Architecture, model: LatencyPredictor | None, meter: LatencyMeter | None
) -> Latency | None:
    """Measured where that can be, else predicted; None without either."""
    if meter is not None:
        return meter.measure_or_raise(architecture)
    return model.predict(architecture) if model else None
