"""The data of an experiment, opened again and compared with the images that it was started with."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ...search_space import DataError, GoalError
from .experiment import KINDS, MANIFEST_NAME, Experiment

if TYPE_CHECKING:
    from ...evaluate.data.dataset import Data
    from ...evaluate.data.manifest import Manifest

E = TypeVar("E", bound=Experiment[Any])


def reopen_data(
    experiment: E,
    data: "Data | None" = None,
    *,
    moved_to: str | None = None,
    download: bool = False,
    same_pixels: bool = True,
) -> "tuple[E, Data]":
    """Open the data of an experiment to continue it.

    Args:
        data: the object that the experiment was started with, if it has no name.
        moved_to: name of the data folder now; by default where it was.
        same_pixels: compare the normalization too; False if it is not that of the data.
    Returns:
        The experiment, with the new place in its settings and in its settings file, and the data.
    Raises:
        DataError: the data is missing or broken.
        GoalError: the images are not those of the start.
    """
    from ...evaluate.data.dataset import absolute_name

    settings = experiment.settings.data
    if moved_to and absolute_name(moved_to).startswith("folder:"):
        settings = replace(settings, name=absolute_name(moved_to))
    folder = Path(settings.name.removeprefix("folder:"))
    if settings.name.startswith("folder:") and not folder.is_dir():
        raise DataError(
            f"{experiment.folder}: data folder {folder} not found; if it has moved, give its place: "
            "--resume --data folder:PATH"
        )
    images = settings.load(data, download=download)
    require_same_images(experiment, images, same_pixels=same_pixels)
    if settings != experiment.settings.data:
        experiment = experiment.with_settings(data=settings)
        experiment.save_settings()
    return experiment, images


def require_same_images(experiment: Experiment[Any], data: "Data", *, same_pixels: bool = True) -> None:
    """Refuse to continue an experiment on other images than those that it was started with.

    Raises:
        GoalError: classes, files, splits or labels have changed, with the counts.
    """
    from ...evaluate.data.dataset import class_difference

    settings = experiment.settings.data
    difference = class_difference(settings.class_names or data.class_names, data.class_names)
    if difference:
        problem = f"the classes of {data.name} have changed since the start: {difference}"
    elif (
        same_pixels
        and not settings.normalized
        and settings.pixel_mean
        and data.pixel_mean != settings.pixel_mean
    ):
        problem = f"the pixels of {data.name} have changed since the start"
    else:
        problem = difference_since(experiment.manifest(), settings.fingerprint, data)
    if problem:
        kind = KINDS[experiment.SETTINGS_NAME]
        raise GoalError(f"{experiment.folder}: {problem}; restore the data, or start a new {kind}")


def difference_since(recorded: "Manifest | None", fingerprint: str, data: "Data") -> str:
    """How the images differ from those that were recorded; empty if they do not.

    Args:
        recorded: None if the images were no files.
        fingerprint: of the splits; empty in files of earlier versions.
    """
    from ...evaluate.data.manifest import Manifest
    from ...evaluate.data.manifest import fingerprint as fingerprint_of

    files = Manifest.of(data)
    if recorded and files:
        changes = recorded.changes(files)
        return (
            f"the images of {data.name} have changed since the start: {changes.text}; accuracies before and "
            "after would not be comparable"
            if changes
            else ""
        )
    if files and not fingerprint:
        return (
            f"an earlier version of bneck split the images of {data.name} in another way: training images "
            "would become test images"
        )
    if fingerprint and fingerprint != fingerprint_of(data):
        return f"the labels of {data.name} have changed since the start"
    return ""


def manifest_beside(checkpoint: Path) -> "Manifest | None":
    """The manifest in the folder of a checkpoint file, or in the one above.

    Raises:
        RunError: it is damaged.
    """
    from ...evaluate.data.manifest import Manifest

    candidates = (folder / MANIFEST_NAME for folder in checkpoint.absolute().parents[:2])
    return next((Manifest.load(path) for path in candidates if path.is_file()), None)
