"""`bneck report` and `bneck export`: pages and files of a search or of a training."""

from pathlib import Path

from ...results import Run
from ...results.export.models import export, exportable_from_training, parse_formats, write_files
from ...results.outputs import write_report
from ...results.store.experiment import is_training
from ...results.store.open_experiment import open_experiment
from ...results.store.training_run import TrainingRun
from ...search_space import GoalError
from ..resolve.environment import torch_device


def write_page(folder: Path, page: Path, png_folder: Path | None = None) -> None:
    """Write the page, and its figures as PNG if there is a folder for them.

    Raises:
        BneckError: there is no experiment, it has no results yet, or a file cannot be written.
    """
    write_report(open_experiment(folder), page, png_folder=png_folder, device=torch_device("auto"))


def write_exports(folder: Path, trial: str | None, formats: str, out: Path) -> list[Path]:
    """Write a network's files; of a search that of a trial.

    Raises:
        BneckError: there is no such network, or the files cannot be written.
    """
    names = parse_formats(formats)
    if is_training(folder):
        if trial is not None:
            raise GoalError(f"{folder} is a training, which has one network; leave --trial out")
        return write_files(exportable_from_training(TrainingRun.open(folder)), names, out)
    run = Run.open(folder)
    if trial is None:
        raise GoalError(f"{folder} is a search; choose a network of it: --trial best")
    return export(run, run.record(trial), names, out)
