"""Statistics and rows of a comparison, against hand calculation, tables and SciPy."""

import json
import random
from dataclasses import replace
from io import StringIO

import numpy as np
import pandas
import pytest
from scipy.stats import ttest_rel

from bneck.evaluate.latency.measurement import failed_latency
from bneck.evaluate.statistics.outcomes import pack_outcomes
from bneck.evaluate.training.trivial_accuracy import TrivialAccuracy
from bneck.results.analysis.comparison import Variant
from bneck.results.text.comparison import (
    COLUMNS,
    comparison_dict,
    comparison_row,
    comparison_rows,
    comparison_text,
    results_csv,
    table_rows,
    to_csv,
)
from bneck.results.text.formatting import duration

from ..example_comparison import comparison, variant

A = variant("a", [90, 91, 92], 0.5)
B = variant("b", [91, 93, 92], 0.25, macs=4_000_000)
C = variant("c", [94, 95, 96])


def test_over_seeds_the_margin_is_student_s() -> None:
    assert A.mean == pytest.approx(0.91)
    assert A.std == pytest.approx(0.01)
    # t of 2 degrees of freedom is 4.303 at 95%.
    half_width = 4.303 * 0.01 / 3**0.5
    assert A.top1_ci95 == pytest.approx((0.91 - half_width, 0.91 + half_width), rel=1e-4)
    assert A.ci95_source == "seeds"


def test_with_one_seed_the_margin_is_wilson_s_for_the_test_images() -> None:
    alone = variant("alone", [90], images=400)
    assert alone.std is None
    assert alone.top1_ci95 == pytest.approx((0.8667, 0.9257), abs=1e-4)  # 360 of 400
    assert alone.ci95_source == "images"


def test_two_contestants_are_held_against_each_other_by_the_paired_t_test() -> None:
    tops = [[90.0, 91.5, 93.0, 92.0], [91.0, 92.4, 94.5, 92.6]]
    a, b = variant("a", tops[0]), variant("b", tops[1])
    interval = ttest_rel(tops[1], tops[0]).confidence_interval(0.95)
    found = comparison(a, b)
    assert 100 * found.significance_threshold(a, b) == pytest.approx((interval.high - interval.low) / 2)
    assert 100 * found.difference(b, a) == pytest.approx((interval.high + interval.low) / 2)
    assert interval.low > 0 and found.is_significant(a, b)


def test_three_contestants_are_held_against_each_other_as_by_hand() -> None:
    # Means of rows 91, 92, 95; of columns 91 2/3, 93, 93 1/3. The residuals are 0, -1/3, 1/3 for a
    # and c and 0, 2/3, -2/3 for b: sum of squares 4/3 with 4 degrees of freedom. The table of the
    # studentised range has 5.04 for 3 means.
    found = comparison(A, B, C)
    assert 100 * found.significance_threshold(A, B) == pytest.approx(
        5.04 * (4 / 3 / 4) ** 0.5 / 3**0.5, rel=1e-3
    )
    assert not found.is_significant(A, B)
    assert found.is_significant(B, C) and found.is_significant(C, A)
    assert found.best is C and found.indistinguishable_from_best == []


def test_what_a_seed_does_to_all_contestants_cancels() -> None:
    other = comparison(variant("a", [90, 71, 92]), variant("b", [91, 73, 92]), C_OF_A_BAD_SEED)
    assert other.least_significant_difference == pytest.approx(
        comparison(A, B, C).least_significant_difference
    )


C_OF_A_BAD_SEED = variant("c", [94, 75, 96])


def test_the_same_difference_in_all_seeds_is_known_to_an_image_only() -> None:
    # One image of 1000 more each time: the paired deviation is 0, which cannot be believed.
    a, b = variant("a", [90.0, 91.0, 92.0]), variant("b", [90.1, 91.1, 92.1])
    found = comparison(a, b)
    assert found.significance_threshold(a, b) == pytest.approx(4.303 * 0.001 / 3**0.5, rel=1e-3)
    assert not found.is_significant(a, b)


def test_equal_contestants_are_rarely_told_apart() -> None:
    rng = random.Random(0)
    trials, wrong = 400, 0
    for _ in range(trials):
        shifts = [rng.gauss(0, 3) for _ in range(3)]
        rows = [[80 + shift + rng.gauss(0, 0.5) for shift in shifts] for _ in range(5)]
        found = comparison(*(variant(f"{number}", row) for number, row in enumerate(rows)))
        ordered = sorted(found.variants, key=lambda each: each.mean)
        wrong += found.is_significant(ordered[0], ordered[-1])
    # 5% are expected of the pair that lies farthest apart; the standard error is 1.1%.
    assert 0.02 <= wrong / trials <= 0.085


def test_with_one_seed_only_the_test_images_count() -> None:
    a, b, c = variant("a", [90], images=400), variant("b", [93], images=400), variant("c", [60])
    found = comparison(a, b, c)
    # Wilson of 360 and of 372 in 400: margins 2.95 and 2.51 points.
    assert found.significance_threshold(a, b) == pytest.approx((0.0295**2 + 0.0251**2) ** 0.5, rel=5e-3)
    assert not found.is_significant(a, b) and found.is_significant(b, c)


def test_with_one_seed_and_known_outcomes_the_difference_is_paired_by_image() -> None:
    # b is right on the 360 images of a and on 12 more, of 400
    numbers = np.arange(400)
    a, b = (
        replace(each, results=(replace(each.results[0], outcomes=pack_outcomes(numbers < right)),))
        for each, right in ((variant("a", [90], images=400), 360), (variant("b", [93], images=400), 372))
    )
    found = comparison(a, b)
    # 12 differences of 1 around the mean of 0.03, and one image for each alone
    expected = 1.96 * (12 - 400 * 0.03**2 + 2) ** 0.5 / 400
    assert found.significance_threshold(a, b) == pytest.approx(expected)
    assert found.is_significant(a, b)


def test_differences_are_taken_over_the_seeds_that_all_share() -> None:
    a = variant("a", {0: 10, 1: 90, 2: 91})
    b = variant("b", {1: 91, 2: 93, 3: 50})
    found = comparison(a, b)
    assert found.seeds == (1, 2) and not found.complete
    assert 100 * found.difference(b, a) == pytest.approx(1.5)
    assert "2 shared seeds" in comparison_text(found)


# The residuals of A and B are 0, 1/2, -1/2 and their opposites: 4.303 * sqrt(2 * 1/2 / 3) is 2.48.
@pytest.mark.parametrize(
    ("variants", "parts"),
    [
        ((A, B, C), ("c", "95.0% (92.5 to 97.5)", "1,000 test images", "3 seeds", "1.7 pp")),
        ((A, B), ("b", "92.0% (89.5 to 94.5)", "indistinguishable from it (95%): a.", "3 seeds", "2.5 pp")),
        ((A,), ("a: 91.0% (88.5 to 93.5)", "1,000 test images")),
    ],
)
def test_the_text_names_the_best_its_equals_and_the_least_significant_difference(
    variants: tuple[Variant, ...], parts: tuple[str, ...]
) -> None:
    text = comparison_text(comparison(*variants))
    assert [part for part in parts if part not in text] == []
    assert ("indistinguishable" in text) == (len(variants) == 2)


def test_with_one_seed_the_text_excludes_seed_noise() -> None:
    one_seed = {"a": 90, "b": 93, "c": 60}
    text = comparison_text(
        comparison(*(variant(name, [top1], images=400) for name, top1 in one_seed.items()))
    )
    assert "1 seed" in text and "3.9 pp" in text and "seed noise is not included" in text


def test_the_text_counts_equals_when_they_are_many() -> None:
    many = [variant(f"network {number}", [90 + number / 10, 92, 88]) for number in range(8)]
    assert "7 of 7 others" in comparison_text(comparison(*many))
    assert "network 0, network 1 and network 2" in comparison_text(comparison(*many[:4]))


def test_a_contestant_needs_a_result_and_one_name_and_one_result_a_seed() -> None:
    with pytest.raises(ValueError, match=r"a: .*result"):
        variant("a", [])
    with pytest.raises(ValueError, match=r"a: .*seed"):
        replace(A, results=(*A.results, A.results[0]))
    with pytest.raises(ValueError, match="unique names"):
        comparison(A, replace(B, name="a"))


def test_a_row_holds_the_latency_against_the_reference_and_against_the_first() -> None:
    row = comparison_row(comparison(A, B), B)
    assert (row["latency_ms"], row["latency_ratio"]) == (0.5, 0.25)
    assert (row["latency_ratio_low"], row["latency_ratio_high"]) == (
        pytest.approx(0.225),
        pytest.approx(0.3),
    )
    assert row["latency_vs_first"] == pytest.approx(0.5)
    # Of a contestant after one that was not measured, only the former is known.
    row = comparison_row(comparison(C, B), B)
    assert (row["latency_ratio"], row["latency_vs_first"]) == (0.25, None)


def test_a_latency_that_the_device_did_not_give_is_unknown() -> None:
    broken = replace(A, latency=failed_latency("no such operator"))
    row = comparison_row(comparison(broken), broken)
    names = [name for name in COLUMNS if name.startswith("latency")]
    assert [row[name] for name in names] == [None] * 5


def test_a_row_holds_means_over_the_seeds() -> None:
    row = comparison_row(comparison(A, B, C), A)
    assert (row["test_top1"], row["validation_top1"]) == (pytest.approx(0.91), pytest.approx(0.92))
    assert (row["n_seeds"], row["seconds"], row["test_loss"]) == (3, pytest.approx(31), 0.5)
    assert (row["gap_to_best"], row["differs_from_best"]) == (pytest.approx(0.04), True)
    assert comparison_row(comparison(A, B, C), C)["differs_from_best"] is None


def test_csv_and_frame_have_a_row_a_contestant_in_the_order_given() -> None:
    found = comparison(C, A, B)
    read = pandas.read_csv(StringIO(to_csv(found)))
    assert tuple(read.columns) == COLUMNS == tuple(comparison_rows(found).columns)
    assert list(read["name"]) == ["c", "a", "b"]
    assert list(read["latency_ms"].isna()) == [True, False, False]


def test_the_csv_of_trainings_has_a_row_a_training() -> None:
    read = pandas.read_csv(StringIO(results_csv(comparison(A, B))))
    assert list(zip(read["name"], read["seed"], strict=True)) == [
        (name, s) for name in "ab" for s in range(3)
    ]
    assert list(read["top1"]) == pytest.approx([0.90, 0.91, 0.92, 0.91, 0.93, 0.92])
    assert list(read["seconds"]) == [30, 31, 32] * 2


def test_the_dict_is_json_without_nan_and_repeats_the_verdict() -> None:
    found = comparison(A, replace(B, latency=failed_latency("no such operator")))
    told = json.loads(json.dumps(comparison_dict(found), allow_nan=False))
    assert told["verdict"] == comparison_text(found)
    assert [row["name"] for row in told["variants"]] == ["a", "b"]
    assert len(told["trainings"]) == 6


def test_networks_at_chance_have_no_order() -> None:
    # Of 1000 images, 560 of one class: 582 right answers are P(X >= 582) = 8.5%, 600 are 0.6%.
    trivial = TrivialAccuracy.of([560, 440], ["cat", "dog"])
    found = replace(comparison(variant("a", [58.2, 57.9]), variant("b", [43.0, 45.0])), trivial=trivial)
    text = comparison_text(found)
    assert text.startswith("None of them is better (95%) than the constant answer 'cat' (56.0%)")
    assert "Highest" not in text
    assert "gap" not in table_rows(found)[0]
    told = comparison_dict(found)
    assert (told["chance"], told["majority_class"], told["majority_share"]) == (0.5, "cat", 0.56)
    assert [row["better_than_majority"] for row in told["variants"]] == [False, False]
    mixed = replace(comparison(variant("a", [60, 60]), variant("b", [44, 45])), trivial=trivial)
    assert comparison_text(mixed).startswith("Highest accuracy: a")
    assert comparison_dict(mixed)["warnings"] == [
        "not better (95%) than the constant answer 'cat' (56.0%): b"
    ]


def test_few_test_images_give_a_warning() -> None:
    found = comparison(variant("a", [50], images=36), variant("b", [75], images=36))
    assert any("few test images (36): one image is worth 2.8 percentage points" in each
               for each in comparison_dict(found)["warnings"])  # fmt: skip


def test_the_table_puts_what_may_be_an_accident_in_brackets() -> None:
    columns, rows = table_rows(comparison(A, B))
    assert rows[0] == [
        "a", "3", "91.0", "88.5 to 93.5", "(1.0)", "91.0", "92.0", "0.500", "1.00 ms", "1.00x", "2M", "50K",
        "31 s",
    ]  # fmt: skip
    assert columns[:5] == ["network", "n_seeds", "test %", "95% CI", "gap"]
    assert [row[4] for row in rows] == ["(1.0)", "–"]
    behind = [row[4] for row in table_rows(comparison(A, B, C))[1]]
    assert behind == ["4.0", "3.0", "–"]


def test_the_table_leaves_out_columns_that_tell_nothing() -> None:
    columns, _ = table_rows(comparison(C))
    assert not {"latency", "vs first", "gap"} & set(columns)
    columns, _ = table_rows(replace(comparison(A, B), factor="augmentations"))
    assert columns == [
        "augmentation", "n_seeds", "test %", "95% CI", "gap", "balanced %", "validation %", "loss", "training"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (3570, "1 h 0 min"), (12000, "3 h 20 min")],
)
def test_a_duration_has_the_units_that_a_reader_would_use(seconds: float, words: str) -> None:
    assert duration(seconds) == words
