"""What a run's latencies are worth, in words: where they come from, and what looking again changed."""

from collections.abc import Iterable, Sequence

from ...evaluate import LatencySetup
from ..store.search_run import Baseline, Run
from ..store.trial import Record
from .formatting import duration, milliseconds, pluralize


def setup_lines(setup: LatencySetup) -> list[str]:
    """The conditions that ratios and milliseconds are told under."""
    resolution_px, reference_text = (
        setup.panel.networks[setup.reference].resolution_px,
        milliseconds(setup.reference_ms),
    )
    return [
        f"1x is {setup.reference} at {resolution_px} px: {reference_text} ({calibration_text(setup)})",
        f"device {setup.device.key}: {setup.device}",
    ]


def calibration_text(setup: LatencySetup) -> str:
    """When and how the milliseconds were measured."""
    known = setup.calibration
    return f"{known.clock}, {known.measured_at}, load {known.load:g} a core"


def verification_text(run: Run) -> str:
    """How many networks left the front when their latency was measured once more."""
    verifications = run.verifications().values()
    limited = any(limit.quantity == "latency" for limit in run.settings.goals.constraints)
    if not limited or not verifications:
        return ""
    remeasured = sum(verification.latency is not None for verification in verifications)
    if not remeasured:
        return "The device was not at hand: latencies are predicted, and none was measured again."
    n_failed = len(run.failed_verification())
    return (
        f"Of {pluralize(remeasured, 'network')} measured again in two fresh processes, "
        f"{n_failed or 'none'} {'was' if n_failed == 1 else 'were'} dropped: "
        "a network stays if the 95% upper bound of its latency keeps the limit."
    )


def sources_text(records: Iterable[Record]) -> str:
    """`32 measured, 28 predicted`."""
    known = [record.latency for record in records if record.latency]
    counts = {source: sum(each.source == source for each in known) for source in ("measured", "predicted")}
    return ", ".join(f"{count:,} {source}" for source, count in counts.items() if count) or "none"


def times_text(run: Run, records: Sequence[Record]) -> str:
    """Time spent training beside time spent measuring, over all workers."""
    completed: list[Record | Baseline] = [*records, *run.baselines()]
    remeasured = [verification.latency for verification in run.verifications().values()]
    trained = [each.accuracy for each in completed if each.accuracy]
    replicates = [repeat for each in records for repeat in each.replicates]
    training = sum(each.seconds for each in [*trained, *replicates])
    model = float(run.study.user_attrs.get("latency_predictor_seconds", 0.0))
    measuring = model + sum(
        each.seconds for each in [*(each.latency for each in completed), *remeasured] if each
    )
    text = f"training {duration(training)}, measuring {duration(measuring)}"
    return f"{text} ({duration(model)} of it for the latency model)" if model else text
