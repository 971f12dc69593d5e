"""What was measured of one network, as rows of quantity and value."""

from ..store.search_run import SearchRun
from ..store.training_run import TrainingRun
from ..store.trial import Record
from .formatting import accuracy_text, milliseconds, pluralize, ratio_text, top1_text

Row = tuple[str, str]


def trial_results(run: SearchRun, record: Record) -> list[Row]:
    """Accuracies with 95% intervals, and the latency with its conditions."""
    rows: list[Row] = []
    if record.trainings:
        trainings = f"{record.trainings[0].images:,} images, {pluralize(len(record.trainings), 'training')}"
        estimate = "corrected for selection" if record.posterior else "mean"
        accuracy = accuracy_text(record.estimated_accuracy)
        rows.append(("validation top-1", f"{accuracy}, {estimate}; {trainings}"))
    verification = run.verifications().get(record.key)
    if verification and verification.test_top1 is not None:
        images = f"{verification.test_images:,} images, the exported weights"
        rows.append(
            ("test top-1", f"{top1_text(verification.test_top1, verification.test_images)}; {images}")
        )
    latency = (verification and verification.latency) or record.latency
    if latency:
        setup = run.settings.latency
        value = f"{milliseconds(latency.latency_ms)} or {ratio_text(latency)} of {setup.reference_text}"
        rows.append((f"latency, {latency.source}", f"{value}; {setup.device}"))
    return rows


def training_results(training: TrainingRun) -> list[Row]:
    """Accuracies with 95% intervals."""
    settings, model = training.settings, training.model()
    rows: list[Row] = []
    images = sum(settings.data.validation_counts)
    if (top1 := model.curve[-1].validation_top1) is not None:
        text = f"{top1_text(top1, images)}; {images:,} images" if images else f"{100 * top1:.2f}%"
        rows.append(("validation top-1", f"{text}, the best of {pluralize(settings.recipe.epochs, 'epoch')}"))
    test = (training.result() or {}).get("test")
    if test:
        rows.append(("test top-1", f"{top1_text(test['top1'], test['images'])}; {test['images']:,} images"))
        rows.append(("test calibration error", f"{100 * test['calibration_error']:.1f}%"))
    return rows
