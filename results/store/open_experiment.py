"""Opening a folder whose kind is unknown."""

from pathlib import Path

from ...search_space import RunError
from .experiment import KINDS, NETADAPT_FILE, SEED_STUDY_FILE, TRAINING_FILE, settings_name
from .netadapt_run import NetAdaptRun
from .search_run import SearchRun
from .seed_study import SeedStudy
from .training_run import TrainingRun

AnyExperiment = SearchRun | TrainingRun | NetAdaptRun | SeedStudy


def open_experiment(folder: str | Path) -> AnyExperiment:
    """Open a search run, training, NetAdapt run or seed study by its settings file.

    Raises:
        RunError: the folder is missing or none of these.
        FileFormatError: the settings file is damaged or has another format version.
    """
    folder = Path(folder)
    name = settings_name(folder)
    if name is None:
        raise RunError(f"{folder} is no folder of bneck: it has none of {', '.join(KINDS)}")
    if name == TRAINING_FILE:
        return TrainingRun.open(folder)
    if name == NETADAPT_FILE:
        return NetAdaptRun.open(folder)
    if name == SEED_STUDY_FILE:
        return SeedStudy.open(folder)
    return SearchRun.open(folder)
