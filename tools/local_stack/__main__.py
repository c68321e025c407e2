"""Run the local stack: an AWS emulator on this machine, with the built template deployed to it."""

import argparse
import errno
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import boto3

from deployed_stack import listen, read_outputs, sessions_url
from local_stack import demo, emulator
from local_stack.deployment import STACK_NAME, deploy, write_environment
from operate import COMMANDS, add_options, operate, report_errors

PORT = 4566  # the usual port of AWS emulators
USAGE = """
Page:  {page}  (to read and try the API)
URL:   {url}
Token: {token}
       (of {user}; make token prints a new one)

curl -s -X POST '{url}' -d '{{}}' \\
  -H 'Content-Type: application/json' \\
  -H 'Authorization: Bearer {token}'"""


def start(state: Path, wanted: int | None) -> None:
    """Start the stack, or update a running one, and print its usage. If a start fails, stop what it started."""
    running = emulator.find_emulator(state)
    if running and wanted not in {None, running.port}:
        raise SystemExit(f"The local stack runs on port {running.port}: run make stop before you choose another port.")
    try:
        port = running.port if running else emulator.check_port(PORT if wanted is None else wanted)
    except OSError as error:
        raise SystemExit(f"Port {wanted or PORT} {describe(error)}: run make start PORT=0 for a free one.") from None
    emulator.use_endpoint(f"http://127.0.0.1:{port}")
    with emulator.hold(state):
        if emulator.find_emulator(state) != running:
            raise SystemExit("Another command has just started or stopped the local stack: run make start again.")
        try:
            if not running:
                print("Starting the local AWS", file=sys.stderr)
                emulator.start_emulator(state, port)
            print("Deploying the stack", file=sys.stderr)
            deploy(state)
            write_environment(state)
            print("Adding the demo data", file=sys.stderr)
            demo.add_demo_data()
            page, token = demo.publish_page(demo.USER), demo.create_token(demo.USER)
        except BaseException:
            if not running:
                emulator.stop_emulator(state)
            raise
    print(USAGE.format(page=page, url=sessions_url(read_outputs(STACK_NAME)), token=token, user=demo.USER))


def describe(error: OSError) -> str:
    """Return the end of a sentence that starts with a port: the reason that the port cannot be used."""
    match error:
        case PermissionError():
            return "needs the rights of an administrator"
        case OSError(errno=errno.EADDRINUSE):
            return "is taken by another program"
    return f"cannot be used ({error})"


def stop(state: Path) -> None:
    """Stop the emulator, remove the state folder, and say whether the emulator ran."""
    running = False
    if (state / "lock").exists():
        with emulator.hold(state):
            running = emulator.stop_emulator(state)
            shutil.rmtree(state)
    print("The local stack is stopped, and its data is removed." if running else "No local stack is running.")


def print_logs() -> None:
    """Print the log lines of the functions, oldest first."""
    logs = boto3.client("logs")
    for group in logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]:
        print(f"==> {group['logGroupName']}")
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
            for event in page["events"]:
                print(event["message"].rstrip())


def watch() -> None:
    """Print each event of the bus as a line of JSON until Ctrl-C. Remove the rule and the queue at the end."""
    outputs = read_outputs(STACK_NAME)
    with suppress(KeyboardInterrupt), listen(outputs, f"watch-{os.getpid()}", {"source": ["sessions"]}) as receive:
        print("Waiting for events; Ctrl-C ends it.", file=sys.stderr, flush=True)
        while True:
            for event in receive(20):
                print(event, flush=True)


def port(text: str) -> int:
    """Return a port number. argparse names this function in the error for other text."""
    number = int(text)
    if not 0 <= number < 2**16:
        raise ValueError(text)
    return number


def main() -> None:
    parser = argparse.ArgumentParser(prog="local_stack", usage=argparse.SUPPRESS)
    parser.add_argument("command", choices=["start", "stop", "page", "logs", "watch", *COMMANDS])
    parser.add_argument("--state", type=Path, default=emulator.ROOT / ".local", help="the state folder of the stack")
    parser.add_argument("--port", type=port, help=f"start: a port of 127.0.0.1, or 0 for a free one (default: {PORT})")
    add_options(parser)
    parser.set_defaults(user=demo.USER)
    arguments = parser.parse_args()
    actions: dict[str, Callable[[], None]] = {
        "start": lambda: start(arguments.state, arguments.port),
        "stop": lambda: stop(arguments.state),
        "page": lambda: print(demo.publish_page(arguments.user)),
        "logs": print_logs,
        "watch": watch,
    }
    if running := emulator.find_emulator(arguments.state):
        emulator.use_endpoint(f"http://127.0.0.1:{running.port}")
    elif arguments.command not in {"start", "stop"}:
        raise SystemExit("The local stack is not running: run make start.")
    with report_errors("the local AWS"):
        if arguments.command in COMMANDS:
            operate(STACK_NAME, arguments, lambda _: demo.PASSWORD)
        else:
            actions[arguments.command]()


if __name__ == "__main__":
    main()
