"""The data of a request."""

import logging
from functools import cache
from pathlib import Path

from ...evaluate.data.dataset import Data, absolute_name, left_out_notice
from ...evaluate.scorers import scorer_kind
from ...results import DataSettings
from .options import DataOptions


def open_images(request: DataOptions, data: Data | None = None) -> tuple[DataSettings, Data]:
    """The images, and the settings that open them again anywhere; files that are left out are reported.

    Raises:
        BneckError: they are missing or broken.
    """
    root = str(request.data_root.absolute()) if request.data_root else None
    name = absolute_name(request.data)
    requested = DataSettings(name, root, request.train_images, request.validation_images)
    images = requested.load(data, download=request.download)
    report_left_out(images)
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


def report_left_out(data: Data) -> None:
    """Log a warning if files of a folder are not used; the command line shows it."""
    if notice := left_out_notice(data):
        _warn_once(notice)


@cache
def _warn_once(notice: str) -> None:
    logging.getLogger("bneck").warning(notice)
