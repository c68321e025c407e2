"""The documents: what is generated is up to date, and what the others point at is there."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("events/*.md")]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
FOLDERS = ["docs", "events", "functions", "layers", "tests", "tools"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE) if anchor else []
        assert not anchor or anchor in {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_that_is_named_exists(document: Path) -> None:
    if document.name == "CHANGELOG.md":
        return
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]+)`", document.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_make_command_exists(document: Path) -> None:
    text = document.read_text()
    commands = re.findall(r"(?:^\$ |`|\()make (?:-s )?([a-z-]+(?: [a-z-]+)*)", text, re.MULTILINE)
    assert {target for command in commands for target in command.split()} <= TARGETS


@pytest.mark.parametrize(
    ("target", "document"), [("openapi", "docs/openapi.json"), ("events", "docs/events/SessionCreated.json")]
)
def test_what_make_writes_is_what_is_committed(target: str, document: str, tmp_path: Path) -> None:
    dry_run = ["make", "-n", "--no-print-directory", target]
    recipe = subprocess.run(dry_run, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    shell = ["sh", "-c", recipe.replace(document, str(tmp_path / "document"))]
    subprocess.run(shell, cwd=ROOT, env={"PATH": os.environ["PATH"]}, check=True)
    assert (tmp_path / "document").read_text() == (ROOT / document).read_text(), f"run make {target}"
