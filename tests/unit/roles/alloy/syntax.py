# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""Reads a configuration in Alloy's syntax, as far as ours uses it, and refuses what is none.

Facts: https://grafana.com/docs/alloy/latest/get-started/configuration-syntax/ (blocks, attributes, expressions). No
Alloy can be had for tests; the rollout lets the pinned image's own `alloy validate` read every file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_TOKENS = re.compile(
    r"""(?P<space>[ \t]+)|(?P<comment>//[^\n]*)|(?P<end>\n)
    |(?P<string>"(?:[^"\\\n]|\\["\\nrt]|\\u[0-9a-fA-F]{4})*")
    |(?P<number>-?\d+(?:\.\d+)?)
    |(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
    |(?P<sign>[{}\[\],=])""",
    re.VERBOSE,
)


class SyntaxProblem(Exception):
    """The text is no configuration of Alloy's."""


@dataclass(frozen=True)
class Reference:
    """A value that another component exports, such as loki.write.loki.receiver."""

    path: str


@dataclass
class Block:
    """A block: its name, such as loki.process, its label, its attributes, and the blocks in it."""

    name: str
    label: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"{self.name}.{self.label}" if self.label else self.name

    def all(self) -> Iterator[Block]:
        yield self
        for block in self.blocks:
            yield from block.all()

    def named(self, name: str) -> list[Block]:
        return [block for block in self.blocks if block.name == name]


def read(text: str) -> Block:
    """Return the whole file as a block without a name."""
    root = Block("")
    _Reader(list(_tokens(text))).body(root, "")
    return root


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(text):
        match = _TOKENS.match(text, place)
        if not match or not match.lastgroup:
            line = text.count("\n", 0, place) + 1
            raise SyntaxProblem(f"line {line}: {text[place : place + 40]!r}")
        place = match.end()
        if match.lastgroup not in ("space", "comment"):
            yield match.lastgroup, match[0]
    yield "end", "\n"


class _Reader:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.place = 0

    def body(self, block: Block, closing: str) -> None:
        """Read attributes and blocks until the closing brace, or the end of the file."""
        while True:
            self.skip_ends()
            if self.place == len(self.tokens):
                if closing:
                    raise SyntaxProblem(f"{block.address} is never closed")
                return
            if self.sees("sign", closing):
                return
            self.statement(block)

    def statement(self, block: Block) -> None:
        name = self.take("name")
        if self.sees("sign", "="):
            if name in block.attributes:
                raise SyntaxProblem(f"{block.address} has {name} twice")
            block.attributes[name] = self.value()
        else:
            label = json.loads(self.take("string")) if self.tokens[self.place][0] == "string" else ""
            self.take("sign", "{")
            inner = Block(name, label)
            block.blocks.append(inner)
            self.body(inner, "}")
        self.take("end")

    def value(self) -> Any:
        kind, text = self.tokens[self.place]
        self.place += 1
        if kind == "string":
            return json.loads(text)
        if kind == "number":
            return float(text) if "." in text else int(text)
        if kind == "name":
            return {"true": True, "false": False}.get(text, Reference(text))
        if (kind, text) == ("sign", "["):
            return list(self.items("]", self.value))
        if (kind, text) == ("sign", "{"):
            return dict(self.items("}", self.entry))
        raise SyntaxProblem(f"{text!r} is no value")

    def entry(self) -> tuple[str, Any]:
        name = self.take("name")
        self.take("sign", "=")
        return name, self.value()

    def items(self, closing: str, read_one: Any) -> Iterator[Any]:
        """Yield what stands between brackets; after a line's end there is another item or the bracket."""
        self.skip_ends()
        while not self.sees("sign", closing):
            yield read_one()
            if self.sees("sign", ","):
                self.skip_ends()
            elif self.tokens[self.place] != ("sign", closing):
                raise SyntaxProblem(f"a comma is missing before {self.tokens[self.place][1]!r}")

    def skip_ends(self) -> None:
        while self.place < len(self.tokens) and self.tokens[self.place][0] == "end":
            self.place += 1

    def sees(self, kind: str, text: str) -> bool:
        """Take the next token if it is this one."""
        found = self.place < len(self.tokens) and self.tokens[self.place] == (kind, text)
        self.place += found
        return found

    def take(self, kind: str, text: str = "") -> str:
        found = self.tokens[self.place]
        if found[0] != kind or (text and found[1] != text):
            raise SyntaxProblem(f"{found[1]!r} where {text or kind} must be")
        self.place += 1
        return found[1]
