"""An 8-bit ONNX model by static quantization, calibrated on training images."""

import json
import logging
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...search_space import RunError
from ...search_space.errors import first_line
from .exportable import ANY_BATCH, Exportable
from .onnx_model import onnx_model, open_session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...evaluate.data.dataset import Data, Split

CALIBRATION_IMAGES, EVALUATED_IMAGES = 128, 1000
_PROPERTY = "quantization"


@dataclass(frozen=True)
class Int8Report:
    """Accuracy, size and latency before and after.

    Attributes:
        images: validation images.
        latency_ms, fp32_latency_ms: median of runs of one image on one thread of this machine, alternating.
    """

    calibration_images: int
    images: int
    top1: float
    fp32_top1: float
    size_bytes: int
    fp32_size_bytes: int
    latency_ms: float
    fp32_latency_ms: float

    def __str__(self) -> str:
        return (
            f"int8 and fp32: top-1 {self.top1:.1%} and {self.fp32_top1:.1%} of {self.images:,} validation "
            f"images, {self.latency_ms:.3g} and {self.fp32_latency_ms:.3g} ms, "
            f"{self.size_bytes:,} and {self.fp32_size_bytes:,} bytes"
        )


def int8_model(network: Exportable) -> bytes:
    """The ONNX model with 8-bit weights (per channel) and activations (QDQ), and `Int8Report` as metadata.

    Raises:
        BneckError: the training images cannot be read, or onnxruntime cannot quantize the model.
    """
    import onnx

    data = network.data.load()
    fp32 = onnx_model(replace(network, onnx=ANY_BATCH))
    calibration = _images(network, data, "train", CALIBRATION_IMAGES)[0]
    quantized = _quantize(fp32, calibration)
    report = _report(network, data, fp32, quantized, len(calibration))
    model = onnx.load_from_string(quantized)
    model.metadata_props.add(key=_PROPERTY, value=json.dumps(asdict(report)))
    content: bytes = model.SerializeToString()
    return content


def int8_note(content: bytes) -> str:
    """Accuracy, size and latency before and after, in a sentence."""
    import onnx

    properties = {each.key: each.value for each in onnx.load_from_string(content).metadata_props}
    return str(Int8Report(**json.loads(properties[_PROPERTY])))


def _quantize(fp32: bytes, images: "NDArray[Any]") -> bytes:
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rows: Iterator[NDArray[Any]] = iter(images)

        def get_next(self) -> dict[str, Any] | None:
            row = next(self.rows, None)
            return None if row is None else {"images": row[None]}

    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "int8.onnx"
        try:
            quantize_static(
                onnx.load_from_string(fp32),
                path,
                Reader(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                reduce_range=True,  # 16-bit sums of processors without VNNI would overflow
            )
        except Exception as error:
            raise RunError(f"onnxruntime cannot quantize the network: {first_line(error)}") from None
        return path.read_bytes()


@contextmanager
def _quiet() -> Iterator[None]:
    """onnxruntime logs advice on every call."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def _images(
    network: Exportable, data: "Data", split: "Split", count: int
) -> "tuple[NDArray[Any], NDArray[Any]]":
    """The first images of a split that is shuffled once, and their labels."""
    import torch

    chosen = torch.randperm(data.count(split), generator=torch.Generator().manual_seed(0))[:count]
    some = data.subset(split, chosen.sort().values)
    batches = list(some.batches(split, network.architecture.resolution_px, 32))
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return images.contiguous().numpy(), labels.numpy()


def _report(network: Exportable, data: "Data", fp32: bytes, int8: bytes, calibrated: int) -> Int8Report:
    images, labels = _images(network, data, "validation", EVALUATED_IMAGES)
    sessions = [open_session(content, threads=1) for content in (int8, fp32)]
    correct: list[list[bool]] = [[], []]
    seconds: list[list[float]] = [[], []]
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        for which in (0, 1) if number % 2 else (1, 0):
            start = time.perf_counter()
            [logits] = sessions[which].run(None, {"images": image[None]})
            seconds[which].append(time.perf_counter() - start)
            correct[which].append(bool(logits[0].argmax() == label))
    top1, fp32_top1 = (sum(each) / len(each) for each in correct)
    latency_ms, fp32_latency_ms = (1000 * statistics.median(each) for each in seconds)
    return Int8Report(
        calibrated, len(labels), top1, fp32_top1, len(int8), len(fp32), latency_ms, fp32_latency_ms
    )
