"""One-line descriptions of the parts of a network."""

from ...search_space import Architecture


def layers_by_part(architecture: Architecture) -> dict[str, str]:
    """The layers of stem, blocks and head, one line each."""
    stem, head = architecture.stem, architecture.head
    padding = "" if architecture.padding == "symmetric" else f"  padding {architecture.padding}"
    layers = {
        "stem": f"conv {stem.kernel}x{stem.kernel} s{stem.stride}  {stem.out}  {stem.activation}{padding}"
    }
    for number, block in enumerate(architecture.blocks, start=1):
        attention = f"{block.attention} {block.squeeze}" if block.squeeze else block.attention
        attention += "" if block.gate == "hardsigmoid" else f" {block.gate}"
        layers[f"block {number}"] = (
            f"k{block.kernel} s{block.stride}  {block.expanded} -> {block.out}  {block.activation}"
            + (f"  {attention}" if block.attention != "none" else "")
        )
    hidden = f" -> {head.hidden}" if head.hidden else ""
    layers["head"] = f"{head.features}{hidden} -> {architecture.classes}  {head.activation}"
    return layers
