"""Array types of the statistics."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Values = Sequence[float] | Array
T = TypeVar("T")


def evenly_spaced(values: Sequence[T], most: int) -> list[T]:
    """All values, or `most` of them spread over the whole sequence, first and last included."""
    if len(values) <= most:
        return list(values)
    return [values[place] for place in np.linspace(0, len(values) - 1, most).round().astype(int)]
