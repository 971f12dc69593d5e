"""An adaptation whose numbers are made up."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from bneck.evaluate import Constraint, Recipe
from bneck.evaluate.inheritance.channel_groups import ChannelGroup, with_widths
from bneck.results import DataSettings
from bneck.results.store.netadapt_run import NetAdaptRow, NetAdaptRun
from bneck.results.store.netadapt_settings import NetAdaptSettings
from bneck.search_space import Architecture, Block, Head, Stem

from .example_run import latency, latency_setup

START = Architecture(
    resolution_px=8,
    stem=Stem(16, stride=1),
    blocks=(
        Block(3, 48, 16, "none", "relu", 1),
        Block(3, 64, 32, "se", "relu", 2, squeeze=16),
    ),
    head=Head(40, 24),
    image_channels=1,
    classes=10,
)
CUTS = (
    ("expansion of block 2", 64, 40, ChannelGroup("expansion", 2)),
    ("features of the head", 40, 32, ChannelGroup("features")),
)
SETTINGS = NetAdaptSettings(
    created="2026-01-02T03:04:05",
    name="runs/one#3",
    architecture=START,
    initial_weights="runs/one/checkpoints/abc.safetensors",
    data=DataSettings("digits", validation_images=400, class_names=("no", "1")),
    recipe=Recipe(epochs=2),
    seed=7,
    limit=Constraint("latency", 0.3, "x"),
    cuts=("width", "resolution"),
    step=0.05,
    finetune_images=64,
    finetune_lr_scale=0.1,
    distillation=0.7,
    final="scratch",
    device="cpu",
    threads=1,
    latency=latency_setup(),
    host={"cpu": "an example"},
    versions={"bneck": "0.1.0"},
)


def path_rows(*, measured: bool = True) -> list[NetAdaptRow]:
    """The start at 0.5x (1 ms), and two cuts to 0.4x and 0.25x."""
    network, rows = START, list[NetAdaptRow]()
    for step, ratio in enumerate((0.5, 0.4, 0.25)):
        group, before, after = "", 0, 0
        if step:
            group, before, after, where = CUTS[step - 1]
            network = with_widths(network, {where: after})
        rows.append(
            NetAdaptRow(
                step,
                group,
                before,
                after,
                network,
                latency(ratio) if measured else None,
                top1=0.9 - 0.05 * step,
                loss=0.3 + 0.1 * step,
                unpruned_top1=0.91 - 0.05 * step if step else None,
                unpruned_loss=0.25 + 0.1 * step if step else None,
                images=400,
                proposals=5 if step else 0,
                n_indistinguishable=3 if step else 0,
                top1s=(0.7, 0.9) if step else (),
                seconds=30.0 * step,
            )
        )
    return rows


def result() -> dict[str, Any]:
    ends = {"start": (path_rows()[0], 0.9, 0.89), "final": (path_rows()[-1], 0.88, 0.87)}
    return {
        "n_steps": 2,
        "test_images": 400,
        **{
            name: {**row.as_row(), "validation_top1": top1, "test_top1": test, "test_loss": 0.4}
            for name, (row, top1, test) in ends.items()
        },
    }


def example_adaptation(folder: Path, *, measured: bool = True) -> NetAdaptRun:
    limit = SETTINGS.limit if measured else Constraint("macs", 60_000)
    settings = replace(SETTINGS, limit=limit, latency=SETTINGS.latency if measured else None)
    made = NetAdaptRun.create(folder, settings)
    made.write_path(path_rows(measured=measured))
    return made
