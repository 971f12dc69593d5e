import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import yaml
from safetensors.torch import load_file

from bneck.evaluate import load_network, network_from
from bneck.evaluate.training.checkpoint import load_checkpoint, load_trained_network
from bneck.results import Record, Run
from bneck.results.export.exportable import Exportable, exportable_from_trial
from bneck.results.export.models import FORMATS, parse_formats
from bneck.results.export.models import export as export_records
from bneck.search.commands.report import EXPORT_FORMATS
from bneck.search_space import Architecture, RunError, UnknownNameError, load_architecture
from bneck.search_space.network import Network, build_network, example_images

from ...evaluate.example_checkpoint import keep
from ...injected_faults import each_fault
from ..example_run import ROWS, Row, example_run, run_settings


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Trial 0 has weights, the others that were judged have none."""
    settings = run_settings()
    data = replace(settings.data, class_names=tuple("abcdefghij"), pixel_mean=(77.7,), pixel_std=(95.8,))
    run = example_run(tmp_path_factory.mktemp("export") / "run", settings=replace(settings, data=data))
    network = run.record("0").architecture
    keep(as_if_trained(network), run.checkpoint(network))
    return run


@pytest.fixture(scope="module")
def judged(run: Run) -> Record:
    return run.record("0")


@pytest.fixture(scope="module")
def bare(run: Run) -> Record:
    """Judged too, but its weights are gone."""
    return run.record("5")


@pytest.fixture(scope="module")
def network(judged: Record) -> Network:
    return as_if_trained(judged.architecture)


def as_if_trained(architecture: Architecture) -> Network:
    """No weight and no statistic has its first value."""
    network = build_network(architecture)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.rand(tensor.shape, generator=generator)
                size = 1 / tensor[0].numel() ** 0.5 if tensor.ndim > 1 else 0.3
                tensor.copy_(
                    0.5 + noise
                    if "running_var" in name or (tensor.ndim == 1 and "weight" in name)
                    else size * (4 * noise - 2)
                )
    return network.eval()


SOME_FORMATS = ["config", "huggingface", "onnx"]  # a file, a folder and a file


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("[!.]*") if path.is_file()]


def export(run: Run, record: Record, formats: Sequence[str], folder: Path) -> list[Path]:
    return [each.path for each in export_records(run, [record], formats, folder)]


def test_a_config_is_the_same_network_again(run: Run, judged: Record, tmp_path: Path) -> None:
    [path] = export(run, judged, ["config"], tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / f"trial0-{judged.key}.yaml"
    assert load_architecture(path) == judged.architecture


def test_a_config_tells_where_it_comes_from_and_what_is_known(run: Run, judged: Record) -> None:
    metadata = yaml.safe_load(exportable_from_trial(run, judged).config)["metadata"]
    assert metadata["run"] == "run"
    assert (metadata["trial"], metadata["key"], metadata["data"]) == (0, judged.key, "digits")
    assert metadata["class_names"] == list("abcdefghij")
    assert (metadata["pixel_mean"], metadata["pixel_std"]) == ([77.7], [95.8])
    assert (metadata["macs"], metadata["params"]) == (judged.cost.macs, judged.cost.params)
    # 0.3 times the reference's 2 ms
    assert (metadata["validation_accuracy"], metadata["latency_ms"], metadata["latency_ratio"]) == (
        0.9,
        0.6,
        0.3,
    )
    assert metadata["latency_reference"] == run.settings.latency.panel.reference_name


def test_a_config_of_an_untrained_network_claims_nothing_of_it(run: Run) -> None:
    metadata = yaml.safe_load(exportable_from_trial(run, run.record("3")).config)["metadata"]
    assert not {"validation_accuracy", "latency_ms", "latency_ratio"} & set(metadata)


@pytest.mark.parametrize("images", [1, 3])
def test_the_onnx_model_answers_as_the_trained_network_does(
    run: Run, judged: Record, network: Network, tmp_path: Path, images: int
) -> None:
    [path] = export(run, judged, ["onnx"], tmp_path / "out")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    pixels = torch.randn(images, *example_images(judged.architecture).shape[1:])
    [logits] = session.run(None, {"images": pixels.numpy()})
    with torch.inference_mode():
        expected = network(pixels).numpy()
    assert logits.shape == (images, 10)
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    with torch.inference_mode():
        fresh = build_network(judged.architecture).eval()(pixels).numpy()
    assert np.abs(fresh - expected).max() > 0.01 * np.abs(expected).max()  # other weights answer otherwise


def test_the_onnx_model_knows_its_classes_and_how_pixels_are_prepared(
    run: Run, judged: Record, network: Network, tmp_path: Path
) -> None:
    [path] = export(run, judged, ["onnx"], tmp_path / "out")
    known = {prop.key: prop.value for prop in onnx.load(path).metadata_props}
    assert json.loads(known["class_names"]) == list("abcdefghij")
    assert (json.loads(known["pixel_mean"]), json.loads(known["pixel_std"])) == ([77.7], [95.8])
    (tmp_path / "again.yaml").write_text(known["architecture"], encoding="utf-8")
    assert load_architecture(tmp_path / "again.yaml") == judged.architecture


def test_the_weights_are_those_of_the_checkpoint(
    run: Run, judged: Record, network: Network, tmp_path: Path
) -> None:
    [path] = export(run, judged, ["weights"], tmp_path / "out")
    again = load_trained_network(judged.architecture, path).state_dict()
    for name, tensor in network.state_dict().items():
        assert torch.equal(again[name], tensor)


@pytest.mark.parametrize("as_given", [str, Path])
def test_exported_weights_load_strictly_into_the_network_of_the_exported_config(
    as_given: Callable[[Path], str | Path], run: Run, judged: Record, network: Network, tmp_path: Path
) -> None:
    paths = run.export(0, ["config", "weights"], as_given(tmp_path / "out"))
    config, weights = (as_given(path) for path in paths)
    norm_eps = yaml.safe_load(Path(config).read_text(encoding="utf-8"))["metadata"]["norm_eps"]
    assert norm_eps == load_checkpoint(weights).norm_eps
    plain = build_network(load_architecture(config), norm_eps=norm_eps).eval()
    plain.load_state_dict(load_file(weights), strict=True)
    images = example_images(judged.architecture, 2)
    assert torch.equal(plain(images), network(images))
    assert torch.equal(load_network(weights)(images), network(images))
    assert torch.equal(network_from(config, weights)(images), network(images))
    assert Run.open(as_given(run.folder)).record(0) == run.record("0")


def test_all_formats_lie_side_by_side(run: Run, judged: Record, network: Network, tmp_path: Path) -> None:
    paths = export(run, judged, [*FORMATS][: [*FORMATS].index("int8")], tmp_path / "out")
    stem, name = f"trial0-{judged.key}", f"bneck_trial0_{judged.key}"
    assert [path.name for path in paths] == [
        *(f"{stem}.yaml", f"{stem}.safetensors", stem),
        *(f"{name}.py", f"{name}_timm.py", f"{name}_torchvision.py"),
        *(f"{stem}.md", f"{stem}.onnx"),
    ]
    assert sorted((tmp_path / "out").iterdir()) == sorted(paths)


def test_a_file_that_is_there_is_not_written_over(
    run: Run, judged: Record, network: Network, tmp_path: Path
) -> None:
    [path] = export(run, judged, ["onnx"], tmp_path / "out")
    before = path.read_bytes()
    with pytest.raises(RunError, match=r"\.onnx exists; choose another folder with -o"):
        export(run, judged, ["config", "onnx"], tmp_path / "out")
    assert [each.name for each in (tmp_path / "out").iterdir()] == [path.name]
    assert path.read_bytes() == before


@pytest.mark.parametrize("trial", [str(n) for n, row in enumerate(ROWS) if row.state == "infeasible"])
def test_a_network_that_broke_a_limit_is_not_exported(run: Run, trial: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=f"trial {trial} is infeasible; "):
        export(run, run.record(trial), ["config"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_trial_that_failed_is_not_exported(tmp_path: Path) -> None:
    run = example_run(tmp_path / "run", [Row("failed")])
    with pytest.raises(RunError, match="trial 0 is failed"):
        export(run, run.record("0"), ["config"], tmp_path / "out")


@pytest.mark.parametrize(
    "format_name",
    ["onnx", "weights"],
)
def test_weights_that_are_missing_are_named(run: Run, bare: Record, tmp_path: Path, format_name: str) -> None:
    with pytest.raises(RunError, match=f"{bare.key}.*checkpoint file not found"):
        export(run, bare, [format_name], tmp_path / "out")


def test_an_export_that_fails_leaves_no_half_of_it(run: Run, bare: Record, tmp_path: Path) -> None:
    with pytest.raises(RunError):
        export(run, bare, ["config", "onnx"], tmp_path / "out")
    assert list(tmp_path.rglob("*.yaml")) == []


def test_a_full_disk_leaves_no_file_and_the_export_can_be_repeated(
    run: Run, judged: Record, tmp_path: Path
) -> None:
    for root, error in each_fault(
        tmp_path, lambda root: export(run, judged, SOME_FORMATS, root / "out"), full_disk=True
    ):
        assert isinstance(error, RunError)
        assert re.search("No space left on device", str(error))
        assert [*root.glob("out/*")] == []
        assert len(export(run, judged, SOME_FORMATS, root / "out")) == len(SOME_FORMATS)


def test_a_kill_leaves_whole_files_under_their_names_or_none(
    run: Run, judged: Record, tmp_path: Path
) -> None:
    export(run, judged, SOME_FORMATS, tmp_path / "whole")
    whole = {path.name: path.read_bytes() for path in files_in(tmp_path / "whole")}
    for root, _ in each_fault(tmp_path, lambda root: export(run, judged, SOME_FORMATS, root / "out")):
        for path in files_in(root / "out"):
            assert path.read_bytes() == whole[path.name]


def test_a_folder_that_is_a_file_is_named(run: Run, judged: Record, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("", encoding="utf-8")
    with pytest.raises(RunError, match="out"):
        export(run, judged, ["config"], tmp_path / "out")


def test_weights_of_another_network_are_refused(run: Run, judged: Record, tmp_path: Path) -> None:
    other = run.record("2")
    keep(as_if_trained(judged.architecture), run.checkpoint(other.architecture))
    with pytest.raises(RunError, match=f"must hold network {other.key}, got {judged.key}"):
        export(run, other, ["onnx"], tmp_path / "out")
    run.checkpoint(other.architecture).unlink()


def test_a_file_whose_logits_differ_is_not_written(
    run: Run, judged: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(network: Exportable, content: object, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = network.network(images)
        return logits * 1.002

    monkeypatch.setitem(FORMATS, "onnx", replace(FORMATS["onnx"], logits=wrong))
    with pytest.raises(RunError, match=r"is not written: its logits differ from torch's by 0\.002; 0\.001"):
        export(run, judged, ["config", "onnx"], tmp_path / "out")
    assert files_in(tmp_path) == []


def test_the_card_has_metrics_with_intervals_cost_and_latency(
    run: Run, judged: Record, tmp_path: Path
) -> None:
    [path] = export(run, judged, ["card"], tmp_path / "out")
    card = path.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", card, re.MULTILINE))
    assert yaml.safe_load(card.split("---")[1])["pipeline_tag"] == "image-classification"
    # Wilson's interval of 0.9 of 400 images: (0.9 + z^2/800 +- z sqrt(0.09/400 + z^2/640000)) / (1 + z^2/400)
    assert rows["validation top-1"] == "90.0% (86.7 to 92.6), mean; 400 images, 1 training"
    assert rows["latency, measured"].startswith("0.600 ms or 0.300x (0.270 to 0.360) of mobilenet\\_v2")
    assert rows["latency, measured"].endswith(
        "onnxruntime 1.2.3 on an example, 1 thread, batch 1, fp32, NCHW"
    )
    assert rows["MACs of one image"] == f"{judged.cost.macs:,}"
    assert (rows["mean"], rows["std"], rows["data"]) == ("77.7", "95.8", "digits")
    folder = export(run, judged, ["huggingface"], tmp_path / "out")[0]
    assert (folder / "README.md").read_bytes() == path.read_bytes()


def test_the_help_names_every_format() -> None:
    assert set(EXPORT_FORMATS) == set(FORMATS)


def test_the_front_and_its_knee_are_exported_by_name(run: Run, tmp_path: Path) -> None:
    # accuracy 0.8, 0.9, 0.95 at 0.4, 0.6, 0.9 ms: losses scaled to (1, 0), (1/3, 2/5), (0, 1), so trial 0
    [knee] = run.export("knee", ["config"], tmp_path / "knee")
    assert knee.name.startswith("trial0-")
    assert run.record("knee") == run.record(0)
    front = run.export("front", ["config"], tmp_path / "front")
    assert [path.name.partition("-")[0] for path in front] == ["trial2", "trial0", "trial5"]


def test_formats_are_read_with_blanks_and_in_order() -> None:
    assert parse_formats("config") == ["config"]
    assert parse_formats(" onnx , config") == ["onnx", "config"]


def test_an_unknown_format_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown format 'tflite'; nearest: litert"):
        parse_formats("config,tflite")


@pytest.mark.parametrize("text", ["", " ", ","])
def test_no_format_at_all_is_an_error(text: str) -> None:
    with pytest.raises(UnknownNameError):
        parse_formats(text)
