"""Secrets of storage URLs."""

import pytest

from bneck.search_space.urls import has_secrets, redact, without_secrets

SAFE = [
    "",
    "sqlite:////tmp/study.db",
    "sqlite:///a@b:c.db?timeout=5",
    "postgresql://ada@db.example/studies",
    "postgresql+psycopg://db.example:5432/studies?sslmode=require&sslkey=/k.pem",
    "pkg.module:make",
    "command:ssh pi@board run {onnx}",
    "<RDBStorage>",
]


@pytest.mark.parametrize("text", SAFE)
def test_a_text_without_secrets_stays(text: str) -> None:
    assert without_secrets(text) == text
    assert not has_secrets(text)


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("postgresql://ada:s3cret@db/x", "postgresql://ada@db/x"),
        ("mysql+pymysql://ada:s3%40cret@db:3306/x", "mysql+pymysql://ada@db:3306/x"),
        ("postgresql://ada:s3cret@with/at?@db/x", "postgresql://ada@db/x"),
        ("postgresql://ada:s3c?ret@db/x", "postgresql://ada@db/x"),
        ("redis://:s3cret@db:6379/0", "redis://@db:6379/0"),
        ("redis://db:6379/0?password=s3cret", "redis://db:6379/0"),
        ("postgresql://db/x?user=ada&sslpassword=s3cret&a=1", "postgresql://db/x?user=ada&a=1"),
        ("postgresql://ada:s3cret@db/x?options=a@b&PASSWORD=s3cret", "postgresql://ada@db/x?options=a@b"),
    ],
)
def test_passwords_go_wherever_they_are(url: str, public: str) -> None:
    assert without_secrets(url) == public
    assert has_secrets(url)
    assert "s3c" not in redact(f"cannot connect to {url}: s3cret is wrong", url).replace(
        "s3cret is wrong", ""
    )


def test_a_message_of_another_library_loses_the_password() -> None:
    url = "postgresql://ada:s3cret@db/x"
    assert redact("no such host in 's3cret@db', url " + url, url) == (
        "no such host in '***@db', url postgresql://ada@db/x"
    )
