"""`bneck inspect`: cost of a network by block, audited against fvcore."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...search_space import BneckError
from .options import JsonOption, print_json

if TYPE_CHECKING:
    from ..resolve.networks import NamedArchitecture


def inspect(
    arch: Annotated[
        str,
        typer.Argument(
            metavar="ARCH",
            help="name, timm:, torchvision: or hf: name, file, RUN#TRIAL or training",
        ),
    ],
    as_json: JsonOption = False,
    audit: Annotated[bool, typer.Option("--audit", help="compare the counts with fvcore")] = False,
) -> None:
    """Show the cost of a network, block by block.

    bneck inspect mobilenet_v3_large@0.75
    """
    from ..resolve.networks import resolve_network

    named = resolve_network(arch)
    if as_json:
        print_json(_as_dict(named))
    elif audit:
        _print_audit(named)
    else:
        _print_cost(named)


def _as_dict(named: "NamedArchitecture") -> dict[str, Any]:
    from ...search_space import cost, cost_breakdown

    total = asdict(cost(named.architecture))
    parts = {part: asdict(each) for part, each in cost_breakdown(named.architecture).items()}
    return {
        "name": named.name,
        "key": named.architecture.key,
        "resolution_px": named.architecture.resolution_px,
        **total,
        "parts": parts,
        "architecture": named.architecture.to_dict(),
    }


def _print_cost(named: "NamedArchitecture") -> None:
    from ...evaluate import format_count
    from ...search_space import cost, cost_breakdown
    from ..console.network_table import layers_by_part
    from ..console.tables import plain_table, wide_console

    architecture = named.architecture
    layers = layers_by_part(architecture)
    table = plain_table(
        "part", "layers", "MACs", "params", "activations KB", "depth", left=("part", "layers")
    )
    parts = cost_breakdown(architecture)
    for part, each in [*parts.items(), ("total", cost(architecture))]:
        table.add_row(
            part,
            layers.get(part, ""),
            f"{each.macs:,}",
            f"{each.params:,}",
            f"{each.activation_bytes / 1000:,.1f}",
            str(each.depth),
            style="bold" if part == "total" else None,
        )
    total = cost(architecture)
    console = wide_console()
    console.print(
        f"{named.name}  key {architecture.key}  {architecture.resolution_px} px x "
        f"{architecture.image_channels} channels, {architecture.classes} classes",
        highlight=False,
        markup=False,
    )
    console.print(table)
    console.print(
        f"{format_count(total.macs)} MACs (FLOPs in most papers), {format_count(total.params)} parameters, "
        f"peak activation memory {total.peak_activation_bytes / 1000:,.1f} KB",
        highlight=False,
    )


def _print_audit(named: "NamedArchitecture") -> None:
    """Count every operator by bneck and by fvcore.

    Raises:
        BneckError: the counts differ, a bug of bneck or of fvcore.
    """
    from ...evaluate.fvcore_audit import fvcore_counts
    from ...search_space import operators
    from ..console.tables import plain_table, wide_console

    counted = fvcore_counts(named.architecture)
    table = plain_table("operator", "MACs", "fvcore", "params", "torch", left=("operator",))
    differing: list[str] = []
    macs = params = fvcore_macs = torch_params = 0
    for operator in operators(named.architecture):
        fvcore_count = counted[operator.name]
        if (operator.macs, operator.params) != (fvcore_count.macs, fvcore_count.params):
            differing.append(operator.name)
        table.add_row(
            operator.name,
            f"{operator.macs:,}",
            f"{fvcore_count.macs:,}",
            f"{operator.params:,}",
            f"{fvcore_count.params:,}",
            style="red" if operator.name in differing else None,
        )
        macs, params = macs + operator.macs, params + operator.params
        fvcore_macs, torch_params = fvcore_macs + fvcore_count.macs, torch_params + fvcore_count.params
    table.add_row("total", f"{macs:,}", f"{fvcore_macs:,}", f"{params:,}", f"{torch_params:,}", style="bold")
    wide_console().print(table)
    if differing:
        raise BneckError(f"{named.name}: the counts differ in {', '.join(differing)}")
    wide_console().print("both counts agree in every operator", highlight=False)
