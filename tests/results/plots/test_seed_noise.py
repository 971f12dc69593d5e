"""Figures of a seed study."""

import numpy as np
import pytest

from bneck.results.analysis.seed_noise import analyze_seed_variance
from bneck.results.plots.seed_noise import figures

from ..example_noise import TRIALS, trainings


def test_the_figures_have_every_seed_the_means_and_the_trend() -> None:
    report = analyze_seed_variance(trainings(), TRIALS)
    assert report is not None
    drawn = figures(report)
    assert list(drawn) == ["macs-accuracy", "macs-loss", "reliability"]
    dots = [each for each in drawn["macs-accuracy"].data if each.name == "single seeds"]
    assert sorted(y for each in dots for y in each.y) == pytest.approx(
        sorted(100 * report.primary.table.ravel())
    )
    [means] = [each for each in drawn["macs-accuracy"].data if each.name == "mean over seeds"]
    [fit] = [each for each in drawn["macs-accuracy"].data if each.name == "trend in MACs"]
    # every network lies near the straight line of the truth, 5 points over the width
    assert fit.y[-1] - fit.y[0] == pytest.approx(5, abs=1)
    assert max(abs(np.interp(np.log(means.x), np.log(fit.x), fit.y) - means.y)) < 1
    [line] = [each for each in drawn["reliability"].data if each.name == "accuracy"]
    assert list(line.y) == pytest.approx(
        [report.primary.variances_overall.reliability(count) for count in range(1, 9)]
    )
