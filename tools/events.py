"""Writes docs/events/SessionCreated.json, the JSON Schema of the event's detail; `make events` runs it."""

import json
import sys
from pathlib import Path
from typing import Any

import openapi
from sessions.models import SessionCreated


def make_document() -> dict[str, Any]:
    """The whole schema. Equal code makes an equal document."""
    schemas = openapi.make_schemas([(SessionCreated, "serialization")], "#/$defs/")
    schema = schemas.pop(SessionCreated.__name__)
    session = openapi.reply_to(openapi.REQUESTS["started"][1])
    example = {"session": session, "startSession": True, "eventId": f"{session['id']}-{session['dateCreated']}"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SessionCreated.__name__,
        **schema,
        "examples": [example],
        "$defs": schemas,
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(make_document(), indent=2, ensure_ascii=False) + "\n")
