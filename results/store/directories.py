"""The folders that searches and trainings make."""

from pathlib import Path

from ...search_space import RunError

TRAINING_FILE = "training.yaml"


def is_training(folder: Path) -> bool:
    """Whether `bneck train` made it."""
    return (folder / TRAINING_FILE).is_file()


def refuse_existing(folder: Path, go_on: str) -> None:
    """Raise `RunError` where there is something already.

    Args:
        go_on: the words that go on with what is there.
    """
    if folder.exists():
        raise RunError(f"{folder} exists; choose another --out, or go on with it: {go_on}")


def make_folder(folder: Path, go_on: str) -> None:
    """Make a folder that is not there yet.

    Raises:
        RunError: it is there, or cannot be made.
    """
    refuse_existing(folder, go_on)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise RunError(f"{folder} cannot be made: {error.strerror}") from None
