"""The commands for a deployed stack. The Makefile describes them."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from getpass import getpass
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

import deployed_stack as stack
import recover

type Password = Callable[[str], str]  # returns the password of a user


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the commands."""
    parser.add_argument("--document", type=Path, help="import: the file of a directory document")
    parser.add_argument("--letters", help="replay: publish, flow-start, or keys of sessions")
    parser.add_argument("--session", help="erase: the account of a session, a slash and its id")
    parser.add_argument("--source", help="restore: the name of a restored table")
    parser.add_argument("--user", help="token, user: an email address")
    parser.add_argument("--updating", action="store_true", help="smoke: repeat the check while the stack is updated")


def read_document(path: Path) -> bytes:
    """Return the content of a file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise stack.RefusedError(f"{error.filename}: {error.strerror}") from None


def add_user(outputs: stack.Outputs, email: str, password: str) -> str:
    """Add a user with the role User; return a sentence about the user."""
    stack.make_user(outputs, email, password, ["User"])
    return f"{email} can sign in, and has the role User. The API also requires an entry in the Directory."


def run_smoke(name: str, arguments: argparse.Namespace, _: Password) -> None:
    """Run the smoke test, which prints its steps."""
    from smoke import smoke  # noqa: PLC0415 (the import takes 0.3 s, which the other commands save)

    smoke(name, updating=arguments.updating)


COMMANDS: dict[str, Callable[[str, argparse.Namespace, Password], str | None]] = {
    "erase": lambda name, arguments, _: recover.erase(recover.Stack(name), arguments.session),
    "import": lambda name, arguments, _: json.dumps(
        stack.import_document(stack.read_outputs(name), read_document(arguments.document))
    ),
    "outputs": lambda name, *_: "\n".join(f"{key} {value}" for key, value in stack.read_outputs(name).items()),
    "replay": lambda name, arguments, _: recover.replay(recover.Stack(name), arguments.letters),
    "restore": lambda name, arguments, _: recover.restore(recover.Stack(name), arguments.source),
    "smoke": run_smoke,
    "token": lambda name, arguments, password: stack.create_token(
        stack.read_outputs(name), arguments.user, password(arguments.user)
    ),
    "url": lambda name, *_: stack.sessions_url(stack.read_outputs(name)),
    "user": lambda name, arguments, password: add_user(
        stack.read_outputs(name), arguments.user, password(arguments.user)
    ),
}


def operate(name: str, arguments: argparse.Namespace, password: Password) -> None:
    """Run a command, and print its result."""
    result = COMMANDS[arguments.command](name, arguments, password)
    if result is not None:
        print(result)


@contextmanager
def report_errors(called: str) -> Iterator[None]:
    """End the program with a message after SIGINT or SIGTERM, or if an operation or a call of `called` fails."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)  # both signals clean up
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt:
        raise SystemExit("Interrupted.") from None
    except BrokenPipeError:  # the reader has ended, as in make logs | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except stack.RefusedError as error:
        raise SystemExit(str(error)) from None
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"The call of {called} failed: {error}") from None


def ask_password(email: str) -> str:
    """Return the variable PASSWORD, or ask for the password."""
    try:
        return os.environ.get("PASSWORD") or getpass(f"Password of {email}: ")
    except EOFError:
        raise SystemExit("Set the variable PASSWORD, or run this in a terminal.") from None


def main() -> None:
    parser = argparse.ArgumentParser(prog="operate", usage=argparse.SUPPRESS)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--stack", required=True, help="the name of the stack")
    add_options(parser)
    arguments = parser.parse_args()
    with report_errors("AWS"):
        operate(arguments.stack, arguments, ask_password)


if __name__ == "__main__":
    main()
