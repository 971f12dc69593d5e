"""Processor cores and memory that this process may use, and the workers that they carry."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

from ..search_space import GoalError

CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
WORKERS_PER_CORE = 8
WORKER_BYTES = 0.5e9  # of a worker that trains small images
UNLIMITED_BYTES = 1e15  # cgroup v1 writes a huge number for no limit


def usable_cores() -> int:
    """The number of cores this process may use: its affinity, and at least one of a CPU quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, math.floor(min(cpu_quota(), cores))))


def cpu_quota(root: Path = CGROUPS, own: Path = OWN_CGROUPS) -> float:
    """CPU time per wall time that the container allows, in cores; infinite without a limit.

    Reads `cpu.max` (cgroup v2) and `cpu.cfs_quota_us` (v1) of the process's group and of all above it.
    """
    quotas = [math.inf]
    for folder in _groups(root, own, "cpu"):
        words = _words(folder / "cpu.max") or [
            *_words(folder / "cpu.cfs_quota_us"),
            *_words(folder / "cpu.cfs_period_us"),
        ]
        if len(words) == 2 and all(word.isdigit() and int(word) for word in words):
            quotas.append(int(words[0]) / int(words[1]))
    return min(quotas)


def usable_memory(root: Path = CGROUPS, own: Path = OWN_CGROUPS) -> float:
    """Bytes of memory that the machine has and the container allows; infinite if unknown."""
    limits = [math.inf]
    if hasattr(os, "sysconf") and {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= set(os.sysconf_names):
        limits.append(float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")))
    for folder in _groups(root, own, "memory"):
        words = _words(folder / "memory.max") or _words(folder / "memory.limit_in_bytes")
        if words and words[0].isdigit() and int(words[0]) < UNLIMITED_BYTES:
            limits.append(float(words[0]))
    return min(limits)


def require_workers(workers: int | None) -> None:
    """Refuse numbers of worker processes that this machine cannot carry.

    Raises:
        GoalError: more than eight per core, or more than fit in memory; names both.
    """
    cores, memory = usable_cores(), usable_memory()
    by_memory = memory / WORKER_BYTES
    most = max(2, int(min(WORKERS_PER_CORE * cores, by_memory)))
    if workers is not None and workers > most:
        text = f" and {memory / 1e9:.1f} GB of memory" if memory < math.inf else ""
        raise GoalError(
            f"--workers must be at most {most} with {cores} usable cores{text} (about "
            f"{WORKER_BYTES / 1e9:g} GB each), got {workers}; one per core is fastest: --workers {cores}"
        )


def _groups(root: Path, own: Path, controller: str) -> Iterator[Path]:
    """The folders of the process's groups and of all above them, of one controller."""
    for line in _lines(own):
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if not controllers:
            folder = root
        elif controller in controllers.split(","):
            folder = root / controller
        else:
            continue
        parts = [part for part in path.split("/") if part and part != ".."]
        yield from (folder.joinpath(*parts[:count]) for count in range(len(parts) + 1))


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _words(file: Path) -> list[str]:
    return " ".join(_lines(file)).split()
