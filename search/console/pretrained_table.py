"""Table of the networks with ImageNet weights."""

from typing import Any

from ...evaluate import format_count
from ...search_space import PRETRAINED, cost
from .tables import print_table, wide_console


def as_dict() -> dict[str, dict[str, Any]]:
    """What is known of each network, by name."""
    from ...evaluate.training.pretrained import available_pretrained  # torch takes a second to import

    available = available_pretrained()
    networks: dict[str, dict[str, Any]] = {}
    for name, weights in PRETRAINED.items():
        size = cost(weights.architecture)
        networks[name] = {
            "top1": weights.top1,
            "resolution_px": weights.resolution_px,
            "macs": size.macs,
            "params": size.params,
            "pixel_mean": list(weights.pixel_mean),
            "pixel_std": list(weights.pixel_std),
            "source": weights.source,
            "license": weights.license,
            "url": weights.url,
            "size_mb": weights.size_mb,
            "on_this_machine": name in available,
        }
    return networks


def print_pretrained() -> None:
    """Print a row per network, by ascending MACs."""
    columns = (
        "network",
        "ImageNet top-1",
        "px",
        "MACs",
        "params",
        "MB",
        "on this machine",
        "source",
        "license",
    )
    rows = [
        (
            name,
            f"{known['top1']:.1f}%",
            str(known["resolution_px"]),
            format_count(known["macs"]),
            format_count(known["params"]),
            f"{known['size_mb']:.1f}",
            "yes" if known["on_this_machine"] else "",
            known["source"],
            known["license"],
        )
        for name, known in sorted(as_dict().items(), key=lambda item: item[1]["macs"])
    ]
    print_table(wide_console(), columns, rows, left=("network", "source", "license"))
