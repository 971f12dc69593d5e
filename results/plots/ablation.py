"""Figures of the ablation: effects by location and choice, and gene importance."""

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from ...evaluate import Quantity
from ..analysis.ablation import ALL_STAGES, Effect, GeneChange
from ..analysis.importance import Importances
from ..text.ablation import (
    choice_text,
    effect_cells,
    gene_change_text,
    gene_type_name,
    location_name,
    ranked,
    signed_percent,
)
from ..text.formatting import pluralize
from .style import BLUE, HOVER, INK, ORANGE, TEMPLATE

N_TOP_GENES = 12
_COLORS = ((0.0, "#F0A36B"), (0.5, "#F4F4F4"), (1.0, "#7FB8DA"))
_TYPES = ("resolution", "out", "stride", "depth", "kernel", "expansion", "attention", "squeeze", "activation")
_ORDINAL_TYPES = ("out", "depth")  # whose numbers differ from stage to stage
_MARKS = {True: " ✓", False: " ✗", None: ""}


class _Row(NamedTuple):
    """A row of the map; its cells have one gene type."""

    order: int
    gene_type: str
    values: tuple[str, str]
    step: int


def effects_figure(effects: Sequence[Effect], cost_quantity: Quantity) -> go.Figure:
    """A heat map with a row per choice and a column per location.

    Cells: change in accuracy (percentage points) and, below it, in cost. Only significant ones are colored.
    """
    rows = sorted({_row(effect.gene_change) for effect in effects})
    locations = list(dict.fromkeys(effect.gene_change.location for effect in effects))
    locations.sort(key=lambda location: location == ALL_STAGES)  # last, the others in order
    cells = {(_row(effect.gene_change), effect.gene_change.location): effect for effect in effects}
    table = [[cells.get((row, location)) for location in locations] for row in rows]
    max_points = max((abs(_points(effect)) for effect in effects if _is_significant(effect)), default=1.0)
    figure = go.Figure(
        go.Heatmap(
            x=[location_name(location) for location in locations],
            y=[_label(row, effects) for row in rows],
            z=[
                [None if each is None else _points(each) if _is_significant(each) else 0.0 for each in row]
                for row in table
            ],
            text=[["" if each is None else _cell(each, cost_quantity) for each in row] for row in table],
            customdata=[["" if each is None else _hover(each) for each in row] for row in table],
            texttemplate="%{text}",
            textfont={"color": INK, "size": 11},
            hovertemplate=HOVER,
            hoverongaps=False,
            colorscale=_COLORS,
            zmin=-max_points,
            zmax=max_points,
            showscale=False,
            xgap=2,
            ygap=2,
        ),
        layout={"template": TEMPLATE, "height": 90 + 38 * len(rows), "margin": {"t": 60}},
    )
    figure.update_xaxes(side="top", showgrid=False, ticks="")
    return figure.update_yaxes(autorange="reversed", showgrid=False, ticks="")


def importance_figure(importances: Importances, quantity: Quantity) -> go.Figure:
    """The most important genes by total effect and fANOVA, as fractions of the total; labels are ranks."""
    shares = {
        method: {each.name: getattr(each, method).get(quantity, 0.0) for each in importances.genes}
        for method in ("total_effect", "fanova")
    }
    fractions = {method: _normalized(each) for method, each in shares.items()}
    names = sorted(shares["total_effect"], key=lambda name: -sum(each[name] for each in fractions.values()))[
        :N_TOP_GENES
    ]
    figure = go.Figure(layout={"template": TEMPLATE, "height": 90 + 34 * len(names), "barmode": "group"})
    styles = {"total_effect": ("total effect", BLUE), "fanova": ("fANOVA", ORANGE)}
    for method, (name, color) in styles.items():
        ranks = ranked(importances.genes, quantity, method)
        if not ranks:
            continue
        hover_texts = [
            f"<b>{gene}</b><br>{name}: {100 * shares[method][gene]:.1f}% of the variance" for gene in names
        ]
        figure.add_bar(
            x=[100 * fractions[method][gene] for gene in names],
            y=names,
            orientation="h",
            marker={"color": color},
            text=[str(ranks[gene]) for gene in names],
            textposition="outside",
            cliponaxis=False,
            customdata=hover_texts,
            hovertemplate=HOVER,
            name=name,
        )
    figure.update_xaxes(title=f"importance for {quantity}, %", rangemode="tozero")
    return figure.update_yaxes(autorange="reversed", showgrid=False)


def _row(change: GeneChange) -> _Row:
    gene_type = change.gene_type
    order = _TYPES.index(gene_type) if gene_type in _TYPES else len(_TYPES)
    if gene_type in _ORDINAL_TYPES:
        return _Row(order, gene_type, ("", ""), change.step)
    return _Row(order, gene_type, (str(change.baseline), str(change.alternative)), 0)


def _label(row: _Row, effects: Sequence[Effect]) -> str:
    changes = [effect.gene_change for effect in effects if _row(effect.gene_change) == row]
    if len({(change.baseline, change.alternative) for change in changes}) == 1:
        return choice_text(changes[0])
    return f"{gene_type_name(row.gene_type)}, {pluralize(row.step, 'step')} up"


def _cell(effect: Effect, cost_quantity: Quantity) -> str:
    gain = f"{_points(effect):+.2f}"
    change = effect.changes[cost_quantity]
    small = round(100 * change.low) == round(100 * change.high) == 0
    cost = signed_percent(change.value) if change.is_significant or small else "?"
    return f"{f'<b>{gain}</b>' if _is_significant(effect) else gain}<br>{cost}{_MARKS[effect.above_front]}"


def _hover(effect: Effect) -> str:
    _, _, accuracy, latency, macs, params, delta_vs_front, above_front = effect_cells(effect)
    costs = [
        f"{name} {cost}"
        for name, cost in zip(("latency", "MACs", "params"), (latency, macs, params), strict=True)
        if cost
    ]
    lines = [
        f"<b>{gene_change_text(effect.gene_change)}</b>",
        f"accuracy {accuracy} pp",
        ", ".join(costs),
        f"vs. front {delta_vs_front} pp; above the front: {above_front}" if delta_vs_front else "",
        f"mean of {effect.networks} networks",
    ]
    return "<br>".join(line for line in lines if line)


def _is_significant(effect: Effect) -> bool:
    return effect.changes["accuracy"].is_significant


def _points(effect: Effect) -> float:
    return 100 * effect.changes["accuracy"].value


def _normalized(shares: dict[str, float]) -> dict[str, float]:
    total = sum(shares.values())
    return {name: share / total if total > 0 else 0.0 for name, share in shares.items()}
