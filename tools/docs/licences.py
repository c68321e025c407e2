"""The table of the packages that the dependencies layer ships, from uv.lock and the metadata of installed packages."""

import tomllib
from importlib.metadata import Distribution, distribution

from docs.schemas import ROOT
from docs.tables import make_table


def list_packages() -> set[str]:
    """Return the names of the project's packages in uv.lock, without those for development only."""
    locked = {package["name"]: package for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    pending, shipped = locked["sessions"]["dependencies"], set[str]()
    for dependency in pending:  # the list grows while it is read
        package = locked[dependency["name"]]
        extras = [each for extra in dependency.get("extra", []) for each in package["optional-dependencies"][extra]]
        pending += [each for each in [*package.get("dependencies", []), *extras] if each["name"] not in shipped]
        shipped.add(dependency["name"])
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
