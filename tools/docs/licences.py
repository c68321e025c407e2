"""The table of the packages that the dependencies layer ships, from uv.lock and the metadata of installed packages."""

import tomllib
from importlib.metadata import Distribution, distribution

from docs.schemas import ROOT
from docs.tables import make_table


def list_packages() -> set[str]:
    """Return the names of the project's packages in uv.lock, without those for development only."""
    locked = {package["name"]: package for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    shipped: set[str] = set()
    pending = list(locked["sessions"]["dependencies"])
    while pending:
        dependency = pending.pop()
        package = locked[dependency["name"]]
        for extra in dependency.get("extra", []):
            pending += package["optional-dependencies"][extra]
        if dependency["name"] not in shipped:
            shipped.add(dependency["name"])
            pending += package.get("dependencies", [])
    return shipped


def describe_licence(package: Distribution) -> str:
    """Return the licence that a package states. Raise ValueError if it states none."""
    classifiers = package.metadata.get_all("Classifier") or []
    names = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License :: OSI Approved :: ")]
    licence = package.metadata.get("License-Expression") or ", ".join(names) or package.metadata.get("License")
    if not licence:
        raise ValueError(f"{package.name} does not state its licence")
    return licence


def make_licence_table() -> str:
    """Return the table of packages, versions and licences."""
    packages = sorted(map(distribution, list_packages()), key=lambda package: package.name.lower())
    rows = [(package.name, package.version, describe_licence(package)) for package in packages]
    return make_table(("package", "version", "licence"), rows)
