"""Uncertainty of accuracies and of the Pareto front, in sentences."""

from collections.abc import Sequence

from ...evaluate import Goals
from ..analysis.front_posterior import DECIDED_PROBABILITY, FrontPosterior, best_by
from ..analysis.paired_images import indistinguishable_on_images
from ..store.trial import Record
from .formatting import listed, pluralize

_MAX_LISTED = 12


def front_posterior_lines(
    alternatives: Sequence[Record], goals: Goals, front_posterior: FrontPosterior | None
) -> list[str]:
    """Seed noise, the part of the images, and what they leave undecided.

    Args:
        alternatives: networks to choose from: the front, or all completed networks for a single objective.
    """
    if not any(record.trainings for record in alternatives):
        return []
    lines = [
        noise_text(front_posterior),
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
    images = front_posterior.image_sampling
    one, four = (f"{100 * front_posterior.least_significant_difference(count):.1f} pp" for count in (1, 4))
    text = (
        f"Seed standard deviation {100 * front_posterior.noise.std:.1f} pp "
        f"({pluralize(front_posterior.replicates, 'replicate')}). "
        f"Least significant difference on unseen images (95%): {one} with 1 seed per network, {four} with 4."
    )
    if images.known:
        return text
    return f"{text} That assumes that the {images.images:,} validation images suit all networks alike."


def indistinguishable_text(
    records: Sequence[Record], goals: Goals, front_posterior: FrontPosterior | None
) -> str:
    """The best record and those indistinguishable from it; empty for fewer than two trained records."""
    trained = [record for record in records if record.trainings]
    best = best_by(goals.ranking_objective, trained)
    if best is None or len(trained) < 2:
        return ""
    estimated = "estimated " if front_posterior else ""
    text = f"Trial {best.label} has the highest {estimated}{goals.ranking_objective.quantity}"
    if front_posterior:
        others, method = front_posterior.indistinguishable(best, trained), "95%"
        if len(goals.objectives) == 1:
            text += f" (P(best) = {percent(front_posterior.pareto_probability(best))})"
    else:
        others = indistinguishable_on_images(best, trained, goals.ranking_objective)
        method = f"95%, for {best.trainings[0].images:,} validation images, without seed noise"
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


def _trials(records: Sequence[Record]) -> str:
    if len(records) > _MAX_LISTED:
        return pluralize(len(records), "trial")
    return f"trial{'s' if len(records) > 1 else ''} {listed([record.label for record in records])}"
