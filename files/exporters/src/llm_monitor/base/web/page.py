"""The page that tells a person what an exporter answers.

It takes the place of Swagger UI, whose scripts come from a public network that a GPU server need
not reach; programs read /openapi.json.
"""

from collections.abc import Mapping
from html import escape
from typing import Any

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 50rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ border-bottom: 1px solid #ccc; padding: .4rem .8rem .4rem 0; text-align: left; }}
</style>
</head>
<body>
<h1>{title}</h1>
{note}<p>Version {version}. For programs: <a href="openapi.json">openapi.json</a>.</p>
<table>
<tr><th>Request</th><th>Answer</th></tr>
{rows}
</table>
</body>
</html>
"""


def render(schema: Mapping[str, Any]) -> str:
    """Return the page about all requests in `schema`, an OpenAPI document."""
    rows = [
        _row(path, method, operation.get("summary", ""))
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    ]
    about = {key: escape(schema["info"][key]) for key in ("title", "version")}
    note = escape(schema["info"].get("description", ""))
    note = f"<p><strong>{note}</strong></p>\n" if note else ""
    return _PAGE.format(rows="\n".join(rows), note=note, **about)


def _row(path: str, method: str, summary: str) -> str:
    shown = escape(path)
    if method == "get" and "{" not in path:
        shown = f'<a href="{shown.lstrip("/")}">{shown}</a>'
    return f"<tr><td>{method.upper()} {shown}</td><td>{escape(summary)}</td></tr>"
