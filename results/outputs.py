"""The files of a finished experiment: result, tables and the HTML report."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..search_space import RunError
from ..search_space.serialization.atomic_write import write_atomic
from .plots.png import write_pngs
from .store.experiment import Experiment
from .store.netadapt_run import NetAdaptRun
from .store.search_run import SearchRun
from .store.seed_study import SeedStudy
from .store.training_run import TrainingRun

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from ..evaluate.data.dataset import Data
    from .analysis.seed_noise import SeedVarianceReport
    from .pages.training import TrainingReport


def write_report(
    experiment: Experiment[Any],
    page: Path | None = None,
    *,
    png_folder: Path | None = None,
    device: str = "cpu",
) -> Path:
    """Write the HTML report of a search run, training, NetAdapt run or seed study.

    Args:
        page: by default `report.html` in the experiment's folder.
        png_folder: the figures of the report are written there as PNG and SVG files.
        device: where a training is evaluated on its test images; the other kinds evaluate nothing.
    Returns:
        The path of the page.
    Raises:
        RunError: the experiment has no results yet, or a file cannot be written.
    """
    page = page or experiment.report_file
    html, figures = _render(experiment, device)
    with suppress(OSError):  # the write below says why
        page.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(page, html)
    if png_folder:
        write_pngs(figures, png_folder)
    return page


def write_search_results(run: SearchRun) -> None:
    """Write `result.json`, `front.csv`, `architectures/*.yaml` and `report.html` of a search run."""
    from .analysis.front_posterior import front_posterior_of
    from .analysis.macs_baseline import macs_baseline
    from .export.exportable import exportable_from_trial
    from .export.front_table import front_csv, front_dict
    from .text.findings import accuracy_warnings
    from .text.pretrained_baseline import pretrained_baseline

    front, completed, goals = run.front(), run.completed_records(), run.settings.goals
    posterior = front_posterior_of(completed, goals)
    baseline = macs_baseline(completed, front, posterior, goals)
    warnings = accuracy_warnings(run)
    run.save_result(
        front_dict(
            front,
            posterior,
            baseline,
            run.epochs_spent(),
            goals.reward,
            warnings,
            pretrained_baseline(completed),
        )
    )
    write_atomic(run.folder / "front.csv", front_csv(front, posterior, goals.reward))
    configs = run.folder / "architectures"
    exportables = [exportable_from_trial(run, record) for record in front]
    written = {configs / f"{each.stem}.yaml": each.config for each in exportables}
    for path, config in written.items():
        write_atomic(path, config)
    for old in set(configs.glob("*.yaml")) - set(written):
        old.unlink()
    write_report(run)


def write_training_results(
    training: TrainingRun, data: Data, *, device: str, png_folder: Path | None = None
) -> dict[str, Any]:
    """Evaluate the best epoch of a training on the test images; write `result.json` and `report.html`.

    Args:
        png_folder: the figures of the report are written there as PNG and SVG files.
    Returns:
        The content of `result.json`.
    Raises:
        RunError: no epoch is complete, or a file cannot be written.
    """
    from .export.training import metrics_on_split, training_result
    from .pages.training import figures, training_html
    from .pages.training_report import build_training_report

    metrics = metrics_on_split(training.model(), data, "test", device)
    report = build_training_report(training, data, metrics, device)
    result = training_result(training, metrics)
    training.save_result(result)
    write_atomic(training.report_file, training_html(report))
    if png_folder:
        write_pngs(figures(report), png_folder)
    return result


def write_netadapt_results(run: NetAdaptRun, data: Data) -> dict[str, Any]:
    """Evaluate the initial and the final network on the test images; write `result.json` and `report.html`.

    Returns:
        The content of `result.json`.
    """
    from ..evaluate.training.checkpoint import load_checkpoint
    from .export.netadapt import netadapt_result
    from .export.training import metrics_on_split

    device = run.settings.device
    final = write_training_results(run.final(), data, device=device)
    initial = metrics_on_split(load_checkpoint(run.network_file(0)), data, "test", device)
    result = netadapt_result(run, final, initial)
    run.save_result(result)
    write_report(run)
    return result


def write_seed_study_results(study: SeedStudy, report: SeedVarianceReport) -> dict[str, Any]:
    """Write `result.json` and `report.html` of a seed study.

    Returns:
        The content of `result.json`.
    """
    from .export.seed_noise import report_dict

    result = report_dict(report, study.metadata)
    study.save_result(result)
    write_report(study)
    return result


def _render(experiment: Experiment[Any], device: str) -> tuple[str, Mapping[str, Figure]]:
    """The HTML page of an experiment and its figures by file name."""
    if isinstance(experiment, SearchRun):
        from .pages.search import report_page

        return report_page(experiment)
    if isinstance(experiment, TrainingRun):
        from .pages import training as training_page

        report = _training_report(experiment, device)
        return training_page.training_html(report), training_page.figures(report)
    if isinstance(experiment, NetAdaptRun):
        from .pages.netadapt import netadapt_html
        from .plots.netadapt import netadapt_figures

        rows, result = experiment.path(), experiment.result()
        if result is None or not rows:
            raise RunError(f"{experiment.folder}: not finished; resume it: {experiment.resume_command}")
        html = netadapt_html(experiment, rows, result)
        return html, netadapt_figures(experiment.settings, rows, result)
    assert isinstance(experiment, SeedStudy)
    from .analysis.seed_noise import analyze_seed_variance
    from .pages.seed_noise import seed_variance_html
    from .plots.seed_noise import figures

    study_report = analyze_seed_variance(experiment.trainings(), experiment.settings.n_trials)
    if study_report is None:
        folder = experiment.folder
        raise RunError(f"{folder}: too few trainings; resume it: {experiment.resume_command}")
    title = f"Seed variance of space {experiment.settings.space} on {experiment.settings.data.name}"
    html = seed_variance_html(study_report, title, _provenance(experiment))
    return html, figures(study_report)


def _training_report(training: TrainingRun, device: str) -> TrainingReport:
    from .export.training import metrics_on_split
    from .pages.training_report import build_training_report

    model, data = training.model(), training.settings.data.load()
    return build_training_report(training, data, metrics_on_split(model, data, "test", device), device)


def _provenance(study: SeedStudy) -> list[tuple[str, object]]:
    from .text.formatting import duration, key_value_text

    settings = study.settings
    limits = {
        "train images": settings.data.train_images,
        "validation images": settings.data.validation_images,
    }
    cpu_seconds = sum(training.cpu_seconds for training in study.trainings())
    return [
        *study.metadata.items(),
        *((name, f"at most {limit:,}") for name, limit in limits.items() if limit),
        ("recipe", key_value_text(vars(settings.recipe).items())),
        ("time", f"{duration(cpu_seconds)} of CPU time"),
        ("trainings", str(study.trainings_file)),
        ("machine", key_value_text(settings.host.items())),
        ("versions", key_value_text(settings.versions.items())),
    ]
