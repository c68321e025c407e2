"""The documents: generated parts are up to date, and links, paths and commands exist."""

import re
from itertools import takewhile
from pathlib import Path

import pytest
from conftest import ROOT
from markdown import read_code_blocks, read_code_spans, read_headings, read_links

from docs.pages import DOCUMENTS
from docs.reference import make_field_error_table

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("events/*.md")]
TARGETS = set(re.findall(r"^([a-z-]+)(?: [a-z-]+)*:", (ROOT / "Makefile").read_text(), re.MULTILINE))
FOLDERS = ("docs/", "events/", "functions/", "layers/", "tests/", "tools/")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_generated_document_is_up_to_date(path: str) -> None:
    assert (ROOT / path).read_text() == DOCUMENTS[path](), f"{path} is stale: run `make docs`"


def test_the_table_of_field_errors_has_every_code_of_the_service() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "functions/sessions").glob("*.py"))
    codes = set(re.findall(r'FieldError\(\s*"(\w+)"', sources))
    table = make_field_error_table()
    assert {code for code in codes if f"| `{code}` |" not in table} == set()


def make_anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")


@each_page
def test_every_link_leads_to_a_file_or_a_heading(page: Path) -> None:
    for link in read_links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not link.startswith("http"):
            assert target.exists(), link
            assert not anchor or anchor in map(make_anchor, read_headings(target)), link


@each_page
def test_every_named_path_exists(page: Path) -> None:
    if page.name != "CHANGELOG.md":
        named = [span for span in read_code_spans(page) if re.fullmatch(r"[\w./-]+", span) and span.startswith(FOLDERS)]
        assert [path for path in named if not (ROOT / path).exists()] == []


@each_page
def test_every_make_command_exists(page: Path) -> None:
    lines = [line.removeprefix("$ ") for block in read_code_blocks(page) for line in block.content.splitlines()]
    for command in [*read_code_spans(page), *lines]:
        program, *words = command.split() or [""]
        if program == "make":
            arguments = takewhile(lambda word: re.fullmatch("[a-z-]+", word), words)
            assert {word for word in arguments if not word.startswith("-")} <= TARGETS, command
