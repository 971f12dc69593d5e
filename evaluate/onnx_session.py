"""ONNX models in onnxruntime, on the CPU."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..search_space import RunError
from ..search_space.errors import first_line

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def onnx_session(path: Path) -> "InferenceSession":
    """The model of a file, with as many threads as torch has.

    Raises:
        RunError: the file is missing, or onnxruntime cannot load it.
    """
    import onnxruntime

    if not path.is_file():
        raise RunError(f"{path}: ONNX model not found")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise RunError(f"{path}: onnxruntime cannot load the model: {first_line(error)}") from None
