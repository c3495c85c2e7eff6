"""Records what a real ClickHouse answers to the exporter's statements, and checks every number.

`python -m exporter_testing.langfuse.record`, in the folder of the tests, writes
langfuse/clickhouse.json. It needs the package chdb: ClickHouse as a library, half a GiB
large.
"""

import json
import sys
import threading
from collections.abc import Iterable
from typing import Any

import chdb.session

from exporter_testing.langfuse.checks import check_all
from exporter_testing.langfuse.clickhouse import (
    RECORDING,
    TABLES,
    ClickHouse,
    Params,
    serving,
    statement,
    window,
)
from exporter_testing.langfuse.data import Observation, Project, expect, project
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.langfuse.database.choice import open_database

Row = dict[str, Any]

_INTO = {
    "traces": "INSERT INTO traces FORMAT JSONEachRow\n",
    "observations": "INSERT INTO observations FORMAT JSONEachRow\n",
    "scores": "INSERT INTO scores FORMAT JSONEachRow\n",
    "events_core": "INSERT INTO events_core FORMAT JSONEachRow\n",
}
_OTHER_TABLES = {"langfuse_3": {"events_core"}, "langfuse_4": {"traces", "observations"}}


class Engine:
    """The engine, one statement at a time.

    Attributes:
        told: The rows that it answered, by statement and window.
    """

    def __init__(self, absent: set[str]) -> None:
        """Make a database with Langfuse's tables but those `absent`."""
        self.told: dict[str, dict[str, list[Row]]] = {}
        self._session = chdb.session.Session()
        self._lock = threading.Lock()
        script = TABLES.read_text(encoding="utf-8").splitlines()
        tables = "\n".join(line for line in script if not line.startswith("--")).split(";")
        for one in ("CREATE DATABASE langfuse", "USE langfuse", *filter(str.strip, tables)):
            self._session.query(one)
        for table in absent:
            self._session.query(f"DROP TABLE {table}")

    def close(self) -> None:
        """Forget all."""
        self._session.close()

    def put(self, table: str, rows: Iterable[Row]) -> None:
        """Insert `rows` at once."""
        self._session.query(_INTO[table] + "\n".join(map(json.dumps, rows)))

    def answer(self, params: Params) -> tuple[int, bytes]:
        """Answer a request."""
        values = {name[6:]: text for name, text in params.items() if name.startswith("param_")}
        with self._lock:
            body = bytes(self._session.query(params["query"], "JSON", params=values).bytes())
        rows = json.loads(body)["data"]
        self.told.setdefault(statement(params), {})[window(params)] = rows
        return 200, body


def main() -> None:
    """Record both generations of tables."""
    made = project()
    recorded = {}
    for name, absent in _OTHER_TABLES.items():
        engine = Engine(absent)
        _fill(engine, made, events="events_core" not in absent)
        _check(engine, made)
        engine.close()
        recorded[name] = engine.told
    text = json.dumps(recorded, indent=1, sort_keys=True)
    RECORDING.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(f"{RECORDING} written, all numbers are right\n")


def _fill(engine: Engine, made: Project, *, events: bool) -> None:
    if events:
        seen = [_event(made, one) for one in made.observations]
        gone = {**seen[0], "span_id": "gone", "is_deleted": 1}
        engine.put("events_core", [*seen, gone])
    else:
        seen = [_observation(one) for one in made.observations]
        gone = {**seen[0], "id": "gone", "is_deleted": 1}
        engine.put("observations", [*seen, gone])
        for version in (1, 2):
            # Twice, as Langfuse writes what has changed: the last one counts.
            engine.put("traces", [_trace(one, version) for one in made.traces])
    engine.put(
        "scores",
        [
            {
                "id": one.id,
                "timestamp": _moment(one.at),
                "name": one.name,
                "data_type": one.kind,
                "value": one.value or 0,
                **_version(1),
            }
            for one in made.scores
        ],
    )


def _trace(one: Any, version: int) -> Row:
    return {
        "id": one.id,
        "timestamp": _moment(one.at),
        "user_id": one.user,
        "session_id": one.session,
        **_version(version),
    }


def _use(one: Observation) -> Row:
    return {
        "trace_id": one.trace,
        "start_time": _moment(one.start),
        "end_time": _moment(one.end),
        "completion_start_time": _moment(one.first),
        "level": one.level,
        "usage_details": {
            "input": one.input,
            "output": one.output,
            "total": one.input + one.output,
        },
        "cost_details": {} if one.cost is None else {"total": f"{one.cost:.5f}"},
        **_version(1),
    }


def _observation(one: Observation) -> Row:
    cost = None if one.cost is None else f"{one.cost:.5f}"
    return {"id": one.id, "provided_model_name": one.model, "total_cost": cost, **_use(one)}


def _event(made: Project, one: Observation) -> Row:
    trace = next(it for it in made.traces if it.id == one.trace)
    return {
        "span_id": one.id,
        "provided_model_name": one.model or "",
        "user_id": trace.user or "",
        "session_id": trace.session or "",
        **_use(one),
    }


def _version(version: int) -> Row:
    return {"project_id": "p", "event_ts": _moment(1_700_000_000 + version), "is_deleted": 0}


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds:.3f}"


def _check(engine: Engine, made: Project) -> None:
    with serving(ClickHouse(engine.answer)) as clickhouse:
        url = f"clickhouse://u:p@127.0.0.1:{clickhouse.port}/langfuse"
        poll = open_database(url, 60, Complaints("record"), "").poll(Deadline.after(300))
    assert abs((poll.newest or 0) - made.newest()) < 2e-3
    for name, usage in poll.windows.items():
        expected = expect(made, name)
        check_all(usage, expected)
        assert (usage.sessions, usage.users) == (expected.sessions, expected.users)


if __name__ == "__main__":
    main()
