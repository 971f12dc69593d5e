"""Contract of all latency backends, plug-ins, and what each reports if it cannot run."""

import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bneck.evaluate import Latency, LatencySetup
from bneck.evaluate.latency.backends import (
    BACKEND_NAMES,
    ENTRY_POINT_GROUP,
    LatencyBackend,
    latency_backend,
    torch_cuda,
)
from bneck.evaluate.latency.backends.fake import FakeBackend
from bneck.evaluate.latency.measurement import Runner
from bneck.evaluate.latency.meter import LatencyMeter, open_backend
from bneck.evaluate.optional_dependencies import optional_import
from bneck.evaluate.plugins import load_reference
from bneck.search_space import Architecture, BackendError, Block, Head, PluginError, Stem, UnknownNameError
from bneck.search_space.network import Network, NetworkPart, build_network, example_input
from bneck.testing import LatencyBackendContract

from ...example_setup import PANEL, SETUP

PACKAGES = {"openvino": ("openvino",), "executorch": ("executorch",), "ncnn": ("ncnn", "pnnx")}
GPU = ("torch-cuda", "torch-cuda-graph")


def backend_param(name: str) -> Any:
    """The name, with the marks of what it needs."""
    missing = [package for package in PACKAGES.get(name, ()) if find_spec(package) is None]
    marks: list[pytest.MarkDecorator] = []
    if name in PACKAGES:
        marks = [
            pytest.mark.backends,
            pytest.mark.skipif(bool(missing), reason=f"no {' and '.join(missing)}"),
        ]
    elif name == "torch-compile":
        compiler = shutil.which(os.environ.get("CXX", "g++"))
        marks = [pytest.mark.backends, pytest.mark.skipif(compiler is None, reason="no C++ compiler")]
    elif name in GPU:
        marks = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")]
    return pytest.param(name, marks=marks, id=name)


RUNTIMES = [backend_param(name) for name in BACKEND_NAMES]
ALL = [*RUNTIMES, pytest.param("fake", id="fake")]


VARIED = Architecture(
    resolution_px=32,
    stem=Stem(8),
    blocks=(
        Block(3, 8, 8, "none", "relu", 1),
        Block(5, 24, 16, "se", "hardswish", 2, squeeze=8),
        Block(7, 32, 16, "eca", "silu", 1),
        Block(3, 48, 24, "none", "relu6", 2),
    ),
    head=Head(40, hidden=24),
    classes=10,
)


# Numbers


@cache
def network_that_shows_its_layers() -> Network:
    """Weights and statistics far from those of a new network, whose logits are all about 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(VARIED)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, 0.2, 1)
        network(example_input(network, 16))
    return network.eval()


@pytest.fixture
def outputs_of(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[LatencyBackend, Network | NetworkPart], NDArray[Any]]:
    """Outputs of a backend's run, one row per image, taken from the function that it times."""

    def outputs(backend: LatencyBackend, network: Network | NetworkPart) -> NDArray[Any]:
        module = sys.modules[type(backend).__module__]
        timed: list[Callable[[], Any]] = []

        def watch(run: Callable[[], Any], *clock: str) -> Runner:
            timed.append(run)
            return float

        monkeypatch.setattr(module, "cuda_event_runner" if backend.name in GPU else "make_runner", watch)
        backend.prepare(network)
        (run,) = timed
        run()
        given = run()
        if isinstance(given, torch.Tensor):
            given = given.cpu()
        return np.asarray(given).reshape(backend.device.batch_size, -1)

    return outputs


@pytest.mark.parametrize("part", ["whole", "stem", "block 2", "block 3", "head"])
@pytest.mark.parametrize("name", RUNTIMES)
def test_a_network_and_its_parts_give_the_numbers_of_torch(
    name: str, part: str, outputs_of: Callable[[LatencyBackend, Network | NetworkPart], NDArray[Any]]
) -> None:
    whole = network_that_shows_its_layers()
    network = whole if part == "whole" else NetworkPart(whole, part).eval()
    with torch.inference_mode():
        expected = network(example_input(network, 2)).reshape(2, -1).numpy()
    size = float(np.abs(expected).max())
    assert np.abs(expected[0] - expected[1]).max() > 0.01 * size
    outputs = outputs_of(latency_backend(name, batch_size=2), network)
    # TF32 has 10 bits
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=(1e-2 if name in GPU else 1e-4) * size)


class TestContract(LatencyBackendContract):
    @pytest.fixture(params=[name for name in ALL if name.id not in GPU])
    def backend_name(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)


class TestGpuContract(LatencyBackendContract):
    # small work is dominated by kernel launches
    small_batch, large_batch, large_px = 64, 2048, 512

    @pytest.fixture(params=[name for name in ALL if name.id in GPU])
    def backend_name(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)


class TestPluginContract(LatencyBackendContract):
    @pytest.fixture
    def backend_name(self, plugin: str) -> str:
        return plugin


# Plug-ins


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> str:
    """The backend of the example package."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "example_plugin"))
    return "bneck_example.backend:MacsBackend"


def test_a_plugin_can_be_registered_as_an_entry_point(plugin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("npu", plugin, ENTRY_POINT_GROUP)

    def entry_points(group: str, name: str | None = None) -> list[EntryPoint]:
        return [point] if group == ENTRY_POINT_GROUP and name in (None, "npu") else []

    monkeypatch.setattr("bneck.evaluate.plugins.entry_points", entry_points)
    assert latency_backend("npu", threads=2).device.threads == 2
    with pytest.raises(UnknownNameError, match="npu"):
        latency_backend("np")


def test_a_setup_names_its_plugin(plugin: str) -> None:
    device = latency_backend(plugin, threads=2).device
    assert open_backend(replace(SETUP, backend=plugin, device=device)).name == plugin


@pytest.mark.slow
def test_a_plugin_is_resolved_from_a_setup_in_another_process(
    plugin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BNECK_CACHE", str(tmp_path))
    meter = LatencyMeter.with_cache(latency_backend(plugin), PANEL)
    setup = meter.setup
    assert setup.backend == plugin
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        latency = pool.submit(measure_elsewhere, setup).result()
    assert latency.status == "ok"
    assert latency.ratio == pytest.approx(meter.measure(VARIED).ratio)


def measure_elsewhere(setup: LatencySetup) -> Latency:
    return LatencyMeter.from_setup(setup).measure(VARIED, fresh=True)


@pytest.mark.parametrize(
    ("factory", "problem"),
    [
        (lambda name, threads, batch_size: FakeBackend("other", threads, batch_size), "got other"),
        (lambda name, threads, batch_size: object(), "object has no name, clock, device, plan, prepare"),
        (3, "must be callable, got int"),
    ],
)
def test_a_plugin_that_does_not_follow_the_protocol_is_refused(
    factory: object, problem: str, plugin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        load_reference(plugin),
        "factory",
        staticmethod(factory) if callable(factory) else factory,
        raising=False,
    )
    with pytest.raises(PluginError, match=f"{plugin}.factory.*{problem}"):
        latency_backend(f"{plugin}.factory")


# Threads and errors


@pytest.mark.backends
@pytest.mark.skipif(find_spec("executorch") is None, reason="no executorch")
def test_the_threads_of_executorch_stay_as_they_are_while_a_network_may_use_them() -> None:
    network = NetworkPart(network_that_shows_its_layers(), "stem").eval()
    run = latency_backend("executorch").prepare(network)
    with pytest.raises(BackendError) as caught:
        latency_backend("executorch", threads=2).prepare(network)
    assert "threads must be 1 in this process" in str(caught.value)
    assert run(1) > 0


@pytest.mark.parametrize("name", [backend_param(name) for name in ("onnxruntime", "openvino", "ncnn")])
def test_an_error_of_a_runtime_is_reported_in_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = latency_backend(name)
    broken = SimpleNamespace(SerializeToString=lambda: b"no model")
    monkeypatch.setattr(sys.modules[type(backend).__module__], "build_onnx_model", lambda network: broken)
    reason = {
        "onnxruntime": "cannot load the network: .*protobuf parsing failed",
        "openvino": "cannot load the network: Unable to read the model",
        "ncnn": "pnnx exits with code ",
    }
    with pytest.raises(BackendError, match=f"^{name}:? {reason[name]}") as caught:
        backend.prepare(network_that_shows_its_layers())
    assert "\n" not in str(caught.value)


# What is missing


@pytest.mark.parametrize(
    ("name", "package"),
    [(name, package) for name, packages in PACKAGES.items() for package in packages],
)
def test_a_backend_without_its_package_says_how_to_get_it(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [package, *sys.modules]:
        if module.partition(".")[0] == package:
            monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"bneck.evaluate.latency.backends.{name}", raising=False)
    if package == "pnnx" and find_spec("ncnn") is None:
        package = "ncnn"
    with pytest.raises(BackendError) as caught:
        latency_backend(name)
    message = str(caught.value)
    assert message.startswith(f"latency backend {name} needs the package {package}")
    assert message.endswith(f", which is not installed; install it: pip install 'bneck[{name}]'")


def test_a_package_that_does_not_run_here_is_reported_with_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(BackendError) as caught, optional_import("latency backend openvino", extra="openvino"):
        raise ImportError("libopenvino.so: cannot open shared object file\nand more")
    assert str(caught.value) == (
        "latency backend openvino cannot be imported on Linux riscv64: "
        "libopenvino.so: cannot open shared object file"
    )


@pytest.mark.backends
def test_torch_compile_without_a_compiler_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(BackendError, match=r"torch-compile needs a C\+\+ compiler.*; apt install g\+\+"):
        latency_backend("torch-compile")


@pytest.mark.parametrize("name", GPU)
def test_cuda_without_a_gpu_says_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(BackendError, match=f"^latency backend {name} needs a GPU, .*; check the driver"):
        latency_backend(name)
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(BackendError, match=r"torch with CUDA from https://pytorch\.org/get-started$"):
        latency_backend(name)


def test_the_milliseconds_between_two_cuda_events_become_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            log.append("record")

        def synchronize(self) -> None:
            log.append("wait")

        def elapsed_time(self, ended: "Event") -> float:
            assert ended is not self
            return 12.0

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: log.append("idle"))
    seconds = torch_cuda.cuda_event_runner(lambda: log.append("run"))(3)
    assert seconds == 0.012
    assert log == ["idle", "record", "run", "run", "run", "record", "wait"]
