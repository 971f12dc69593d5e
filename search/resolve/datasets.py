"""The data of a request."""

import logging
from array import array
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import fmean

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


def with_normalization(
    images: DataSettings, data: Data, mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[DataSettings, Data]:
    """The data with the normalization of given weights, and settings that open it so.

    Gray images get the mean over the channels of color images.

    Args:
        mean, std: one value per channel of the network that has the weights, scale 0 to 255.
    """
    channels = data.image_channels
    if len(mean) != channels:
        mean, std = ((fmean(values),) * channels for values in (mean, std))
    pairs = ((mean, data.pixel_mean), (std, data.pixel_std))
    if all(array("f", given) == array("f", own) for given, own in pairs):  # fp32, as the pixels
        return images, data
    data = data.with_normalization(mean, std)
    return replace(images.of(data), normalized=True), data


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
