"""Starts the local AWS emulator so that its functions see what Lambda would show them: their layers, and no more.

The emulator runs a Python function with its own interpreter, and so with its own packages: what is missing from a layer
would go unnoticed here and fail on AWS. So it is told that its interpreter is one without any package.

    usage: launch.py FOLDER     FOLDER is where that interpreter's empty virtual environment is made
"""

import runpy
import sys
import venv
from pathlib import Path

folder = Path(sys.argv.pop())
venv.create(folder, symlinks=True)
sys.executable = str(folder / "bin" / "python")
runpy.run_module("ministack", run_name="__main__")
