"""How sure the accuracies of a search are, in sentences for people."""

from collections.abc import Iterable, Sequence

from ...evaluate import Goals, Objective
from ..analysis.front_posterior import SURE, Certainty, best_by
from ..store.trial import Record
from .formatting import count_of, listed, superlative

_MOST_LISTED = 12
NOT_KNOWN = "One training each: the noise is not known"


def certainty_lines(rivals: Sequence[Record], goals: Goals, certainty: Certainty | None) -> list[str]:
    """Everything that there is to say.

    Args:
        rivals: among which a reader chooses: the front, or with a single objective all that were judged.
    """
    found = [noise_text(certainty), images_text(rivals, certainty), *_groups(rivals, goals, certainty)]
    return [line for line in found if line and any(record.trainings for record in rivals)]


def noise_text(certainty: Certainty | None) -> str:
    """What another seed does."""
    if certainty is None:
        return f"{NOT_KNOWN}; training again with another seed moves accuracies too."
    noise, repeats = certainty.noise, count_of(certainty.repeats, "repeat")
    one, four = (f"{100 * noise.tellable(count, count):.1f}" for count in (1, 4))
    return (
        f"Training again with another seed moves an accuracy by ±{100 * noise.deviation:.1f} points "
        f"(deviation, from {repeats}); differences below {one} points are not told apart (95%) by one "
        f"training each, below {four} by four each."
    )


def images_text(records: Iterable[Record], certainty: Certainty | None) -> str:
    """What the number of images leaves uncertain."""
    known = [record for record in records if record.trainings]
    if not known:
        return ""
    margins = sorted({f"{100 * record.images_margin:.1f}" for record in known}, key=float)
    images = " or ".join(f"{images:,}" for images in sorted({each.trainings[0].images for each in known}))
    span = f"±{margins[0]}" + (f" to ±{margins[-1]}" if len(margins) > 1 else "")
    sentence = f"{images} validation images leave each accuracy uncertain by {span} points (95%)"
    if certainty:
        return f"{sentence}, the same images for all networks; that is not in the intervals."
    if len(known) > 1:
        return f"{sentence}. Networks whose intervals overlap are not told apart here."
    return f"{sentence}."


def group_text(records: Sequence[Record], goals: Goals, certainty: Certainty | None) -> str:
    """Which of these records the best one is not told apart from; empty for less than two."""
    known = [record for record in records if record.trainings]
    best, called = best_by(goals.merit, known), superlative(goals)
    if best is None or len(known) < 2:
        return ""
    if certainty is None:
        return _overlap_text(best, known, goals)
    level = certainty.alike(best, known)
    if not level:
        return f"Trial {best.trial} is the {called}, beyond chance (95%)."
    alone = len(goals.objectives) == 1
    chance = f" the best with {percent(certainty.on_front_probability(best))}," if alone else ""
    return f"The {called}, trial {best.trial},{chance} is not told apart from {_trials(level)} (95%)."


def front_text(front: Sequence[Record], certainty: Certainty) -> str:
    """Who is surely on the front, and who may be on it too."""
    keys = {record.key for record in front}
    sure = [each for each in front if certainty.on_front_probability(each) >= SURE]
    others = [each for each in certainty.unsettled if each.key not in keys]
    told = f"Surely on the front ({percent(SURE)}): {_trials(sure) if sure else 'none'}"
    return f"{told}; {_trials(others)} may be on it too." if others else f"{told}."


def percent(chance: float) -> str:
    """`62%`; what is nearly sure is not told as sure."""
    if 0 < chance < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= chance < 1 else f"{100 * chance:.0f}%"


def _groups(rivals: Sequence[Record], goals: Goals, certainty: Certainty | None) -> list[str]:
    found = [group_text(rivals, goals, certainty)]
    if certainty and len(goals.objectives) > 1:
        found.append(front_text(rivals, certainty))
    return found


def _overlap_text(best: Record, known: Sequence[Record], goals: Goals) -> str:
    images, called = f"{best.trainings[0].images:,} validation images", superlative(goals)
    level = _level(best, known, goals.merit)
    if not level:
        return f"Trial {best.trial} is the {called}, beyond the 95% margins that {images} leave."
    return (
        f"On {images} the {called}, trial {best.trial}, is not told apart from {_trials(level)} "
        "(95% intervals overlap)."
    )


def _level(best: Record, known: Sequence[Record], merit: Objective) -> list[Record]:
    """Those whose 95% interval of accuracy or reward, as the images leave it, overlaps that of the best."""

    def margin(record: Record) -> float:
        return record.images_margin * (merit.factor(record.cost, record.latency) or 1.0)

    return [
        each
        for each in known
        if each is not best and abs(each.value(merit) - best.value(merit)) <= margin(each) + margin(best)
    ]


def _trials(records: Sequence[Record]) -> str:
    if len(records) > _MOST_LISTED:
        return count_of(len(records), "trial")
    return f"trial{'s' if len(records) > 1 else ''} {listed([record.trial for record in records])}"
