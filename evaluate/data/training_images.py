"""What is known of the images that a network was trained on, to keep them out of its evaluation."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from ...search_space.errors import DataError
from .dataset import Data
from .in_memory import InMemoryData
from .manifest import ImageChanges, Manifest, fingerprint
from .splits import Split
from .streaming import LabelledFiles, StreamingData

_OWN_CLASSES = (InMemoryData, StreamingData)  # whose fingerprint does not depend on limits of images
_SAME_DATA = 0.5  # fraction of known files from which on data is that of the training, with changes


@dataclass(frozen=True, eq=False)
class HeldOutImages:
    """Data for the evaluation of a trained network.

    Attributes:
        data: without the training images of the network in the evaluated split.
        n_leaked: number of images that were left out.
        changes: since the training; None if it is other data, or nothing is recorded.
        warnings: one line each.
    """

    data: Data
    n_leaked: int = 0
    changes: ImageChanges | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """Record of the data that a network was trained on.

    Attributes:
        name: of the data set.
        fingerprint: of the splits; empty if it is not known.
        manifest: None if only the fingerprint is known, or the images were no files.
    """

    name: str
    fingerprint: str
    manifest: Manifest | None = None

    def leak(self, data: Data) -> str | None:
        """Why validation and test images of some data are not held out for this network; None if they are."""
        files = Manifest.of(data)
        if files is None:
            return None
        if self.manifest is None:
            return self._unknown_splits(data) if self.name == data.name else None
        if n_leaked := int(self.manifest.leaked(files).sum()):
            return f"{n_leaked:,} validation or test images of {data.name} were training images"
        return None

    def held_out(self, data: Data, split: Split) -> HeldOutImages:
        """Some data for an evaluation on a split, without the images that the network was trained on.

        Raises:
            DataError: no image is left.
        """
        files = Manifest.of(data)
        if files is None or self.manifest is None:
            warning = self._unknown_splits(data)
            return HeldOutImages(data, warnings=(warning,) if warning else ())
        held_out = self._without_leaked(data, split, self.manifest)
        if not data.count("train"):  # a folder that is evaluated whole
            return held_out
        changes = self.manifest.changes(files)
        if changes.new + changes.changed > (1 - _SAME_DATA) * len(files.hashes):
            return held_out
        if changes:
            text = f"the images of {data.name} have changed since the training: {changes.text}"
            held_out = replace(held_out, warnings=(*held_out.warnings, text))
        return replace(held_out, changes=changes)

    def _without_leaked(self, data: Data, split: Split, manifest: Manifest) -> HeldOutImages:
        files = data.splits[split] if isinstance(data, StreamingData) else None
        if not isinstance(files, LabelledFiles):
            return HeldOutImages(data)
        leaked = manifest.leaked(Manifest.of_split(files, split))
        n_leaked, count = int(leaked.sum()), data.count(split)
        if not n_leaked:
            return HeldOutImages(data)
        text = f"{n_leaked:,} of {count:,} {split} images of {data.name} were training images of the network"
        if n_leaked == count:
            raise DataError(f"{text}; evaluate it on other images")
        rest = data.subset(split, torch.from_numpy(np.flatnonzero(~leaked)))
        return HeldOutImages(rest, n_leaked, warnings=(f"{text} (same path and size): left out",))

    def _unknown_splits(self, data: Data) -> str | None:
        """A warning if the splits of some data may not be those of the training."""
        has_files = Manifest.of(data) is not None
        is_comparable = self.fingerprint and self.name == data.name and isinstance(data, _OWN_CLASSES)
        if not has_files and not is_comparable:
            return None
        if self.fingerprint == fingerprint(data):
            return None
        if not self.fingerprint:
            return (
                f"trained by an earlier version of bneck, which split the images of {data.name} in another "
                "way: validation and test images may have been training images"
            )
        return (
            f"the splits of {data.name} are not those of the training: validation and test images may have "
            "been training images; only the folder of the run or training records which"
        )
