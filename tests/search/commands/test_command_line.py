"""What every command prints, and what it says to words that make no sense."""

import csv
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from inspect import cleandoc
from pathlib import Path
from typing import Any

import pytest
import torch
import typer.main
from PIL import Image

from bneck.evaluate.fvcore_audit import OperatorCounts, fvcore_counts
from bneck.results import Run
from bneck.search.cli import app, main
from bneck.search.parallel.lock import run_lock
from bneck.search_space import (
    PRESETS,
    Architecture,
    cost,
    load_architecture,
    load_space,
    preset_yaml,
    published_architecture,
)
from bneck.search_space.network import build_network

from ...evaluate.example_checkpoint import keep
from ...results.example_run import Row, example_run, run_settings
from ..example_trainings import run as run_command
from ..helpers import bneck, fake_model, run_on_disk

TWO = """\
bneck: space/1
name: two
resolution_px: 8
stem: {out: 8}
stages:
  - {out: 8, kernel: [3, 5], expansion: 2}
head: {features: 16}
"""
COMMANDS = (
    "search",
    "front",
    "diff",
    "report",
    "watch",
    "export",
    "inspect",
    "train",
    "evaluate",
    "compare",
    "latency",
    "describe",
    "supernet",
    "latency-predictor",
    "seed-variance",
    "netadapt",
    "proxy",
    "ablation",
    "dashboard",
)

ROOT = Path(__file__).parents[3]
SUBCOMMANDS = (
    *(
        f"describe {name}"
        for name in ("space", "data", "recipe", "pretrained", "latency-predictor", "supernet")
    ),
    "latency-predictor build",
)


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line on stderr."""
        assert self.code == 2, self
        assert self.out == ""
        assert self.err.startswith("bneck: "), self.err
        assert self.err.count("\n") == 1, self.err
        return self.err.removeprefix("bneck: ").rstrip("\n")


Call = Callable[..., Ended]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command in this process, as the installed script does."""

    def run(*words: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["bneck", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run to read only: trials 2, 0 and 5 are its front, 0 has weights."""
    run = example_run(tmp_path_factory.mktemp("runs") / "run")
    network = run.record("0").architecture
    keep(build_network(network), run.checkpoint(network))
    return run


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# ------------------------------------------------------------------------------------- help


def test_the_help_names_every_command(call: Call) -> None:
    shown = call("--help")
    assert (shown.code, shown.err) == (0, "")
    assert all(f"│ {command} " in shown.out for command in COMMANDS)
    assert call("-h").out == shown.out


@pytest.mark.parametrize(
    "command", [*(each for each in COMMANDS if each not in ("describe", "latency-predictor")), *SUBCOMMANDS]
)
def test_the_help_of_every_command_has_an_example_that_parses(command: str) -> None:
    parser: Any = typer.main.get_command(app)
    for name in command.split():
        parser = parser.commands[name]
    paragraphs = [each for each in cleandoc(parser.help).split("\n\n") if each.startswith("bneck ")]
    examples = [line for paragraph in paragraphs for line in paragraph.splitlines()]
    assert examples
    for example in examples:
        assert example.startswith(f"bneck {command} ")
        assert_parses(example)


def assert_parses(line: str) -> None:
    """Parse a command line without running it; a wrong option raises."""
    words = shlex.split(line.partition(">")[0], comments=True)[1:]
    parser: Any = typer.main.get_command(app)
    while hasattr(parser, "commands"):
        parser = parser.commands[words.pop(0)]
    assert parser.make_context("bneck", words).args == []


@pytest.mark.parametrize(
    "page", ["README.md", *sorted(each.name for each in (ROOT / "docs/guide").iterdir())]
)
def test_the_command_lines_of_the_documents_parse(page: str) -> None:
    path = ROOT / page if page == "README.md" else ROOT / "docs/guide" / page
    blocks = re.findall(
        r"^```sh\n(.*?)^```$", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    for line in "".join(blocks).splitlines():
        if line.startswith("bneck ") and " ... " not in line:
            assert_parses(line)


def test_the_help_has_two_panels_and_is_not_truncated(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = call("--help").out
    assert "Core commands" in shown
    assert "More commands" in shown
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_the_old_name_of_a_latency_predictor_describes_it(call: Call, here: Path) -> None:
    fake_model({"network": 0.3}).save(here / "model.json")
    shown = [
        call("describe", name, "model.json", "--json") for name in ("latency-predictor", "latency-model")
    ]
    assert shown[0] == shown[1]
    assert json.loads(shown[0].out)["space"] == "small"


def test_without_a_command_the_help_is_shown(call: Call) -> None:
    shown = call()
    assert "Core commands" in shown.out + shown.err


def test_help_needs_none_of_the_heavy_libraries() -> None:
    script = """
import sys
import bneck.search.cli
heavy = {"torch", "torchvision", "optuna", "pandas", "plotly", "numpy", "onnx", "onnxruntime"}
print(*heavy & set(sys.modules))
sys.argv = ["bneck", "search", "--help"]
try:
    bneck.search.cli.main()
except SystemExit:
    print(*heavy & set(sys.modules))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    lines = ran.stdout.splitlines()
    assert lines[0] == lines[-1] == ""
    assert any("Usage: " in line for line in lines)


# -------------------------------------------------------------------------- inspect and space


def test_inspect_counts_mobilenet_v3_large_as_torchvision_does(call: Call) -> None:
    shown = call("inspect", "mobilenet_v3_large", "--json")
    found = json.loads(shown.out)
    assert (found["macs"], found["params"]) == (216_589_760, 5_483_032)
    assert (found["name"], found["resolution_px"]) == ("mobilenet_v3_large", 224)
    assert found["key"] == published_architecture("mobilenet_v3_large").key
    assert {"activation_bytes", "depth"} <= set(found)
    assert sum(part["macs"] for part in found["parts"].values()) == found["macs"]
    assert sum(part["params"] for part in found["parts"].values()) == found["params"]
    assert shown.err == ""


def test_what_inspect_prints_as_json_is_the_network_again(call: Call, tmp_path: Path) -> None:
    found = json.loads(call("inspect", "mnasnet_a1@0.5", "--json").out)
    (tmp_path / "net.json").write_text(json.dumps(found["architecture"]), encoding="utf-8")
    assert load_architecture(tmp_path / "net.json") == published_architecture("mnasnet_a1@0.5")


def test_inspect_prints_a_row_for_each_block_and_the_total(call: Call) -> None:
    lines = call("inspect", "mobilenet_v3_small").out.splitlines()
    assert sum(line.startswith("block ") for line in lines) == 11
    [total] = [line for line in lines if line.startswith("total")]
    # torchvision's count of parameters
    assert "2,542,856" in total


def test_the_audit_agrees_with_fvcore_and_torch(call: Call) -> None:
    shown = call("inspect", "mobilenet_v3_small", "--audit")
    assert shown.code == 0
    macs = cost(published_architecture("mobilenet_v3_small")).macs
    [total] = [line.split() for line in shown.out.splitlines() if line.startswith("total")]
    assert total == ["total", f"{macs:,}", f"{macs:,}", "2,542,856", "2,542,856"]
    assert "both counts agree in every operator" in shown.out


def test_an_audit_that_disagrees_names_the_operators_and_fails(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def miscounted(architecture: Architecture) -> dict[str, OperatorCounts]:
        counts = fvcore_counts(architecture)
        right = counts["classifier"]
        return {**counts, "classifier": OperatorCounts(right.macs + 1, right.params)}

    monkeypatch.setattr("bneck.evaluate.fvcore_audit.fvcore_counts", miscounted)
    ended = call("inspect", "mobilenet_v3_small@0.35", "--audit")
    assert ended.code == 2
    assert ended.err == "bneck: mobilenet_v3_small@0.35: the counts differ in classifier\n"


@pytest.mark.slow
def test_the_folder_of_a_run_may_have_any_name(call: Call, here: Path, finished: Run) -> None:
    name = "a #1 run 50%"
    shutil.copytree(finished.folder, here / name)
    shown = call("inspect", f"{name}#5", "--json")
    assert json.loads(shown.out)["key"] == finished.record("5").key


def test_inspect_reads_files_and_trials(call: Call, here: Path, finished: Run) -> None:
    record = finished.record("5")
    by_number = json.loads(call("inspect", f"{finished.folder}#5", "--json").out)
    by_name = json.loads(call("inspect", f"{finished.folder}#best", "--json").out)
    assert by_number["key"] == by_name["key"] == record.key
    assert by_number["macs"] == record.cost.macs
    call("export", finished.folder, "--trial", "5", "-o", "out")
    [path] = (here / "out").iterdir()
    assert json.loads(call("inspect", path, "--json").out)["key"] == record.key


@pytest.mark.slow
def test_space_tells_name_size_genes_and_what_it_contains(call: Call) -> None:
    found = json.loads(call("describe", "space", "tiny", "--json").out)
    space = load_space("tiny")
    assert (found["name"], found["size"], found["contains"]) == ("tiny", space.size, [])
    assert found["genes"] == {gene.name: list(gene.choices) for gene in space.genes}
    quantiles = list(found["macs_quantiles"].values())
    assert quantiles == sorted(quantiles)
    # the least of the space is 41,472
    assert 41_472 <= quantiles[0] < quantiles[-1]


@pytest.mark.slow
def test_mobile_contains_the_four_published_networks(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bneck.search.console.space_table.SAMPLES", 50)
    found = set(json.loads(call("describe", "space", "mobile", "--json").out)["contains"])
    assert {"mobilenet_v2", "mnasnet_a1", "mnasnet_b1", "mobilenet_v3_large"} <= found
    assert "mobilenet_v3_small" not in found


def test_space_for_people_has_a_line_for_each_gene(call: Call, here: Path) -> None:
    (here / "two.yaml").write_text(TWO.replace("features: 16", "features: [16, 600]"), encoding="utf-8")
    lines = call("describe", "space", "two.yaml").out.splitlines()
    assert [line.split() for line in lines[1:3]] == [
        ["stage1.block1.kernel", "3,", "5"],
        ["head.features", "16,", "600"],
    ]
    assert lines[3] == "space two: 4 networks, 2 genes"


@pytest.mark.slow
def test_pretrained_networks_are_listed_with_their_costs(call: Call) -> None:
    networks = json.loads(call("describe", "pretrained", "--json").out)
    lite0 = networks["efficientnet_lite0"]
    assert (lite0["params"], lite0["resolution_px"], lite0["top1"]) == (4_652_008, 224, 75.1)
    assert lite0["license"] == "Apache-2.0"
    rows = call("describe", "pretrained").out.splitlines()[1:]
    assert sorted(row.split()[0] for row in rows) == sorted(networks)
    assert rows[0].startswith("mobilenet_v3_small ")  # the fewest MACs first


def test_space_without_a_name_lists_the_presets(call: Call) -> None:
    assert json.loads(call("describe", "space", "--json").out) == list(PRESETS)
    shown = call("describe", "space").out
    assert all(f"\n{name} " in shown for name in PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_presets_file_is_the_preset_again(call: Call, here: Path, name: str) -> None:
    text = call("describe", "space", name, "--yaml").out
    assert text == preset_yaml(name)
    (here / "mine.yaml").write_text(text, encoding="utf-8")
    assert load_space("mine.yaml") == load_space(name)


# --------------------------------------------------------------- front, report, export of a run


def test_front_lists_the_front_and_whether_the_best_differs_from_the_others(
    call: Call, finished: Run
) -> None:
    lines = call("front", finished.folder).out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["trial", "2", "0", "5"]
    assert "90.0  86.7 to 92.6" in lines[2]
    # of 400 images, half widths of 2.2 and 3.0 points are 3.7 together
    assert any("Trial 5 has the highest accuracy, significantly" in line for line in lines[4:])
    assert 1 <= len(lines[4:]) <= 4


def test_front_for_programs(call: Call, finished: Run) -> None:
    rows = json.loads(call("front", finished.folder, "--json").out)["front"]
    assert [row["trial"] for row in rows] == [2, 0, 5]
    keys = {"trial", "key", "accuracy", "latency_ms", "latency_ratio", "macs", "params"}
    assert all(keys <= set(row) for row in rows)
    table = list(csv.DictReader(io.StringIO(call("front", finished.folder, "--csv").out)))
    assert [row["trial"] for row in table] == ["2", "0", "5"]
    assert [float(row["accuracy"]) for row in table] == [0.8, 0.9, 0.95]


def test_the_front_is_drawn_above_its_table(call: Call, finished: Run) -> None:
    plot, _, table = call("front", finished.folder, "--plot").out.partition("trial ")
    assert plot.count("◆") == 1 + 3  # the legend, and trials 2, 0 and 5
    assert call("front", finished.folder).out == f"trial {table}"


def test_diff_names_settings_and_results_or_why_there_is_no_common_front(
    call: Call, finished: Run, tmp_path: Path
) -> None:
    settings = replace(run_settings(), seed=8)
    other = example_run(tmp_path / "other", [Row("complete", 0.70, 0.48)], settings=settings)
    told = json.loads(call("diff", finished.folder, other.folder, "--json").out)
    assert told["settings"] == {"seed": [7, 8]}
    # the second search has trial 0 of the first one, which counts as evaluated there
    assert [run["networks"] for run in told["results"]["runs"]] == [4, 1]
    assert "seed" in call("diff", finished.folder, other.folder).out
    same = json.loads(call("diff", finished.folder, finished.folder, "--json").out)
    assert (same["settings"], same["results"]) == ({}, None)
    assert "two different" in same["obstacle"]


def test_a_run_without_a_judged_network_has_an_empty_front(call: Call, tmp_path: Path) -> None:
    run = example_run(tmp_path / "run", [Row("infeasible", None, 0.9)])
    assert call("front", run.folder).out.startswith(f"{run.folder}: no network ")
    assert json.loads(call("front", run.folder, "--json").out)["front"] == []
    assert call("front", run.folder, "--csv").out.count("\n") == 1


def test_report_writes_the_page_and_says_where(call: Call, here: Path, finished: Run) -> None:
    (here / "page").mkdir()
    shown = call("report", finished.folder, "-o", "page")
    assert (shown.code, shown.out.split()) == (0, ["report:", "page/report.html"])
    assert finished.record("5").key in (here / "page" / "report.html").read_text(encoding="utf-8")


def test_export_writes_what_it_prints(call: Call, here: Path, finished: Run) -> None:
    shown = call("export", finished.folder, "--trial", "0", "--format", "config,onnx,weights", "-o", "out")
    assert shown.code == 0
    assert sorted(shown.out.split()) == sorted(f"out/{path.name}" for path in (here / "out").iterdir())
    assert len(shown.out.split()) == 3


# ------------------------------------------------------------------- words that make no sense


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tinny"], "unknown space 'tinny'"),
        (["nowhere.yaml"], "nowhere.yaml: cannot be read: No such file or directory"),
        (["--data", "folder:nowhere"], "nowhere not found; it needs a sub-folder"),
        (["--data", "didgits"], "unknown data set 'didgits'"),
        (["--data", "fashion-mnist", "--data-root", "nowhere"], "--download"),
        (["--max-macs", "10K"], "no network of space tiny stays under macs <= 10K; nearest: "),
        (["--max-macs", "60MB"], "a limit must be a number above 0 like 600K, 60M or 1.2G, got '60MB'"),
        (["--max-macs", "0"], "got '0'"),
        (["--max-macs", "-5M"], "got '-5M'"),
        (["--max-params", "1e999"], "got '1e999'"),
        (["--max-latency", "5"], "a latency limit must be above 0 with its unit, like 5ms or 0.5x, got '5'"),
        (["--max-latency", "5s"], "got '5s'"),
        (["--sampler", "tpee"], "unknown sampler 'tpee'"),
        (["--objectives", "accuracy,sped"], "unknown objective 'sped'"),
        (["--objectives", "accuracy,accuracy"], "objectives must be different ones"),
        (["--objectives", ""], "objectives must be different ones"),
        (["--reference-model", "mobilenet_v4"], "unknown network 'mobilenet_v4'"),
        (["--reference-model", "mobilenet_v2@wide"], "width must be a number from 0.1 to 10, got 'wide'"),
        (["--baseline", "resnet50"], "unknown network 'resnet50'"),
        (["--latency-backend", "onnx"], "unknown latency backend 'onnx'"),
        (
            ["--evaluator", "naswot"],
            "--evaluator naswot gives no accuracy",
        ),
        (["--min-epochs", "20"], "--min-epochs must be less than --epochs, got 20 and 20"),
        (["--min-epochs", "2", "--evaluator", "table:a.csv"], "--min-epochs needs --evaluator train"),
        (["--evaluator", "trian"], "unknown evaluator 'trian'"),
        (["--evaluator", "table:nowhere.csv"], "nowhere.csv: cannot be read: No such file or directory"),
        (["--device", "gpu"], "--device must be auto, cpu or cuda, got 'gpu'"),
        (["--out", "there"], "there exists; choose another --out, or resume it: bneck search there"),
        (["--out", "there", "--data", "folder:nowhere"], "there exists"),  # before anything is read
        (["--resume"], "no run.yaml"),
        (["there", "--resume"], "there is not a search run (no run.yaml)"),
    ],
)  # fmt: skip
def test_a_search_that_cannot_begin_says_why_and_makes_nothing(
    call: Call, here: Path, words: list[str], expected: str
) -> None:
    (here / "there").mkdir()
    # a later --out wins over the earlier one
    space = [] if words[0][:2] != "--" else ["tiny"]
    out = [] if "--resume" in words else ["--out", "run"]
    assert expected in call("search", *space, *out, *words).complaint
    assert files(here) == ["there"]


def test_a_gpu_that_is_not_there_cannot_be_asked_for(
    call: Call, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    ended = call("search", "tiny", "--out", "run", "--device", "cuda")
    assert all(word in ended.complaint for word in ("--device cuda", "GPU", "--device cpu"))
    assert files(here) == []


@pytest.mark.parametrize(
    "words",
    [
        ["--no-latency-predictor"],
        ["--latency-backend", "onnxruntime"],  # even a value that is the default
        ["--latency-threads", "1"],
        ["--reference-model", "mobilenet_v3_small"],
    ],
    ids=lambda words: words[0],
)
def test_a_latency_model_says_itself_where_it_is_from(call: Call, here: Path, words: list[str]) -> None:
    ended = call("search", "tiny", "--out", "run", "--latency-predictor", "model.json", *words)
    assert ended.complaint.startswith(f"{words[0]} and --latency-predictor exclude each other")
    assert files(here) == []


def test_a_latency_model_of_another_space_is_told_with_how_to_build_one(call: Call, here: Path) -> None:
    fake_model({"network": 0.3}).save(here / "model.json")
    ended = call("search", "tiny", "--out", "run", "--latency-predictor", "model.json")
    assert ended.complaint == (
        "--latency-predictor model.json is of space small; "
        "build one: bneck latency-predictor build tiny --file FILE"
    )
    assert files(here) == ["model.json"]


def test_a_run_of_an_earlier_format_is_told_by_every_command_that_opens_it(call: Call, here: Path) -> None:
    (here / "old").mkdir()
    (here / "old" / "run.yaml").write_text("bneck: run/1\nstudy: bneck-1\n", encoding="utf-8")
    for words in (["front", "old"], ["report", "old"], ["inspect", "old#0"], ["search", "old", "--resume"]):
        assert call(*words).complaint.startswith("old/run.yaml:1: bneck: must be run/3, got run/1; ")
    assert files(here) == ["old", "old/run.yaml"]


@pytest.mark.slow
def test_a_latency_that_no_network_reaches_is_refused_with_one_that_would_do(call: Call, here: Path) -> None:
    (here / "two.yaml").write_text(TWO, encoding="utf-8")
    ended = call("search", "two.yaml", "--out", "run", "--max-latency", "0.0001x")
    assert "no network of space two satisfies latency <= 0.0001x" in ended.complaint
    assert "; relax --max-latency to at least 0." in ended.complaint
    assert files(here) == ["two.yaml"]


@pytest.mark.parametrize(
    ("line", "instead", "expected"),
    [
        (
            6,
            "  - {out: 8, kernel: [3, 4], expansion: 2}",
            "two.yaml:6: stages[1]: kernel must be 3, 5 or 7, got 4",
        ),
        (
            6,
            "  - {out: 8, kernel: [3, 3], expansion: 2}",
            "two.yaml:6: stages[1].kernel: holds a choice twice",
        ),
        (6, "  - {out: 8, kernle: 3, kernel: 3, expansion: 2}", "two.yaml:6: stages[1].kernle: unknown key"),
        (6, "  - {out: 8, kernel: 3}", "two.yaml:6: stages[1]: 'expansion' is missing"),
        (4, "stem: {out: wide}", "two.yaml:4: stem.out: must be a whole number, got wide"),
        (1, "bneck: space/2", "two.yaml:1: bneck: must be space/1, got space/2"),
        (4, "stem: {out: 8", "no valid YAML"),
    ],
)
def test_a_broken_space_is_told_with_file_line_and_key(
    call: Call, here: Path, line: int, instead: str, expected: str
) -> None:
    lines = TWO.splitlines()
    lines[line - 1] = instead
    (here / "two.yaml").write_text("\n".join(lines), encoding="utf-8")
    assert expected in call("search", "two.yaml", "--out", "run").complaint
    assert expected in call("describe", "space", "two.yaml").complaint
    assert files(here) == ["two.yaml"]


def photos(folder: Path, images: int = 4) -> Path:
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(images):
            Image.new("RGB", (12, 12), (60 * number, 0, 0)).save(folder / name / f"{number}.png")
    return folder


@pytest.mark.parametrize("fault", ["an empty class", "one class", "no classes"])
def test_a_broken_image_folder_is_told_by_its_path(call: Call, here: Path, fault: str) -> None:
    if fault == "no classes":
        (here / "photos").mkdir()
    else:
        photos(here / "photos")
    dogs = here / "photos" / "dog"
    expected = {
        "an empty class": "photos: class 'dog' needs at least 3 images, got 0",
        "one class": "photos: needs sub-folders of images for at least two classes, got only 'cat'",
        "no classes": "photos: needs sub-folders of images for at least two classes, got none",
    }[fault]
    if fault != "no classes":
        for path in dogs.iterdir():
            path.unlink()
        if fault == "one class":
            dogs.rmdir()
    before = files(here)
    assert expected in call("search", "tiny", "--out", "run", "--data", "folder:photos").complaint
    assert files(here) == before


@pytest.mark.slow
def test_a_search_leaves_out_what_it_cannot_read_and_says_so(call: Call, here: Path) -> None:
    photos(here / "photos", images=8)
    (here / "photos" / "dog" / "2.png").write_bytes(b"no image")
    short = ("--n-trials", 1, "--epochs", 1, "--baseline", "none", "--workers", 1)
    ended = call("search", "tiny", "--out", "run", "--data", "folder:photos", *short)
    assert ended.code == 0
    assert "1 of 16 images could not be read and was left out: dog/2.png" in ended.out


def test_a_storage_that_cannot_be_used_is_told_and_leaves_nothing(call: Call, here: Path) -> None:
    (here / "two.yaml").write_text(TWO, encoding="utf-8")
    ended = call("search", "two.yaml", "--out", "run", "--storage", "nonsense://x")
    assert "nonsense://x" in ended.complaint
    assert files(here) == ["two.yaml"]


@pytest.mark.parametrize("limit", ["--max-macs", "--max-params", "--max-latency"])
def test_an_empty_limit_is_not_taken_for_none(call: Call, here: Path, limit: str) -> None:
    # as in --max-macs "$LIMIT" where LIMIT is not set; the unknown space ends the search in any case
    assert "got ''" in call("search", "tinny", "--out", "run", limit, "").complaint


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--seed", "1"),
        ("--max-macs", "1M"),
        ("--epochs", "20"),
        ("--out", "x"),
    ],
)
def test_a_search_that_goes_on_keeps_what_it_began_with(
    call: Call, finished: Run, option: str, value: str
) -> None:
    # even a value that is the default
    ended = call("search", finished.folder, "--resume", option, value)
    assert ended.complaint.startswith(f"{option} cannot change with --resume")


def test_all_that_cannot_change_is_named_at_once(call: Call, finished: Run) -> None:
    ended = call(
        "search", finished.folder, "--resume", "--enqueue-published", "--train-images", "3", "--n-trials", "9"
    )
    assert ended.complaint.startswith("--enqueue-published, --train-images cannot change") or (
        ended.complaint.startswith("--train-images, --enqueue-published cannot change")
    )


def test_going_on_needs_a_folder(call: Call, here: Path) -> None:
    assert (
        call("search", "--resume").complaint == "--resume needs the run's folder: bneck search RUN --resume"
    )
    assert files(here) == []


@pytest.mark.slow
def test_going_on_with_a_search_that_runs_is_refused_and_does_it_no_harm(call: Call, tmp_path: Path) -> None:
    run = run_on_disk(tmp_path / "run")
    trial = run.study.ask()
    with run_lock(run):
        assert "another process is searching there" in call("search", run.folder, "--resume").err
    assert run.study.trials[trial.number].state.name == "RUNNING"


@pytest.mark.parametrize("command", ["front", "report", "watch", "dashboard"])
def test_a_folder_that_is_no_run_is_named(call: Call, here: Path, command: str) -> None:
    complaint = call(command, "nowhere").complaint
    assert complaint.startswith("nowhere is no") and "run.yaml" in complaint
    assert files(here) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["export", "RUN", "--trial", "99"], "has no trial '99'; "),
        (["export", "RUN", "--trial", "x"], "has no trial 'x'"),
        (["export", "RUN", "--trial", "1"], "trial 1 is infeasible; "),
        (["export", "RUN", "--trial", "0", "--format", "onx"], "unknown format 'onx'"),
        (["export", "RUN", "--trial", "5", "--format", "onnx"], ".safetensors"),
        (["export", "nowhere", "--trial", "0"], "nowhere is not a search run"),
        (["inspect", "RUN#x"], "has no trial 'x'"),
        (["inspect", "RUN#99"], "has no trial '99'"),
        (["inspect", "RUN#"], "has no trial ''"),
        (["inspect", "nowhere#1"], "nowhere is not a search run"),
        (
            ["inspect", "mobilenet_v3_larg"],
            "unknown network 'mobilenet_v3_larg'",
        ),
        (["inspect", "mobilenet_v2@20"], "width must be a number from 0.1 to 10, got '20'"),
        (["inspect", "nowhere.yaml"], "nowhere.yaml: cannot be read: No such file or directory"),
        (["inspect", "RUN/run.yaml"], "run.yaml:"),
        (["describe", "space", "tinny"], "unknown space 'tinny'"),
        (["describe", "space", "tinny", "--yaml"], "unknown space 'tinny'"),
        (["front", "RUN", "--json", "--csv"], "--json and --csv exclude each other"),
        (["front", "RUN", "--json", "--plot"], "--plot is for terminals"),
        (["report", "RUN", "-o", "RUN/run.yaml"], "run.yaml/report.html cannot be written"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(
    call: Call, here: Path, finished: Run, words: list[str], expected: str
) -> None:
    before = files(finished.folder)
    ended = call(*[word.replace("RUN", str(finished.folder)) for word in words])
    assert expected in ended.complaint
    assert [path for path in here.rglob("*") if path.is_file()] == []
    assert files(finished.folder) == before


@pytest.mark.parametrize(
    "words",
    [
        ["search", "tiny", "--n-trials", "0"],
        ["search", "tiny", "--workers", "0"],
        ["search", "tiny", "--seed", "-1"],
        ["search", "tiny", "--batch-size", "0"],
        ["search", "tiny", "--replicates", "-1"],
        ["search", "tiny", "--timeout", "0"],
        ["search", "tiny", "--train-images", "0"],
        ["search", "tiny", "--learning-rate", "nan"],
        ["search", "tiny", "--epochs", "2:16"],
        ["search", "tiny", "--reduction-factor", "1"],
        ["search", "tiny", "--colour", "red"],
        ["search", "tiny", "mobile"],
        ["front"],
        ["serach"],
    ],
)
def test_what_the_parser_refuses_has_a_usage_line_and_makes_nothing(
    call: Call, here: Path, words: list[str]
) -> None:
    ended = call(*words)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.lstrip().startswith("Usage: ")
    assert "Traceback" not in ended.err
    assert files(here) == []


def test_a_bug_keeps_its_traceback(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("bneck.search.resolve.networks.resolve_network", broken)
    with pytest.raises(ZeroDivisionError):
        call("inspect", "mobilenet_v2")


def test_the_installed_command_is_the_same(here: Path) -> None:
    ended = bneck("inspect", "mobilenet_v9", cwd=here)
    assert Ended(ended.returncode, ended.stdout, ended.stderr).complaint.startswith(
        "unknown network 'mobilenet_v9'"
    )
    assert bneck("inspect", "mobilenet_v2", "--json", cwd=here).returncode == 0


def test_a_run_in_the_place_of_a_space_is_told_how_to_go_on(call: Call, finished: Run) -> None:
    complaint = call("search", finished.folder).complaint
    assert complaint.endswith(f"bneck search {finished.folder} --resume")


def test_the_settings_of_a_run_are_no_network(call: Call, finished: Run) -> None:
    complaint = call("inspect", finished.folder / "run.yaml").complaint
    assert complaint.endswith("run.yaml:1: bneck: must be architecture/1, got run/3")


def test_the_version_is_that_of_the_package() -> None:
    ran = run_command("--version")
    assert (ran.code, ran.out) == (0, f"bneck {version('bneck')}\n")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("search", "tiny", "--workers", 100_000), "got 100000"),
        (("compare", "mobilenet_v2", "--workers", 100_000), "usable cores"),
        (("search", "tiny", "--max-macs", 60), "did you mean 60M?"),
        (("inspect", "resnet18"), "families MobileNetV2, MobileNetV3, MnasNet"),
    ],
)
def test_what_is_out_of_range_or_unknown_says_what_would_work(words: tuple[Any, ...], expected: str) -> None:
    assert expected in run_command(*words).complaint
