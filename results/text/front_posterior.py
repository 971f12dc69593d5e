"""Uncertainty of accuracies and of the Pareto front, in sentences."""

from collections.abc import Iterable, Sequence

from ...evaluate import Goals, Objective
from ..analysis.front_posterior import DECIDED_PROBABILITY, FrontPosterior, best_by
from ..store.trial import Record
from .formatting import listed, pluralize

_MAX_LISTED = 12


def front_posterior_lines(
    alternatives: Sequence[Record], goals: Goals, front_posterior: FrontPosterior | None
) -> list[str]:
    """Seed noise, sampling error of the images, and what they leave undecided.

    Args:
        alternatives: networks to choose from: the front, or all completed networks for a single objective.
    """
    if not any(record.trainings for record in alternatives):
        return []
    lines = [
        noise_text(front_posterior),
        image_sampling_text(alternatives, front_posterior),
        *decision_lines(alternatives, goals, front_posterior),
    ]
    return [line for line in lines if line]


def decision_lines(
    alternatives: Sequence[Record], goals: Goals, front_posterior: FrontPosterior | None
) -> list[str]:
    """Best network and Pareto membership; see `front_posterior_lines`."""
    lines = [indistinguishable_text(alternatives, goals, front_posterior)]
    if front_posterior and len(goals.objectives) > 1:
        lines.append(pareto_membership_text(alternatives, front_posterior))
    return [line for line in lines if line]


def noise_text(front_posterior: FrontPosterior | None) -> str:
    """Seed standard deviation and least significant difference, in percentage points."""
    if front_posterior is None:
        return (
            "Seed noise unknown: no network was trained with more than one seed. Networks are compared by "
            "their observed accuracies, the highest of which are too high on average (selection bias)."
        )
    noise = front_posterior.noise
    one, four = (f"{100 * noise.least_significant_difference(count, count):.1f} pp" for count in (1, 4))
    return (
        f"Seed standard deviation {100 * noise.std:.1f} pp "
        f"({pluralize(front_posterior.replicates, 'replicate')}). "
        f"Least significant difference (95%): {one} with 1 seed per network, {four} with 4."
    )


def image_sampling_text(records: Iterable[Record], front_posterior: FrontPosterior | None) -> str:
    """Sampling error that the number of validation images causes."""
    trained = [record for record in records if record.trainings]
    if not trained:
        return ""
    margins = sorted({f"{100 * record.image_sampling_ci95:.1f}" for record in trained}, key=float)
    images = " or ".join(f"{images:,}" for images in sorted({each.trainings[0].images for each in trained}))
    span = f"±{margins[0]}" + (f" to ±{margins[-1]}" if len(margins) > 1 else "")
    text = f"Sampling error with {images} validation images (95%): {span} pp"
    if front_posterior:
        return f"{text}, common to all networks and not part of the intervals."
    return f"{text}."


def indistinguishable_text(
    records: Sequence[Record], goals: Goals, front_posterior: FrontPosterior | None
) -> str:
    """The best record and those indistinguishable from it; empty for fewer than two trained records."""
    trained = [record for record in records if record.trainings]
    best = best_by(goals.ranking_objective, trained)
    if best is None or len(trained) < 2:
        return ""
    estimated = "estimated " if front_posterior else ""
    text = f"Trial {best.trial} has the highest {estimated}{goals.ranking_objective.quantity}"
    if front_posterior:
        others, method = front_posterior.indistinguishable(best, trained), "95%"
        if len(goals.objectives) == 1:
            text += f" (P(best) = {percent(front_posterior.pareto_probability(best))})"
    else:
        others = _with_overlapping_interval(best, trained, goals.ranking_objective)
        method = f"95% intervals of {best.trainings[0].images:,} validation images"
    if not others:
        return f"{text}, significantly higher than all others ({method})."
    verb = "is" if len(others) == 1 else "are"
    return f"{text}; {_trials(others)} {verb} statistically indistinguishable from it ({method})."


def pareto_membership_text(front: Sequence[Record], front_posterior: FrontPosterior) -> str:
    """The networks that are Pareto-optimal with high probability, and those that are undecided."""
    certain = [each for each in front if front_posterior.pareto_probability(each) >= DECIDED_PROBABILITY]
    undecided = front_posterior.undecided
    drawn, networks = len(front_posterior.records), front_posterior.networks
    subset = f" (on the {drawn:,} best of {networks:,} networks)" if drawn < networks else ""
    trials = _trials(certain) if certain else "no trial"
    text = f"P(Pareto-optimal) >= {DECIDED_PROBABILITY:g}{subset}: {trials}."
    return f"{text} Undecided: {_trials(undecided)}." if undecided else text


def percent(probability: float) -> str:
    """`62%`; probabilities that round to 0 or 1 without being it are `<1%` and `>99%`."""
    if 0 < probability < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= probability < 1 else f"{100 * probability:.0f}%"


def _with_overlapping_interval(
    best: Record, trained: Sequence[Record], ranking_objective: Objective
) -> list[Record]:
    """Records whose 95% image-sampling interval of accuracy or reward overlaps that of the best."""

    def margin(record: Record) -> float:
        return record.image_sampling_ci95 * (
            ranking_objective.accuracy_factor(record.cost, record.latency) or 1.0
        )

    return [
        each
        for each in trained
        if each is not best
        and abs(each.value(ranking_objective) - best.value(ranking_objective)) <= margin(each) + margin(best)
    ]


def _trials(records: Sequence[Record]) -> str:
    if len(records) > _MAX_LISTED:
        return pluralize(len(records), "trial")
    return f"trial{'s' if len(records) > 1 else ''} {listed([record.trial for record in records])}"
