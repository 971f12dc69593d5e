from dataclasses import replace
from pathlib import Path

import pytest

from bneck.evaluate import parse_goals
from bneck.results import Baseline, Record
from bneck.results.analysis.front_posterior import front_posterior_of
from bneck.results.store.trial import BASELINE_SOURCE
from bneck.results.text.findings import findings
from bneck.results.text.pretrained_baseline import fine_tuned_baseline_text, pretrained_baseline_text
from bneck.search_space.architecture import FineTuning

from ..example_run import Row, accuracy, example_run, latency, record, run_settings


def candidates(*accuracies: float) -> list[Record]:
    """The first is the baseline; each is trained twice, with half a point between the seeds."""
    found = []
    for number, top1 in enumerate(accuracies):
        own = record(number, Row("complete", top1, 0.3))
        network = replace(own.architecture, fine_tuning=FineTuning("lite", "all"))
        again = replace(accuracy(top1 + 0.005), seed=1)
        found.append(replace(own, architecture=network, replicates=(again,)))
    return [replace(found[0], source=BASELINE_SOURCE), *found[1:]]


def test_the_baseline_is_compared_with_the_most_accurate_network() -> None:
    records = candidates(0.6, 0.8, 0.7)
    text = pretrained_baseline_text(records, records[1:], None)
    assert "trial 0 (lite at" in text
    assert "trial 1 (lite at" in text
    assert ("60.2%" in text, "80.2%" in text) == (True, True)  # means of two seeds
    assert text.endswith("seed noise unknown, significance not tested.")
    posterior = front_posterior_of(records, parse_goals("accuracy,latency", {}))
    assert pretrained_baseline_text(records, records[1:], posterior).endswith("), significant (95%).")


def test_a_baseline_that_is_not_beaten_is_named_as_such() -> None:
    records = candidates(0.8, 0.6, 0.7)
    assert "found no network that is more accurate" in pretrained_baseline_text(records, records, None)


def test_a_search_from_scratch_has_no_such_baseline() -> None:
    records = [replace(each, source="sampler") for each in candidates(0.8, 0.6)]
    assert pretrained_baseline_text(records, records, None) == ""


@pytest.mark.parametrize(
    ("top1", "ratio", "beaten"), [(0.95, 0.4, False), (0.5, 0.4, True), (0.95, 0.6, None)]
)
def test_a_search_from_scratch_says_whether_it_beats_the_pretrained_network(
    top1: float, ratio: float, beaten: bool | None, tmp_path: Path
) -> None:
    """The front reaches 90% within 0.5x; a baseline that is slower does not count."""
    name = "pretrained:efficientnet_lite0@64px"
    settings = replace(run_settings(), baselines=(name,))
    own = Baseline(name, settings.published_architecture(name), latency(ratio), accuracy(top1), 0.9, 100)
    run = example_run(tmp_path / "run", settings=settings, baselines=[own])
    text = fine_tuned_baseline_text(run.baselines(), run.front(), settings.goals)
    assert bool(text) == (beaten is not None)
    assert ("does not beat it" in text) == (beaten is False)
    assert text == "" or f"{100 * top1:.1f}%" in text
    assert text == "" or text in findings(run)[:2]
