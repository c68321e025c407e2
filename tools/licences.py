"""Writes docs/licences.md: the packages that the layer ships, with their licences; `make licences` runs it.

    usage: licences.py FOLDER FILE     FOLDER holds the installed packages, as in a built layer

A package's own words come first: its licence expression (PEP 639), else its field License and its classifiers.
"""

import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

HEAD = """# Licences

What the dependencies layer ships, by the metadata of each package; their licence texts are in the layer, in the
packages' `.dist-info` folders. `make licences` writes this page.

| package | version | licence |
|-|-|-|
"""


def describe_licence(package: Distribution) -> str:
    """What a package says about its licence. Raises ValueError if it says nothing."""
    expression = package.metadata.get("License-Expression")
    if expression:
        return expression
    classifiers = package.metadata.get_all("Classifier") or []
    named = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License :: OSI Approved :: ")]
    licence = package.metadata.get("License") or ""
    told = [licence] if licence else []
    told += [name for name in named if name not in {licence, f"{licence} License"}]
    if not told:
        raise ValueError(f"{package.name} does not tell its licence")
    return f"{told[0]} ({', '.join(told[1:])})" if len(told) > 1 else told[0]


def make_page(folder: Path) -> str:
    """The page for the packages that are installed in a folder."""
    packages = sorted(distributions(path=[str(folder)]), key=lambda package: package.name.lower())
    rows = [f"| {package.name} | {package.version} | {describe_licence(package)} |\n" for package in packages]
    return HEAD + "".join(rows)


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(make_page(Path(sys.argv[1])))
