"""What a run's latencies are worth, in words: where they come from, and what looking again changed."""

from collections.abc import Iterable, Sequence

from ...evaluate import LatencySetup
from ..store.search_run import Baseline, Run
from ..store.trial import Record
from .formatting import count_of, duration, milliseconds


def setup_lines(setup: LatencySetup) -> list[str]:
    """The conditions that ratios and milliseconds are told under."""
    side, took = setup.panel.networks[setup.reference].resolution_px, milliseconds(setup.reference_ms)
    return [
        f"1x is {setup.reference} at {side} px: {took} ({calibration_text(setup)})",
        f"device {setup.device.key}: {setup.device}",
    ]


def calibration_text(setup: LatencySetup) -> str:
    """When and how the milliseconds were measured."""
    known = setup.calibration
    return f"{known.clock}, {known.measured}, load {known.load:g} a core"


def dropped_text(run: Run) -> str:
    """How many networks left the front when their latency was measured once more."""
    checks = run.checks().values()
    limited = any(limit.quantity == "latency" for limit in run.settings.goals.constraints)
    if not limited or not checks:
        return ""
    again = sum(check.latency is not None for check in checks)
    if not again:
        return "The device was not at hand: latencies are predicted, and none was measured again."
    dropped = len(run.dropped())
    return (
        f"Of {count_of(again, 'network')} measured again in two fresh processes, {dropped or 'none'} "
        f"{'was' if dropped == 1 else 'were'} dropped: a network stays if the 95% upper bound of its latency "
        "keeps the limit."
    )


def sources_text(records: Iterable[Record]) -> str:
    """`32 measured, 28 predicted`."""
    known = [record.latency for record in records if record.latency]
    counts = {source: sum(each.source == source for each in known) for source in ("measured", "predicted")}
    return ", ".join(f"{count:,} {source}" for source, count in counts.items() if count) or "none"


def times_text(run: Run, records: Sequence[Record]) -> str:
    """Time spent training beside time spent measuring, over all workers."""
    judged: list[Record | Baseline] = [*records, *run.baselines()]
    again = [check.latency for check in run.checks().values()]
    trained = [each.accuracy for each in judged if each.accuracy]
    repeats = [repeat for each in records for repeat in each.repeats]
    training = sum(each.seconds for each in [*trained, *repeats])
    model = float(run.study.user_attrs.get("model_seconds", 0.0))
    measuring = model + sum(each.seconds for each in [*(each.latency for each in judged), *again] if each)
    told = f"training {duration(training)}, measuring {duration(measuring)}"
    return f"{told} ({duration(model)} of it for the latency model)" if model else told
