"""The commands of the Makefile, in a clone with stand-ins for uv, Python and sam. Its path has spaces."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

from local_stack import emulator

FILES = ["Makefile", "template.yaml", "samconfig.toml", "pyproject.toml", "uv.lock", ".python-version", "tools/step"]
FILES += [f"tools/{file}" for file in ("uv.txt", "sam/pyproject.toml", "sam/uv.lock", "emulator/pyproject.toml")]
FILES += ["tools/emulator/uv.lock", "functions/sessions/__init__.py"]
STAND_IN = """#!/bin/sh
env >environment
echo "$@" >>calls
mkdir -p .aws-sam/build .aws-sam/local .venv/bin tools/sam/.venv/bin
cp "$0" .venv/bin/python
cp "$0" tools/sam/.venv/bin/sam
[ ! -e unplug ] || { touch .venv/half; echo 'error: no network' >&2; exit 1; }
"""
FOREIGN = {
    "UV_PROJECT_ENVIRONMENT": "/other/.venv",
    "UV_COMPILE_BYTECODE": "1",
    "UV_NO_DEV": "1",
    "PIP_USER": "1",
    "PYTHONHOME": "/other",
    "VIRTUAL_ENV": "/other/.venv",
    "CONDA_PREFIX": "/other",
    "PYENV_VERSION": "3.11.7",
    "SAM_TEMPLATE_FILE": "/other/template.yaml",
}
MAC = "awk cat cp date echo env find grep make mkdir mktemp mv rm sed sh tail touch"
AWS = {"AWS_PROFILE": "nonexistent", "AWS_CONFIG_FILE": "/other/config"}
NETWORK = {"UV_INDEX_URL": "https://index.example/simple", "PIP_CERT": "/etc/company.pem", "UV_OFFLINE": "1"}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "a clone (2)"
    for file in FILES:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, folder / file)
    (folder / "functions/a-file").touch()
    _, _, version = (ROOT / "tools/uv.txt").read_text().partition("\nuv==")
    write_program(folder / f".tools/uv-{version.split()[0]}/bin/uv", STAND_IN)
    return folder


def write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def make(clone: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run make as a developer's shell does, with these variables in its environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments],  # noqa: S607
        cwd=clone,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def read_environment(clone: Path) -> dict[str, str]:
    """Return the environment of the last program that make started."""
    return dict(line.partition("=")[::2] for line in (clone / "environment").read_text().splitlines())


@pytest.mark.parametrize("command", ["build", "deploy"])
def test_settings_for_other_projects_change_no_build_and_no_other_environment(clone: Path, command: str) -> None:
    assert make(clone, command, **FOREIGN, **NETWORK).returncode == 0
    environment = read_environment(clone)
    assert environment.keys().isdisjoint(FOREIGN)
    assert environment.items() >= NETWORK.items()


@pytest.mark.parametrize("command", ["build", "token", "smoke CONFIG=local"])
def test_a_local_command_ignores_the_developers_aws_profile(clone: Path, command: str) -> None:
    make(clone, *command.split(), **AWS)
    found = {name: value for name, value in read_environment(clone).items() if name.startswith("AWS_")}
    assert found == {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


@pytest.mark.parametrize("command", ["deploy", "smoke", "erase SESSION=acme/1", "token CONFIG=dev"])
def test_a_command_for_aws_uses_the_developers_aws_profile(clone: Path, command: str) -> None:
    make(clone, *command.split(), **AWS)
    assert read_environment(clone).items() >= AWS.items()


def test_an_interrupted_installation_is_not_taken_for_a_complete_one(clone: Path) -> None:
    (clone / "unplug").touch()
    assert "error: no network" in make(clone, ".venv/.synced").stderr
    (clone / "unplug").unlink()
    assert make(clone, ".venv/.synced").returncode == 0
    assert not (clone / ".venv/half").exists()
    (clone / "unplug").touch()
    os.utime(clone / "uv.lock", (2**32, 2**32))
    make(clone, ".venv/.synced")
    assert not (clone / ".venv/.synced").exists()


@pytest.mark.parametrize(
    ("command", "variables", "argument"),
    [
        ("start", {"PORT": "4800"}, "--port '4800'"),
        ("smoke", {"CONFIG": "prod"}, "'sessions-prod' smoke"),
        ("token", {"CONFIG": "prod"}, "'sessions-prod' token"),
        ("invoke", {"EVENT": "other.json"}, "'other.json'"),
        ("user", {"EMAIL": "o'brien$b@example.com"}, r"'o'\''brien$b@example.com'"),
    ],
)
def test_a_setting_of_a_command_can_come_from_the_environment(
    clone: Path, command: str, variables: dict[str, str], argument: str
) -> None:
    assert argument in make(clone, "--dry-run", command, **variables).stdout


def test_stop_without_a_stack_installs_nothing_and_says_so(clone: Path) -> None:
    assert make(clone, "stop").stdout == "No local stack is running.\n"
    assert not (clone / "calls").exists()


def test_the_local_configuration_is_not_deployed_to_aws(clone: Path) -> None:
    assert "CONFIG=local is the local stack: run make start" in make(clone, "deploy", "CONFIG=local").stderr
    assert "deploy" not in (clone / "calls").read_text()


def test_deploy_names_a_missing_configuration(clone: Path) -> None:
    assert "samconfig.toml has no section for CONFIG=prd.\n" in make(clone, "deploy", "CONFIG=prd").stderr
    assert "build" not in (clone / "calls").read_text()


@pytest.mark.parametrize("command", ["help", "build-local", "deploy", "clean"])
def test_a_command_needs_only_programs_that_a_mac_has(clone: Path, command: str) -> None:
    programs = clone.parent / "bin"
    write_program(programs / "uname", '#!/bin/sh\n[ "$1" = -m ] && echo arm64 || echo Darwin\n')
    for program in MAC.split():
        (programs / program).symlink_to(str(shutil.which(program)))
    done = make(clone, command, PATH=str(programs))
    assert (done.returncode, "not found" in done.stderr.lower()) == (0, False), done.stderr
    # GNU make 3.81 matches files, too, with a pattern for folders.
    assert {path.name for path in (clone / "functions").iterdir()} == {"sessions", "a-file"}


def test_stop_ends_where_ended_processes_still_count_as_a_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On macOS, a signal to a process that has ended is an EPERM until its exit status is read."""

    def killpg(_: int, number: int) -> None:
        if number == 0:
            raise PermissionError

    monkeypatch.setattr(emulator, "find_emulator", lambda _: emulator.Emulator(2**22, 4566, ""))
    monkeypatch.setattr(os, "killpg", killpg)
    assert emulator.stop_emulator(tmp_path)


DNS = "failed to lookup address information: Temporary failure in name resolution"
RETRIED = "error: Request failed after 3 retries in 7.2s"
CPYTHON = "Failed to download `https://github.com/astral-sh/python-build-standalone/cpython-3.13.18.tar.gz`"
CACHE = "Failed to initialize cache at `/home/ada/.cache/uv`"
FAILED = "Build Failed\nError: CustomMakeBuilder:MakeBuild - Make Failed: "
ENDED = "make: *** [Makefile:17: build-DependenciesLayer] Error 2\n"
DENIED = "failed to create directory `/home/ada/.cache/uv`: Permission denied (os error 13)"


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (f"{RETRIED}\n  cause: {CPYTHON}\n  cause: {DNS}\n", f": {RETRIED}: {DNS}. Install Python 3.13"),
        ("error: No interpreter found for Python 3.13\n\nhint: none\n", "Python 3.13. Install Python 3.13, or let uv"),
        (
            "error: No interpreter found\n\nhint: uv is in offline mode, so\n",
            "found. Install Python 3.13, or unset UV_OFF",
        ),
        ("ERROR: Could not find uv (from versions: none)\n", "(from versions: none). pip reached no index: check"),
        (f"error: {CACHE}\n  cause: {DENIED}\n", f"error: {CACHE}: {DENIED}. Set UV_CACHE_DIR and"),
        (
            f"{FAILED}error: Failed to fetch: https://x/\n  cause: {DNS}\n{ENDED}",
            f": Failed to fetch: https://x/: {DNS}\n",
        ),
        (f"{FAILED}bash: line 1: uv: command not found\n{ENDED}", ": bash: line 1: uv: command not found\n"),
        (f"*** Error compiling 'a.py'...\nSorry: an error\n{FAILED}{ENDED}", ": *** Error compiling 'a.py'...\n"),
    ],
)
def test_a_failed_step_names_the_innermost_cause(tmp_path: Path, output: str, reason: str) -> None:
    (tmp_path / "output").write_text(output)
    step = subprocess.run(
        [ROOT / "tools/step", "Building", "sh", "-c", "cat output; exit 1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert step.returncode == 1
    assert reason in step.stderr
