"""A trained network with its preprocessing: class probabilities of image files."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ..search_space import RunError
from ..search_space.errors import first_line
from .data.decode import UnreadableImageError
from .onnx_session import onnx_session
from .preprocessing import Preprocessing
from .training.checkpoint import Checkpoint, load_checkpoint

ONNX_SUFFIX = ".onnx"
_BATCH_SIZE = 32


@dataclass(frozen=True)
class Prediction:
    """Class probabilities of an image file.

    Attributes:
        probabilities: one per class, float32; None if the image cannot be read.
        problem: why it cannot be read.
    """

    file: Path
    probabilities: Tensor | None
    problem: str = ""


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network that classifies image files.

    Attributes:
        probabilities: of pixels, `n x resolution x resolution x channels` uint8; `n x classes`.

    Example:
        >>> from bneck.evaluate import Classifier
        >>> classifier = Classifier.load("exported/trial5-....onnx")  # doctest: +SKIP
        >>> [prediction] = classifier.predict(["photo.jpg"])  # doctest: +SKIP
        >>> classifier.class_names[int(prediction.probabilities.argmax())]  # doctest: +SKIP
    """

    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    probabilities: Callable[[Any], Tensor]

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """A `.safetensors` file of bneck, or an ONNX model that it exported.

        Raises:
            RunError: the file is missing or damaged, or lacks classes or preprocessing.
        """
        path = Path(path)
        return cls._from_onnx(path) if path.suffix == ONNX_SUFFIX else cls.of(load_checkpoint(path))

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Self:
        network, preprocessing = checkpoint.network(), checkpoint.preprocessing

        def probabilities(pixels: Any) -> Tensor:
            with torch.inference_mode():
                logits: Tensor = network(preprocessing.normalize(pixels))
                return logits.softmax(1)

        return cls(checkpoint.class_names, preprocessing, probabilities)

    @classmethod
    def _from_onnx(cls, path: Path) -> Self:
        session = onnx_session(path)
        try:
            properties = session.get_modelmeta().custom_metadata_map
            class_names = tuple(map(str, json.loads(properties["class_names"])))
            preprocessing = Preprocessing.of(json.loads(properties["preprocessing"]))
        except (KeyError, TypeError, ValueError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else first_line(error)
            raise RunError(
                f"{path}: not an ONNX model of `bneck export` ({reason}); export it anew"
            ) from None
        [images] = session.get_inputs()
        batch_size = images.shape[0] if isinstance(images.shape[0], int) else None

        def run(pixels: Any) -> Tensor:
            embedded = images.type == "tensor(uint8)"
            values = pixels if embedded else preprocessing.normalize(pixels).numpy()
            [outputs] = session.run(None, {images.name: values})
            logits = torch.from_numpy(outputs)
            return logits if embedded else logits.softmax(1)

        def probabilities(pixels: Any) -> Tensor:
            count, size = len(pixels), batch_size or len(pixels)
            padded = np.concatenate([pixels, np.zeros_like(pixels[:1]).repeat(-count % size, 0)])
            return torch.cat([run(padded[start : start + size]) for start in range(0, count, size)])[:count]

        return cls(class_names, preprocessing, probabilities)

    def predict(self, files: Sequence[str | Path]) -> Iterator[Prediction]:
        """Predictions in the order of the files, batch by batch."""
        for start in range(0, len(files), _BATCH_SIZE):
            yield from self._predict_batch([Path(file) for file in files[start : start + _BATCH_SIZE]])

    def _predict_batch(self, files: Sequence[Path]) -> Iterator[Prediction]:
        pixels, problems = {}, {}
        for file in files:
            try:
                pixels[file] = self.preprocessing.pixels(file)
            except UnreadableImageError as error:
                problems[file] = error.reason
        rows = (
            dict(zip(pixels, self.probabilities(np.stack([*pixels.values()])), strict=True)) if pixels else {}
        )
        for file in files:
            yield Prediction(file, rows.get(file), problems.get(file, ""))
