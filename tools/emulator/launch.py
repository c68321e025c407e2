"""Start the emulator so that its functions find the packages of their layers and no others, as in Lambda.

The emulator runs functions with its own interpreter, whose packages would hide a package that a layer lacks. This file
points it to an interpreter without packages. It also puts the guard before the emulator.

    usage: launch.py FOLDER SECRET ADDRESS...

FOLDER gets the virtual environment of that interpreter. SECRET is the guard's. Each ADDRESS is a host and a port.
"""

import asyncio
import sys
import venv
from pathlib import Path

from guard import guard
from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app

folder, secret, *addresses = sys.argv[1:]
venv.create(folder, symlinks=True)
sys.executable = str(Path(folder) / "bin" / "python")
config = Config()
config.bind = addresses
asyncio.run(serve(guard(app, secret), config))
