"""Latency setup, verification and time spent, in sentences."""

from collections.abc import Iterable, Sequence

from ...evaluate import LatencySetup
from ..store.search_run import Baseline, SearchRun, Verification
from ..store.trial import Record
from .formatting import duration, milliseconds, pluralize


def setup_lines(setup: LatencySetup) -> list[str]:
    """The reference network and the device that ratios and milliseconds refer to."""
    return [
        f"1x = {setup.reference_text}: {milliseconds(setup.reference_ms)} ({calibration_text(setup)})",
        f"device {setup.device.key}: {setup.device}",
    ]


def calibration_text(setup: LatencySetup) -> str:
    """Clock, time and load of the calibration."""
    calibration = setup.calibration
    return f"{calibration.clock}, {calibration.measured_at}, load {calibration.load:g} per core"


def verification_text(run: SearchRun) -> str:
    """Number of re-measured networks and of those dropped; empty without a latency limit."""
    verifications = run.verifications().values()
    limited = run.settings.goals.latency_limit is not None
    if not limited or not verifications:
        return ""
    remeasured = sum(verification.latency is not None for verification in verifications)
    if not remeasured:
        return "Verification: device unavailable, latencies are predicted and were not re-measured."
    return (
        f"Verification: {pluralize(remeasured, 'network')} re-measured in two fresh processes, "
        f"{len(run.failed_verification())} dropped (a network is kept only if the 95% upper confidence bound "
        "satisfies the latency limit)."
    )


def sources_text(records: Iterable[Record]) -> str:
    """`32 measured, 28 predicted`."""
    sources = [record.latency.source for record in records if record.latency]
    counts = {source: sources.count(source) for source in ("measured", "predicted")}
    return ", ".join(f"{count:,} {source}" for source, count in counts.items() if count) or "none"


def times_spent(run: SearchRun, records: Sequence[Record]) -> dict[str, float]:
    """Seconds of training and measuring by purpose, summed over all workers; without purposes of no time."""
    baselines = run.baselines()
    measured: list[Record | Baseline | Verification] = [*records, *baselines, *run.verifications().values()]
    latencies = [each.latency for each in measured if each.latency]
    seconds = {
        "training": sum(each.accuracy.seconds for each in records if each.accuracy),
        "replicates": sum(replicate.seconds for each in records for replicate in each.replicates),
        "baselines": sum(each.accuracy.seconds for each in baselines),
        "latency predictor": float(run.study.user_attrs.get("latency_predictor_seconds", 0.0)),
        "latency measurements": sum(each.seconds for each in latencies),
    }
    return {purpose: value for purpose, value in seconds.items() if value > 0}


def times_text(run: SearchRun, records: Sequence[Record]) -> str:
    """Training time and measuring time, summed over all workers."""
    spent = times_spent(run, records)
    predictor = spent.get("latency predictor", 0.0)
    training = sum(spent.get(name, 0.0) for name in ("training", "replicates", "baselines"))
    measuring = predictor + spent.get("latency measurements", 0.0)
    text = f"training {duration(training)}, measuring {duration(measuring)}"
    return f"{text} (latency predictor: {duration(predictor)})" if predictor else text
