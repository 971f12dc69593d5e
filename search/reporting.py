"""`bneck report`: the page of a search or of a training, written anew."""

from pathlib import Path

from ..results import Run
from ..results.report import report_figures, write_report
from ..results.training import TrainingFolder, is_training
from ..results.training_report import write_training_page
from .worker import load_run_data


def write_page(folder: Path, page: Path, pictures: Path | None = None) -> list[Path]:
    """Write the page, and its figures as PNG if there is a folder for them.

    Returns:
        The PNG files.
    Raises:
        BneckError: the folder is neither, or something cannot be written.
    """
    if is_training(folder):
        training = TrainingFolder.open(folder)
        figures = write_training_page(training, load_run_data(training.settings.data), page)
    else:
        run = Run.open(folder)
        write_report(run, page)
        figures = report_figures(run)
    if pictures is None:
        return []
    from ..results.png import write_pngs

    return write_pngs(figures, pictures)
