"""A network as one stand-alone Python file that needs torch alone."""

import re
import sys
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ...search_space import Architecture, Block, cost
from ...search_space.cost import blocks_with_input_shapes, conv_output_size
from ...search_space.printable import printable
from .exportable import Exportable

if TYPE_CHECKING:
    from torch import Tensor


def python_source(network: Exportable) -> bytes:
    """The source of `network()`, whose state dict has the names of bneck's."""
    return render_source("python", network)


def render_source(template: str, network: Exportable, **values: object) -> bytes:
    """Python source from `templates/TEMPLATE.py.j2` with the values of a network."""
    return render(f"{template}.py", network, **values)


def render(template: str, network: Exportable, **values: object) -> bytes:
    """Text from `templates/TEMPLATE.j2` with the values of a network."""
    architecture, costs = network.architecture, cost(network.architecture)
    text = (
        _environment()
        .get_template(f"{template}.j2")
        .render(
            title=printable(network.title).replace("\\", "/").replace('"', "'"),
            stem_name=network.stem,
            model_name=network.model_name,
            norm_eps=network.trained.norm_eps,
            macs=costs.macs,
            params=costs.params,
            table=block_table(architecture),
            rows=list(blocks_with_map_sizes(architecture)),
            attentions={block.attention for block in architecture.blocks},
            network=architecture,
            class_names=network.data.class_names,
            pixel_mean=list(network.data.pixel_mean),
            pixel_std=list(network.data.pixel_std),
            **values,
        )
    )
    return text.encode()


def _in_docstring(text: str) -> str:
    return printable(text).replace("\\", "/").replace('"', "'")


def blocks_with_map_sizes(architecture: Architecture) -> Iterator[tuple[Block, int, int, int]]:
    """Each block with its input channels and the size (px) of its input and output maps."""
    for block, channels, map_size in blocks_with_input_shapes(architecture):
        yield block, channels, map_size, conv_output_size(map_size, block.stride)


def block_table(architecture: Architecture) -> str:
    """The blocks as the tables of the papers, one a line."""
    stem, head = architecture.stem, architecture.head
    rows = [("map px", "operator", "expanded", "out", "attention", "activation", "stride")]
    size_px, kernel = str(architecture.resolution_px), stem.kernel
    rows.append(
        (size_px, f"conv {kernel}x{kernel}", "", str(stem.out), "", stem.activation, str(stem.stride))
    )
    for block, _, before, after in blocks_with_map_sizes(architecture):
        operator, size_px = f"bneck {block.kernel}x{block.kernel}", str(after)
        attention = {"none": "", "se": f"se {block.squeeze}", "eca": "eca"}[block.attention]
        columns = (str(block.expanded), str(block.out), attention, block.activation, str(block.stride))
        rows.append((str(before), operator, *columns))
    rows.append((size_px, "conv 1x1", "", str(head.features), "", head.activation, "1"))
    rows.append((size_px, "pool", "", "", "", "", ""))
    if head.hidden:
        rows.append(("1", "linear", "", str(head.hidden), "", head.activation, ""))
    rows.append(("1", "linear", "", str(architecture.classes), "", "", ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(literal=_literal, cell=_cell)
    return environment


def _cell(value: object) -> str:
    """Foreign text in a table of Markdown."""
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", printable(text))


def _literal(value: Any) -> str:
    return ascii(value) if isinstance(value, str) else repr(value)


def python_logits(network: Exportable, source: bytes, images: "Tensor") -> "Tensor":
    """Of the network that the file builds, with the weights by name."""
    plain = run_source(source, network.model_name).network()
    plain.load_state_dict(network.network.state_dict())
    logits: Tensor = plain(images)
    return logits


def run_source(source: bytes, name: str) -> Any:
    """The module that a generated file is."""
    module = ModuleType(name)
    sys.modules[name] = module  # timm looks there for the module of a model
    try:
        exec(compile(source, f"{name}.py", "exec"), module.__dict__)
    finally:
        del sys.modules[name]
    return module
