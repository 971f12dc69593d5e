"""The page of a seed study."""

from bneck.results.analysis.seed_noise import analyze_seed_variance
from bneck.results.pages.seed_noise import seed_variance_html
from bneck.results.store.seed_study import SeedTraining
from bneck.results.text.seed_noise import verdict_text

from ..example_noise import TRIALS, trainings


def test_the_page_has_verdict_figures_and_provenance_and_escapes_names() -> None:
    report = analyze_seed_variance(trainings(), TRIALS)
    assert report is not None
    html = seed_variance_html(report, "Noise of <b>", [("data", "a & b")])
    assert "<h1>Noise of &lt;b&gt;</h1>" in html
    assert verdict_text(report) in html
    assert "a &amp; b" in html
    assert all(f'id="{name}"' in html for name in ("macs-accuracy", "macs-loss", "reliability"))
    assert html == seed_variance_html(report, "Noise of <b>", [("data", "a & b")])


def test_a_score_without_noise_has_a_page() -> None:
    rows = [
        SeedTraining(f"n{n}", 10**n, seed, float(n), cpu_seconds=0.0) for n in range(1, 8) for seed in (0, 1)
    ]
    report = analyze_seed_variance(rows, TRIALS)
    assert report is not None
    assert 'id="macs-score"' in seed_variance_html(report, "none", [])
