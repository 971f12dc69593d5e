"""Latency from an external command: bneck writes a model file, the command runs it and prints the time."""

import fcntl
import io
import math
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path

import torch

from ....search_space import BackendError
from ....search_space.errors import first_line
from ....search_space.network import Network, NetworkPart, example_input
from ....search_space.onnx_graph import build_onnx_model
from ..device import Device
from ..measurement import MeasurementPlan, Runner
from . import COMMAND_PREFIX
from .process import last_line, run_program

ModelWriter = Callable[[Network | NetworkPart, int, Path], object]
"""Writes a network to a file for a batch size."""

FORMATS = ("onnx", "pte", "pt2", "tflite")
PARAMETERS = ("threads", "batch")
TIMEOUT_SECONDS, TIMEOUT_VARIABLE = 600.0, "BNECK_COMMAND_TIMEOUT"

# a command takes seconds and averages many runs itself, so that only ABBA blocks are repeated
PLAN = MeasurementPlan(
    max_abba_blocks=14, max_seconds=300.0, min_timing_seconds=0.0, max_timings=1, warmup_runs=0
)

UNITS_MS = {"s": 1e3, "ms": 1.0, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ns": 1e-6}
_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
# `12,5 ms` is not 5 ms
_TIME = re.compile(rf"(?<![\w.])(?<!\d,)({_NUMBER})\s*({'|'.join(UNITS_MS)})(?!\w)")


class CommandBackend:
    """A backend that runs a command once per timing.

    Args:
        template: the command, with one of the placeholders `{onnx}`, `{pte}`, `{pt2}` and `{tflite}` for the
            path of the model file, and optionally `{threads}` and `{batch}`. It is split by the rules of a
            POSIX shell and run without one.
        timeout_seconds: maximum duration of one run of the command; by default `$BNECK_COMMAND_TIMEOUT`, or
            600.
    Raises:
        BackendError: the template is invalid, or the exporter of the format is not installed.
    """

    def __init__(
        self, template: str, threads: int, batch_size: int, *, timeout_seconds: float | None = None
    ) -> None:
        self.name = f"{COMMAND_PREFIX}{template}"
        self.clock = "milliseconds that the command prints"
        self.device = Device(
            "command", template, "the device it reaches", threads=threads, batch_size=batch_size
        )
        self.plan = PLAN
        self.timeout_seconds = timeout_seconds or _default_timeout_seconds()
        self.arguments = _split_arguments(template)
        self.format = _format(template, threads, batch_size)
        self.write = model_writer(self.format)

    def prepare(self, network: Network | NetworkPart) -> Runner:
        folder = Path(tempfile.mkdtemp(prefix="bneck-"))
        file = folder / f"model.{self.format}"
        values = {
            self.format: str(file),
            "threads": str(self.device.threads),
            "batch": str(self.device.batch_size),
        }
        arguments = [
            _PLACEHOLDER.sub(lambda matched: values[matched[1]], argument) for argument in self.arguments
        ]

        def run(count: int) -> float:
            return count * self._run_command(arguments) / 1000

        # TemporaryDirectory would warn when it is garbage-collected, which is intended here
        weakref.finalize(run, shutil.rmtree, folder, ignore_errors=True)
        try:
            self.write(network.eval(), self.device.batch_size, file)
        except Exception as error:
            raise BackendError(f"cannot write the network as .{self.format}: {first_line(error)}") from None
        return run

    def _run_command(self, arguments: list[str]) -> float:
        """Milliseconds printed by one run of the command."""
        command = f"command '{self.device.runtime}'"
        try:
            with self._exclusive_access():
                completed = run_program(arguments, timeout_seconds=self.timeout_seconds)
        except subprocess.TimeoutExpired:
            raise BackendError(
                f"{command} timed out after {self.timeout_seconds:g} s; set the limit by "
                f"{TIMEOUT_VARIABLE}=SECONDS"
            ) from None
        except OSError as error:
            raise BackendError(f"{command} cannot be started: {error.strerror}") from None
        message = last_line(completed.stderr)
        if completed.returncode:
            raise BackendError(f"{command} failed with exit code {completed.returncode}: {completed.reason}")
        try:
            return parse_milliseconds(completed.stdout)
        except ValueError as error:
            raise BackendError(f"{command} {error}{f'; stderr: {message}' if message else ''}") from None

    @contextmanager
    def _exclusive_access(self) -> Iterator[None]:
        """Lock the device against other processes, such as workers of a search."""
        lock = Path(tempfile.gettempdir()) / f"bneck-{os.getuid()}-{self.device.key}.lock"
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def parse_milliseconds(output: str) -> float:
    """Time on the last line of the output: the last number with a unit, or a single number in milliseconds.

    Raises:
        ValueError: there is no time, or it is not positive.
    """
    line = last_line(output)
    if not line:
        raise ValueError("printed nothing; its last line must be a time such as '1.5 ms'")
    if re.fullmatch(_NUMBER, line):
        milliseconds = float(line)
    elif times := _TIME.findall(line):
        number, unit = times[-1]
        milliseconds = float(number) * UNITS_MS[unit]
    else:
        raise ValueError(f"must print a time such as '1.5 ms' on its last line, got: {line}")
    if not 0 < milliseconds < float("inf"):
        raise ValueError(f"must print a positive time, got: {line}")
    return milliseconds


def _default_timeout_seconds() -> float:
    text = os.environ.get(TIMEOUT_VARIABLE)
    if not text:
        return TIMEOUT_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise BackendError(f"{TIMEOUT_VARIABLE} must be a positive number of seconds, got '{text}'")
    return seconds


def _split_arguments(template: str) -> list[str]:
    try:
        return shlex.split(template)
    except ValueError as error:
        problem = str(error).lower()
        raise BackendError(f"command '{template}' cannot be split into arguments: {problem}") from None


def _format(template: str, threads: int, batch_size: int) -> str:
    """The model format of a template, validated."""
    command = f"command '{template}'"
    placeholders: list[str] = list(dict.fromkeys(_PLACEHOLDER.findall(template)))
    unknown = [name for name in placeholders if name not in FORMATS + PARAMETERS]
    if unknown:
        known = _braced(FORMATS + PARAMETERS)
        raise BackendError(f"{command}: unknown placeholder {{{unknown[0]}}}; known here: {known}")
    formats = [name for name in placeholders if name in FORMATS]
    if len(formats) != 1:
        got = "none" if not formats else " and ".join(f"{{{name}}}" for name in formats)
        raise BackendError(f"{command} must contain one of {_braced(FORMATS)} for the model file, got {got}")
    if threads != 1 and "threads" not in placeholders:
        raise BackendError(f"{command} must contain {{threads}} to run with {threads} threads")
    if batch_size != 1 and "batch" not in placeholders and formats == ["onnx"]:
        raise BackendError(
            f"{command} must contain {{batch}} to run with batch {batch_size}: .onnx has a dynamic batch"
        )
    return formats[0]


def _braced(names: tuple[str, ...]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def model_writer(name: str) -> ModelWriter:
    """The writer of a format; imports its exporter, so that a missing package is reported at once."""
    match name:
        case "pte":
            from .executorch import export_executorch

            return lambda network, batch_size, file: file.write_bytes(export_executorch(network, batch_size))
        case "tflite":
            return _litert_writer()
        case "pt2":
            return _write_exported
    return lambda network, batch_size, file: file.write_bytes(build_onnx_model(network).SerializeToString())


def _write_exported(network: Network | NetworkPart, batch_size: int, file: Path) -> None:
    torch.export.save(torch.export.export(network, (example_input(network, batch_size),)), file)


def _litert_writer() -> ModelWriter:
    try:
        litert_torch = import_module("litert_torch")
    except ImportError as error:
        missing = f"{{tflite}} needs the package litert_torch: {first_line(error)}"
        raise BackendError(f"{missing}; pip install litert-torch") from None

    def write(network: Network | NetworkPart, batch_size: int, file: Path) -> None:
        with redirect_stdout(io.StringIO()):  # it prints every conversion step
            litert_torch.convert(network, (example_input(network, batch_size),)).export(str(file))

    return write
