"""The folders that searches and trainings make."""

from pathlib import Path

from ...search_space import RunError

TRAINING_FILE = "training.yaml"


def is_training(folder: Path) -> bool:
    """Whether `bneck train` made it."""
    return (folder / TRAINING_FILE).is_file()


def require_absent(folder: Path, resume_command: str) -> None:
    """Raise `RunError` where there is something already.

    Args:
        resume_command: the words that go on with what is there.
    """
    if folder.exists():
        raise RunError(f"{folder} exists; choose another --out, or go on with it: {resume_command}")


def create_directory(folder: Path, resume_command: str) -> None:
    """Make a folder that is not there yet.

    Raises:
        RunError: it is there, or cannot be made.
    """
    require_absent(folder, resume_command)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise RunError(f"{folder} cannot be made: {error.strerror}") from None
