"""What this machine is, so that figures can be told apart by where they were measured."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("bneck", "torch", "torchvision", "optuna", "onnxruntime")


def device_fingerprint() -> dict[str, str]:
    """Processor, cores this process may use, operating system."""
    return {
        "processor": _processor(),
        "cores": str(usable_cores()),
        "system": f"{platform.system()} {platform.machine()}",
    }


def package_versions() -> dict[str, str]:
    """What the results depend on, by package."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def usable_cores() -> int:
    """The number of cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
