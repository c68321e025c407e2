"""Start the emulator so that its functions find the packages of their layers and no others, as in Lambda.

The emulator runs functions with its own interpreter, whose packages would hide a package that a layer lacks. This file
points it to an interpreter without packages.

    usage: launch.py FOLDER     makes the virtual environment of that interpreter in FOLDER
"""

import runpy
import sys
import venv
from pathlib import Path

folder = Path(sys.argv.pop())
venv.create(folder, symlinks=True)
sys.executable = str(folder / "bin" / "python")
runpy.run_module("ministack", run_name="__main__")
