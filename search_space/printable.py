"""Foreign text for terminals, pages and messages: control characters become visible escapes."""

import re

# C0 and C1 controls, line separators, bidirectional overrides and isolates, halves of surrogate pairs
_CONTROL = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_IN_ONE_LINE = re.compile(f"[{_CONTROL}]")
_IN_LINES = re.compile(f"(?![\n\t])[{_CONTROL}]")


def printable(text: str) -> str:
    r"""The text in one line, safe to print: ESC becomes `\x1b`, a line break `\n`.

    Without it, a file or class name could move the cursor, set the title of the terminal or reorder a line.
    """
    return _IN_ONE_LINE.sub(_escape, text)


def printable_lines(text: str) -> str:
    """The same for text of several lines, whose line breaks and tabs stay."""
    return _IN_LINES.sub(_escape, text)


def _escape(matched: re.Match[str]) -> str:
    return matched[0].encode("unicode_escape").decode("ascii")


def utf8_problem(name: str) -> str | None:
    """Why reports and model files, which are UTF-8, cannot hold a name, in one line; None if they can.

    Names of files in Latin-1 have halves of surrogate pairs in place of the bytes that are not UTF-8.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return f"the name '{printable(name)}' is not UTF-8; rename it, for example with convmv"
    return None
