"""The page of a NetAdapt run."""

import re
from dataclasses import replace
from pathlib import Path

from bneck.results.pages.netadapt import netadapt_html
from bneck.results.plots.netadapt import netadapt_figures
from bneck.results.store.netadapt_run import NetAdaptRun

from ..example_adaptation import SETTINGS, START, example_adaptation, path_rows, result


def test_the_page_has_both_ends_and_every_step(tmp_path: Path) -> None:
    made = example_adaptation(tmp_path / "a")
    html = netadapt_html(made, path_rows(), result())
    assert netadapt_html(made, path_rows(), result()) == html
    text = re.sub(r"<script.*?</script>|<[^>]+>", " ", html, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", text)
    # Wilson's interval of 400 images at 87%: 3.3 points, at 89%: 3.1; validation 85%: 3.5.
    lead = text[text.index("2 steps") : text.index("Pruning path")]
    assert all(
        value in lead
        for value in (
            "1.00 ms",
            "0.500 ms",
            "87.0% (83.3 to 89.9)",
            "89.0% (85.6 to 91.7)",
            "400 test images",
        )
    )
    assert "expansion of block 2: 64 to 40 0.800 ms" in text
    assert "0.400 (+0.050) 85.0% (81.2 to 88.2) (-1.0) 3 of 4" in text
    assert START.key in text and "random weights" in text
    assert "runs/one/checkpoints/abc.safetensors" in text
    for name in ("path-latency", "path-macs", "initial-blocks", "result-blocks"):
        assert f'id="{name}"' in html


def test_the_name_and_the_weights_are_escaped(tmp_path: Path) -> None:
    path = "<script>alert(1)</script>"
    settings = replace(SETTINGS, name=path, initial_weights=path)
    html = netadapt_html(NetAdaptRun.create(tmp_path / "a", settings), path_rows(), result())
    assert path not in html
    assert html.count("&lt;script&gt;alert(1)") == 4  # title, heading, and twice in the provenance


def test_without_latencies_there_are_macs_alone(tmp_path: Path) -> None:
    made = example_adaptation(tmp_path / "a", measured=False)
    rows = path_rows(measured=False)
    assert list(netadapt_figures(made.settings, rows, None)) == ["path-macs"]
    values = result()
    for end in ("start", "final"):
        values[end]["latency_ms"] = None
    html = netadapt_html(made, rows, values)
    assert " ms" not in html.split("<body>")[1] and ">latency</th>" not in html
