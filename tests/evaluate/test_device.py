"""What is told of a machine."""

import os
import platform
from pathlib import Path

import pytest
import torch

from bneck.evaluate import device, device_fingerprint, package_versions, usable_cores


def test_a_fingerprint_is_three_words_that_are_never_empty() -> None:
    fingerprint = device_fingerprint()
    assert list(fingerprint) == ["processor", "cores", "system"]
    assert all(isinstance(value, str) and value for value in fingerprint.values())
    assert fingerprint["system"] == f"{os.uname().sysname} {os.uname().machine}"
    assert fingerprint["cores"] == str(usable_cores())


def test_cores_this_process_may_not_use_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 5, 9}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert usable_cores() == 3


def test_where_a_process_cannot_be_bound_all_cores_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert usable_cores() == 64
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1


@pytest.mark.parametrize(
    ("cpuinfo", "processor"),
    [
        (
            "processor\t: 0\nmodel\t\t: 85\nmodel name\t: Xeon: fast @ 2 GHz \nflags\t: fpu\n",
            "Xeon: fast @ 2 GHz",
        ),
        ("processor\t: 0\nBogoMIPS\t: 243.75\n", "an arm"),
        (None, "an arm"),
    ],
    ids=["named", "not named, as on ARM", "no such file"],
)
def test_the_processor_is_named_as_linux_names_it_or_as_python_does(
    cpuinfo: str | None, processor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        file.write_text(cpuinfo)
    monkeypatch.setattr(device, "Path", lambda _: file)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "an arm")
    assert device_fingerprint()["processor"] == processor


def test_versions_are_those_that_the_packages_state() -> None:
    versions = package_versions()
    assert list(versions) == ["python", "bneck", "torch", "torchvision", "optuna", "onnxruntime"]
    # a build such as 2.9.0+cpu may leave out its suffix in the package's own file
    assert torch.__version__.startswith(versions["torch"].partition("+")[0])
    assert versions["python"] == platform.python_version()
