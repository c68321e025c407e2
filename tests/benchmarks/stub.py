"""A DynamoDB that answers at once: puts with success, reads of the directory with an entry for each key; an event bus.

Run as a program it prints its port and serves until its stdin closes; with TLS, given a file with key and certificate.
"""

import asyncio
import json
import ssl
import sys
import zlib
from typing import Any


def find_entry(sort_key: str) -> dict[str, Any]:
    """What the Directory would have under this key, in DynamoDB's wire types: a customer, a team or a user."""
    kind, _, name = sort_key.partition("#")
    if kind == "CUSTOMER":
        chain = ["world", "emea", name]
        return {"breadcrumb": {"L": [{"M": {"id": {"S": each}, "name": {"S": each.title()}}} for each in chain]}}
    if kind == "TEAM":
        return {"members": {"L": [{"M": make_person(f"{name}-{index}")} for index in range(3)]}}
    return make_person(name.partition("@")[0])


def make_person(user_id: str) -> dict[str, Any]:
    return {"userId": {"S": user_id}, "name": {"S": user_id.title()}, "endpointId": {"S": f"ep-{user_id}"}}


def answer(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation == "PutItem":
        return {}
    if operation == "PutEvents":
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1" * 36} for _ in request["Entries"]]}
    found = {
        table: [key | find_entry(key["sk"]["S"]) for key in wanted["Keys"]]
        for table, wanted in request["RequestItems"].items()
    }
    return {"Responses": found, "UnprocessedKeys": {}}


async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request after the other, with the headers that DynamoDB sends."""
    try:
        while True:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            request = json.loads(await reader.readexactly(int(headers["content-length"])))
            body = json.dumps(answer(headers["x-amz-target"].partition(".")[2], request)).encode()
            head = (
                "HTTP/1.1 200 OK\r\nServer: Server\r\nContent-Type: application/x-amz-json-1.0\r\n"
                f"Content-Length: {len(body)}\r\nConnection: keep-alive\r\n"
                f"x-amzn-RequestId: {'A' * 52}\r\nx-amz-crc32: {zlib.crc32(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
    except asyncio.IncompleteReadError:  # the client is done
        writer.close()


async def main() -> None:
    tls = None
    if sys.argv[1:]:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(sys.argv[1])
    server = await asyncio.start_server(serve_connection, "127.0.0.1", 0, ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
