"""The page of a NetAdapt run: pruning path, steps, initial and final network, provenance."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..plots.netadapt import netadapt_figures
from ..store.netadapt_run import NetAdaptRow, NetAdaptRun
from ..text.formatting import duration, key_value_text
from ..text.latency import setup_lines
from .drawing import Drawing
from .html import render


def netadapt_html(folder: NetAdaptRun, rows: Sequence[NetAdaptRow], result: Mapping[str, Any]) -> str:
    """The page as one self-contained HTML file."""
    settings = folder.settings
    ends = {"initial": Drawing(rows[0].architecture), "result": Drawing(rows[-1].architecture)}
    return render(
        "netadapt",
        title=f"NetAdapt: {settings.name} to {settings.limit} on {settings.data.name}",
        settings=settings,
        result=result,
        rows=rows,
        measured=rows[0].latency is not None,
        figures=netadapt_figures(settings, rows, result),
        ends=ends,
        n_proposals=sum(row.proposals for row in rows),
        duration=duration(sum(row.seconds for row in rows)),
        provenance=[
            ("recipe", key_value_text(asdict(settings.recipe).items())),
            ("seed", settings.seed),
            ("training device", settings.device),
            ("machine", key_value_text(settings.host.items())),
            ("versions", key_value_text(settings.versions.items())),
            ("created", settings.created),
            *([("latency", setup_lines(settings.latency))] if settings.latency else []),
        ],
    )
