"""Commands, code and databases that only a file names."""

import copy
import pickle
from typing import get_args

import pytest

from bneck.evaluate.trust import FromFile, Kind, from_file, is_active, require_trusted, trusting
from bneck.search_space import TrustError

PLACE = "runs/x/run.yaml:7: latency.backend"
COMMAND = "command:./on-phone.sh {onnx}"
HARMLESS: list[tuple[Kind, str]] = [
    ("latency backend", "onnxruntime"),
    ("data set", "digits"),
    ("data set", "folder:photos"),
    ("data set", "folder:/data/photos"),
    ("data set", "torchvision:CIFAR10"),
    ("evaluator", "train"),
    ("evaluator", "supernet:tiny"),
    ("evaluator", "table:scores"),
    ("evaluator", "finetuned-supernet:/tmp/tiny.safetensors"),
    ("sampler", "ehvi"),
    ("storage", ""),
    ("storage", "<RDBStorage>"),
]
HARMFUL: list[tuple[Kind, str]] = [
    ("latency backend", COMMAND),
    ("latency backend", "package.phone:backend"),
    ("data set", "package:data"),
    ("evaluator", "package.module:Evaluator.make"),
    ("sampler", "os:abort"),
    ("storage", "sqlite:////tmp/elsewhere.db"),
    ("storage", "postgresql://host/studies"),
    ("data root", "/tmp/data"),
]


@pytest.mark.parametrize(("kind", "text"), HARMLESS)
def test_names_of_what_is_built_in_need_no_trust(kind: Kind, text: str) -> None:
    assert not is_active(kind, text)
    require_trusted(from_file(text, kind, PLACE))


@pytest.mark.parametrize(("kind", "text"), HARMFUL)
def test_what_runs_code_connects_or_writes_elsewhere_is_refused(kind: Kind, text: str) -> None:
    value = from_file(text, kind, PLACE)
    assert value == text
    with pytest.raises(TrustError, match=r"^runs/x/run\.yaml:7: latency\.backend: ") as raised:
        require_trusted(value)
    assert text in str(raised.value)
    assert "\n" not in str(raised.value)


def test_every_kind_has_a_case() -> None:
    assert {kind for kind, _ in HARMFUL} | {"link"} == set(get_args(Kind))


def test_what_the_user_gave_too_is_used() -> None:
    with trusting(given=[COMMAND]):
        require_trusted(from_file(COMMAND, "latency backend", PLACE))
        with pytest.raises(TrustError):
            require_trusted(from_file(COMMAND + " ", "latency backend", PLACE))
    with pytest.raises(TrustError):
        require_trusted(from_file(COMMAND, "latency backend", PLACE))


def test_everything_is_trusted_on_request_and_only_inside() -> None:
    with trusting(True), trusting():
        kept = from_file(COMMAND, "latency backend", PLACE)
    require_trusted(kept)
    assert type(kept) is str
    assert isinstance(from_file(COMMAND, "latency backend", PLACE), FromFile)


def test_a_storage_is_the_same_without_its_password() -> None:
    with trusting(given=["postgresql://ada:s3cret@db/x"]):
        require_trusted(from_file("postgresql://ada@db/x", "storage", PLACE))


def test_the_remedy_is_an_option_that_the_command_has() -> None:
    value = from_file(COMMAND, "latency backend", PLACE)
    with trusting(options=["--latency-backend"]), pytest.raises(TrustError) as raised:
        require_trusted(value)
    assert f"--latency-backend '{COMMAND}' again, or --trust" in str(raised.value)
    with trusting(options=["--json"]), pytest.raises(TrustError) as raised:
        require_trusted(value)
    assert "--latency-backend" not in str(raised.value)
    assert "--trust" in str(raised.value)
    with pytest.raises(TrustError, match="trust=True"):
        require_trusted(value)


def test_a_password_in_a_file_is_not_shown() -> None:
    with pytest.raises(TrustError) as raised:
        require_trusted(from_file("postgresql://ada:s3cret@db/x", "storage", PLACE))
    assert "s3cret" not in str(raised.value)


def test_a_mark_survives_copies_and_other_processes() -> None:
    value = from_file(COMMAND, "latency backend", PLACE)
    for copied in (copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert copied == COMMAND
        with pytest.raises(TrustError, match=r"run\.yaml:7"):
            require_trusted(copied)
