"""What `sam build` made, which is what is deployed: .aws-sam/build is the default, .aws-sam/local for this machine."""

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

import licences
from local_stack.deployment import ARCHITECTURE

ARM, X86 = 0xB7, 0x3E  # e_machine in an ELF header
BUILDS = {
    ROOT / ".aws-sam/build": ARM,
    ROOT / ".aws-sam/local": ARM if ARCHITECTURE == "arm64" else X86,
}
UNCHECKED_HASH = 0b01  # PEP 552: the bytecode is valid whatever the source's date


@pytest.fixture(params=BUILDS, ids=lambda build: build.name)
def build(request: pytest.FixtureRequest) -> Path:
    """The folder of a build, which `make test` has made before."""
    assert isinstance(request.param, Path)
    return request.param


def test_the_shared_objects_are_of_the_functions_architecture(build: Path) -> None:
    objects = [path for path in build.rglob("*") if re.search(r"\.so(\.|$)", path.name)]
    assert objects
    machines = {int.from_bytes(path.read_bytes()[18:20], "little") for path in objects}
    assert machines == {BUILDS[build]}


def test_every_module_has_bytecode_that_is_valid_in_lambda(build: Path) -> None:
    modules = [path for path in build.rglob("*.py") if "template" not in path.parts]
    assert modules
    for module in modules:
        cached = module.parent / "__pycache__" / f"{module.stem}.cpython-313.pyc"
        header = cached.read_bytes()[:16]
        assert header[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(header[4:8], "little") == UNCHECKED_HASH
        assert header[8:16] == importlib.util.source_hash(module.read_bytes())


def test_the_bytecode_does_not_name_the_machine_that_built_it(build: Path) -> None:
    for cached in build.rglob("*.pyc"):
        assert str(build).encode() not in cached.read_bytes(), cached


def test_a_build_shares_no_file_with_an_environment(build: Path) -> None:
    """Else what the build takes out of a file would be missing in all environments of uv on the machine."""
    assert [path for path in build.rglob("*") if path.is_file() and path.stat().st_nlink > 1] == []


def test_the_layer_holds_the_wheels_of_the_lock_and_nothing_else(build: Path) -> None:
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
    """The names and versions of the packages in the layer."""
    folders = (build / "DependenciesLayer" / "python").glob("*.dist-info")
    return {
        (name.lower().replace("_", "-"), version)
        for name, version in (folder.stem.rsplit("-", 1) for folder in folders)
    }


def test_a_build_changes_nothing_in_the_installed_packages(build: Path) -> None:
    """They are linked to uv's cache: what is written into one of their files is written into every environment."""
    for name, _ in find_packages(build):
        for file in distribution(name).files or ():
            if file.hash:
                digest = hashlib.new(file.hash.mode, Path(str(file.locate())).read_bytes()).digest()
                changed = base64.urlsafe_b64encode(digest).decode().rstrip("=") != file.hash.value
                assert not changed, f"{file}: run uv cache clean {name}, and make clean"


def test_the_viewer_of_the_api_is_not_deployed(build: Path) -> None:
    """It comes with Powertools, and is for the local stack alone."""
    assert [path for path in build.rglob("*") if "swagger-ui" in path.name or path.suffix in {".css", ".html"}] == []


def test_the_layer_has_an_sbom_that_lists_its_packages_and_nothing_else(build: Path) -> None:
    sbom = json.loads((build / "DependenciesLayer" / "sbom.cdx.json").read_text())
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.5")
    assert {(each["name"], each["version"]) for each in sbom["components"]} == find_packages(build)
    for component in sbom["components"]:
        assert component["purl"] == f"pkg:pypi/{component['name']}@{component['version']}"
        assert all(each["hashes"] for each in component["externalReferences"])


def test_the_sbom_of_equal_packages_is_equal(build: Path) -> None:
    sbom = json.loads((build / "DependenciesLayer" / "sbom.cdx.json").read_text())
    assert "serialNumber" not in sbom
    assert "timestamp" not in sbom["metadata"]


def test_the_page_of_licences_is_up_to_date(build: Path) -> None:
    page = licences.make_page(build / "DependenciesLayer" / "python")
    assert (ROOT / "docs/licences.md").read_text() == page, "run make licences"


def test_every_package_in_the_layer_has_the_text_of_its_licence(build: Path) -> None:
    for folder in (build / "DependenciesLayer" / "python").glob("*.dist-info"):
        assert [path for path in folder.rglob("*") if path.name.upper().startswith(("LICENSE", "LICENCE"))], folder


def test_a_function_holds_our_own_modules_and_nothing_else(build: Path) -> None:
    functions = {
        "CreateSessionFunction": "sessions",
        "GetSessionFunction": "sessions",
        "PublishEventsFunction": "sessions",
        "AddClaimsFunction": "directory",
        "ImportDirectoryFunction": "directory",
    }
    for function, bundle in functions.items():
        built = {path.name for path in (build / function).rglob("*.py")}
        assert built == {path.name for path in (ROOT / "functions" / bundle).glob("*.py")}
        assert [path.name for path in (build / function).iterdir()] == [bundle]
