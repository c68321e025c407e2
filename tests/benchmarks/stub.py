"""A stub of DynamoDB that answers at once. A put succeeds; a lookup finds an entry for each key of the directory.

Run as a program, it prints its port and serves until its stdin closes. Give it a file with key and certificate for TLS.
"""

import asyncio
import json
import ssl
import sys
import zlib
from typing import Any


def make_entry(sort_key: str) -> dict[str, Any]:
    """Return the directory's entry under this key, in DynamoDB's wire format: a customer, a team or a user."""
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
    """Return the answer to PutItem, GetItem or BatchGetItem; with the consumed capacity only if the request asks."""
    lookups = request["RequestItems"] if operation == "BatchGetItem" else {}
    capacity = [{"TableName": table, "CapacityUnits": 1.0} for table in lookups or [request["TableName"]]]
    reply: dict[str, Any] = {}
    if lookups:
        reply["UnprocessedKeys"] = {}
        reply["Responses"] = {
            table: [key | make_entry(key["sk"]["S"]) for key in lookup["Keys"] if "sk" in key]
            for table, lookup in lookups.items()
        }
    if request.get("ReturnConsumedCapacity", "NONE") != "NONE":
        reply["ConsumedCapacity"] = capacity if lookups else capacity[0]
    return reply


async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of a connection, with the headers of DynamoDB."""
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
    except asyncio.IncompleteReadError:  # the client has closed the connection
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
