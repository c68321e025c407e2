"""Add the shared objects of this machine's wheels to a layer, beside those for Lambda.

    usage: add_host_objects.py SITE     SITE is the layer's folder of packages

Their names contain the platform, so Python loads the right one on each.
"""

import shutil
import sys
import sysconfig
from pathlib import Path


def add_host_objects(installed: Path, site: Path) -> None:
    """Copy the shared objects of the layer's packages from an environment with the same locked versions."""
    for package in site.iterdir():
        for path in (installed / package.name).rglob("*.so"):
            shutil.copy(path, site / path.relative_to(installed))


if __name__ == "__main__":
    add_host_objects(Path(sysconfig.get_path("platlib")), Path(sys.argv[1]))
