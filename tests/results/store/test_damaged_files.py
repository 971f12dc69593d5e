"""Files of an experiment that were damaged: one error that names the file, or what is still readable."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bneck.results import Run
from bneck.results.store.experiment import Experiment
from bneck.results.store.netadapt_run import NetAdaptRun
from bneck.results.store.open_experiment import open_experiment
from bneck.results.store.seed_study import SeedStudy, SeedTraining
from bneck.results.store.training_run import TrainingRun
from bneck.search_space import BneckError

from ..example_adaptation import path_rows
from ..example_run import baseline, example_run
from ..example_run import check as verified
from .test_experiment import EXAMPLES


def flipped(content: bytes, seed: int, bits: int) -> bytes:
    """Some bits changed at random."""
    rng, changed = random.Random(seed), bytearray(content)
    for _ in range(bits):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def damages(content: bytes, *, seeds: int = 6) -> Iterator[bytes]:
    yield from (b"", content[: len(content) // 2], bytes(len(content)), b"\xe9\xff\xfe" + content)
    yield from (b"[]\n", b"{}\n", b"null\n", b"[" * 1_000, b'"text"\n')
    for seed in range(seeds):
        yield flipped(content, seed, 1 + len(content) // 300)
        yield flipped(content, seed, 1)


def check(file: Path, read: Callable[[], object], *, seeds: int = 6) -> int:
    """Damage a file in many ways and read it; returns how often it was refused."""
    content, refused = file.read_bytes(), 0
    for damaged in damages(content, seeds=seeds):
        file.write_bytes(damaged)
        try:
            read()
        except BneckError as error:
            refused += 1
            assert len(str(error).splitlines()) == 1, str(error)
            assert file.name in str(error) or str(file.parent) in str(error)
    file.unlink()
    file.mkdir()
    try:
        read()
    except BneckError as error:
        assert len(str(error).splitlines()) == 1, str(error)
    file.rmdir()
    file.write_bytes(content)
    read()
    return refused


@pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.__name__)
def test_damaged_settings_are_one_error(kind: type[Experiment[Any]], tmp_path: Path) -> None:
    created = kind.create(tmp_path / "x", EXAMPLES[kind])
    assert check(created.folder / kind.SETTINGS_NAME, lambda: open_experiment(created.folder)) > 9


@pytest.mark.parametrize("kind", [TrainingRun, NetAdaptRun])
def test_a_damaged_result_is_one_error(kind: type[Experiment[Any]], tmp_path: Path) -> None:
    created = kind.create(tmp_path / "x", EXAMPLES[kind])
    created.save_result(dict.fromkeys(kind.RESULT_KEYS, 0.5))
    assert check(created.result_file, created.result) > 9


def test_a_damaged_table_of_trainings_is_one_error(tmp_path: Path) -> None:
    study = SeedStudy.create(tmp_path / "x", EXAMPLES[SeedStudy])
    rows = [SeedTraining("0" * 12, 1000, seed, 0.5, 0.5, 0.7, 1.0) for seed in range(4)]
    study.save_trainings(rows)
    check(study.trainings_file, study.trainings)
    assert study.trainings() == rows


def test_a_damaged_path_is_one_error(tmp_path: Path) -> None:
    run = NetAdaptRun.create(tmp_path / "x", EXAMPLES[NetAdaptRun])
    run.write_path(path_rows())
    assert check(run.folder / "path.json", run.path) > 9


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("trial_params", "distribution_json", "{"),
        ("trial_params", "distribution_json", '{"name": "CatmgoricalDistribution", "attributes": {}}'),
        ("trial_params", "distribution_json", "{}"),
        ("trial_user_attributes", "value_json", '{"ratio'),
        ("trial_user_attributes", "value_json", '{"clmck": 1}'),
        ("study_user_attributes", "value_json", "{"),
        ("study_user_attributes", "value_json", '{"resolution_qx": []}'),
        ("study_user_attributes", "value_json", b"\xff"),
    ],
)
def test_a_study_with_broken_values_is_one_error_that_names_its_file(
    table: str, column: str, value: str | bytes, tmp_path: Path
) -> None:
    folder = example_run(
        tmp_path / "x", baselines=[baseline()], verifications={"0" * 12: verified(0.3, 0.8)}
    ).folder
    with closing(sqlite3.connect(folder / "study.db")) as database:
        database.execute(f"update {table} set {column} = cast(? as text)", (value,))
        database.commit()
    damaged = (folder / "study.db").read_bytes()
    errors = []
    for read in (Run.records, Run.front, Run.baselines, Run.verifications, Run.best):
        try:
            read(Run.open(folder))
        except BneckError as error:
            errors.append(str(error))
    assert errors
    for text in errors:
        assert len(text.splitlines()) == 1
        assert str(folder) in text
    assert (folder / "study.db").read_bytes() == damaged


def test_a_damaged_study_file_is_one_error(tmp_path: Path) -> None:
    folder = example_run(tmp_path / "x").folder
    for damaged in (b"", b"SQLite format 3\0" + bytes(5000), (folder / "study.db").read_bytes()[:9000]):
        (folder / "study.db").write_bytes(damaged)
        with pytest.raises(BneckError, match=r"study\.db") as error:
            Run.open(folder).records()
        assert len(str(error.value).splitlines()) == 1
        assert (folder / "study.db").read_bytes() == damaged
