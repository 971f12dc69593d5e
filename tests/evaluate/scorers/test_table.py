"""Scores from a file."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bneck.evaluate import Accuracy
from bneck.evaluate.scorers import EvaluationContext, Scorer, evaluator
from bneck.search_space import FileFormatError, ScorerError

from ..example_training import PLAIN, SMALL, noise_data

OTHER = replace(SMALL, resolution_px=16)


def table(folder: Path, *lines: str, encoding: str = "utf-8") -> Scorer:
    path = folder / "t.csv"
    path.write_text("".join(f"{line}\n" for line in lines), encoding=encoding)
    return evaluator(f"table:{path}", EvaluationContext(noise_data(validation=9), PLAIN))


def test_a_row_tells_all_that_it_knows(tmp_path: Path) -> None:
    judge = table(
        tmp_path,
        "note,key,top1,seed,loss,seconds",
        f'"a, b",{SMALL.key},0.75,3,0.5,12.5',
    )
    score = judge.score(SMALL, 0)
    assert score.value == 0.75
    assert score.accuracy == Accuracy(0.75, 0.5, images=9, images_seen=0, seed=3, seconds=12.5, curve=())


def test_what_a_row_does_not_know_is_not_made_up(tmp_path: Path) -> None:
    accuracy = table(tmp_path, "top1,key", f"1,{SMALL.key}").score(SMALL, 4).accuracy
    assert accuracy is not None
    assert (accuracy.top1, accuracy.seed, accuracy.seconds, accuracy.images_seen) == (1, 0, 0, 0)
    assert math.isnan(accuracy.loss)


def test_the_seed_picks_among_the_rows_of_a_network_in_their_order(tmp_path: Path) -> None:
    rows = (f"{SMALL.key},0.1", f"{OTHER.key},0.9", f"{SMALL.key},0.3", f"{SMALL.key},0.2")
    judge = table(tmp_path, "key,top1", *rows)
    assert [judge.score(SMALL, seed).value for seed in range(5)] == [0.1, 0.3, 0.2, 0.1, 0.3]
    assert [judge.score(OTHER, seed).value for seed in range(2)] == [0.9, 0.9]


def test_seeds_of_the_file_are_told_but_do_not_pick(tmp_path: Path) -> None:
    judge = table(tmp_path, "key,seed,top1", f"{SMALL.key},7,0.1", f"{SMALL.key},0,0.3")
    told = [judge.score(SMALL, seed).accuracy for seed in (0, 1)]
    assert [(each.seed, each.top1) for each in told if each] == [(7, 0.1), (0, 0.3)]


def test_a_file_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    judge = table(tmp_path, "key, top1\r", "", f"{SMALL.key}, 0.5\r", encoding="utf-8-sig")
    assert judge.score(SMALL, 0).value == 0.5


def test_a_network_without_a_row_is_named_with_the_file(tmp_path: Path) -> None:
    judge = table(tmp_path, "key,top1", f"{SMALL.key},0.5")
    message = f"{tmp_path / 't.csv'}: no row with key {OTHER.key}; add one, or train the network"
    with pytest.raises(ScorerError, match=f"^{re.escape(message)}$"):
        judge.score(OTHER, 0)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([], "1: key: missing column; the columns are: none"),
        (["key,accuracy"], "1: top1: missing column; the columns are: key, accuracy"),
        (["key,top1,top1"], "1: top1: duplicate column"),
        (["key,loss,top1, loss"], "1: loss: duplicate column"),
        (["key,top1", "a,0.5", "b"], "3: 1 values for 2 columns"),
        (["key,top1", "a,0.5", ",0.5"], "3: key: must be the key of an architecture, got an empty value"),
        (["key,top1", "a,75.2"], "2: top1: must be a fraction from 0 to 1, got 75.2"),
        (["key,top1", "a,75%"], "2: top1: must be a number of at least 0, got '75%'"),
        (["key,top1", "a,-0.1"], "2: top1: must be a number of at least 0, got '-0.1'"),
        (["key,top1", "a,nan"], "2: top1: must be a number of at least 0, got 'nan'"),
        (["key,top1,loss", "a,0.5,inf"], "2: loss: must be a number of at least 0, got 'inf'"),
        (["key,top1,seconds", "a,0.5,"], "2: seconds: must be a number of at least 0, got ''"),
        (["key,top1,seed", "a,0.5,1.5"], "2: seed: must be a whole number, got '1.5'"),
        (["key,top1,seed", "a,0.5,1", "b,0.5,1", "a,0.6,1"], "4: seed: duplicate seed 1 for key a"),
        (["key,top1", 'a,"0.5'], "2: invalid CSV: unexpected end of data"),
    ],
)
def test_a_broken_file_is_told_by_line_and_column(tmp_path: Path, lines: list[str], problem: str) -> None:
    with pytest.raises(FileFormatError, match=f"^{re.escape(f'{tmp_path}/t.csv:{problem}')}$"):
        table(tmp_path, *lines)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    with pytest.raises(FileFormatError, match=f"^{re.escape(str(path))}: cannot be read: No such file or"):
        evaluator(f"table:{path}", EvaluationContext(noise_data(), PLAIN))


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"key,top1\n\xff,0.5\n")
    with pytest.raises(FileFormatError, match=r"t\.csv: cannot be read: no UTF-8 text$"):
        evaluator(f"table:{path}", EvaluationContext(noise_data(), PLAIN))
