"""Latency of the networks of a NetAdapt run: measured on the device, or predicted."""

import random
from collections.abc import Sequence

from ...evaluate import Latency, LatencySetup
from ...evaluate.latency.meter import LatencyMeter, unavailable_reason
from ...evaluate.latency.predictor import MIN_NETWORKS, LatencyPredictor
from ...evaluate.netadapt.cuts import CutKind, sample_smaller_network
from ...results.text.formatting import milliseconds
from ...search_space import Architecture, BackendError, GoalError
from ..console.tables import print_lines
from ..console.terminal import Console
from ..resolve.confirmed import predictor_setup
from ..resolve.networks import NamedArchitecture
from ..resolve.training_requests import NetAdaptRequest
from .latency import make_meter, measure_all

MODEL_NETWORKS = 64
MAX_DRAWS = 20 * MODEL_NETWORKS


def resolve_latency_source(
    request: NetAdaptRequest, architecture: Architecture, cut_kinds: Sequence[CutKind], console: Console
) -> tuple[LatencySetup | None, LatencyPredictor | None, LatencyMeter | None]:
    """Setup, predictor and meter, from a predictor's file or for this device; None where not needed.

    Raises:
        BneckError: the device does not work, the file cannot be read, or the fit fails.
    """
    if request.latency_predictor:
        model = LatencyPredictor.load(request.latency_predictor)
        setup = predictor_setup(model, request.latency_backend)
        return setup, model, meter_or_problem(setup)[0]
    if request.latency_backend == "none":
        return None, None, None
    meter = make_meter(
        architecture, request.latency_backend, request.latency_threads, 1, request.reference_model
    )
    if request.max_macs is not None:
        return meter.setup, None, meter
    model = fit_local_predictor(request.network, architecture, cut_kinds, meter, request.seed, console)
    return meter.setup, model, meter


def fit_local_predictor(
    name: str,
    architecture: Architecture,
    cut_kinds: Sequence[CutKind],
    meter: LatencyMeter,
    seed: int,
    console: Console,
) -> LatencyPredictor:
    """A latency predictor fitted to measured smaller variants of one network.

    A step changes latency by about one measurement error, so a predictor fitted to many measurements
    ranks proposals better than one measurement each.

    Raises:
        GoalError: the network has too few smaller variants.
        BackendError: the device fails on too many of them.
    """
    rng = random.Random(seed)
    networks = [architecture]
    for _ in range(MAX_DRAWS):
        sampled = sample_smaller_network(architecture, cut_kinds, rng)
        if sampled not in networks and len(networks) < MODEL_NETWORKS:
            networks.append(sampled)
    if len(networks) < MIN_NETWORKS:
        raise GoalError(
            f"{name} has {len(networks)} smaller variants; a latency predictor needs {MIN_NETWORKS}: "
            "give --max-macs, or a --latency-predictor FILE"
        )
    named = [NamedArchitecture(each.key, each) for each in networks]
    measured = [each.latency for each in measure_all(meter, named, fresh=False)]
    ratios = {
        network: latency.ratio
        for network, latency in zip(networks, measured, strict=True)
        if latency.status != "failed"
    }
    if len(ratios) < MIN_NETWORKS:
        failure = next(each.error for each in measured if each.status == "failed")
        raise BackendError(
            f"{len(ratios)} smaller variants of {name} could be measured, {MIN_NETWORKS} are needed; "
            f"first failure: {failure}"
        )
    model = LatencyPredictor.fit(
        list(ratios), list(ratios.values()), setup=meter.setup, space=f"smaller variants of {name}"
    )
    print_lines(
        console,
        f"latency: {milliseconds(measured[0].latency_ms)}; predictor fitted to {len(ratios)} narrower "
        f"variants, 90% prediction interval ±{100 * model.conformal_margin:.0f}%; the network of every "
        "step is measured",
    )
    return model


def meter_or_problem(setup: LatencySetup | None) -> tuple[LatencyMeter | None, str]:
    """A meter for a setup, or why it cannot be measured on this machine."""
    if setup is None:
        return None, ""
    problem = unavailable_reason(setup)
    return (None if problem else LatencyMeter.from_setup(setup)), problem


def measure_or_predict(
    architecture: Architecture, model: LatencyPredictor | None, meter: LatencyMeter | None
) -> Latency | None:
    """Measured if there is a meter, else predicted; None without either."""
    if meter is not None:
        return meter.measure_or_raise(architecture)
    return model.predict(architecture) if model else None
