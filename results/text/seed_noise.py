"""A study of noise in words and rows for people."""

import math
from collections.abc import Iterable

from ...evaluate import short_count
from ...evaluate.statistics.reliability import Variances
from ..analysis.comparison import points
from ..analysis.seed_noise import ENOUGH, TOLD, Estimate, NoiseReport, Quantity
from .formatting import count_of

FEW_NETWORKS = 10
_MANY_TRAININGS = 20


def table_rows(report: NoiseReport) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns, and rows for 1, 2 and 4 trainings."""
    columns = ("", *(count_of(each, "training") for each in TOLD))
    rows = []
    for each in report.quantities:
        for what, part in (("reliability", each.overall), ("beyond MACs", each.beyond)):
            cells = (estimate_text(found) for found in reliabilities(part).values())
            rows.append((f"{what}, {each.name}", *cells))
    for each in report.quantities:
        unit = ", points" if each.name == "accuracy" else ""
        cells = (_amount(each, each.tellable(count)) for count in TOLD)
        rows.append((f"difference that can be told, {each.name}{unit}", *cells))
    return columns, rows


def reliabilities(part: Variances, trainings: Iterable[int] = TOLD) -> dict[int, Estimate]:
    """By the number of trainings."""
    return {each: Estimate(part.reliability(each), *part.interval(each)) for each in trainings}


def estimate_text(found: Estimate) -> str:
    """`0.74 (0.45 to 0.90)`."""
    if math.isnan(found.value):
        return "unknown"
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def lines(report: NoiseReport) -> list[str]:
    """What the table does not say, a sentence or two each; the verdict comes last."""
    main = report.main
    told = [
        f"Reliability is the share of the variance that is the networks' own; 95% intervals in brackets. "
        f"Two seeds rank the networks alike by Spearman {estimate_text(main.seeds_agree)}; MACs rank them "
        f"by {main.name} with {estimate_text(main.macs_agree)}.",
        *_more_reliable(report),
        _cost(report),
        _better_use(report),
        "This holds for trainings as short as these; longer ones may rank the networks otherwise.",
        sentence(report),
    ]
    return [each for each in told if each]


def counted(report: NoiseReport) -> str:
    """What the statistics are of."""
    told = f"{report.networks} networks x {report.seeds} seeds"
    if report.left_out:
        told += f"; {count_of(report.left_out, 'training')} more in no table, for seeds or networks lack"
    if report.failed:
        told += f"; {count_of(report.failed, 'training')} failed"
    return told


def sentence(report: NoiseReport) -> str:
    """The verdict for people, with what it rests on and how sure it is."""
    main, few = report.main, ""
    if report.networks < FEW_NETWORKS:
        few = f" With {report.networks} networks all of this is rough."
    gain, once, often = main.gain(report.trials), main.tellable(1), main.tellable(TOLD[-1])
    share = f"MACs explain {_percent(main.explained)} of what the networks truly differ by"
    gained = (
        f"the best of {report.trials} networks of one size would be about {_worth(main, gain.value)} "
        f"({_amount(main, gain.low)} to {_amount(main, gain.high)}) above their mean, where one training of "
        f"each tells {_worth(main, once)} apart and {TOLD[-1]} tell {_worth(main, often)}"
    )
    if report.verdict == "noise":
        reliable = estimate_text(Estimate(main.overall.reliability(), *main.overall.interval()))
        return (
            "Whether a search is worth its time cannot be told: the networks do not differ by more than the "
            f"seeds make them (reliability {reliable}). {_remedy(main)}{few}"
        )
    if report.verdict == "search":
        return f"A search is worth its time: {share}, and {gained}.{few}"
    if report.verdict == "unclear":
        remedy = "More networks, or longer trainings, would show it."
        return f"Whether a search is worth its time is not clear: {share}, and {gained}. {remedy}{few}"
    return f"A search is hardly worth its time; choose {_choice(main)}: {share}, and {gained}.{few}"


def _choice(quantity: Quantity) -> str:
    if quantity.best_macs == quantity.macs.max():
        return "the largest network within the limits"
    return f"a network of about {short_count(float(f'{quantity.best_macs:.2g}'))} MACs"


def _more_reliable(report: NoiseReport) -> list[str]:
    if len(report.quantities) < 2:
        return []
    found = [f"{each.name} {each.overall.reliability():.2f}" for each in report.quantities]
    if report.more_reliable is None:
        return [f"Which is the more reliable here, {' or '.join(found)}, so few trainings cannot tell."]
    return [f"The {report.more_reliable} is the more reliable here: {', '.join(found)}."]


def _cost(report: NoiseReport) -> str:
    """What a training costs and what a judgement should."""
    one, enough = report.cpu_seconds, report.enough
    told = f"One training costs {_seconds(one)}"
    if enough is None:
        return f"{told}; no number of them would do for a reliability of {ENOUGH:g}, as far as is seen."
    if enough == 1:
        return f"{told}, and one is enough for a reliability of {ENOUGH:g}."
    told += f"; a reliability of {ENOUGH:g} takes {enough}, {_seconds(enough * one)} a network"
    return f"{told}: train longer instead." if enough > _MANY_TRAININGS else f"{told}."


def _better_use(report: NoiseReport) -> str:
    """More networks, or more trainings of each."""
    part, name = report.main.beyond, " of one size"
    if part.true <= 0:
        part, name = report.main.overall, ""
    if part.true <= 0:
        return ""
    networks, trainings = report.main.better_use(report.trials)
    how = (
        f"{networks} networks{name} with {count_of(trainings, 'training')} each are the best use"
        f": more {'networks' if trainings == 1 else 'seeds'} rather than more "
        f"{'seeds' if trainings == 1 else 'networks'}"
    )
    return f"Of the computing of {report.trials} trainings, {how}."


def _remedy(quantity: Quantity) -> str:
    if quantity.name == "score":
        return "Look at more networks or more seeds, or take another scorer."
    return "Train longer: more --epochs or --train-images."


def _amount(quantity: Quantity, value: float) -> str:
    """Accuracies in percentage points."""
    return points(value) if quantity.name == "accuracy" else f"{value:.3g}"


def _worth(quantity: Quantity, value: float) -> str:
    return f"{_amount(quantity, value)} points" if quantity.name == "accuracy" else _amount(quantity, value)


def _percent(share: Estimate) -> str:
    return f"{100 * share.value:.0f}% ({100 * share.low:.0f}% to {100 * share.high:.0f}%)"


def _seconds(value: float) -> str:
    return f"{value:.3g} CPU-seconds" if value < 100 else f"{value:,.0f} CPU-seconds"
