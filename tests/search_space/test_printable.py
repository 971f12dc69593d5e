"""Foreign text without control characters."""

import pytest

from bneck.search_space.printable import printable, printable_lines, utf8_problem


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("one\ntwo\r\tthree", r"one\ntwo\r\tthree"),
        ("\x9b2J\x07\x7f", r"\x9b2J\x07\x7f"),
        ("cat\u202egpj.exe", r"cat\u202egpj.exe"),
        ("\u2066isolated\u2069", r"\u2066isolated\u2069"),
        ("a\u2028b", r"a\u2028b"),
        ("lone \udcff half", r"lone \udcff half"),
        ("Füße, 猫, ±, 😀, e\u0301", "Füße, 猫, ±, 😀, e\u0301"),
    ],
)
def test_control_characters_become_visible(text: str, shown: str) -> None:
    assert printable(text) == shown
    shown.encode()


def test_text_of_several_lines_keeps_its_line_breaks_and_tabs() -> None:
    assert printable_lines("a\n\tb\x1b[2J\r") == "a\n\tb" + r"\x1b[2J\r"


@pytest.mark.parametrize(("name", "problem"), [("caf\u00e9 \U0001f600", False), ("caf\udce9", True)])
def test_names_that_are_not_utf8_are_found(name: str, problem: bool) -> None:
    text = utf8_problem(name)
    assert bool(text) == problem
    assert not text or (text.isprintable() and "rename" in text)
