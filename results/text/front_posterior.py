"""How sure the accuracies of a search are, in sentences for people."""

from collections.abc import Iterable, Sequence

from ...evaluate import Goals, Objective
from ..analysis.front_posterior import DECIDED_PROBABILITY, FrontPosterior, best_by
from ..store.trial import Record
from .formatting import best_label, listed, pluralize

_MOST_LISTED = 12
SEED_NOISE_UNKNOWN = "One training each: the noise is not known"


def front_posterior_lines(
    alternatives: Sequence[Record], goals: Goals, front_posterior: FrontPosterior | None
) -> list[str]:
    """Everything that there is to say.

    Args:
        alternatives: among which a reader chooses: the front, or with a single objective all that were
            judged.
    """
    sentences = [
        noise_text(front_posterior),
        image_sampling_text(alternatives, front_posterior),
        *_membership_sentences(alternatives, goals, front_posterior),
    ]
    return [line for line in sentences if line and any(record.trainings for record in alternatives)]


def noise_text(front_posterior: FrontPosterior | None) -> str:
    """What another seed does."""
    if front_posterior is None:
        return f"{SEED_NOISE_UNKNOWN}; training again with another seed moves accuracies too."
    noise, replicates = front_posterior.noise, pluralize(front_posterior.replicates, "repeat")
    one, four = (f"{100 * noise.least_significant_difference(count, count):.1f}" for count in (1, 4))
    return (
        f"Training again with another seed moves an accuracy by ±{100 * noise.std:.1f} points "
        f"(deviation, from {replicates}); differences below {one} points are not told apart (95%) by one "
        f"training each, below {four} by four each."
    )


def image_sampling_text(records: Iterable[Record], front_posterior: FrontPosterior | None) -> str:
    """What the number of images leaves uncertain."""
    trained = [record for record in records if record.trainings]
    if not trained:
        return ""
    margins = sorted({f"{100 * record.image_sampling_ci95:.1f}" for record in trained}, key=float)
    images = " or ".join(f"{images:,}" for images in sorted({each.trainings[0].images for each in trained}))
    span = f"±{margins[0]}" + (f" to ±{margins[-1]}" if len(margins) > 1 else "")
    sentence = f"{images} validation images leave each accuracy uncertain by {span} points (95%)"
    if front_posterior:
        return f"{sentence}, the same images for all networks; that is not in the intervals."
    if len(trained) > 1:
        return f"{sentence}. Networks whose intervals overlap are not told apart here."
    return f"{sentence}."


def indistinguishable_text(
    records: Sequence[Record], goals: Goals, front_posterior: FrontPosterior | None
) -> str:
    """Which of these records the best one is not told apart from; empty for less than two."""
    trained = [record for record in records if record.trainings]
    best, label = best_by(goals.ranking_objective, trained), best_label(goals)
    if best is None or len(trained) < 2:
        return ""
    if front_posterior is None:
        return _overlapping_intervals_text(best, trained, goals)
    indistinguishable_records = front_posterior.indistinguishable(best, trained)
    if not indistinguishable_records:
        return f"Trial {best.trial} is the {label}, beyond chance (95%)."
    alone = len(goals.objectives) == 1
    probability = f" the best with {percent(front_posterior.pareto_probability(best))}," if alone else ""
    others = _trials(indistinguishable_records)
    return f"The {label}, trial {best.trial},{probability} is not told apart from {others} (95%)."


def pareto_membership_text(front: Sequence[Record], front_posterior: FrontPosterior) -> str:
    """Who is surely on the front, and who may be on it too."""
    keys = {record.key for record in front}
    decided = [each for each in front if front_posterior.pareto_probability(each) >= DECIDED_PROBABILITY]
    others = [each for each in front_posterior.undecided if each.key not in keys]
    text = f"Surely on the front ({percent(DECIDED_PROBABILITY)}): {_trials(decided) if decided else 'none'}"
    return f"{text}; {_trials(others)} may be on it too." if others else f"{text}."


def percent(probability: float) -> str:
    """`62%`; what is nearly sure is not told as sure."""
    if 0 < probability < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= probability < 1 else f"{100 * probability:.0f}%"


def _membership_sentences(
    alternatives: Sequence[Record], goals: Goals, front_posterior: FrontPosterior | None
) -> list[str]:
    sentences = [indistinguishable_text(alternatives, goals, front_posterior)]
    if front_posterior and len(goals.objectives) > 1:
        sentences.append(pareto_membership_text(alternatives, front_posterior))
    return sentences


def _overlapping_intervals_text(best: Record, trained: Sequence[Record], goals: Goals) -> str:
    images, label = f"{best.trainings[0].images:,} validation images", best_label(goals)
    indistinguishable_records = _with_overlapping_interval(best, trained, goals.ranking_objective)
    if not indistinguishable_records:
        return f"Trial {best.trial} is the {label}, beyond the 95% margins that {images} leave."
    return (
        f"On {images} the {label}, trial {best.trial}, is not told apart from "
        f"{_trials(indistinguishable_records)} (95% intervals overlap)."
    )


def _with_overlapping_interval(
    best: Record, trained: Sequence[Record], ranking_objective: Objective
) -> list[Record]:
    """Those whose 95% interval of accuracy or reward, as the images leave it, overlaps that of the best."""

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
    if len(records) > _MOST_LISTED:
        return pluralize(len(records), "trial")
    return f"trial{'s' if len(records) > 1 else ''} {listed([record.trial for record in records])}"
