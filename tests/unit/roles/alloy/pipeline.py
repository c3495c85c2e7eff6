# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""What the rendered stages of loki.process make of lines, with the expressions of RE2, which are Alloy's too.

Each stage does what Alloy's of that name does (internal/component/loki/process/stages/), as far as ours use it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import re2
from ansible_collections.llmops.monitoring.tests.unit.roles.alloy.syntax import Block


@dataclass
class Entry:
    """A line or several, with its labels and what stages have found in it."""

    line: str
    labels: dict[str, str] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


def run(process: Block, lines: Iterable[str], **labels: str) -> list[Entry]:
    """Return what a loki.process makes of lines that come one soon after the other in one stream."""
    entries = [Entry(line, dict(labels), dict(labels)) for line in lines]
    for stage in process.blocks:
        if stage.name == "stage.multiline":
            entries = _joined(stage, entries)
        else:
            for entry in entries:
                _apply(stage, entry)
    return entries


def _joined(stage: Block, entries: list[Entry]) -> list[Entry]:
    first = re2.compile(stage.attributes["firstline"])
    blocks: list[list[Entry]] = []
    for entry in entries:
        if first.search(entry.line) or not blocks or len(blocks[-1]) == stage.attributes["max_lines"]:
            blocks.append([entry])
        else:
            blocks[-1].append(entry)
    return [Entry("\n".join(one.line for one in block), block[0].labels, block[0].found) for block in blocks]


def _apply(stage: Block, entry: Entry) -> None:
    given = stage.attributes
    if stage.name == "stage.replace":
        _replace(given, entry)
    elif stage.name == "stage.regex":
        if match := re2.compile(given["expression"]).search(entry.line):
            entry.found.update({name: text for name, text in match.groupdict().items() if text is not None})
    elif stage.name == "stage.template":
        entry.found[given["source"]] = _template(given["template"], entry.found, given["source"])
    elif stage.name == "stage.labels":
        entry.labels.update({name: entry.found[source or name] for name, source in given["values"].items()})
    elif stage.name == "stage.structured_metadata":
        names = {name: source or name for name, source in given["values"].items()}
        entry.metadata.update({name: entry.found[source] for name, source in names.items() if source in entry.found})
    elif stage.name == "stage.label_keep":
        entry.labels = {name: value for name, value in entry.labels.items() if name in given["values"]}
    elif stage.name == "stage.truncate":
        _truncate(stage.named("rule")[0].attributes, entry)
    elif stage.name == "stage.json":
        read = json.loads(entry.line)
        entry.found.update({name: read[source or name] for name, source in given["expressions"].items()})
    elif stage.name == "stage.output":
        entry.line = entry.found[given["source"]]
    elif stage.name == "stage.match":
        if "container" in entry.labels:
            for inner in stage.blocks:
                _apply(inner, entry)
    else:
        assert stage.name in ("stage.decolorize", "stage.drop", "stage.limit", "stage.timestamp"), stage.name


def _replace(given: dict[str, str], entry: Entry) -> None:
    """Put the replacement in the place of every group that took part, as stages/replace.go does."""
    source = given.get("source", "")
    if source and source not in entry.found:
        return
    text = entry.found[source] if source else entry.line
    parts, end = [], 0
    for match in re2.compile(given["expression"]).finditer(text):
        for group in range(1, len(match.groups()) + 1):
            if match.start(group) >= end and match.group(group) is not None:
                parts += [text[end : match.start(group)], given["replace"].replace("{{ .Value }}", match.group(group))]
                end = match.end(group)
    replaced = "".join([*parts, text[end:]])
    if source:
        entry.found[source] = replaced
    else:
        entry.line = replaced


def _template(template: str, found: dict[str, str], source: str) -> str:
    """Fill in the two templates of Go's that we have."""
    if match := re.fullmatch(r"\{\{ if \.(\w+) \}\}\{\{ \.\1 \}\}\{\{ else \}\}(\w+)\{\{ end \}\}", template):
        return found.get(match[1]) or match[2]
    assert template == '{{ TrimSuffix .Value "\\n" }}', template
    return found[source].removesuffix("\n")


def _truncate(rule: dict[str, str], entry: Entry) -> None:
    units = {"KB": 1024, "MB": 1 << 20}
    limit = int(rule["limit"][:-2]) * units[rule["limit"][-2:]]
    if len(entry.line.encode()) > limit:
        entry.line = entry.line.encode()[: limit - len(rule["suffix"])].decode(errors="ignore") + rule["suffix"]
        entry.found["truncated"] = "line"
