"""Description of the device that latency is measured on."""

import hashlib
import json
import platform
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.metadata import version
from pathlib import Path

from ..cores import usable_cores

PACKAGES = ("bneck", "torch", "torchvision", "optuna", "onnxruntime")
RELEVANT_CPU_FLAGS = ("avx", "amx", "fma", "f16c", "sse4", "asimd", "sve", "bf16", "i8mm")


@dataclass(frozen=True)
class Device:
    """Everything that affects latency apart from the network and the time of measurement.

    Attributes:
        backend: name of the latency backend.
        runtime: inference runtime with its version.
        processor: model of the CPU or GPU, or the way a remote device is reached.
        features: instruction sets of a CPU by which runtimes select kernels, or settings of a GPU.
        threads: threads that run the network.
        layout: memory layout of the images.
        batch_size: images per run.
        system: operating system and architecture.
    """

    backend: str
    runtime: str
    processor: str
    features: str = ""
    threads: int = 1
    dtype: str = "fp32"
    layout: str = "NCHW"
    batch_size: int = 1
    system: str = ""

    @property
    def key(self) -> str:
        """Hash of all fields, 12 hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    def differences(self, other: "Device") -> str:
        """`runtime: onnxruntime 1.31.0 != onnxruntime 1.32.0`, separated by `;`; empty for equal devices."""
        pairs = (
            (field.name, getattr(self, field.name), getattr(other, field.name)) for field in fields(self)
        )
        return "; ".join(f"{name}: {a or 'none'} != {b or 'none'}" for name, a, b in pairs if a != b)

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'' if self.threads == 1 else 's'}"
        batch = f"batch {self.batch_size}"
        return f"{self.runtime} on {self.processor}, {threads}, {batch}, {self.dtype}, {self.layout}"


def cpu_device(
    backend: str, runtime: str, *, threads: int = 1, batch_size: int = 1, layout: str = "NCHW"
) -> Device:
    """The CPU of this machine with the settings of a runtime."""
    return Device(
        backend,
        runtime,
        processor=_processor(),
        features=_features(),
        threads=threads,
        layout=layout,
        batch_size=batch_size,
        system=_system(),
    )


def host() -> dict[str, str]:
    """Processor, number of cores that this process may use, and operating system."""
    return {"processor": _processor(), "cores": str(usable_cores()), "system": _system()}


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that affect results."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def _system() -> str:
    return f"{platform.system()} {platform.machine()}"


def _processor() -> str:
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def _features() -> str:
    flags = (_cpuinfo().get("flags") or _cpuinfo().get("Features") or "").split()
    return " ".join(sorted(flag for flag in flags if flag.startswith(RELEVANT_CPU_FLAGS)))


@cache
def _cpuinfo() -> dict[str, str]:
    """`/proc/cpuinfo` of the first core; empty on systems other than Linux."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().split("\n\n")[0].splitlines() if path.is_file() else []
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}
