"""All trials of a run as a data frame."""

from typing import TYPE_CHECKING

from ..analysis.front_posterior import front_posterior_of
from ..store.search_run import SearchRun
from .front_table import COLUMNS, front_row

if TYPE_CHECKING:
    from pandas import DataFrame


def trials_dataframe(run: SearchRun) -> "DataFrame":
    """One row per trial; the columns are documented at `Run.to_pandas`."""
    import pandas

    goals, space = run.settings.goals, run.settings.space
    posterior = front_posterior_of(run.completed_records(), goals)
    front, verifications = {record.trial for record in run.front()}, run.verifications()
    rows = []
    for record in run.records():
        reward = goals.reward if record.state == "complete" else None
        verification = verifications.get(record.key)
        genes = space.encode(record.architecture)
        rows.append(
            front_row(record, posterior, reward)
            | {
                "source": record.source,
                "state": record.state,
                "pareto": record.trial in front,
                "test_accuracy": verification.test_top1 if verification else None,
                "resolution_px": record.architecture.resolution_px,
                "blocks": len(record.architecture.blocks),
                "seconds": record.seconds,
                "error": record.error,
            }
            | {f"gene_{name}": value for name, value in genes.items()}
        )
    others = ("test_accuracy", "resolution_px", "blocks", "seconds", "error")
    gene_columns = (f"gene_{gene.name}" for gene in space.genes)
    columns = ["trial", "source", "state", "pareto", *COLUMNS[1:], *others, *gene_columns]
    return pandas.DataFrame(rows, columns=columns).set_index("trial")
