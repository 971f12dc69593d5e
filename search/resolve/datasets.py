"""Data sets by name, as a run needs them."""

from pathlib import Path
from typing import Protocol

from ...evaluate.data.dataset import Data, load_dataset, subsample
from ...evaluate.scorers import scorer_kind
from ...results import DataSettings


def load_run_data(settings: DataSettings, *, download: bool = False) -> Data:
    """The images of a run."""
    root = Path(settings.root) if settings.root else None
    data = load_dataset(settings.name, root=root, download=download)
    return subsample(data, train=settings.train_images, validation=settings.validation_images)


class ImagesRequest(Protocol):
    """The images that a person asked for, in words."""

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


def open_images(request: ImagesRequest) -> tuple[DataSettings, Data]:
    """The images, and what a folder keeps of them.

    Raises:
        BneckError: they are missing or broken.
    """
    root = str(request.data_root) if request.data_root else None
    requested = DataSettings(request.data, root, request.train_images, request.validation_images)
    data = load_run_data(requested, download=request.download)
    return requested.of(data), data


def normalized_for_evaluator(name: str, data: Data) -> Data:
    """The images normalised as the weights that a scorer begins with were trained to see them.

    Raises:
        BneckError: they are no images for these weights.
    """
    if scorer_kind(name) not in ("supernet", "inherit"):
        return data
    from ...evaluate.supernet.checkpoint import load_supernet

    return load_supernet(Path(name.partition(":")[2].split(",")[0])).normalise_data(data)
