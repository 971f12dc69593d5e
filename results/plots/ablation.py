"""The figures of what the choices do: a map of effects by place and choice, and bars of importance."""

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from ...evaluate import Quantity
from ..analysis.ablation import ALL_STAGES, Effect, Switch
from ..analysis.importance import Importances
from ..text.ablation import (
    choice_text,
    effect_cells,
    kind_name,
    place_name,
    ranked,
    signed_percent,
    switch_text,
)
from .style import BLUE, HOVER, INK, ORANGE, TEMPLATE

TOP = 12
_COLOURS = ((0.0, "#F0A36B"), (0.5, "#F4F4F4"), (1.0, "#7FB8DA"))
_KINDS = ("resolution", "out", "stride", "depth", "kernel", "expansion", "attention", "squeeze", "activation")
_BY_STEP = ("out", "depth")  # whose numbers differ from stage to stage
_MARKS = {True: " ✓", False: " ✗", None: ""}


class _Line(NamedTuple):
    """Of the map; all its cells are of one kind."""

    order: int
    kind: str
    values: tuple[str, str]
    step: int


def effects_figure(effects: Sequence[Effect], price: Quantity) -> go.Figure:
    """A row a choice, a column a place: points of accuracy, and below them the change of the price.

    Only what is told has a colour.
    """
    lines = sorted({_line(effect.switch) for effect in effects})
    places = list(dict.fromkeys(effect.switch.place for effect in effects))
    places = [*(place for place in places if place != ALL_STAGES), *([ALL_STAGES] * (ALL_STAGES in places))]
    cells = {(_line(effect.switch), effect.switch.place): effect for effect in effects}
    table = [[cells.get((line, place)) for place in places] for line in lines]
    most = max((abs(_points(effect)) for effect in effects if _told(effect)), default=1.0)
    figure = go.Figure(
        go.Heatmap(
            x=[place_name(place) for place in places],
            y=[_label(line, effects) for line in lines],
            z=[
                [None if each is None else _points(each) if _told(each) else 0.0 for each in row]
                for row in table
            ],
            text=[["" if each is None else _cell(each, price) for each in row] for row in table],
            customdata=[["" if each is None else _hover(each) for each in row] for row in table],
            texttemplate="%{text}",
            textfont={"color": INK, "size": 11},
            hovertemplate=HOVER,
            hoverongaps=False,
            colorscale=_COLOURS,
            zmin=-most,
            zmax=most,
            showscale=False,
            xgap=2,
            ygap=2,
        ),
        layout={"template": TEMPLATE, "height": 90 + 38 * len(lines), "margin": {"t": 60}},
    )
    figure.update_xaxes(side="top", showgrid=False)
    return figure.update_yaxes(autorange="reversed", showgrid=False)


def importance_figure(found: Importances, quantity: Quantity) -> go.Figure:
    """The genes that matter most by either way, each a share of all; the number is its rank."""
    shares = {
        how: {each.name: getattr(each, how).get(quantity, 0.0) for each in found.genes}
        for how in ("model", "fanova")
    }
    parts = {how: _of_all(each) for how, each in shares.items()}
    names = sorted(shares["model"], key=lambda name: -sum(each[name] for each in parts.values()))[:TOP]
    figure = go.Figure(layout={"template": TEMPLATE, "height": 90 + 34 * len(names), "barmode": "group"})
    looks = {"model": ("model", BLUE), "fanova": ("fANOVA", ORANGE)}
    for how, (name, colour) in looks.items():
        ranks = ranked(found.genes, quantity, how)
        if not ranks:
            continue
        told = [f"<b>{gene}</b><br>{name}: {100 * shares[how][gene]:.1f}% of the variance" for gene in names]
        figure.add_bar(
            x=[100 * parts[how][gene] for gene in names],
            y=names,
            orientation="h",
            marker={"color": colour},
            text=[str(ranks[gene]) for gene in names],
            textposition="outside",
            cliponaxis=False,
            customdata=told,
            hovertemplate=HOVER,
            name=name,
        )
    figure.update_xaxes(title=f"importance for {quantity}, % of all", rangemode="tozero")
    return figure.update_yaxes(autorange="reversed", showgrid=False)


def _line(switch: Switch) -> _Line:
    order = _KINDS.index(switch.kind) if switch.kind in _KINDS else len(_KINDS)
    values = ("", "") if switch.kind in _BY_STEP else (str(switch.usual), str(switch.other))
    return _Line(order, switch.kind, values, switch.step if switch.kind in _BY_STEP else 0)


def _label(line: _Line, effects: Sequence[Effect]) -> str:
    same = [effect.switch for effect in effects if _line(effect.switch) == line]
    if len({(switch.usual, switch.other) for switch in same}) == 1:
        return choice_text(same[0])
    return f"{kind_name(line.kind)}, {line.step} step{'s'[: line.step > 1]} up"


def _cell(effect: Effect, price: Quantity) -> str:
    gain = f"{_points(effect):+.2f}"
    change = effect.changes[price]
    small = round(100 * change.low) == round(100 * change.high) == 0
    cost = signed_percent(change.value) if change.told or small else "?"
    return f"{f'<b>{gain}</b>' if _told(effect) else gain}<br>{cost}{_MARKS[effect.pays]}"


def _hover(effect: Effect) -> str:
    _, _, accuracy, latency, macs, params, beyond, pays = effect_cells(effect)
    costs = [
        f"{name} {cost}"
        for name, cost in zip(("latency", "MACs", "params"), (latency, macs, params), strict=True)
        if cost
    ]
    lines = [
        f"<b>{switch_text(effect.switch)}</b>",
        f"accuracy {accuracy} points",
        ", ".join(costs),
        f"beyond the front {beyond} points; pays: {pays}" if beyond else "",
        f"mean of {effect.networks} networks",
    ]
    return "<br>".join(line for line in lines if line)


def _told(effect: Effect) -> bool:
    return effect.changes["accuracy"].told


def _points(effect: Effect) -> float:
    return 100 * effect.changes["accuracy"].value


def _of_all(shares: dict[str, float]) -> dict[str, float]:
    total = sum(shares.values())
    return {name: share / total if total > 0 else 0.0 for name, share in shares.items()}
