"""Files of an experiment that were damaged: one error that names the file, or what is still readable."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bneck.results.store.experiment import Experiment
from bneck.results.store.netadapt_run import NetAdaptRun
from bneck.results.store.open_experiment import open_experiment
from bneck.results.store.seed_study import SeedStudy, SeedTraining
from bneck.results.store.training_run import TrainingRun
from bneck.search_space import BneckError

from ..example_adaptation import path_rows
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
