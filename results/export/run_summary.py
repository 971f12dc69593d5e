"""What a finished search leaves in its folder: the front as CSV and configs, and the report."""

from ..analysis.front_posterior import front_posterior_of
from ..pages.search import write_report
from ..store.search_run import Run
from .front_table import front_csv
from .models import exportable_from_trial


def write_results(run: Run) -> None:
    """Write `front.csv`, `architectures/*.yaml` and `report.html` afresh."""
    front = run.front()
    front_posterior = front_posterior_of(run.completed_records(), run.settings.goals)
    (run.folder / "front.csv").write_text(
        front_csv(front, front_posterior, run.settings.goals.reward), encoding="utf-8"
    )
    configs = run.folder / "architectures"
    for old in configs.glob("*.yaml"):
        old.unlink()
    for record in front:
        (configs / f"trial{record.trial}-{record.key}.yaml").write_text(
            exportable_from_trial(run, record).config, encoding="utf-8"
        )
    write_report(run, run.folder / "report.html")
