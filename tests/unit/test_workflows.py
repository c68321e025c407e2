"""The rights of the GitHub workflows, and their order. actionlint checks the rest."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT

type Job = dict[str, Any]

FILES = {path.stem: path.read_text() for path in (ROOT / ".github/workflows").iterdir()}
# Values stay text, because PyYAML reads YAML 1.1, in which `on` means true.
WORKFLOWS = {name: yaml.load(text, yaml.BaseLoader) for name, text in FILES.items()}  # noqa: S506 (creates no objects)
JOBS = {f"{workflow}/{name}": job for workflow, each in WORKFLOWS.items() for name, job in each["jobs"].items()}
DEPLOYING = {"dev/deploy": "dev", "prod/changeset": "prod-changeset", "prod/deploy": "prod"}


def needed(workflow: str, name: str) -> set[str]:
    """Return the jobs that must succeed before this one starts."""
    need = WORKFLOWS[workflow]["jobs"][name].get("needs")
    return {need, *needed(workflow, need)} if need else set()


def test_pull_requests_are_tested_and_only_main_and_releases_are_deployed() -> None:
    assert {name: workflow["on"] for name, workflow in WORKFLOWS.items()} == {
        "test": {"pull_request": "", "workflow_call": ""},
        "dev": {"push": {"branches": ["main"]}},
        "prod": {"release": {"types": ["released"]}},
    }
    assert [step.get("run", "").partition(" #")[0] for step in JOBS["test/test"]["steps"]] == ["", "make test"]


@pytest.mark.parametrize("workflow", FILES)
def test_every_action_is_pinned_to_a_commit_and_names_its_version(workflow: str) -> None:
    uses = re.findall(r"uses: (.*)", FILES[workflow])
    assert uses
    for each in uses:
        assert re.fullmatch(r"\./\.github/workflows/test\.yml|[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)


def test_uv_which_installs_everything_else_is_pinned_by_hash() -> None:
    installs = re.findall(r"pip\" install .*", (ROOT / "Makefile").read_text())
    assert [("--require-hashes -r tools/uv.txt" in each) for each in installs] == [True]
    assert re.search(r"^uv==[\d.]+ \\\n +--hash=sha256:", (ROOT / "tools/uv.txt").read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", JOBS)
def test_a_job_has_only_the_rights_that_it_needs_and_a_timeout(name: str) -> None:
    workflow, _, short = name.partition("/")
    assert WORKFLOWS[workflow]["permissions"] == {}
    read, assume = {"contents": "read"}, {"id-token": "write"}
    rights = {"dev/deploy": read | assume, "prod/changeset": read | assume, "prod/deploy": read | assume}
    assert JOBS[name]["permissions"] == rights.get(name, read)
    assert JOBS[name].get("environment") == DEPLOYING.get(name)
    assert "timeout-minutes" in JOBS[name] or "uses" in JOBS[name]  # the called workflow has a timeout
    assert ("test" in needed(workflow, short)) is (name in DEPLOYING)


@pytest.mark.parametrize("name", JOBS)
def test_no_step_runs_untrusted_text_or_keeps_a_token_on_disk(name: str) -> None:
    for step in JOBS[name].get("steps", []):
        assert "${{" not in step.get("run", "")
        assert not step.get("uses", "").startswith("actions/cache")
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"] == {"persist-credentials": "false"}


def test_a_newer_run_cancels_tests_but_never_a_deploy() -> None:
    assert {name: workflow["concurrency"]["cancel-in-progress"] for name, workflow in WORKFLOWS.items()} == {
        "test": "true",
        "dev": "false",
        "prod": "false",
    }
    # If a called workflow had its caller's concurrency group, each would wait for the other.
    assert len({workflow["concurrency"]["group"] for workflow in WORKFLOWS.values()}) == len(WORKFLOWS)


@pytest.mark.parametrize(
    ("printed", "arn"),
    [
        ("No changes to deploy. Stack sessions-prod is up to date", ""),
        (
            "Changeset created successfully. arn:aws:cloudformation:eu-west-1:1:changeSet/samcli-deploy1/2\n",
            "arn:aws:cloudformation:eu-west-1:1:changeSet/samcli-deploy1/2",
        ),
        ("Something that this version of sam does not say", None),
    ],
)
def test_a_release_without_changes_needs_no_approval(tmp_path: Path, printed: str, arn: str | None) -> None:
    """Run the step with a `make` that prints this text. tests/stack/test_first_use.py runs it with the real one."""
    (tmp_path / "make").write_text(f"#!/bin/sh\necho '{printed}'\n")
    (tmp_path / "make").chmod(0o755)
    (step,) = (step for step in JOBS["prod/changeset"]["steps"] if "run" in step)
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],  # noqa: S607
        cwd=tmp_path,
        env=step["env"]
        | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "GITHUB_OUTPUT": "output", "GITHUB_STEP_SUMMARY": "summary"},
        capture_output=True,
        check=False,
    )
    assert printed.strip() in (tmp_path / "summary").read_text()
    if arn is None:
        assert done.returncode != 0
        assert not (tmp_path / "output").exists()
    else:
        assert done.returncode == 0
        assert (tmp_path / "output").read_text() == f"arn={arn}\n"
