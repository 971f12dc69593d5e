"""Data sets: a name or an object to the images of a run."""

from pathlib import Path
from typing import Protocol

from ...evaluate.data.dataset import Data
from ...evaluate.scorers import scorer_kind
from ...results import DataSettings


def load_run_data(settings: DataSettings, data: Data | None = None, *, download: bool = False) -> Data:
    """The images of a run.

    Args:
        data: the object that the run was started with, where its name is a label.
    Raises:
        BneckError: they are missing or broken.
    """
    return settings.load(data, download=download)


class ImagesRequest(Protocol):
    """The fields of a request that choose images."""

    @property
    def data(self) -> str: ...

    @property
    def data_root(self) -> Path | None: ...

    @property
    def train_images(self) -> int | None: ...

    @property
    def validation_images(self) -> int | None: ...

    @property
    def download(self) -> bool: ...


def open_images(request: ImagesRequest, data: Data | None = None) -> tuple[DataSettings, Data]:
    """The images, and the settings that open them again.

    Raises:
        BneckError: they are missing or broken.
    """
    root = str(request.data_root) if request.data_root else None
    requested = DataSettings(request.data, root, request.train_images, request.validation_images)
    images = load_run_data(requested, data, download=request.download)
    return requested.of(images), images


def normalized_for_evaluator(name: str, data: Data) -> Data:
    """The images, normalized as the weights of a supernet expect them.

    Raises:
        BneckError: the supernet has other classes or channels.
    """
    if scorer_kind(name) not in ("supernet", "finetuned-supernet"):
        return data
    from ...evaluate.supernet.checkpoint import load_supernet

    return load_supernet(Path(name.partition(":")[2].split(",")[0])).normalize_data(data)
