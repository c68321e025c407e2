"""Reads Markdown documents: links, headings and code blocks."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token


class CodeBlock(NamedTuple):
    """A fenced code block."""

    language: str
    info: str
    """The rest of the line that opens the block."""
    content: str
    section: str
    """The nearest heading of level 2 above the block; empty above the first one."""
    above: str
    """The nearest paragraph or heading above the block."""
    line: int
    """The line of the document where the content begins."""


def parse(path: Path) -> list[Token]:
    """Return the tokens of a document, as GitHub reads it."""
    return MarkdownIt("gfm-like", {"linkify": False}).parse(path.read_text())


def list_inline(path: Path) -> Iterator[Token]:
    """Return the tokens within the lines of a document: text, links, code."""
    for token in parse(path):
        yield from token.children or ()


def read_links(path: Path) -> list[str]:
    """Return the targets of all links."""
    return [str(token.attrs["href"]) for token in list_inline(path) if token.type == "link_open"]


def read_code_spans(path: Path) -> list[str]:
    """Return all code within lines, such as `make start`."""
    return [token.content for token in list_inline(path) if token.type == "code_inline"]


def read_headings(path: Path, level: int | None = None) -> list[str]:
    """Return the headings as plain text, of one level or of all."""
    tokens = parse(path)
    return [
        "".join(child.content for child in inline.children or ())
        for opening, inline in pairwise(tokens)
        if opening.type == "heading_open" and level in {None, int(opening.tag[1:])}
    ]


def read_code_blocks(path: Path, section: str | None = None) -> list[CodeBlock]:
    """Return the fenced code blocks, of one section (its heading of level 2) or of all."""
    blocks: list[CodeBlock] = []
    heading = above = ""
    for before, token in pairwise(parse(path)):
        if token.type == "inline":
            above = token.content
            heading = above if before.tag == "h2" else heading
        elif token.type == "fence" and token.map:
            language, _, info = token.info.partition(" ")
            blocks.append(CodeBlock(language, info.strip(), token.content, heading, above, token.map[0] + 2))
    return [block for block in blocks if section in {None, block.section}]


def read_commands(path: Path) -> list[str]:
    """Return the commands after the prompts `$` of all console blocks, without their output."""
    commands: list[str] = []
    for line in "".join(block.content for block in read_code_blocks(path) if block.language == "console").splitlines():
        if line.startswith("$ "):
            commands.append(line.removeprefix("$ "))
        elif commands and commands[-1].endswith("\\"):
            commands[-1] += f"\n{line}"
    return commands
