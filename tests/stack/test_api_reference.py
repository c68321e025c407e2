"""The snippets of docs/api.md: each runs unchanged, and prints the output that the page shows.

A snippet is a fenced block. A snippet that begins with the name of a file, in a comment, is saved under that name. All
snippets share one folder. A bash snippet runs there, and the json or text block below it shows the output. The mark
`not-run` excludes a snippet.
"""

import json
import os
import re
import shutil
import sys
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import ROOT
from markdown import read_code_blocks
from stack.conftest import Stack, run_bash

SESSION_ID = re.compile(r"\b[0-9a-f]{32}\b")
DATE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")

SNIPPETS = read_code_blocks(ROOT / "docs/api.md")
FILES = {
    named[1]: snippet.content for snippet in SNIPPETS if (named := re.match(r"(?:#|//) (\S+\.\w+)\n", snippet.content))
}
BASH = [snippet for snippet in SNIPPETS if snippet.language == "bash" and not snippet.info]
SET_UP = "".join(snippet.content for snippet in BASH if snippet.content.startswith("export "))
COMMANDS = [snippet for snippet in BASH if not snippet.content.startswith("export ")]
SHOWN = {
    snippet.content: after.content
    for snippet, after in pairwise(SNIPPETS)
    if snippet.language == "bash" and after.language in {"json", "text"}
}
NEEDS_NODE = pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="Node.js is not installed")


def run(command: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a command that must succeed, and return its output. Applications have no AWS credentials."""
    shell = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return run_bash(command, folder, shell | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"} | environment, 60)


def mask(printed: str) -> str:
    """Return JSON in one form, and text, with equal marks for equal ids and dates, which differ in each run."""
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
    """The folder in which the snippets run, with the programs and the packages that the page installs."""
    folder = tmp_path_factory.mktemp("reader")
    for name, content in FILES.items():
        (folder / name).write_text(content)
    (folder / "node_modules").symlink_to(ROOT / "tests/clients/node_modules")
    return folder


@pytest.fixture(scope="module")
def environment(stack: Stack) -> dict[str, str]:
    """The variables that the page exports in the repository, for the stack of the tests."""
    variables = re.findall(r"^export (\w+)=", SET_UP, re.MULTILINE)
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
            command.content,
            marks=NEEDS_NODE if command.content.startswith("npx") else (),
            id=f"line-{command.line}",
        )
        for command in COMMANDS
    ],
)
def test_a_snippet_prints_the_output_that_the_page_shows(
    command: str, folder: Path, environment: dict[str, str], stack: Stack, token: str
) -> None:
    printed = run(command, folder, environment)
    assert mask(printed) == mask(SHOWN[command])
    for session_id in SESSION_ID.findall(printed):
        session = stack.get(session_id, token)
        assert (session.status, session.json()["createdBy"]) == (200, "ada")


@pytest.mark.parametrize("file", FILES)
def test_each_program_runs_and_shows_a_session(file: str) -> None:
    stem = Path(file).stem
    [shown] = [shown for command, shown in SHOWN.items() if re.search(rf"\b{stem}\.(py|mts)\b", command)]
    assert SESSION_ID.search(shown)


def test_a_snippet_runs_or_the_page_says_that_it_does_not() -> None:
    marked = [snippet for snippet in SNIPPETS if snippet.info]
    assert {snippet.info for snippet in marked} == {"not-run"}
    assert {snippet.language for snippet in marked} == {"bash", "swift", "csharp"}
    assert all("not run" in snippet.above.lower() for snippet in marked)
    commands = [snippet.content for snippet in BASH]
    run_or_saved = [snippet.content for snippet in SNIPPETS if not snippet.info]
    assert set(run_or_saved) == {*commands, *SHOWN.values(), *FILES.values()}


def test_the_page_installs_the_versions_that_the_tests_use() -> None:
    installed = dict(
        re.findall(r"(\S+?)(?:==|(?<=\w)@)(\d\S*)", " ".join(each.content for each in SNIPPETS if each.info))
    )
    package = json.loads((ROOT / "tests/clients/package.json").read_text())
    node = package["dependencies"] | package["devDependencies"]
    assert installed == node | {name: version(name) for name in ("pycognito", "servicestack")}
