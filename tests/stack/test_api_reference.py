"""docs/api.md as its reader uses it: each snippet is run as it stands, and prints what the page shows below it.

A snippet is a fenced block. One that begins with a file's name, as a comment, is saved under that name; all share one
folder. One of bash is run there; one of json or text is what the one above it prints. Those marked `not-run` are not.
"""

import json
import os
import re
import shutil
import sys
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT
from stack.conftest import Stack, run_bash

PAGE = (ROOT / "docs/api.md").read_text()
SESSION_ID = re.compile(r"\b[0-9a-f]{32}\b")
DATE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")


class Snippet(NamedTuple):
    above: str
    """The paragraph above it."""
    language: str
    mark: str
    content: str


SNIPPETS = [
    Snippet(PAGE[: fence.start()].split("\n\n")[-2], *fence.groups())
    for fence in re.finditer(r"^```(\w+) ?(.*)\n((?:.*\n)*?)```$", PAGE, re.MULTILINE)
]
FILES = {
    named[1]: snippet.content for snippet in SNIPPETS if (named := re.match(r"(?:#|//) (\S+\.\w+)\n", snippet.content))
}
SET_UP, *COMMANDS = [snippet.content for snippet in SNIPPETS if snippet.language == "bash" and not snippet.mark]
SHOWN = {
    snippet.content: after.content
    for snippet, after in pairwise(SNIPPETS)
    if snippet.language == "bash" and after.language in {"json", "text"}
}
NEEDS_NODE = pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="Node.js is not here")


def run(command: str, folder: Path, environment: dict[str, str]) -> str:
    """What a command prints, which must succeed."""
    return run_bash(command, folder, os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"} | environment, 60)


def mask(printed: str) -> str:
    """JSON in one form, and the text without what differs each time: the same id or date is the same mark."""
    try:
        printed = json.dumps(json.loads(printed))
    except ValueError:
        printed = printed.strip()
    printed = re.sub(r'"requestId": ?"[^"]+"', '"requestId":""', printed)
    marks: dict[str, str] = {}
    return re.sub(
        f"{SESSION_ID.pattern}|{DATE.pattern}", lambda each: marks.setdefault(each[0], f"<{len(marks)}>"), printed
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader's folder, with the programs in it, and what the page has them install."""
    folder = tmp_path_factory.mktemp("reader")
    for name, content in FILES.items():
        (folder / name).write_text(content)
    (folder / "node_modules").symlink_to(ROOT / "tests/clients/node_modules")
    return folder


@pytest.fixture(scope="module")
def environment(stack: Stack) -> dict[str, str]:
    """The variables that the first snippet sets, in the repository, with the tests' own stack for the developer's."""
    variables = ["BASE_URL", "TOKEN"]
    show = "".join(f'\necho "${name}"' for name in variables)
    values = run(SET_UP + show, ROOT, {"MAKEFLAGS": f" -- STATE={stack.state}"}).split()
    return dict(zip(variables, values, strict=True)) | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "NPM_CONFIG_OFFLINE": "true",
        "NPM_CONFIG_UPDATE_NOTIFIER": "false",
        "NPM_CONFIG_LOGLEVEL": "error",
    }


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(
            command,
            marks=NEEDS_NODE if command.startswith("npx") else (),
            id=f"line-{PAGE[: PAGE.index(command)].count('\n') + 1}",
        )
        for command in COMMANDS
    ],
)
def test_a_snippet_prints_what_the_page_shows(
    command: str, folder: Path, environment: dict[str, str], stack: Stack, token: str
) -> None:
    printed = run(command, folder, environment)
    assert mask(printed) == mask(SHOWN[command])
    for session_id in SESSION_ID.findall(printed):
        session = stack.get(session_id, token)
        assert (session.status, session.json()["createdBy"]) == (200, "ada")


@pytest.mark.parametrize("file", FILES)
def test_each_program_is_run_and_shows_a_session(file: str) -> None:
    stem = Path(file).stem
    [shown] = [shown for command, shown in SHOWN.items() if re.search(rf"\b{stem}\.(py|mts)\b", command)]
    assert SESSION_ID.search(shown)


def test_what_is_not_run_says_so() -> None:
    marked = [snippet for snippet in SNIPPETS if snippet.mark]
    assert {snippet.mark for snippet in marked} == {"not-run"}
    assert {snippet.language for snippet in marked} == {"bash", "swift", "csharp"}
    assert all("not run" in snippet.above.lower() for snippet in marked)
    run_or_saved = [snippet.content for snippet in SNIPPETS if not snippet.mark]
    assert set(run_or_saved) == {SET_UP, *COMMANDS, *SHOWN.values(), *FILES.values()}


def test_the_page_installs_the_versions_that_the_tests_have() -> None:
    installed = dict(
        re.findall(r"(\S+?)(?:==|(?<=\w)@)(\d\S*)", " ".join(each.content for each in SNIPPETS if each.mark))
    )
    package = json.loads((ROOT / "tests/clients/package.json").read_text())
    node = package["dependencies"] | package["devDependencies"]
    assert installed == node | {"servicestack": version("servicestack")}
