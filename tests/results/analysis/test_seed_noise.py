"""What a study of noise tells, of tables whose truth is known."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bneck.evaluate.statistics.estimate import Estimate
from bneck.evaluate.statistics.reliability import expected_maximum
from bneck.results.analysis.seed_noise import (
    SeedVarianceReport,
    Verdict,
    analyze_seed_variance,
    search_verdict,
)
from bneck.results.export import seed_noise as noise_json
from bneck.results.export.seed_noise import report_dict
from bneck.results.store.seed_study import SeedTraining
from bneck.results.text.seed_noise import counts_text, summary_lines, table_rows, verdict_text

from ..example_noise import TRIALS, trainings

ABOUT = {"space": "tiny", "limits": "none", "data": "digits", "evaluator": "train"}


def told(rows: list[SeedTraining]) -> SeedVarianceReport:
    report = analyze_seed_variance(rows, TRIALS)
    assert report is not None
    return report


def verdicts(count: int = 20, **truth: float) -> list[Verdict]:
    return [told(trainings(**truth, seed=seed)).verdict for seed in range(count)]  # type: ignore[arg-type]


# ------------------------------------------------------------------------------- the verdict


def test_where_macs_explain_everything_the_largest_is_as_good() -> None:
    assert verdicts().count("largest") >= 18
    said = verdict_text(told(trainings()))
    assert said.startswith("A search is not worthwhile; choose the largest feasible network: ")
    assert "MACs explain 100% (98% to 100%)" in said


def test_where_networks_differ_much_beyond_macs_a_search_is_worth_its_time() -> None:
    assert verdicts(beyond=0.02).count("search") >= 19
    assert verdict_text(told(trainings(beyond=0.02))).startswith("A search is worthwhile: ")


def test_pure_noise_tells_nothing_but_to_train_longer() -> None:
    assert verdicts(rise=0).count("noise") >= 18
    said = verdict_text(told(trainings(rise=0, seed=1)))
    assert said.startswith("Inconclusive")
    assert "--epochs" in said and "--train-images" in said


def test_what_lies_between_is_not_decided() -> None:
    # beyond MACs as much as the noise: the gain is 1.6 deviations, and four trainings each tell 1.5
    assert set(verdicts(beyond=0.005)) == {"search", "largest", "unclear"}
    reports = (told(trainings(beyond=0.005, seed=seed)) for seed in range(20))
    said = next(verdict_text(report) for report in reports if report.verdict == "unclear")
    assert said.startswith("Inconclusive: MACs explain")


@pytest.mark.parametrize(
    ("told", "expected_gain", "share", "verdict"),
    # one training each tells 2, four tell 1
    [
        (True, (1.5, 0.5, 4), 0.9, "search"),
        (False, (1.5, 0.5, 4), 0.9, "noise"),
        (True, (1.5, 0.0, 4), 0.9, "unclear"),  # large, but may be none
        (True, (0.9, 0.1, 4), 0.9, "unclear"),  # sure, but too small to be shown, or large
        (True, (0.9, 0.1, 1.9), 0.9, "largest"),  # sure, but too small to be shown
        (True, (0.2, 0.0, 1.9), 0.9, "largest"),
        (True, (0.2, 0.0, 2.1), 0.9, "unclear"),  # may be large enough for the search itself to see it
        (True, (1.5, 0.0, 1.9), 0.9, "unclear"),
        (True, (0.2, 0.0, 1.9), 0.5, "unclear"),  # then size is no good choice either
    ],
)
def test_the_verdict_weighs_the_gain_against_what_can_be_told(
    told: bool, expected_gain: tuple[float, float, float], share: float, verdict: Verdict
) -> None:
    assert (
        search_verdict(told, Estimate(*expected_gain), share, threshold_1_seed=2, threshold_4_seeds=1)
        == verdict
    )


def test_few_networks_are_said_to_be_few() -> None:
    assert "With 6 networks" in verdict_text(told(trainings(6, 2)))
    assert "imprecise" not in verdict_text(told(trainings(12, 3)))


def test_where_larger_networks_are_worse_the_size_is_named_instead() -> None:
    report = told(trainings(rise=-0.05))
    assert report.primary.best_macs == pytest.approx(1e5)
    assert "choose a network of about 100K MACs: " in verdict_text(report)


def test_where_accuracy_has_its_peak_within_the_limits_it_is_found() -> None:
    rows = [
        replace(each, accuracy=each.accuracy - 0.04 * math.log(each.macs / 5e5) ** 2)
        for each in trainings(rise=0, noise=0.001)
    ]
    assert told(rows).primary.best_macs == pytest.approx(5e5, rel=0.05)


# ------------------------------------------------------------------------------- the statistics


def test_the_gain_is_what_a_simulated_search_gains() -> None:
    report = told(trainings(400, 3, beyond=0.01, noise=0.01))
    # 60 networks of one size, chosen by one training or by the mean of four
    rng = np.random.default_rng(0)
    for count in (1, 4):
        true = 0.01 * rng.standard_normal((4000, 60))
        seen = true + 0.01 / math.sqrt(count) * rng.standard_normal((4000, 60))
        gained = true[np.arange(4000), seen.argmax(1)].mean()
        assert report.primary.expected_gain(60, count).value == pytest.approx(gained, rel=0.1)


def test_the_gain_lies_within_its_interval_in_95_of_100() -> None:
    # 0.01^2 / sqrt(0.01^2 + 0.005^2) x 2.32
    expected_gain = 1e-4 / math.sqrt(1.25e-4) * expected_maximum(TRIALS)
    found = [told(trainings(beyond=0.01, seed=seed)).primary.expected_gain(TRIALS) for seed in range(100)]
    held = sum(each.low <= expected_gain <= each.high for each in found)
    assert held >= 88


def test_the_share_that_macs_explain_is_that_of_the_variances() -> None:
    # the rise of 0.05 over 400 networks even by log MACs has variance 0.05^2 / 12 = 2.08e-4, beyond 1e-4
    explained_by_macs = told(trainings(400, 3, beyond=0.01)).primary.explained_by_macs
    assert explained_by_macs.value == pytest.approx(2.08 / 3.08, abs=0.05)
    assert explained_by_macs.low < explained_by_macs.value < explained_by_macs.high


@pytest.mark.parametrize(("noise", "use"), [(0.002, (60, 1)), (0.01, (30, 2)), (0.03, (12, 5))])
def test_the_noisier_the_more_seeds_rather_than_networks(noise: float, use: tuple[int, int]) -> None:
    # by hand: expected maximum of 60/k normals x sqrt(k / (k + noise^2 / 0.01^2)), greatest of k = 1..8
    def expected_gain(each: int) -> float:
        return expected_maximum(60 // each) * math.sqrt(each / (each + (noise / 0.01) ** 2))

    assert max(range(1, 9), key=expected_gain) == use[1]
    assert told(trainings(400, 3, beyond=0.01, noise=noise)).primary.best_allocation(60) == use


def test_the_more_reliable_quantity_is_named_where_it_can_be_told() -> None:
    assert told(trainings(24, 3, noise=0.02, loss_noise=0.001)).more_reliable == "loss"
    assert told(trainings(24, 3, noise=0.001, loss_noise=0.02)).more_reliable == "accuracy"
    alike = told(trainings(24, 3, noise=0.01, loss_noise=0.01))
    assert alike.more_reliable is None
    assert any("do not differ significantly" in line for line in summary_lines(alike))


def test_what_a_trial_should_cost_follows_from_spearman_and_brown() -> None:
    report = told(trainings(noise=0.012))
    single = report.primary.variances_overall.reliability()
    assert report.trainings_for_target == math.ceil(4 * (1 - single) / single)
    # 2, 3 and 4 seconds for the seeds
    assert report.cpu_seconds == pytest.approx(3)
    assert (
        f"{report.trainings_for_target} ({3 * report.trainings_for_target} CPU-seconds per network)"
        in " ".join(summary_lines(report))
    )


def test_seeds_agree_as_scipy_says() -> None:
    report = told(trainings(beyond=0.01))
    table = report.primary.table
    pairs = [stats.spearmanr(table[:, a], table[:, b]).statistic for a, b in ((0, 1), (0, 2), (1, 2))]
    assert report.primary.spearman_between_seeds.value == pytest.approx(np.mean(pairs))
    assert (
        report.primary.spearman_between_seeds.low
        < report.primary.spearman_between_seeds.value
        < report.primary.spearman_between_seeds.high
    )
    found = report_dict(report, ABOUT)["metrics"]["accuracy"]
    kendalls = [stats.kendalltau(table[:, a], table[:, b]).statistic for a, b in ((0, 1), (0, 2), (1, 2))]
    assert found["kendall_between_seeds"] == pytest.approx(np.mean(kendalls))


# --------------------------------------------------------------------------- what is and is not in it


def test_a_seed_that_was_cut_off_is_left_out_and_counted() -> None:
    report = told(trainings()[:27])  # 12 + 12 + 3
    assert (report.networks, report.seeds, report.trainings, report.excluded) == (12, 2, 27, 3)
    assert counts_text(report).startswith("12 networks x 2 seeds; 3 trainings excluded")
    assert told(trainings()).excluded == 0


def test_a_network_that_failed_is_left_out_and_counted() -> None:
    rows = trainings()
    rows[5] = SeedTraining("net05", rows[5].macs, 0, cpu_seconds=1.0, error="the loss of epoch 1 is nan")
    report = told(rows)
    assert (report.networks, report.failed, report.excluded) == (11, 1, 2)
    assert "net05" not in report.keys
    assert "1 training failed" in counts_text(report)


@pytest.mark.parametrize("rows", [[], trainings(12, 3)[:17], trainings(5, 3), trainings(12, 1)])
def test_less_than_six_networks_with_two_seeds_tell_nothing(rows: list[SeedTraining]) -> None:
    assert analyze_seed_variance(rows, TRIALS) is None


def test_eighteen_trainings_of_twelve_networks_are_enough() -> None:
    assert told(trainings(12, 3)[:18]).networks == 6


def test_a_scorer_that_tells_no_accuracy_has_a_score() -> None:
    rows = [replace(each, accuracy=math.nan, loss=math.nan) for each in trainings()]
    report = told(rows)
    assert [each.name for each in report.metrics] == ["score"]
    assert " pp" not in verdict_text(report)
    noise = [replace(each, accuracy=math.nan, loss=math.nan) for each in trainings(rise=0, seed=1)]
    assert "another evaluator" in verdict_text(told(noise))


def test_a_scorer_without_noise_is_reliable() -> None:
    rows = [
        SeedTraining(f"n{n}", 10**n, seed, float(n), cpu_seconds=0.0) for n in range(1, 8) for seed in (0, 1)
    ]
    report = told(rows)
    assert report.primary.variances_overall.reliability() == 1
    assert report.trainings_for_target == 1


# --------------------------------------------------------------------------------- the forms


def test_the_json_has_what_its_schema_says_and_no_nan() -> None:
    report = told(trainings(6, 2))
    found = json.loads(json.dumps(report_dict(report, ABOUT), allow_nan=False))
    described = set(re.findall(r"\w+", str(noise_json.__doc__)))
    assert set(found) <= described
    assert set(found["metrics"]["loss"]) <= described
    assert found["verdict"] == report.verdict
    assert [each["n_seeds"] for each in found["metrics"]["accuracy"]["reliability"]] == [1, 2, 4]
    equal = [replace(each, accuracy=0.5, loss=1.0) for each in trainings(6, 2)]
    found = json.loads(json.dumps(report_dict(told(equal), ABOUT), allow_nan=False))
    assert found["metrics"]["loss"]["spearman_between_seeds"] == {"value": None, "low": None, "high": None}
    assert (found["trainings_for_target"], found["verdict"]) == (None, "noise")


def test_the_table_has_a_column_for_one_two_and_four_trainings() -> None:
    report = told(trainings())
    columns, rows = table_rows(report)
    assert columns == ("", "1 seed", "2 seeds", "4 seeds")
    single = report.primary.variances_overall.reliability()
    assert rows[0][2].startswith(f"{2 * single / (1 + single):.2f} (")
    [apart] = [row for row in rows if row[0] == "least significant difference, accuracy, pp"]
    assert float(apart[1]) == pytest.approx(100 * report.primary.least_significant_difference(1), abs=0.06)
