"""The build of the layer. tests/artifact tests its output."""

import py_compile
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from add_host_objects import add_host_objects

BUILD: dict[str, Any] = runpy.run_path(str(ROOT / "layers/dependencies/build.py"))
UNCHECKED_HASH = b"\1\0\0\0"
compile_modules: Callable[[Path], None] = BUILD["compile_modules"]


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A module whose bytecode has a timestamp, as uv makes it with UV_COMPILE_BYTECODE."""
    module = tmp_path / "module.py"
    module.write_text("")
    py_compile.compile(str(module), invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
    return module


def read_flags(module: Path) -> bytes:
    return Path(cache_from_source(str(module))).read_bytes()[4:8]


def test_a_build_replaces_bytecode_that_lambda_would_not_use(module: Path) -> None:
    assert read_flags(module) != UNCHECKED_HASH
    compile_modules(module.parent)
    assert read_flags(module) == UNCHECKED_HASH


def test_a_build_fails_if_lambda_would_compile_a_module(module: Path) -> None:
    module.write_text("not a module")
    with pytest.raises(SystemExit, match=r"Lambda would compile \S+module\.py at each cold start"):
        compile_modules(module.parent)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PYTHONPYCACHEPREFIX", "elsewhere"), ("PYTHONOPTIMIZE", "2")],
)
def test_the_developers_shell_does_not_change_the_bytecode_of_a_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    build("functions", "build-AddClaimsFunction", tmp_path, sys.executable)
    assert read_flags(tmp_path / "directory/add_claims.py") == UNCHECKED_HASH
    assert not (ROOT / "functions/elsewhere").exists()


@pytest.mark.parametrize(
    ("folder", "target"),
    [("functions", "build-SessionsFunction"), ("layers/dependencies", "build-DependenciesLayer")],
)
def test_a_build_says_in_one_sentence_that_it_needs_python(tmp_path: Path, folder: str, target: str) -> None:
    error = build(folder, target, tmp_path, "python3.99")
    assert (
        error.splitlines()[0] == "sam build needs Python 3.13 with pip: python3.99 is missing, or is another version."
    )
    assert list(tmp_path.iterdir()) == []


def build(folder: str, target: str, artifacts: Path, python: str) -> str:
    """Run a makefile as `sam build` does; return its error output."""
    variables = [f"ARTIFACTS_DIR={artifacts}", f"PYTHON={python}"]
    return subprocess.run(
        ["make", "--silent", "-C", ROOT / folder, target, *variables],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    ).stderr


def test_a_build_uses_a_python_of_pyenv(tmp_path: Path) -> None:
    """SAM builds in a temporary folder without the project's .python-version."""
    shim = tmp_path / "python3.13"
    shim.write_text(f'#!/bin/sh\n[ "$PYENV_VERSION" = 3.13 ] || exit 127\nexec "{sys.executable}" "$@"\n')
    shim.chmod(0o755)
    artifacts = tmp_path / "artifacts"
    assert build("functions", "build-SessionsFunction", artifacts, str(shim)) == ""
    assert (artifacts / "sessions/handler.py").exists()


def test_a_build_without_make_keeps_the_same_settings_of_pip() -> None:
    kept = re.findall(r"\bPIP_\w+", (ROOT / "Makefile").read_text().partition("unexport")[0])
    assert set(kept) == BUILD["KEPT"]


def test_a_local_layer_gets_the_shared_objects_of_this_machine_and_keeps_those_of_lambda(tmp_path: Path) -> None:
    installed, site = tmp_path / "installed", tmp_path / "site"
    for path in (
        installed / "package/_core.cpython-313-darwin.so",
        site / "package/_core.cpython-313-aarch64-linux-gnu.so",
    ):
        path.parent.mkdir(parents=True)
        path.touch()
    (installed / "other").mkdir()
    (installed / "other/_core.cpython-313-darwin.so").touch()
    add_host_objects(installed, site)
    assert {path.name for path in site.rglob("*.so")} == {
        "_core.cpython-313-darwin.so",
        "_core.cpython-313-aarch64-linux-gnu.so",
    }
    assert not (site / "other").exists()
