"""The output of `sam build`: .aws-sam/build is deployed to AWS, .aws-sam/local runs on this machine."""

import importlib.util
import json
import re
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from artifact.conftest import BUILD, FUNCTIONS, LOCAL, list_modules
from conftest import ROOT

# The e_machine of an ELF header, by the suffix of the shared objects that Lambda's Python loads.
LAMBDA = {".cpython-313-aarch64-linux-gnu.so": 0xB7, ".cpython-313-x86_64-linux-gnu.so": 0x3E}
UNCHECKED_HASH = 0b01  # PEP 552: Python uses such bytecode without comparing it with the source


@pytest.fixture(params=[BUILD, LOCAL], ids=lambda build: build.name)
def build(request: pytest.FixtureRequest) -> Path:
    """The folder of a build."""
    assert isinstance(request.param, Path)
    return request.param


def find_suffixes(build: Path) -> dict[str, set[str]]:
    """Return the suffixes of the shared objects, by their names without the suffix."""
    suffixes: dict[str, set[str]] = {}
    for path in build.rglob("*.so"):
        name, dot, suffix = path.name.partition(".")
        suffixes.setdefault(name, set()).add(dot + suffix)
    return suffixes


def test_the_layer_runs_on_both_architectures_of_lambda() -> None:
    suffixes = find_suffixes(BUILD)
    assert suffixes
    assert all(found == set(LAMBDA) for found in suffixes.values()), suffixes
    for suffix, machine in LAMBDA.items():
        headers = [path.read_bytes()[:20] for path in BUILD.rglob(f"*{suffix}")]
        assert {(header[:4], int.from_bytes(header[18:], "little")) for header in headers} == {(b"\x7fELF", machine)}


def test_the_local_layer_runs_in_lambdas_container_and_on_this_machine() -> None:
    suffixes = find_suffixes(LOCAL)
    assert suffixes.keys() == find_suffixes(BUILD).keys()
    assert all(found == {*LAMBDA, EXTENSION_SUFFIXES[0]} for found in suffixes.values()), suffixes


def test_every_module_has_bytecode_that_lambda_accepts(build: Path) -> None:
    modules = [path for path in build.rglob("*.py") if "template" not in path.parts]
    assert modules
    for module in modules:
        cached = module.parent / "__pycache__" / f"{module.stem}.cpython-313.pyc"
        header = cached.read_bytes()[:16]
        assert header[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(header[4:8], "little") == UNCHECKED_HASH
        assert header[8:16] == importlib.util.source_hash(module.read_bytes())


def test_bytecode_does_not_contain_paths_of_the_build_machine(build: Path) -> None:
    for cached in build.rglob("*.pyc"):
        assert str(build).encode() not in cached.read_bytes(), cached


def test_the_layer_has_exactly_the_locked_packages(build: Path) -> None:
    locked = (ROOT / "layers/dependencies/requirements.txt").read_text()
    assert find_packages(build) == set(re.findall(r"^([\w-]+)==(\S+)", locked, re.MULTILINE))


def find_packages(build: Path) -> set[tuple[str, str]]:
    """Return the names and versions of the packages in the layer."""
    folders = (build / "DependenciesLayer" / "python").glob("*.dist-info")
    return {
        (name.lower().replace("_", "-"), version)
        for name, version in (folder.stem.rsplit("-", 1) for folder in folders)
    }


def test_swagger_ui_is_not_deployed(build: Path) -> None:
    """Powertools contains it, but only the local stack uses it."""
    assert [path for path in build.rglob("*") if "swagger-ui" in path.name or path.suffix in {".css", ".html"}] == []


def test_the_sbom_lists_exactly_the_packages_of_the_layer(build: Path) -> None:
    sbom = json.loads((build / "DependenciesLayer" / "sbom.cdx.json").read_text())
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.5")
    assert {(each["name"], each["version"]) for each in sbom["components"]} == find_packages(build)
    for component in sbom["components"]:
        assert component["purl"] == f"pkg:pypi/{component['name']}@{component['version']}"
        assert all(each["hashes"] for each in component["externalReferences"])


def test_every_package_in_the_layer_has_a_licence_file(build: Path) -> None:
    for folder in (build / "DependenciesLayer" / "python").glob("*.dist-info"):
        assert [path for path in folder.rglob("*") if path.name.upper().startswith(("LICENSE", "LICENCE"))], folder


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_has_only_its_own_package_and_the_shared_one(build: Path, function: str) -> None:
    assert {path.relative_to(build / function) for path in (build / function).rglob("*.py")} == {
        *list_modules(function)
    }
    assert {path.name for path in (build / function).iterdir()} == {*FUNCTIONS[function]}
