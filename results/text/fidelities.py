"""Early stopping (successive halving) in sentences."""

from ..store.fidelities import EpochsSpent, Rungs
from .formatting import pluralize


def rungs_text(rungs: Rungs) -> str:
    """`best 1 in 2 promoted after 2, 4 and 8 of 16 epochs`."""
    *others, last = map(str, rungs.epochs[:-1])
    pauses = f"{', '.join(others)} and {last}" if others else last
    return f"best 1 in {rungs.reduction_factor} promoted after {pauses} of {pluralize(rungs.last, 'epoch')}"


def rung_counts_text(epochs_spent: EpochsSpent) -> str:
    """`60 at 2 epochs, 30 at 4, 15 at 8, 8 at 16`."""
    (epochs, count), *others = epochs_spent.networks_by_rung.items()
    first = f"{count} at {pluralize(epochs, 'epoch')}"
    return ", ".join([first, *(f"{count} at {epochs}" for epochs, count in others)])


def epochs_spent_text(epochs_spent: EpochsSpent) -> str:
    """Networks by rung, epochs spent and saved, and how well the rungs predict the last one."""
    text = (
        f"Early stopping: {pluralize(epochs_spent.networks_started, 'network')} started, "
        f"{rung_counts_text(epochs_spent)}; {epochs_spent.epochs:,} epochs instead of "
        f"{epochs_spent.epochs_without_stopping:,}."
    )
    if not epochs_spent.correlations:
        return text
    pairs = ", ".join(
        f"{each.spearman:.2f} at {each.epochs} ({each.low:.2f} to {each.high:.2f})"
        for each in epochs_spent.correlations
    )
    networks = epochs_spent.correlations[0].networks
    return (
        f"{text} Rank correlation with the full training (95% CI): {pairs} epochs, among the {networks} "
        "networks that were promoted to it; among all networks it tends to be higher."
    )
