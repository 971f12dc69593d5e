"""Table of a data set: images by class and split, and unreadable images."""

from pathlib import Path
from typing import Any

import torch
from rich.markup import escape

from ...evaluate.data.dataset import SPLITS, Data, find_unreadable_images
from ...evaluate.data.folder_files import left_out_text
from ...evaluate.data.streaming import bit_depths_text
from ...search_space.printable import printable
from .progress import Status, progress
from .tables import plain_table, wide_console
from .terminal import Console

_MAX_CLASSES, _STEP = 40, 100


def as_dict(data: Data, *, check: bool) -> dict[str, Any]:
    """The data set as plain values for JSON.

    Args:
        check: decode every image of a folder, with progress on stderr.
    """
    counts = {
        split: torch.bincount(data.labels(split), minlength=len(data.class_names)).tolist()
        for split in SPLITS
    }
    return {
        "name": data.name,
        "image_channels": data.image_channels,
        "image_size_px": data.image_size_px,
        "pixel_mean": list(data.pixel_mean),
        "pixel_std": list(data.pixel_std),
        "images": {split: data.count(split) for split in SPLITS},
        "classes": {
            name: {split: counts[split][label] for split in SPLITS}
            for label, name in enumerate(data.class_names)
        },
        "left_out": dict(getattr(data, "left_out", {})),
        "unreadable_images": _find_unreadable(data) if check else None,
        "bit_depths": sorted(getattr(data, "bit_depths", ())) if check else None,
    }


def print_data(summary: dict[str, Any]) -> None:
    """Print a row per class, then the unreadable images."""
    console = wide_console()
    table = plain_table("class", *SPLITS, left=("class",))
    for name, counts in list(summary["classes"].items())[:_MAX_CLASSES]:
        table.add_row(escape(name), *(f"{counts[split]:,}" for split in SPLITS))
    if len(summary["classes"]) > _MAX_CLASSES:
        table.add_row(f"and {len(summary['classes']) - _MAX_CLASSES} more")
    table.add_row("all", *(f"{summary['images'][split]:,}" for split in SPLITS))
    console.print(table)
    colours = "grey" if summary["image_channels"] == 1 else "colour"
    side = f"{summary['image_size_px']} px, in memory" if summary["image_size_px"] else "read from files"
    lines = [f"{summary['name']}: {len(summary['classes'])} classes, {colours} images, {side}"]
    if left_out := left_out_text(summary["left_out"]):
        lines.append(left_out)
    if summary["unreadable_images"] is not None:
        lines += [f"{printable(path)}: {reason}" for path, reason in summary["unreadable_images"].items()]
        total = sum(summary["images"].values())
        lines.append(f"{len(summary['unreadable_images']):,} of {total:,} images cannot be read")
        if bit_depths := bit_depths_text(summary["bit_depths"]):
            lines.append(bit_depths)
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _find_unreadable(data: Data) -> dict[str, str]:
    with progress(Console(stderr=True)) as display:

        def on_image(done: int, total: int) -> None:
            if done % _STEP == 0 or done == total:
                display.update_status(Status("reading images", done, total))

        unreadable_images: dict[Path, str] = find_unreadable_images(data, on_image)
    return {str(path): reason for path, reason in unreadable_images.items()}
