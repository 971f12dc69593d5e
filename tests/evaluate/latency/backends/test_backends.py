"""Settings and clocks of the default runtimes, and the simulated device; see also `test_contract.py`."""

import copy
import importlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from bneck.evaluate.latency.backends import BACKEND_NAMES, latency_backend
from bneck.evaluate.latency.backends.cpu import CLOCKS, CPU_TIME, WALL_TIME, make_runner, select_clock
from bneck.evaluate.latency.device import cpu_device
from bneck.evaluate.latency.meter import build_network_for_timing
from bneck.search_space import UnknownNameError, cost, cost_breakdown
from bneck.search_space.network import Network, NetworkPart, build_network, example_input

from ....search_space.helpers import TOY

INSTALLED = ("onnxruntime", "torch")
TASKS = Path("/proc/self/task")

Outputs = list[NDArray[Any]]


def network_that_shows_its_layers() -> Network:
    """Weights and statistics far from those of a new network, whose logits are all about 0."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network(TOY)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, 0.2, 1)
        network(example_input(network, 16))
    return network


@pytest.fixture
def outputs_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Network], Outputs]:
    """A list that grows by what every later run of a runtime gives."""

    def watch(name: str, network: Network) -> Outputs:
        outputs: Outputs = []
        if name == "torch":
            network.register_forward_hook(lambda module, given, output: outputs.append(output.numpy()))
            return outputs
        run = onnxruntime.InferenceSession.run

        def watched(session: Any, names: Any, images: Any) -> Any:
            given = run(session, names, images)
            outputs.extend(given)
            return given

        monkeypatch.setattr(onnxruntime.InferenceSession, "run", watched)
        return outputs

    return watch


@pytest.fixture(autouse=True)
def _threads_as_before() -> Any:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("name", INSTALLED)
def test_every_run_gives_the_logits_of_evaluation_mode_for_a_batch(
    name: str, batch_size: int, outputs_of: Callable[[str, Network], Outputs]
) -> None:
    network = network_that_shows_its_layers().train()
    with torch.inference_mode():
        expected = copy.deepcopy(network).eval()(example_input(network, batch_size))
    assert expected.abs().max() > 1
    outputs = outputs_of(name, network)
    backend = latency_backend(name, batch_size=batch_size)
    assert (backend.name, backend.device.batch_size) == (name, batch_size)
    runner = backend.prepare(network)
    outputs.clear()
    runner(1)
    runner(3)
    assert len(outputs) == 4
    for logits in outputs:
        np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


def test_torch_runs_in_channels_last_without_keeping_gradients() -> None:
    network = build_network_for_timing(TOY)
    seen: list[torch.Tensor] = []
    network.stem.register_forward_hook(lambda module, given, output: seen.extend([*given, output]))
    latency_backend("torch", batch_size=2).prepare(network)(1)
    assert network.stem.get_parameter("conv.weight").is_contiguous(memory_format=torch.channels_last)
    assert len(seen) == 2
    for maps in seen:
        assert maps.is_contiguous(memory_format=torch.channels_last)
        assert not maps.is_contiguous()
        assert maps.is_inference() or maps is seen[0]


@pytest.mark.parametrize("threads", [1, 2])
def test_onnx_runtime_uses_the_given_threads_and_runs_operators_sequentially(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: list[Any] = []
    session = onnxruntime.InferenceSession

    def watched(model: bytes, given: Any, **others: Any) -> Any:
        options.append(given)
        assert others == {"providers": ["CPUExecutionProvider"]}
        return session(model, given, **others)

    monkeypatch.setattr(onnxruntime, "InferenceSession", watched)
    latency_backend("onnxruntime", threads=threads).prepare(build_network_for_timing(TOY))
    (given,) = options
    assert (given.intra_op_num_threads, given.inter_op_num_threads) == (threads, 1)
    assert given.execution_mode == onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    assert given.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    assert given.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.skipif(not TASKS.is_dir(), reason="only Linux lists the threads of a process")
@pytest.mark.parametrize("name", INSTALLED)
def test_one_thread_is_the_calling_one(name: str) -> None:
    network = build_network_for_timing(replace(TOY, resolution_px=128))
    importlib.import_module("onnxruntime")  # which starts a thread of its own, whatever is run
    before = {task.name for task in TASKS.iterdir()}
    if name == "torch":
        torch.set_num_threads(2)
    latency_backend(name).prepare(network)(1)
    assert {task.name for task in TASKS.iterdir()} <= before
    if name == "torch":
        assert torch.get_num_threads() == 1


def test_torch_uses_the_given_threads() -> None:
    latency_backend("torch", threads=2).prepare(build_network_for_timing(TOY))
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("name", INSTALLED)
def test_the_device_is_this_cpu_with_the_runtime_and_its_version(name: str) -> None:
    version = {"onnxruntime": onnxruntime.__version__, "torch": torch.__version__}[name]
    layout = {"onnxruntime": "NCHW", "torch": "channels_last"}[name]
    assert latency_backend(name).device == cpu_device(name, f"{name} {version}", layout=layout)


@pytest.mark.parametrize("name", INSTALLED)
def test_one_thread_is_timed_by_cpu_time_and_several_by_wall_time(name: str) -> None:
    assert latency_backend(name).clock == select_clock(1) == CPU_TIME == "CPU time of the thread"
    assert latency_backend(name, threads=2).clock == select_clock(2) == WALL_TIME == "wall time"


def test_an_unknown_backend_is_named_with_those_there_are() -> None:
    with pytest.raises(UnknownNameError) as caught:
        latency_backend("tensorrt")
    assert str(caught.value).startswith("unknown latency backend 'tensorrt'; known: ")
    assert "torch" in str(caught.value)
    assert "fake" not in str(caught.value)
    assert set(INSTALLED) <= set(BACKEND_NAMES)


# Stopwatches


def burn(seconds: float) -> None:
    """Keep this thread's core busy."""
    start = time.thread_time()
    while time.thread_time() - start < seconds:
        pass


def elsewhere(work: Callable[[], None]) -> None:
    """Do it in another thread, and wait."""
    other = threading.Thread(target=work)
    other.start()
    other.join()


@pytest.mark.parametrize(
    ("clock", "work", "counts"),
    [
        (CPU_TIME, lambda: burn(0.005), True),
        (CPU_TIME, lambda: time.sleep(0.005), False),
        (CPU_TIME, lambda: elsewhere(lambda: burn(0.005)), False),
        (WALL_TIME, lambda: time.sleep(0.005), True),
    ],
    ids=[
        "work of the thread",
        "its sleep",
        "work of another thread",
        "sleep",
    ],
)
def test_each_clock_counts_the_time_in_its_name(clock: str, work: Callable[[], None], counts: bool) -> None:
    seconds = make_runner(work, clock)(2)
    assert (seconds >= 0.0095) == counts
    assert counts or seconds < 0.005


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_runner_returns_the_seconds_of_all_its_runs(clock: str) -> None:
    runs: list[int] = []

    def run() -> None:
        runs.append(1)
        burn(0.001)

    assert make_runner(run, clock)(5) >= 0.005
    assert len(runs) == 5
    assert make_runner(run, clock)(0) < 0.001


# The simulated device


def test_the_simulated_device_takes_a_tenth_of_a_nanosecond_a_mac_and_a_microsecond_a_layer() -> None:
    known = cost(TOY)
    seconds = known.macs * 1e-10 + known.depth * 1e-6
    runner = latency_backend("fake").prepare(build_network(TOY))
    # jitter of 1%: of 1000 runs 0.03%
    assert runner(1000) / 1000 == pytest.approx(seconds, rel=0.0015)


def test_the_simulated_device_divides_by_threads_and_counts_layers_once_per_batch() -> None:
    known = cost(TOY)
    seconds = 50 * known.macs * 1e-10 + known.depth * 1e-6
    runner = latency_backend("fake", threads=4, batch_size=50).prepare(build_network(TOY))
    assert runner(1000) / 1000 == pytest.approx(seconds / 4, rel=0.0015)


def test_the_parts_on_the_simulated_device_take_as_long_as_the_whole() -> None:
    backend, network = latency_backend("fake"), build_network(TOY)
    names = list(cost_breakdown(TOY))
    assert names == ["stem", "block 1", "block 2", "head"]
    seconds = [backend.prepare(NetworkPart(network, name))(1000) for name in names]
    assert sum(seconds) == pytest.approx(backend.prepare(network)(1000), rel=0.003)
    assert min(seconds) < 0.5 * max(seconds)


def test_two_simulated_devices_do_the_same() -> None:
    first, second = (latency_backend("fake").prepare(build_network(TOY)) for _ in range(2))
    assert [first(1) for _ in range(5)] == [second(1) for _ in range(5)]
