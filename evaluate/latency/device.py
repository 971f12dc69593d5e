"""What this machine is, so that figures can be told apart by where they were measured."""

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
    """Where a latency was measured: everything that may move it but the network and the moment.

    Attributes:
        backend: bneck's name of the way it is measured.
        runtime: the program that runs the network, with its version.
        processor: model of the CPU or GPU, or what reaches a remote device.
        features: the instruction sets of a CPU that runtimes choose their code by, or a GPU's settings.
        threads: that run the network.
        layout: how images lie in memory.
        batch_size: images a run.
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
        """12 hexadecimal digits that differ where anything differs."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    def differences(self, other: "Device") -> str:
        """`runtime onnxruntime 1.31.0 here, onnxruntime 1.32.0 there`; empty where there is none."""
        changes = []
        for field in fields(self):
            here, there = getattr(self, field.name), getattr(other, field.name)
            if here != there:
                changes.append(f"{field.name} {here or 'none'} here, {there or 'none'} there")
        return "; ".join(changes)

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'' if self.threads == 1 else 's'}"
        batch = f"batch {self.batch_size}"
        return f"{self.runtime} on {self.processor}, {threads}, {batch}, {self.dtype}, {self.layout}"


def cpu_device(
    backend: str, runtime: str, *, threads: int = 1, batch_size: int = 1, layout: str = "NCHW"
) -> Device:
    """The processor of this machine, as a runtime uses it."""
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
    """Processor, cores this process may use, operating system: where a search runs."""
    return {"processor": _processor(), "cores": str(usable_cores()), "system": _system()}


def package_versions() -> dict[str, str]:
    """What the results depend on, by package."""
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
    """What Linux tells of the first core; empty elsewhere."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().split("\n\n")[0].splitlines() if path.is_file() else []
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}
