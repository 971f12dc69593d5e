"""`bneck latency-predictor build`: measures networks of a space, fits a predictor and validates it."""

import random
from dataclasses import replace
from pathlib import Path

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
from ..console.tables import print_lines, print_table, wide_console
from ..console.terminal import Console
from ..resolve.requests import LatencyPredictorRequest
from ..samplers.initial_design import stratified
from .latency import cached, calibrate

NO_LIMITS = Goals((Objective("latency"),))


def require_absent(path: Path) -> None:
    """Check that a new file can be written.

    Raises:
        RunError: the file exists, or its folder does not.
    """
    if path.exists():
        raise RunError(f"{path} exists; choose another --file")
    if not path.parent.is_dir():
        raise RunError(f"{path} cannot be written: folder {path.parent} does not exist")


def build(request: LatencyPredictorRequest) -> LatencyPredictor:
    """Measure networks of a space, fit a predictor and evaluate it on held-out networks.

    Measurements are cached, so an interrupted build resumes. Progress is shown on stderr.

    Raises:
        BackendError: the device does not work, or fails on most networks.
        SpaceError: the space has too few networks.
    """
    space = load_space(request.space)
    backend = latency_backend(request.latency_backend, threads=request.latency_threads)
    panel = build_reference_panel(request.reference_model, lambda network: fitted_to_space(network, space))
    meter = LatencyMeter.with_cache(backend, panel)
    rng = random.Random(request.seed)
    drawn = stratified(space, NO_LIMITS, request.networks + request.held_out, rng)
    if len(drawn) < MIN_NETWORKS + 1:
        raise SpaceError(f"space {space.name} has {len(drawn)} networks; {MIN_NETWORKS + 1} are needed")
    ratios = _measured(meter, drawn)
    measured = list(ratios)
    fitted, others = measured[request.held_out :], measured[: request.held_out]
    predictor = LatencyPredictor.fit(
        fitted, [ratios[network] for network in fitted], setup=meter.setup, space=space.name
    )
    return replace(predictor, held_out=predictor.evaluate(others, [ratios[network] for network in others]))


def _measured(meter: LatencyMeter, networks: list[Architecture]) -> dict[Architecture, float]:
    ratios: dict[Architecture, float] = {}
    failures: list[str] = []
    with cached(meter, networks), progress(Console(stderr=True)) as display:
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
                raise BackendError(f"most networks failed on this device; last failure: {failures[-1]}")
        display.update_status(Status("measuring", len(networks), len(networks)))
    return ratios


def print_model(model: LatencyPredictor) -> None:
    """Print the terms, the device and the accuracy of a predictor."""
    setup = model.setup
    console = wide_console()
    print_lines(
        console,
        f"latency of space {model.space}, fitted to {len(model.training_networks)} networks",
        *setup_lines(setup),
    )
    rows = [
        (term.replace("_", " "), f"{1e6 * ratio * setup.reference_ms:.4g}")
        for term, ratio in model.terms.items()
    ]
    print_table(console, ("term", "nanoseconds each"), rows)
    print_lines(
        console,
        f"Channels are rounded up to multiples of {model.vector_width}. "
        f"Cross-validated 90% prediction interval: ±{100 * model.conformal_margin:.1f}%.",
    )
    if model.held_out:
        print_scores(model.held_out)


def print_scores(metrics: PredictionMetrics) -> None:
    """Print the accuracy of a predictor on held-out networks."""
    row = (
        str(metrics.networks),
        "" if metrics.spearman is None else f"{metrics.spearman:.3f}",
        f"{100 * metrics.mape:.1f}",
        f"{100 * metrics.within_5:.0f}",
        f"{100 * metrics.within_10:.0f}",
        f"{100 * metrics.coverage:.0f}",
    )
    columns = ("held out", "Spearman", "MAPE %", "within 5%", "within 10%", "90% interval coverage %")
    print_table(wide_console(), columns, [row], left=())
