"""`bneck report`: the page of a search or of a training, written anew."""

from pathlib import Path

from ..results import Run
from ..results.png import write_pngs
from ..results.report import report_figures, write_report
from ..results.training import TrainingFolder, is_training
from ..results.training_report import write_training_results
from .start import torch_device
from .worker import load_run_data


def write_page(folder: Path, page: Path, pictures: Path | None = None) -> None:
    """Write the page, and its figures as PNG if there is a folder for them.

    Raises:
        BneckError: the folder is neither, or something cannot be written.
    """
    if is_training(folder):
        training = TrainingFolder.open(folder)
        data = load_run_data(training.settings.data)
        write_training_results(training, data, device=torch_device("auto"), page=page, pictures=pictures)
    else:
        run = Run.open(folder)
        write_report(run, page)
        if pictures:
            write_pngs(report_figures(run), pictures)
