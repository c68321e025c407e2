"""Tables in Markdown, and the tables of data files and of the template."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from docs.schemas import ROOT


def make_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    head, *lines = ("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in [headings, *rows])
    return "\n".join([head, "|" + "-|" * len(headings), *lines])


def make_data_table(name: str) -> str:
    """Return the table of a list of objects in docs/data, whose keys are the headings."""
    rows: list[dict[str, Any]] = json.loads((ROOT / f"docs/data/{name}.json").read_text())
    return make_table(list(rows[0]), [[str(row[heading]) for heading in rows[0]] for row in rows])


def make_alarm_table() -> str:
    """Return the table of the alarms. An alarm's description is `<meaning> Action: <action>`."""
    template = yaml.load((ROOT / "template.yaml").read_text(), yaml.BaseLoader)  # noqa: S506 (ignores tags such as !Ref)
    rows: list[tuple[str, str, str]] = []
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            meaning, separator, action = resource["Properties"]["AlarmDescription"].partition(" Action: ")
            if not separator:
                raise ValueError(f"The description of {name} in template.yaml has no Action")
            rows.append((f"`{name}`", meaning, action))
    return make_table(("alarm", "meaning", "action"), rows)
