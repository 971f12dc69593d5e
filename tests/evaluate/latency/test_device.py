"""Description of a device and its differences from another one."""

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bneck.evaluate import host, package_versions, usable_cores
from bneck.evaluate.latency import device
from bneck.evaluate.latency.device import Device, cpu_device

PHONE = Device(
    backend="ncnn",
    runtime="ncnn 1.0.2",
    processor="Cortex-A76",
    features="asimd asimdhp",
    threads=4,
    dtype="fp16",
    layout="NC4HW4",
    batch_size=2,
    system="Linux aarch64",
)
OTHER: dict[str, Any] = {
    "backend": "executorch",
    "runtime": "ncnn 1.0.3",
    "processor": "Cortex-A78",
    "features": "",
    "threads": 1,
    "dtype": "fp32",
    "layout": "NCHW",
    "batch_size": 1,
    "system": "Linux armv7l",
}

SetCpuinfo = Callable[[str | None], None]


@pytest.fixture
def cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SetCpuinfo]:
    """Puts a text in the place of `/proc/cpuinfo`; None removes it."""

    def put(text: str | None) -> None:
        file = tmp_path / "cpuinfo"
        if text is not None:
            file.write_text(text)
        monkeypatch.setattr(device, "Path", lambda path: file if path == "/proc/cpuinfo" else Path(path))
        device._cpuinfo.cache_clear()

    yield put
    device._cpuinfo.cache_clear()


def test_a_fingerprint_is_three_words_that_are_never_empty() -> None:
    fingerprint = host()
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
    ("text", "processor"),
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
    text: str | None, processor: str, cpuinfo: SetCpuinfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpuinfo(text)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "an arm")
    assert host()["processor"] == processor
    assert cpu_device("torch", "torch 2.9").processor == processor


def test_where_linux_has_no_name_that_of_python_counts(
    cpuinfo: SetCpuinfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpuinfo(None)
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert host()["processor"] == "arm"


def test_versions_are_those_that_the_packages_state() -> None:
    versions = package_versions()
    assert list(versions) == ["python", "bneck", "torch", "torchvision", "optuna", "onnxruntime"]
    # a build such as 2.9.0+cpu may leave out its suffix in the package's own file
    assert torch.__version__.startswith(versions["torch"].partition("+")[0])
    assert versions["python"] == platform.python_version()


def test_the_key_of_a_device_differs_where_any_field_does() -> None:
    assert list(OTHER) == [field.name for field in fields(Device)]
    keys = {replace(PHONE, **{name: value}).key for name, value in OTHER.items()}
    assert len(keys | {PHONE.key}) == 1 + len(OTHER)
    assert all(len(key) == 12 and set(key) <= set("0123456789abcdef") for key in keys)


def test_a_text_that_moves_from_one_field_to_the_next_makes_another_device() -> None:
    one, other = replace(PHONE, runtime="ab", processor="c"), replace(PHONE, runtime="a", processor="bc")
    assert one.key != other.key


def test_capital_letters_make_another_device() -> None:
    assert replace(PHONE, processor="CORTEX-A76").key != PHONE.key


def test_another_process_gives_a_device_the_same_key() -> None:
    code = f"from bneck.evaluate.latency.device import Device\nprint({PHONE!r}.key)"
    result = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert result == {f"{PHONE.key}\n"}


@pytest.mark.parametrize(("name", "value"), OTHER.items())
def test_a_difference_names_the_field_and_both_sides(name: str, value: Any) -> None:
    other, value = replace(PHONE, **{name: value}), value or "none"
    assert PHONE.differences(other) == f"{name}: {getattr(PHONE, name)} != {value}"
    assert other.differences(PHONE) == f"{name}: {value} != {getattr(PHONE, name)}"


def test_differences_are_in_the_order_of_the_fields() -> None:
    assert (
        PHONE.differences(replace(PHONE, batch_size=1, runtime="ncnn 1.0.3", features=""))
        == "runtime: ncnn 1.0.2 != ncnn 1.0.3; features: asimd asimdhp != none; batch_size: 2 != 1"
    )
    assert PHONE.differences(replace(PHONE)) == ""


def test_a_device_is_described_by_runtime_processor_and_settings() -> None:
    assert str(PHONE) == "ncnn 1.0.2 on Cortex-A76, 4 threads, batch 2, fp16, NC4HW4"
    assert str(Device("torch", "torch 2.9", "Xeon")) == "torch 2.9 on Xeon, 1 thread, batch 1, fp32, NCHW"


def test_the_features_of_an_x86_processor_are_its_vector_instructions(cpuinfo: SetCpuinfo) -> None:
    # of the first core only, in alphabetical order
    cpuinfo(
        "processor\t: 0\nmodel name\t: Xeon\nflags\t\t: fpu sse sse2 ssse3 fma sse4_1 sse4_2 aes avx f16c"
        " avx2 avx512f avx512_bf16 amx_tile rdrand\nbugs\t\t: spectre_v1\n\n"
        "processor\t: 1\nmodel name\t: other\nflags\t\t: avx10\n"
    )
    cpu = cpu_device("onnxruntime", "onnxruntime 1.32")
    assert cpu.features == "amx_tile avx avx2 avx512_bf16 avx512f f16c fma sse4_1 sse4_2"
    assert cpu.processor == "Xeon"


def test_security_flags_of_x86_are_no_vector_instructions(cpuinfo: SetCpuinfo) -> None:
    # smep guards the kernel, and a virtual machine may hide it; AMD's sme encrypts the memory
    cpuinfo("processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx2 smep smap sme sev\n")
    assert cpu_device("onnxruntime", "onnxruntime 1.32").features == "avx2"


def test_the_features_of_an_arm_processor_are_its_vector_instructions(cpuinfo: SetCpuinfo) -> None:
    cpuinfo(
        "processor\t: 0\nBogoMIPS\t: 243.75\n"
        "Features\t: fp asimd evtstrm aes asimdhp cpuid asimddp sve sve2 i8mm bf16\nCPU part\t: 0xd40\n"
    )
    assert cpu_device("torch", "torch 2.9").features == "asimd asimddp asimdhp bf16 i8mm sve sve2"


def test_unknown_features_are_empty_as_on_macos(cpuinfo: SetCpuinfo) -> None:
    cpuinfo(None)
    cpu = cpu_device("torch", "torch 2.9")
    assert cpu.features == ""
    assert cpu.processor == (platform.processor() or platform.machine())


def test_a_cpu_device_records_the_settings_of_the_runtime() -> None:
    cpu = cpu_device("torch", "torch 2.9", threads=3, batch_size=8, layout="channels_last")
    assert (cpu.backend, cpu.runtime, cpu.threads, cpu.batch_size) == ("torch", "torch 2.9", 3, 8)
    assert (cpu.layout, cpu.dtype) == ("channels_last", "fp32")
    assert cpu.system == f"{os.uname().sysname} {os.uname().machine}"
    plain = cpu_device("torch", "torch 2.9")
    assert (plain.threads, plain.batch_size, plain.layout) == (1, 1, "NCHW")
