"""The box at the top of a search's report: the recommended networks beside MobileNetV3."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...evaluate import Latency
from ...search_space import Architecture, Cost, cost, published_architecture
from ..analysis.front_posterior import best_by
from ..store.pareto import knee
from ..store.search_run import Baseline
from ..store.trial import Record
from ..text.baselines import baselines_text
from ..text.formatting import best_label
from .drawing import Drawing, widest_block
from .front_table import FrontTable

V3_NAMES = ("mobilenet_v3_small", "mobilenet_v3_large")


@dataclass(frozen=True)
class NetworkCard:
    """A network of the box.

    Attributes:
        latency: None while unknown.
        row: its values in the table of networks; empty for a network that was not trained.
        comparisons: with the baselines, in sentences.
    """

    title: str
    name: str
    cost: Cost
    latency: Latency | None
    drawing: Drawing
    row: dict[str, Any]
    comparisons: tuple[str, ...] = ()


def recommended_cards(table: FrontTable, best_comparisons: Sequence[str] = ()) -> list[NetworkCard]:
    """The best network, the knee of the front, and MobileNetV3; empty while nothing is evaluated.

    A network that is both has one card.

    Args:
        best_comparisons: sentences on the most accurate network.
    """
    label = best_label(table.goals)
    titles = {
        f"{label[0].upper()}{label[1:]} within the limits": best_by(
            table.goals.ranking_objective, table.front
        ),
        "Best trade-off: the knee of the front": (
            knee(table.front, table.goals.objectives) if len(table.front) > 2 else None
        ),
    }
    cards: dict[int | str, NetworkCard] = {}
    for title, record in titles.items():
        if record is None:
            continue
        if record.label in cards:
            known = cards[record.label]
            cards[record.label] = replace(known, title=f"{known.title}; {title.lower()}")
            continue
        text = baselines_text(record, table.baselines, table.verifications, table.front_posterior)
        cards[record.label] = NetworkCard(
            title,
            f"trial {record.label}",
            record.cost,
            record.latency,
            Drawing(record.architecture),
            table.pareto_row(record),
            tuple(filter(None, (text, *(() if cards else best_comparisons)))),
        )
    records = [record for record in titles.values() if record]
    shown = [*cards.values(), _mobilenet_v3(table, records[0])] if records else []
    widest = widest_block(card.drawing.architecture for card in shown) if shown else None
    return [replace(card, drawing=replace(card.drawing, widest=widest)) for card in shown]


def _mobilenet_v3(table: FrontTable, record: Record) -> NetworkCard:
    """The one of the baselines with the nearest MACs; without one the nearest variant, untrained."""

    def distance(its_cost: Cost) -> float:
        return abs(math.log(its_cost.macs / record.cost.macs))

    title = "For comparison"
    known = [each for each in table.baselines if each.name.partition("@")[0] in V3_NAMES]
    if known:
        nearest: Baseline = min(known, key=lambda each: distance(each.cost))
        drawing, row = Drawing(nearest.architecture), table.baseline_row(nearest)
        return NetworkCard(title, nearest.name, nearest.cost, nearest.latency, drawing, row)
    networks = {name: _like(published_architecture(name), record.architecture) for name in V3_NAMES}
    name = min(networks, key=lambda name: distance(cost(networks[name])))
    drawing = Drawing(networks[name])
    return NetworkCard(f"{title}, not trained", name, cost(networks[name]), None, drawing, {})


def _like(published: Architecture, own: Architecture) -> Architecture:
    """The published network for the images of another."""
    return replace(
        published,
        resolution_px=own.resolution_px,
        image_channels=own.image_channels,
        classes=own.classes,
    )
