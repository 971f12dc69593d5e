"""CPU quotas and memory limits of containers, as cgroup v1 and v2 write them."""

import math
from pathlib import Path

import pytest

from bneck.evaluate import cores
from bneck.evaluate.cores import cpu_quota, require_workers, usable_cores, usable_memory
from bneck.search_space import GoalError


def cgroups(folder: Path, own: str, files: dict[str, str]) -> tuple[Path, Path]:
    (folder / "own").write_text(own, encoding="utf-8")
    for name, text in files.items():
        (folder / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "fs" / name).write_text(text, encoding="utf-8")
    return folder / "fs", folder / "own"


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 0.5),  # docker run --cpus 0.5, cgroup v2
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        # a group below one with a smaller quota
        ("0::/a/b\n", {"a/cpu.max": "150000 100000\n", "a/b/cpu.max": "400000 100000\n"}, 1.5),
        # cgroup v1: the path is the host's, the files lie in the root
        (
            "4:cpu,cpuacct:/docker/1f\n",
            {"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            2.5,
        ),
        (
            "4:cpu,cpuacct:/\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            math.inf,
        ),
        ("9:memory:/\n", {"cpu/cpu.cfs_quota_us": "1\n"}, math.inf),
        ("no groups", {"cpu.max": "broken"}, math.inf),
        ("", {}, math.inf),
    ],
)
def test_a_cpu_quota_is_found(own: str, files: dict[str, str], quota: float, tmp_path: Path) -> None:
    assert cpu_quota(*cgroups(tmp_path, own, files)) == quota


@pytest.mark.parametrize(
    ("quota", "usable"), [(0.5, 1), (1.0, 1), (2.9, 2), (3.0, 3), (100.0, 4), (math.inf, 4)]
)
def test_usable_cores_are_those_of_affinity_and_quota(
    quota: float, usable: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(4)), raising=False)
    monkeypatch.setattr(cores, "cpu_quota", lambda: quota)
    assert usable_cores() == usable


@pytest.mark.parametrize(
    ("own", "files"),
    [
        ("0::/\n", {"memory.max": "1000000000\n"}),
        ("7:memory:/docker/1f\n", {"memory/memory.limit_in_bytes": "1000000000\n"}),
    ],
)
def test_a_memory_limit_is_found(own: str, files: dict[str, str], tmp_path: Path) -> None:
    assert usable_memory(*cgroups(tmp_path, own, files)) == 1e9


def test_more_workers_than_the_machine_carries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "usable_cores", lambda: 2)
    monkeypatch.setattr(cores, "usable_memory", lambda: 8e9)
    for workers in (None, 1, 16):
        require_workers(workers)
    with pytest.raises(GoalError, match=r"at most 16 with 2 usable cores and 8\.0 GB.*got 100000"):
        require_workers(100_000)
    monkeypatch.setattr(cores, "usable_memory", lambda: 2e9)  # four of half a gigabyte
    with pytest.raises(GoalError, match="at most 4 "):
        require_workers(5)
