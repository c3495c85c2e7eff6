"""Takes out of Langfuse's OpenAPI document what it says of the questions that the exporter asks.

`python -m exporter_testing.langfuse.extract openapi.yml`, in the folder of the tests, writes
langfuse/documented.json: the parameters of each path and the form of its answer, and what a query
of the metrics endpoints may hold, which the document says in words only.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from exporter_testing.process import TESTS

DOCUMENTED = TESTS / "langfuse" / "documented.json"
METRICS = "/api/public/v2/metrics"
PATHS = (
    "/api/public/health",
    "/api/public/metrics",
    METRICS,
    "/api/public/v2/observations",
    "/api/public/traces",
)

Row = dict[str, Any]
_KEPT = ("type", "format", "nullable", "required", "enum")


def extract(document: Row) -> Row:
    """Return what the document says."""
    asked = {path: document["paths"][path]["get"] for path in PATHS}
    (query,) = asked[METRICS]["parameters"]
    # The form first, then an example.
    written = query["description"].split("```")[1]
    ((most, default),) = re.findall(r'"row_limit".*\(1-(\d+)\), default: (\d+)', written)
    return {
        "paths": {path: _path(document, operation) for path, operation in asked.items()},
        "query": re.findall(r'^  "(\w+)":', written, re.MULTILINE),
        "aggregations": _words(r"aggregation functions: (.*)", asked[METRICS]["description"]),
        "most_rows": int(most),
        "default_rows": int(default),
        "views": _views(asked[METRICS]["description"]),
    }


def _path(document: Row, operation: Row) -> Row:
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    return {
        "parameters": [one["name"] for one in operation.get("parameters", ())],
        "answer": _form(document, answer),
    }


def _form(document: Row, schema: Row) -> Row:
    """Return the form of a value: its references followed, without what is said of it in words."""
    parts = list(schema.get("allOf", ()))
    if "$ref" in schema:
        parts.append(document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    forms = [_form(document, part) for part in parts]
    own: Row = {key: schema[key] for key in _KEPT if key in schema}
    if "items" in schema:
        own["items"] = _form(document, schema["items"])
    own["properties"] = {
        name: _form(document, one) for name, one in schema.get("properties", {}).items()
    }
    merged: Row = {}
    for form in (*forms, own):
        properties = {**merged.get("properties", {}), **form.get("properties", {})}
        required = sorted({*merged.get("required", ()), *form.get("required", ())})
        merged |= {**form, "properties": properties, "required": required}
    return {key: value for key, value in merged.items() if value not in ({}, [])}


def _views(text: str) -> dict[str, dict[str, list[str]]]:
    """Return each view's dimensions and measures, of which some are told by those of another."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, said in re.findall(r"^### (\S+)\n(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL):
        opening, _, listed = said.partition("**Measures:**")
        dimensions = re.findall(r"^- `(\w+)`", opening, re.MULTILINE)
        if other := re.search(r"dimensions as (scores-\w+)", opening):
            swapped = dict(re.findall(r"uses `(\w+)` instead of `(\w+)`", opening))
            new = {old: one for one, old in swapped.items()}
            inherited = found[other[1]]["dimensions"]
            dimensions = [*(new.get(one, one) for one in inherited), *dimensions]
        measures = re.findall(r"^- `(\w+)`", listed, re.MULTILINE)
        found[name] = {"dimensions": dimensions, "measures": measures}
    return found


def _words(pattern: str, text: str) -> list[str]:
    match = re.search(pattern, text)
    return re.findall(r"`(\w+)`", match[1]) if match else []


if __name__ == "__main__":
    read = extract(yaml.safe_load(Path(sys.argv[1]).read_text(encoding="utf-8")))
    DOCUMENTED.write_text(json.dumps(read, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{DOCUMENTED} written\n")
