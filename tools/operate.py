"""Operate a deployed stack: import a document, add a user, print a token, the URL or the outputs, or run `smoke`."""

import argparse
import json
import os
import signal
from collections.abc import Callable
from getpass import getpass
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

import deployed_stack as stack

COMMANDS = ["import", "outputs", "smoke", "token", "url", "user"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the commands."""
    parser.add_argument("--document", type=Path, help="import: the file of a directory document")
    parser.add_argument("--user", help="token, user: an email address")
    parser.add_argument("--updating", action="store_true", help="smoke: repeat the check while the stack is updated")


def operate(name: str, arguments: argparse.Namespace, password: Callable[[str], str]) -> None:
    """Run a command. `password` returns the password of a user."""
    outputs = stack.read_outputs(name)
    match arguments.command:
        case "import":
            try:
                document = arguments.document.read_bytes()
            except OSError as error:
                raise stack.RefusedError(f"{error.filename}: {error.strerror}") from None
            print(json.dumps(stack.import_document(outputs, document)))
        case "outputs":
            print("\n".join(f"{key} {value}" for key, value in outputs.items()))
        case "smoke":
            from smoke import smoke  # noqa: PLC0415 (the import takes 0.3 s, which the other commands save)

            smoke(name, updating=arguments.updating)
        case "token":
            print(stack.create_token(outputs, arguments.user, password(arguments.user)))
        case "url":
            print(stack.sessions_url(outputs))
        case "user":
            stack.make_user(outputs, arguments.user, password(arguments.user), ["User"])
            print(f"{arguments.user} can sign in, and has the role User.")


def ask_password(email: str) -> str:
    """Return the variable PASSWORD, or ask for the password."""
    try:
        return os.environ.get("PASSWORD") or getpass(f"Password of {email}: ")
    except EOFError:
        raise SystemExit("Set the variable PASSWORD, or run this in a terminal.") from None


def main() -> None:
    parser = argparse.ArgumentParser(prog="operate", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--stack", required=True, help="the name of the stack")
    add_options(parser)
    arguments = parser.parse_args()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)  # both signals clean up
    try:
        operate(arguments.stack, arguments, ask_password)
    except KeyboardInterrupt:
        raise SystemExit("Interrupted.") from None
    except stack.RefusedError as error:
        raise SystemExit(str(error)) from None
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"AWS refused: {error}") from None


if __name__ == "__main__":
    main()
