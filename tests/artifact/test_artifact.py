"""The output of `sam build`: .aws-sam/build is deployed to AWS, .aws-sam/local runs on this machine."""

import base64
import hashlib
import importlib.util
import json
import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from conftest import ROOT

from local_stack.deployment import ARCHITECTURE

ARM, X86 = 0xB7, 0x3E  # e_machine in an ELF header
BUILDS = {
    ROOT / ".aws-sam/build": ARM,
    ROOT / ".aws-sam/local": ARM if ARCHITECTURE == "arm64" else X86,
}
UNCHECKED_HASH = 0b01  # PEP 552: Python uses such bytecode without comparing it with the source


@pytest.fixture(params=BUILDS, ids=lambda build: build.name)
def build(request: pytest.FixtureRequest) -> Path:
    """The folder of a build. `make test` makes it first."""
    assert isinstance(request.param, Path)
    return request.param


def test_shared_objects_have_the_architecture_of_the_function(build: Path) -> None:
    objects = [path for path in build.rglob("*") if re.search(r"\.so(\.|$)", path.name)]
    assert objects
    machines = {int.from_bytes(path.read_bytes()[18:20], "little") for path in objects}
    assert machines == {BUILDS[build]}


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


def test_a_build_has_no_hard_links_to_the_cache_of_uv(build: Path) -> None:
    """A build edits some files. Through a hard link it would edit them for every environment on the machine."""
    assert [path for path in build.rglob("*") if path.is_file() and path.stat().st_nlink > 1] == []


def test_the_layer_has_exactly_the_locked_packages(build: Path) -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    packages = {package["name"]: package for package in lock["package"]}
    wanted = {}
    todo = [(dependency["name"], extra) for dependency in packages["sessions"]["dependencies"]
            for extra in [*dependency.get("extra", []), None]]  # fmt: skip
    while todo:
        name, extra = todo.pop()
        package = packages[name]
        wanted[name] = package["version"]
        dependencies = package["optional-dependencies"][extra] if extra else package.get("dependencies", [])
        todo += [(each["name"], None) for each in dependencies if each["name"] not in wanted]
    assert find_packages(build) == set(wanted.items())


def find_packages(build: Path) -> set[tuple[str, str]]:
    """Return the names and versions of the packages in the layer."""
    folders = (build / "DependenciesLayer" / "python").glob("*.dist-info")
    return {
        (name.lower().replace("_", "-"), version)
        for name, version in (folder.stem.rsplit("-", 1) for folder in folders)
    }


def test_a_build_does_not_change_the_installed_packages(build: Path) -> None:
    """They are hard links to uv's cache, so a change of a file would reach every environment."""
    for name, _ in find_packages(build):
        for file in distribution(name).files or ():
            if file.hash:
                digest = hashlib.new(file.hash.mode, Path(str(file.locate())).read_bytes()).digest()
                changed = base64.urlsafe_b64encode(digest).decode().rstrip("=") != file.hash.value
                assert not changed, f"{file}: run uv cache clean {name}, and make clean"


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


def test_equal_packages_have_equal_sboms(build: Path) -> None:
    sbom = json.loads((build / "DependenciesLayer" / "sbom.cdx.json").read_text())
    assert "serialNumber" not in sbom
    assert "timestamp" not in sbom["metadata"]


def test_every_package_in_the_layer_has_a_licence_file(build: Path) -> None:
    for folder in (build / "DependenciesLayer" / "python").glob("*.dist-info"):
        assert [path for path in folder.rglob("*") if path.name.upper().startswith(("LICENSE", "LICENCE"))], folder


def test_a_function_has_only_its_own_package_and_the_shared_one(build: Path) -> None:
    functions = {
        "SessionsFunction": "sessions",
        "PublishEventsFunction": "sessions",
        "AddClaimsFunction": "directory",
        "ImportDirectoryFunction": "directory",
    }
    for function, bundle in functions.items():
        built = {path.relative_to(build / function) for path in (build / function).rglob("*.py")}
        sources = {
            path.relative_to(ROOT / "functions")
            for package in (bundle, "aws")
            for path in (ROOT / "functions" / package).glob("*.py")
        }
        assert built == sources
        assert {path.name for path in (build / function).iterdir()} == {bundle, "aws"}
