"""Tables as Grafana makes them: by its own transformations, of what Prometheus answers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.tests.dashboards import asking
from ansible_collections.llmops.monitoring.tests.dashboards.past import Part
from ansible_collections.llmops.monitoring.tests.dashboards.reading import Asked
from ansible_collections.llmops.monitoring.tests.npm import folder, is_installed, node

SCRIPTS = Path(__file__).with_name("tables")
Json = dict[str, Any]
Table = list[Json]


def frames(url: str, board: Mapping[str, Any], panel: Json, part: Part) -> Iterator[Json]:
    """Give the answers to a table's queries as Grafana's data source does: a frame for each query."""
    targets = panel["targets"]
    for target in targets:
        expr = asking.filled(target["expr"], part, asking.everything(board))
        answer = asking.ask(url, Asked(panel["title"], expr, "prometheus", instant=True), part)
        labels = list(dict.fromkeys(name for series in answer for name in series["metric"]))
        values = f"Value #{target['refId']}" if len(targets) > 1 else "Value"
        columns = [
            _field("Time", "time", [part.end * 1000 for _series in answer]),
            *(_field(name, "string", [series["metric"].get(name, "") for series in answer]) for name in labels),
            _field(values, "number", [float(series["value"][1]) for series in answer]),
        ]
        yield {"refId": target["refId"], "fields": columns, "length": len(answer)}


def _field(name: str, kind: str, values: Sequence[object]) -> Json:
    return {"name": name, "type": kind, "values": values, "config": {}}


def transformed(panels_of_parts: Sequence[Json]) -> list[list[Table]]:
    """Return what Grafana makes of frames."""
    if not is_installed("tables"):
        pytest.fail("Grafana's transformations are not installed: make .cache/tables")
    done = subprocess.run(
        [node(), str(SCRIPTS / "make.mjs"), str(folder("tables"))],
        input=json.dumps(panels_of_parts),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[list[Table]] = json.loads(done.stdout)
    return found
