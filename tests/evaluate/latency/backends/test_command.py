"""The command backend, and the scripts of the guide with stand-ins for external tools."""

import gc
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from bneck.evaluate.latency.backends import latency_backend
from bneck.evaluate.latency.backends.command import CommandBackend, parse_milliseconds
from bneck.evaluate.latency.measurement import ReferenceRunners, measure
from bneck.search_space import BackendError, published_architecture
from bneck.search_space.network import Network, NetworkPart, build_network, example_input
from bneck.search_space.onnx_graph import build_onnx_model

from ....search_space.helpers import TOY

GUIDE = Path(__file__).parents[4] / "docs" / "guide" / "devices.md"
BYTES = 'wc -c < "$1"'
PLACEHOLDERS = ("{onnx}", "{pte}", "{pt2}", "{tflite}", "{threads}", "{batch}")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the models' folders and the lock are, for this test alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., str]:
    """Makes a shell script; gives the template that runs it on the model's file."""

    def make(text: str, words: str = "{onnx}") -> str:
        path = tmp_path / f"a script {len(list(tmp_path.iterdir()))}.sh"
        path.write_text(text, encoding="utf-8")
        return f"sh '{path}' {words}"

    return make


def toy() -> Network:
    return build_network(TOY).eval()


def once(template: str, network: Network | NetworkPart | None = None) -> float:
    return CommandBackend(template, threads=1, batch_size=1).prepare(network or toy())(1)


def message(template: str, *, threads: int = 1, batch_size: int = 1) -> str:
    """Why there is no such backend."""
    with pytest.raises(BackendError) as raised:
        CommandBackend(template, threads=threads, batch_size=batch_size)
    return str(raised.value)


# What a command prints


@pytest.mark.parametrize(
    ("output", "milliseconds"),
    [
        ("12.5", 12.5),
        (" 12.5\r\n\n", 12.5),
        ("1e1", 10),
        ("12.5 ms", 12.5),
        ("12.5ms.", 12.5),
        ("850 us", 0.85),
        ("850 µs", 0.85),
        ("850 μs", 0.85),
        ("850000 ns", 0.85),
        ("0.0125 s", 12.5),
        ("1.24027e+06 us", 1240.27),
        ("first 9.5 ms, median 3.5 ms of 50 runs", 3.5),
        ("first=9.5ms,median=3.5ms", 3.5),
        ("loaded in 80 ms\n3.5", 3.5),
        ("1 file pushed. 30.5 MB/s (128 bytes in 0.004s)\n3.5", 3.5),
        ("I 00:00:00.5 executorch:executor_runner.cpp:413] executed successfully 1 time(s) in 3.5 ms.", 3.5),
    ],
)
def test_the_time_is_on_the_last_line(output: str, milliseconds: float) -> None:
    assert parse_milliseconds(output) == pytest.approx(milliseconds)


@pytest.mark.parametrize(
    "line", ["done", "nan", "12,5 ms", "12.5 msec", "12.5 MB", "3 runs", "v1.5ms", "3.5 3.5", "ms 3.5"]
)
def test_a_line_without_a_time_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=f"last line, got: {line}$"):
        parse_milliseconds(f"7 ms\n{line}\n")


@pytest.mark.parametrize("line", ["0", "0.0 ms", "-3.5", "-3.5 ms", "1e999"])
def test_a_time_must_be_above_0(line: str) -> None:
    with pytest.raises(ValueError, match=f"positive time, got: {re.escape(line)}$"):
        parse_milliseconds(line)


# The template


@pytest.mark.parametrize(
    ("template", "got"),
    [
        ("./run.sh", "none"),
        ("", "none"),
        ("./run.sh {threads}", "none"),
        ("./run.sh {onnx} {pte}", "{onnx} and {pte}"),
    ],
)
def test_a_template_holds_one_format(template: str, got: str) -> None:
    assert f"command '{template}' must contain one of {', '.join(PLACEHOLDERS[:4])}" in message(template)
    assert message(template).endswith(f"got {got}")


def test_an_unknown_placeholder_is_named_with_those_that_there_are() -> None:
    assert "'./run.sh {onxx}': unknown placeholder {onxx}" in message("./run.sh {onxx}")
    assert message("./run.sh {onxx}").endswith(", ".join(PLACEHOLDERS))


def test_an_open_quote_is_refused() -> None:
    assert message("./run.sh 'a {onnx}").startswith("command './run.sh 'a {onnx}' cannot be split")
    assert message("./run.sh 'a {onnx}").endswith("no closing quotation")


def test_threads_without_their_placeholder_are_refused() -> None:
    assert "must contain {threads} to run with 2 threads" in message("./run.sh {pte}", threads=2)


def test_a_batch_that_neither_file_nor_command_knows_is_refused() -> None:
    assert "must contain {batch} to run with batch 8" in message("./run.sh {onnx}", batch_size=8)
    assert CommandBackend("./run.sh {pt2}", threads=1, batch_size=8).device.batch_size == 8


def test_placeholders_stand_anywhere_and_as_often_as_wanted(script: Callable[..., str]) -> None:
    check = 'test "$1" = "--model=$2" && echo "$3.$4"'
    template = script(check, "--model={onnx} {onnx} {threads} {batch}")
    backend = CommandBackend(template, threads=3, batch_size=8)
    assert backend.prepare(toy())(1) == pytest.approx(0.0038)


def test_words_are_cut_as_by_a_shell_that_does_not_run(script: Callable[..., str]) -> None:
    check = r'test "$2" = "two words" && test "$3$4$5" = "\$HOME|{print $}" && echo $#'
    assert once(script(check, "{onnx} 'two words' $HOME '|' '{print $}'")) == pytest.approx(0.005)


def test_a_command_backend_has_the_name_it_was_created_by() -> None:
    backend = latency_backend("command:./run.sh {onnx}")
    assert isinstance(backend, CommandBackend)
    assert backend.name == "command:./run.sh {onnx}"
    assert backend.clock == "milliseconds that the command prints"


def test_two_templates_are_two_devices() -> None:
    one, other = (
        CommandBackend(f"./run.sh {{onnx}} {phone}", threads=1, batch_size=1).device for phone in ("A", "B")
    )
    assert one.key != other.key
    assert str(one) == "./run.sh {onnx} A on the device it reaches, 1 thread, batch 1, fp32, NCHW"


# The model's file


def test_the_command_finds_the_model(script: Callable[..., str]) -> None:
    network = toy()
    size = len(build_onnx_model(network).SerializeToString())
    assert once(script(BYTES), network) == pytest.approx(size / 1000)


def test_a_part_of_a_network_is_run_as_well(script: Callable[..., str]) -> None:
    part = NetworkPart(toy(), "block 1")
    size = len(build_onnx_model(part).SerializeToString())
    assert once(script(BYTES), part) == pytest.approx(size / 1000)


def test_a_timing_is_one_run_of_the_command_however_many_runs_it_stands_for(
    script: Callable[..., str], tmp_path: Path
) -> None:
    template = script(f"echo once >> '{tmp_path / 'log'}'; echo 2")
    runner = CommandBackend(template, threads=1, batch_size=1).prepare(toy())
    assert runner(5) == pytest.approx(5 * 0.002)
    assert (tmp_path / "log").read_text() == "once\n"


def test_the_file_is_written_once_and_goes_with_the_runner(
    script: Callable[..., str], temporary: Path
) -> None:
    backend = CommandBackend(script('printf x >> "$1"; wc -c < "$1"'), threads=1, batch_size=1)
    runner = backend.prepare(toy())
    (folder,) = temporary.iterdir()
    assert [path.name for path in folder.iterdir()] == ["model.onnx"]
    # a file that had been written anew would not hold the byte that the run before has added
    assert runner(1) + 0.001 == pytest.approx(runner(1))
    del runner
    gc.collect()
    assert not folder.exists()


@pytest.mark.slow
def test_the_file_goes_when_python_ends(temporary: Path) -> None:
    program = """
from bneck.evaluate.latency.backends.command import CommandBackend
from bneck.search_space import published_architecture
from bneck.search_space.network import build_network
network = build_network(published_architecture("mobilenet_v2"))
runner = CommandBackend("cat {onnx}", threads=1, batch_size=1).prepare(network)
from pathlib import Path
import tempfile
print(len(list(Path(tempfile.gettempdir()).glob("bneck-*/model.onnx"))))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1\n"
    assert list(temporary.glob("bneck-*/model.onnx")) == []


def test_a_network_that_cannot_be_written_leaves_no_folder(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(network: Network, batch_size: int) -> bytes:
        raise OSError("the disk is full\nand more")

    monkeypatch.setitem(
        sys.modules, "bneck.evaluate.latency.backends.executorch", module(export_executorch=full)
    )
    backend = CommandBackend("./run.sh {pte}", threads=1, batch_size=1)
    with pytest.raises(BackendError) as raised:
        backend.prepare(toy())
    assert str(raised.value) == "cannot write the network as .pte: the disk is full"
    del raised
    gc.collect()
    assert list(temporary.iterdir()) == []


def module(**content: object) -> ModuleType:
    made = ModuleType("made")
    made.__dict__.update(content)
    return made


def test_an_executorch_program_is_made_for_the_batch(
    script: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = toy()

    def program(given: Network, batch_size: int) -> bytes:
        assert given is network
        return b"." * batch_size

    monkeypatch.setitem(
        sys.modules, "bneck.evaluate.latency.backends.executorch", module(export_executorch=program)
    )
    backend = CommandBackend(script(BYTES, "{pte}"), threads=1, batch_size=7)
    assert backend.prepare(network)(1) == pytest.approx(0.007)


@pytest.mark.slow
def test_an_exported_program_gives_the_networks_logits(script: Callable[..., str], tmp_path: Path) -> None:
    network, copy = toy(), tmp_path / "copy.pt2"
    template = script(f"cp \"$1\" '{copy}'; echo 1", "{pt2}")
    CommandBackend(template, threads=1, batch_size=3).prepare(network)(1)
    images = example_input(network, 3)
    with torch.inference_mode():
        torch.testing.assert_close(torch.export.load(copy).module()(images), network(images))


def test_a_litert_model_is_written_without_output_of_the_converter(
    script: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def convert(network: Network, images: tuple[torch.Tensor]) -> SimpleNamespace:
        print("[START] of a long story")
        assert not network.training
        assert images[0].shape == (5, 3, 8, 8)
        return SimpleNamespace(export=lambda path: Path(path).write_bytes(b"12345678"))

    monkeypatch.setitem(sys.modules, "litert_torch", module(convert=convert))
    backend = CommandBackend(script(BYTES, "{tflite}"), threads=1, batch_size=5)
    assert backend.prepare(build_network(TOY))(1) == pytest.approx(0.008)
    assert capsys.readouterr().out == ""


def test_a_missing_litert_is_reported_before_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    assert message("./run.sh {tflite}").startswith("{tflite} needs the package litert_torch")
    assert message("./run.sh {tflite}").endswith("pip install litert-torch")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.skipif(
    find_spec("litert_torch") is None, reason="litert-torch, 6 GB with all its packages, is missing"
)
def test_a_litert_model_gives_the_networks_logits(script: Callable[..., str], tmp_path: Path) -> None:
    from importlib import import_module

    network, copy = toy(), tmp_path / "copy.tflite"
    template = script(f"cp \"$1\" '{copy}'; echo 1", "{tflite}")
    CommandBackend(template, threads=1, batch_size=3).prepare(network)(1)
    interpreter = import_module("ai_edge_litert.interpreter").Interpreter(str(copy))
    interpreter.allocate_tensors()
    images = example_input(network, 3)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images.numpy())
    interpreter.invoke()
    logits = torch.tensor(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    with torch.inference_mode():
        torch.testing.assert_close(logits, network(images), rtol=0, atol=1e-5)


# Commands that fail


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("exit 3", "exit code 3: no output"),
        ("echo no phone; exit 3", "exit code 3: no phone"),
        (
            "echo 5; echo usage >&2; echo error: no devices found >&2; exit 1",
            "exit code 1: error: no devices found",
        ),
        ("kill -9 $$", "exit code -9: no output"),
        ("exit 0", "printed nothing"),
        ("echo unauthorized >&2", "stderr: unauthorized"),
        (
            "echo done",
            "got: done",
        ),
        ("echo 0", "got: 0"),
    ],
)
def test_a_command_that_prints_no_time_is_named_with_its_output(
    text: str, problem: str, script: Callable[..., str]
) -> None:
    template = script(text)
    with pytest.raises(BackendError) as raised:
        once(template)
    assert str(raised.value).startswith(f"command '{template}' ")
    assert problem in str(raised.value)


def test_a_missing_command_is_reported(tmp_path: Path) -> None:
    template = f"{tmp_path}/missing {{onnx}}"
    with pytest.raises(BackendError) as raised:
        once(template)
    assert str(raised.value) == f"command '{template}' cannot be started: No such file or directory"


def test_a_script_that_is_not_executable_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "run.sh"
    path.write_text("#!/bin/sh\necho 1\n")
    with pytest.raises(BackendError) as raised:
        once(f"{path} {{onnx}}")
    assert str(raised.value) == f"command '{path} {{onnx}}' cannot be started: Permission denied"


def test_a_command_that_hangs_is_stopped_even_if_its_child_process_continues(
    script: Callable[..., str],
) -> None:
    template = script("sleep 2 & wait")
    backend = CommandBackend(template, threads=1, batch_size=1, timeout_seconds=0.2)
    runner = backend.prepare(toy())
    with pytest.raises(BackendError) as raised:
        runner(1)
    assert f"command '{template}' timed out after 0.2 s" in str(raised.value)


def test_the_time_limit_of_a_command_is_set_by_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CommandBackend("sh {onnx}", threads=1, batch_size=1).timeout_seconds == 600
    monkeypatch.setenv("BNECK_COMMAND_TIMEOUT", "2.5")
    assert CommandBackend("sh {onnx}", threads=1, batch_size=1).timeout_seconds == 2.5
    for text in ("0", "-1", "soon", "inf", "nan"):
        monkeypatch.setenv("BNECK_COMMAND_TIMEOUT", text)
        assert f"BNECK_COMMAND_TIMEOUT must be a positive number of seconds, got '{text}'" == message(
            "sh {onnx}"
        )


def test_a_command_that_reads_finds_nothing_to_read(script: Callable[..., str]) -> None:
    assert once(script("cat; echo 4")) == pytest.approx(0.004)


def test_output_that_is_not_utf_8_does_no_harm(script: Callable[..., str]) -> None:
    assert once(script(r'printf "\377\n4"')) == pytest.approx(0.004)


def test_one_template_runs_once_at_a_time(script: Callable[..., str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    template = script(f"echo begin >> '{log}'; sleep 0.05; echo end >> '{log}'; echo 1")
    # a backend each, like the workers of a search
    runners = [CommandBackend(template, threads=1, batch_size=1).prepare(toy()) for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda runner: runner(1), runners))
    assert log.read_text() == "begin\nend\n" * 3


# Measuring


@pytest.mark.parametrize("start_ms", [0, 100])
def test_the_ratio_on_a_device_that_takes_a_microsecond_a_byte_is_that_of_the_files(
    start_ms: int, script: Callable[..., str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    template = script(f"echo x >> '{log}'; echo $(($(wc -c < \"$1\") + {start_ms} * 1000)) us")
    backend = CommandBackend(template, threads=1, batch_size=1)
    network, reference = (
        build_network(published_architecture(f"mobilenet_v3_small@{width}")) for width in (0.5, 0.25)
    )
    sizes = [len(build_onnx_model(each).SerializeToString()) for each in (network, reference)]
    times_ms = [size / 1000 + start_ms for size in sizes]
    references = ReferenceRunners([backend.prepare(reference)], [1.0], reference_ms=times_ms[1])
    latency = measure(backend.prepare(network), references, backend.plan)
    assert latency.ratio == pytest.approx(times_ms[0] / times_ms[1])
    assert latency.latency_ms == pytest.approx(times_ms[0])
    assert (latency.status, latency.pairs) == ("ok", 12)
    # six blocks ABBA, one run that selects the reference, and at most one each for how often to repeat
    assert 6 * 4 + 1 <= len(log.read_text().split()) <= 6 * 4 + 3


# The guide's scripts, with stand-ins for external tools


def guide_script(first: str) -> str:
    """The block of the guide whose first comment starts with this text."""
    (result,) = (
        text
        for text in re.findall(
            r"^```\w+\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        )
        if re.search(rf"^# {re.escape(first)}\b", text, re.MULTILINE)
    )
    return str(result)


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, whose `bin` comes first on the path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


ADB = """#!/bin/sh
case "$1" in
push) test -s "$2" && echo "$2: 1 file pushed, 0 skipped. 36.5 MB/s (9 bytes in 0.004s)" ;;
shell) echo "$2" > arguments; cat said; exit $(cat code) ;;
esac
"""
EXECUTOR_RUNNER = """\
I 00:00:00.002 executorch:executor_runner.cpp:213] Model file model.pte is loaded.
I 00:00:00.890 executorch:executor_runner.cpp:401] Iteration 200 of 200: 4.250000 ms
I 00:00:00.901 executorch:executor_runner.cpp:413] Model executed successfully 200 time(s) in 900.000000 ms.
I 00:00:00.902 executorch:executor_runner.cpp:422] 1 outputs:
OutputX 0: tensor(sizes=[1, 2], [0.5, 12.])
"""
INTERPRETER = """\
INFO: Initialized session in 80.5ms.
INFO: count=200 first=4800 curr=4490 min=4400 max=5000 avg=4512.5 std=90
INFO: Inference timings in us: Init: 805, First inference: 900, Warmup (avg): 4600.5, Inference (avg): 4512.5
INFO: Overall peak memory footprint (MB) via periodic monitoring: 12.5
"""
COMPILED_MODEL = """\
INFO: Model initialization: 80.50 ms
INFO: Warmup (avg):         4.60 ms (109 runs)
INFO: Inference (avg):      4.51 ms (222 runs)
INFO: Inference (min):      4.40 ms
INFO: Throughput:           12.45 MB/s
"""


@pytest.mark.parametrize(
    ("name", "said", "milliseconds"),
    [
        ("on-phone.sh", EXECUTOR_RUNNER, 900 / 200),
        ("on-litert.sh", INTERPRETER, 4.5125),
        ("on-litert.sh", INTERPRETER.replace("4512.5", "1.2e+06"), 1200),
        ("on-litert.sh", COMPILED_MODEL, 4.51),
    ],
)
def test_the_guides_scripts_for_phones_parse_the_output_of_the_tools(
    name: str, said: str, milliseconds: float, here: Path
) -> None:
    executable(here / "bin" / "adb", ADB)
    executable(here / name, guide_script(name))
    (here / "said").write_text(said)
    (here / "code").write_text("0")
    backend = CommandBackend(f"./{name} {{onnx}} {{threads}}", threads=4, batch_size=1)
    assert backend.prepare(toy())(1) == pytest.approx(milliseconds / 1000)
    arguments = (here / "arguments").read_text()
    assert re.search(r"--(cpu|num)_threads=4 ", arguments)
    assert "\\" not in arguments


@pytest.mark.parametrize("name", ["on-phone.sh", "on-litert.sh"])
def test_the_guides_scripts_for_phones_report_why_a_tool_failed(name: str, here: Path) -> None:
    executable(here / "bin" / "adb", ADB)
    executable(here / name, guide_script(name))
    (here / "said").write_text("Failed to parse the model\n")
    (here / "code").write_text("134")
    with pytest.raises(BackendError) as raised:
        once(f"./{name} {{onnx}}")
    assert f"./{name}" in str(raised.value)
    assert str(raised.value).endswith("exit code 134: Failed to parse the model")


@pytest.mark.slow
def test_the_guides_scripts_for_a_raspberry_pi_measure_here(here: Path) -> None:
    pi = here / "pi"
    pi.mkdir()
    (pi / "bench.py").write_text(guide_script("bench.py"))
    executable(here / "on-pi.sh", guide_script("on-pi.sh"))
    executable(here / "bin" / "scp", '#!/bin/sh\ntest "$1" = -q && cp "$2" "pi/${3#*:}"\n')
    executable(here / "bin" / "ssh", '#!/bin/sh\nshift; cd pi && exec sh -c "$*"\n')
    executable(here / "bin" / "python3", f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    backend = CommandBackend("./on-pi.sh {onnx} {threads} {batch}", threads=1, batch_size=2)
    small, large = (
        backend.prepare(build_network(published_architecture(name)))
        for name in ("mobilenet_v3_small@0.5", "mobilenet_v3_large")
    )
    # 19 and 217 million MACs: far more than twice the time on any processor
    assert 2 * min(small(1), small(1)) < large(1)
