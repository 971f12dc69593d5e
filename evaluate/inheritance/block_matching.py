"""Which blocks of a trained network the blocks of a smaller one inherit from. No torch."""

from collections.abc import Callable, Sequence
from functools import cache

from ...search_space import Architecture, Block, RunError
from .channel_groups import residual_groups


def match_blocks(parent: Architecture, child: Architecture, importance: Sequence[float]) -> tuple[int, ...]:
    """Index of the parent's block for each block of the child, ascending.

    Where the child has fewer chains of residuals, the last ones of the parent are dropped.

    The first block of a chain of residuals has one counterpart. Of the residual blocks that follow it, those
    are dropped that leave the fewest fields to change in the others; of equal choices the one with the least
    dropped importance, then the later blocks.

    Args:
        importance: of each block of the parent.
    Raises:
        RunError: the child is not a smaller form of the parent; names the block and the field.
    """
    parent_chains, child_chains = residual_groups(parent), residual_groups(child)
    if len(parent_chains) < len(child_chains):
        counts = f"at most {len(parent_chains)} chains of residual blocks, got {len(child_chains)}"
        raise mismatch(parent, child, f"it must have {counts}")
    parent_blocks, child_blocks = (list(each.blocks_with_in_channels()) for each in (parent, child))

    def changes(ours: int, theirs: int) -> tuple[int, int]:
        """Impossible and possible changes from one block of the parent to one of the child."""
        block, other = parent_blocks[ours], child_blocks[theirs]
        n_changed = sum(getattr(block[1], name) != getattr(other[1], name) for name in Block.__slots__)
        return int(bool(_problem(block, other))), n_changed

    matched: list[int] = []
    for chain, child_chain in zip(parent_chains, child_chains, strict=False):
        if chain.first:
            matched.append(chain.first - 1)
        n_residual, n_child = chain.last - chain.first, child_chain.last - child_chain.first
        if n_child > n_residual:
            place = f"after block {child_chain.first}" if child_chain.first else "after the stem"
            raise mismatch(parent, child, f"at most {n_residual} residual blocks {place}, got {n_child}")
        ours = range(chain.first, chain.last)
        matched += _align(ours, range(child_chain.first, child_chain.last), changes, importance)
    for number, (index, block) in enumerate(zip(matched, child_blocks, strict=True), start=1):
        if problem := _problem(parent_blocks[index], block):
            raise mismatch(parent, child, f"block {number}: {problem}")
    return tuple(matched)


def mismatch(parent: Architecture, child: Architecture, problem: str) -> RunError:
    return RunError(f"network {child.key} cannot inherit the weights of network {parent.key}: {problem}")


def _align(
    parents: range,
    children: range,
    changes: Callable[[int, int], tuple[int, int]],
    importance: Sequence[float],
) -> tuple[int, ...]:
    """The ascending choice of parents, one for each child, with the least changes and dropped importance."""

    @cache
    def best(parent: int, child: int) -> tuple[tuple[int, int, float], tuple[int, ...]]:
        if child == children.stop:
            return (0, 0, sum(importance[parent : parents.stop])), ()
        (impossible, changed, dropped), rest = best(parent + 1, child + 1)
        n_impossible, n_changed = changes(parent, child)
        choices = [((impossible + n_impossible, changed + n_changed, dropped), (parent, *rest))]
        if parents.stop - parent > children.stop - child:
            (impossible, changed, dropped), rest = best(parent + 1, child)
            choices.append(((impossible, changed, dropped + importance[parent]), rest))
        return min(choices)

    return best(parents.start, children.start)[1]


def _problem(parent: tuple[int, Block], child: tuple[int, Block]) -> str:
    """Why a block cannot inherit from another; both with their input channels. Empty if it can."""
    (parent_in, block), (child_in, smaller) = parent, child
    for name in ("activation", "stride"):
        if getattr(block, name) != getattr(smaller, name):
            return f"{name} must be {getattr(block, name)}, got {getattr(smaller, name)}"
    if smaller.attention not in ("none", block.attention):
        allowed = " or ".join(dict.fromkeys((block.attention, "none")))
        return f"attention must be {allowed}, got {smaller.attention}"
    if smaller.attention == "se" and smaller.gate != block.gate:
        return f"gate must be {block.gate}, got {smaller.gate}"
    if (block.expanded == parent_in) != (smaller.expanded == child_in):
        return f"it must have {'no ' if block.expanded == parent_in else 'an '}expansion"
    for name in ("kernel", "expanded", "out", "squeeze"):
        if getattr(smaller, name) > getattr(block, name):
            return f"{name} must be at most {getattr(block, name)}, got {getattr(smaller, name)}"
    return ""
