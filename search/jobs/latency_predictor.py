"""`bneck latency-predictor build`: measures networks of a space, fits a predictor and validates it."""

import random
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from ...evaluate import Goals, Objective, build_reference_panel
from ...evaluate.latency.backends import latency_backend
from ...evaluate.latency.meter import LatencyMeter
from ...evaluate.latency.predictor import (
    MIN_NETWORKS,
    LatencyPredictor,
    PredictionMetrics,
)
from ...results.store.settings import fitted_to_space
from ...results.text.latency import setup_lines
from ...search_space import Architecture, BackendError, RunError, SpaceError, load_space
from ..console.progress import Status, progress
from ..console.tables import plain_table, wide_console
from ..resolve.requests import LatencyPredictorRequest
from ..samplers.initial_design import stratified
from .latency import calibrate

NO_LIMITS = Goals((Objective("latency"),))


def require_absent(path: Path) -> None:
    """Make sure that a model can be written.

    Raises:
        RunError: the file exists, or its folder does not.
    """
    if path.exists():
        raise RunError(f"{path} exists; choose another --file")
    if not path.parent.is_dir():
        raise RunError(f"{path} cannot be written: {path.parent} is no folder")


def build(request: LatencyPredictorRequest) -> LatencyPredictor:
    """A model fitted to some networks of a space, and judged by others; with progress on stderr.

    What was measured stays in the cache, so that a build that was stopped goes on.

    Raises:
        BackendError: the device does not work, or fails at most networks.
        SpaceError: the space has too few networks.
    """
    space = load_space(request.space)
    backend = latency_backend(request.latency_backend, threads=request.latency_threads)
    panel = build_reference_panel(request.reference_model, lambda network: fitted_to_space(network, space))
    meter = LatencyMeter.with_cache(backend, panel)
    rng = random.Random(request.seed)
    drawn = stratified(space, NO_LIMITS, request.networks + request.held_out, rng)
    if len(drawn) < MIN_NETWORKS + 1:
        raise SpaceError(f"space {space.name} has {len(drawn)} networks; a model needs {MIN_NETWORKS + 1}")
    ratios = _measured(meter, drawn)
    known = [network for network in drawn if network in ratios]
    training_networks, others = known[request.held_out :], known[: request.held_out]
    model = LatencyPredictor.fit(
        training_networks,
        [ratios[network] for network in training_networks],
        setup=meter.setup,
        space=space.name,
    )
    return replace(model, held_out=model.evaluate(others, [ratios[network] for network in others]))


def _measured(meter: LatencyMeter, networks: list[Architecture]) -> dict[Architecture, float]:
    ratios: dict[Architecture, float] = {}
    failures: list[str] = []
    with progress(Console(stderr=True)) as display:
        calibrate(meter, display)
        for number, network in enumerate(networks):
            display.update_status(Status("measuring", number, len(networks)))
            latency = meter.measure(network)
            if latency.status == "failed":
                failures.append(f"{network.key}: {latency.error}")
                display.print_line(failures[-1])
            else:
                ratios[network] = latency.ratio
            if 2 * len(failures) > len(networks):
                raise BackendError(f"most networks failed on this device; the last: {failures[-1]}")
        display.update_status(Status("measuring", len(networks), len(networks)))
    return ratios


def print_model(model: LatencyPredictor) -> None:
    """What it costs, where, and how well it predicts."""
    setup = model.setup
    console = wide_console()
    lines = [
        f"latency of space {model.space}, from {len(model.training_networks)} networks",
        *setup_lines(setup),
    ]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    table = plain_table("term", "nanoseconds each", left=("term",))
    for term, ratio in model.terms.items():
        table.add_row(term.replace("_", " "), f"{1e6 * ratio * setup.reference_ms:.4g}")
    console.print(table)
    console.print(
        f"channels are counted in steps of {model.vector_width}; "
        f"9 of 10 networks left out of the fit are within {100 * model.conformal_margin:.1f}%",
        highlight=False,
        soft_wrap=True,
    )
    if model.held_out:
        print_scores(model.held_out)


def print_scores(scores: PredictionMetrics) -> None:
    """How well a model does on networks that it was not fitted to."""
    table = plain_table("held out", "Spearman", "MAPE %", "within 5%", "within 10%", "in the 90% interval")
    table.add_row(
        str(scores.networks),
        "" if scores.spearman is None else f"{scores.spearman:.3f}",
        f"{100 * scores.mape:.1f}",
        f"{100 * scores.within_5:.0f}",
        f"{100 * scores.within_10:.0f}",
        f"{100 * scores.coverage:.0f}",
    )
    wide_console().print(table)
