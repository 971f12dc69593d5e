"""Documents name files that are there, and link to pages that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMED_FILE = re.compile(r"`((?:search_space|evaluate|results|search|tests|docs)/[\w./-]+)`")
INJECTED_BY = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_links_of_a_page_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [name for name in NAMED_FILE.findall(text) if not (ROOT / name).exists()]
    missing += [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert missing == []


def test_the_table_of_places_names_one_to_three_files_for_each_change() -> None:
    rows = re.findall(
        r"^\| (add|change) [^|]+\|([^|]+)\|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE
    )
    assert len(rows) >= 15
    for _, places in rows:
        assert 1 <= len(NAMED_FILE.findall(places)) <= 3 or "same three" in places


def test_every_fault_of_the_reliability_table_names_a_test_that_exists() -> None:
    rows = [
        row
        for row in (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8").splitlines()
        if row.startswith("| ") and not row.startswith(("| fault", "| ---"))
    ]
    assert len(rows) >= 40
    for row in rows:
        tests = INJECTED_BY.findall(row)
        assert tests, row
        for file, name in tests:
            assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), row
