"""The exporter as a process: what it exposes, what it says as JSON, and what it keeps to itself."""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter_testing.event_store import TABLE, EventStore, event
from exporter_testing.process import Running, Start, tool, wait_for
from llm_monitor.base import registry
from llm_monitor.base.config.load import check
from llm_monitor.base.config.reader import read
from llm_monitor.base.errors import SettingsError
from llm_monitor.llmops import exporter
from llm_monitor.llmops.facts import WINDOWS

PREFIX = "llm_monitor_llmops_"
Values = dict[tuple[str, ...], float]


def scrape(running: Running) -> Values:
    """Return samples by name without prefix and the labels' values, sorted by label."""
    return {
        (sample.name.removeprefix(PREFIX), *(v for _, v in sorted(sample.labels.items()))): (
            sample.value
        )
        for family in text_string_to_metric_families(running.get().text)
        for sample in family.samples
    }


@pytest.fixture
def started(store: EventStore, start_exporter: Start) -> "Starter":
    return Starter(store, start_exporter)


class Starter:
    """Starts an exporter over an event store."""

    def __init__(self, store: EventStore, start: Start) -> None:
        self._store = store
        self._start = start

    def __call__(self, **settings: str) -> Running:
        """Start it, and wait until its first poll has ended, with whatever success."""
        own = {"LLMOPS__DATABASE": self._store.url, "LLMOPS__INTERVAL": "10s", "MIN_INTERVAL": "0"}
        running = self._start("llmops", {**own, **settings})
        ended = {("collector_success", "usage"), ("collector_success", "state")}
        wait_for(lambda: ended <= scrape(running).keys(), 20)
        return running


def test_everything_that_is_declared_is_exposed(store: EventStore, started: Starter) -> None:
    store.write(
        [
            event(20, first=0.2, cost=0.5, session="one"),
            event(30, duration=3, first=0.4, error="TimeoutError", session="two"),
        ]
    )
    found = scrape(started())
    assert (found["up",], found["schema_version",]) == (1, 2)
    assert 20 <= found["data_age_seconds",] < 60
    for window in WINDOWS:
        pair = ("llama3-70b", "answer")
        assert found["sessions", window] == 2
        assert found["requests", *pair, window] == 2
        assert found["errors", *pair, window] == 1
        assert found["errors_by_reason", "answer", "timeout", window] == 1
        assert found["tokens", "input", *pair, window] == 200
        assert found["tokens", "output", *pair, window] == 40
        assert found["cost_usd", *pair, window] == 0.5
        for quantile, place in (("0.5", 0.5), ("0.95", 0.95), ("0.99", 0.99)):
            latency = found["latency_seconds", *pair, quantile, window]
            assert latency == pytest.approx(1 + 2 * place)
            first = found["time_to_first_token_seconds", *pair, quantile, window]
            assert first == pytest.approx(0.2 + 0.2 * place)


def test_an_empty_store_is_no_failure(started: Starter) -> None:
    found = scrape(started())
    assert found["up",] == found["collector_success", "usage"] == 1
    assert found["sessions", "24h"] == 0
    assert not [key for key in found if key[0] in {"data_age_seconds", "requests", "cost_usd"}]


def test_the_output_is_as_prometheus_wants_it(store: EventStore, started: Starter) -> None:
    names = ["a\nb", 'quo"te', "back\\slash", "\U0001f600" * 500, "\u202eevil", "nul\0", "\r\x1b["]
    store.write([event(10, name, name, cost=1, first=1, session="mine") for name in names])
    running = started()
    text = running.get().text
    command = [tool("promtool"), "check", "metrics"]
    checked = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    types = dict(re.findall(r"# TYPE (\S+) (\S+)", text))
    summaries = {name for name, kind in types.items() if kind == "summary"}
    assert summaries == {f"{PREFIX}latency_seconds", f"{PREFIX}time_to_first_token_seconds"}
    # A window's sum rises and falls.
    counters = {name for name, kind in types.items() if kind == "counter"}
    assert counters == {f"{PREFIX}collections_total"}
    labels = set(re.findall(r'[{,]([a-z_]+)="', text))
    assert labels <= {
        *("window", "operation", "model", "direction", "reason", "quantile"),
        *("collector", "version", "python"),
    }
    assert "mine" not in text
    openmetrics = running.get(accept="application/openmetrics-text; version=1.0.0").text
    assert f"# UNIT {PREFIX}cost_usd usd" in openmetrics


def test_very_many_names_stay_within_the_caps(store: EventStore, started: Starter) -> None:
    made = [
        event(10, f"operation-{number % 90}", f"model-{number}", error=f"E{number}", cost=1)
        for number in range(3000)
    ]
    store.write(made)
    found = scrape(started())
    assert not [key for key in found if key[0] == "series_dropped_total"]
    for name in ("requests", "errors", "cost_usd"):
        values = [value for key, value in found.items() if key[0] == name and key[-1] == "1h"]
        assert 50 <= len(values) <= 51
        assert sum(values) == 3000
    assert len([key for key in found if key[0] == "errors_by_reason"]) <= 3 * 51
    assert len(found) < 2000


def test_a_lower_cap_costs_the_least_used(store: EventStore, started: Starter) -> None:
    for number in range(20):
        store.write([event(10, f"operation-{number:02}") for _ in range(number + 1)])
    found = scrape(started(LLMOPS__MAX_SERIES_PER_FAMILY="9"))
    shown = {key[2] for key in found if key[0] == "requests"}
    assert shown == {"operation-17", "operation-18", "operation-19"}
    assert found["series_dropped_total", f"{PREFIX}requests"] > 0


def test_a_window_as_json(store: EventStore, started: Starter) -> None:
    store.write(
        [
            event(20, "answer", "big", cost=0.5, first=0.2, session="one"),
            event(30, "answer", "small", error="TimeoutError", session="one"),
            event(7200, "summarize", "small", session="two"),
        ]
    )
    running = started()
    summary = running.get("/api/v1/summary").json()
    assert (summary["window"], summary["requests"], summary["errors"]) == ("1h", 2, 1)
    assert (summary["sessions"], summary["cost_usd"]) == (1, 0.5)
    assert (summary["input_tokens"], summary["output_tokens"]) == (200, 40)
    assert summary["errors_by_reason"] == {"timeout": 1}
    assert summary["latency_seconds"] == {"0.5": 1, "0.95": 1, "0.99": 1}
    assert summary["time_to_first_token_seconds"]["0.5"] == 0.2
    assert summary["from"] < summary["newest"] < summary["to"]
    day = running.get("/api/v1/operations?window=24h").json()
    assert [one["operation"] for one in day["operations"]] == ["answer", "summarize"]
    assert day["operations"][0]["errors_by_reason"] == {"timeout": 1}
    assert day["operations"][1]["cost_usd"] is None
    models = running.get("/api/v1/models?window=24h").json()["models"]
    assert {one["model"]: one["requests"] for one in models} == {"big": 1, "small": 2}
    assert running.get("/api/v1/summary?window=5m").json()["requests"] == 2


def test_a_session_as_json(store: EventStore, started: Starter) -> None:
    private = {"prompt": "planted-content"}
    store.write(
        [
            event(20, first=0.2, cost=0.25, session="a/b c", custom_attributes=private),
            event(30, duration=2, error="TimeoutError", session="a/b c"),
        ]
    )
    running = started()
    answer = running.get("/api/v1/sessions/a%2Fb%20c")
    told = answer.json()
    assert (told["session_id"], told["window"], told["requests"]) == ("a/b c", "24h", 2)
    assert (told["errors"], told["cost_usd"], told["left_out"]) == (1, 0.25, 0)
    newest, oldest = told["events"]
    assert (newest["duration_seconds"], oldest["duration_seconds"]) == (1, 2)
    assert newest["time_to_first_token_seconds"] == 0.2
    assert (newest["operation"], newest["model"]) == ("answer", "llama3-70b")
    assert (newest["error"], oldest["error_type"]) == (False, "TimeoutError")
    assert told["first"] == oldest["timestamp"] < told["last"] == newest["timestamp"]
    assert "planted-content" not in answer.text


def test_a_window_that_does_not_exist(started: Starter) -> None:
    running = started()
    for path in ("summary", "operations", "models", "sessions/mine"):
        for window in ("2h", "", "1H", "x" * 5000, "%00"):
            answer = running.get(f"/api/v1/{path}?window={window}")
            assert answer.status_code == 400, (path, window)
            assert answer.json()["error"].endswith("expected one of 5m, 1h, 24h")
            assert len(answer.text) < 500


def test_a_session_that_does_not_exist(started: Starter) -> None:
    running = started()
    for session in ("nobody", "'; DROP TABLE x; --", "%ED%A0%80", "\u202e" * 900):
        answer = running.get(f"/api/v1/sessions/{session}?window=1h")
        assert answer.status_code == 404, session
        assert answer.json()["error"].endswith("has no event in the last 1h")
        assert len(answer.text) < 500


def test_what_no_session_can_be_called(started: Starter) -> None:
    running = started()
    for session in ("a%00b", "x" * 1025):
        answer = running.get(f"/api/v1/sessions/{session}")
        assert answer.status_code == 400, session
        assert "expected at most 1024 characters" in answer.json()["error"]
        assert len(answer.text) < 500


def test_a_locked_table_holds_up_no_request(store: EventStore, started: Starter) -> None:
    running = started()
    with store.connect() as connection, connection.transaction():
        connection.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        for _ in range(2):
            answer = running.get("/api/v1/sessions/mine")
            assert answer.status_code == 503
        assert running.get().status_code == 200
    wait_for(lambda: running.get("/api/v1/sessions/mine").status_code == 404, 10)


def test_it_ends_at_once_while_a_statement_runs(store: EventStore, start_exporter: Start) -> None:
    with store.connect() as locking, locking.transaction():
        locking.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        running = start_exporter("llmops", {"LLMOPS__DATABASE": store.url})
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        with store.connect() as other:
            wait_for(lambda: other.execute(waiting).fetchone() is not None)
        assert running.terminate() < 5


def test_a_store_that_goes_and_comes_back(
    server: EventStore, start_exporter: Start, tmp_path: Path
) -> None:
    secret = tmp_path / "url"
    secret.write_text(f"{server.anew()}\n")
    server.write([event(20)])
    settings = {"LLMOPS__DATABASE_FILE": str(secret), "LLMOPS__INTERVAL": "10s"}
    running = start_exporter("llmops", {**settings, "MIN_INTERVAL": "0", "LOG_LEVEL": "debug"})

    def shows(*lines: str) -> bool:
        text = running.get().text
        return all(line in text for line in lines)

    requests = f'{PREFIX}requests{{window="24h",operation="answer",model="llama3-70b"}} 1\n'
    wait_for(lambda: shows(requests, f"{PREFIX}up 1\n"), 20)
    server.server.stop()
    try:
        wait_for(lambda: shows(f"{PREFIX}up 0\n"), 30)
        wait_for(lambda: not shows(f"{PREFIX}requests{{"), 30)
        wait_for(lambda: shows('upstream_errors_total{endpoint="database",reason="refused"}'), 30)
        answers = [running.get(f"/api/v1/{path}") for path in ("summary", "sessions/mine")]
        assert [answer.status_code for answer in answers] == [503, 503]
        assert "connection refused" in answers[1].json()["error"]
    finally:
        server.server.start()
    wait_for(lambda: shows(requests, f"{PREFIX}up 1\n"), 30)
    told = running.output.read_text() + "".join(answer.text for answer in answers)
    told += "".join(running.get(path).text for path in ("/metrics", "/openapi.json", "/"))
    told += Path(f"/proc/{running.process.pid}/cmdline").read_text()
    assert server.password not in told
    events = [json.loads(line)["event"] for line in running.output.read_text().splitlines()]
    assert events.count("upstream recovered") == 1


def test_a_wrong_password_is_told_nowhere(store: EventStore, started: Starter) -> None:
    url = store.server.url("monitor", "planted-password", store.database)
    running = started(LLMOPS__DATABASE=url, LOG_LEVEL="debug")
    found = scrape(running)
    assert found["up",] == found["collector_success", "usage"] == 0
    assert found["upstream_errors_total", "database", "unauthorized"] > 0
    told = running.output.read_text()
    assert "the database refuses this user or password" in told
    paths = ("/metrics", "/", "/api/v1/summary", "/api/v1/sessions/mine", "/openapi.json")
    told += "".join(running.get(path).text for path in paths)
    assert "planted" not in told


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "expected database or database_file: the PostgreSQL URL of the event store"),
        ({"DATABASE": "mysql://u:planted@h/d"}, "expected postgresql://reader:password@host"),
        ({"DATABASE": "planted"}, "database is no URL of PostgreSQL"),
        ({"DATABASE": "postgresql://u:planted@h:port/d"}, "database is no URL"),
        ({"DATABASE": ""}, "a hidden value is not allowed; expected a secret"),
        ({"DATABASE": "postgresql://h/d", "TABLE_NAME": "x; --"}, "lower-case letters, digits"),
        ({"DATABASE": "postgresql://h/d", "SCHEMA_NAME": "a" * 64}, "lower-case letters, digits"),
        ({"DATABASE": "postgresql://h/d", "INTERVAL": "1s"}, "expected a duration such as 30s"),
        ({"DATABASE": "postgresql://h/d", "MOST": "0"}, "expected a number, 1 to 200"),
    ],
)
def test_settings_that_can_not_be_used(settings: Mapping[str, str], expected: str) -> None:
    own = {f"LLM_MONITOR_LLMOPS__{name}": text for name, text in settings.items()}
    with pytest.raises(SettingsError) as caught:
        check(read(own), {"llmops": exporter.Settings}, registry.names())
    assert expected in str(caught.value)
    assert "planted" not in str(caught.value)
