"""The exporter as a process: what it exposes, what it says as JSON, and what it keeps to itself."""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter_testing.langfuse.data import expect, project
from exporter_testing.langfuse.server import PUBLIC_KEY, SECRET_KEY, Langfuse, said, serving
from exporter_testing.process import Running, Start, tool, wait_for
from llm_monitor.base import registry
from llm_monitor.base.config.load import check
from llm_monitor.base.config.reader import read
from llm_monitor.base.errors import SettingsError
from llm_monitor.langfuse import exporter
from llm_monitor.langfuse.facts import WINDOWS

PREFIX = "llm_monitor_langfuse_"
Values = dict[tuple[str, ...], float]


def values(text: str) -> Values:
    """Return samples by name without prefix and the labels' values, sorted by label."""
    return {
        (sample.name.removeprefix(PREFIX), *(v for _, v in sorted(sample.labels.items()))): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(running: Running) -> Values:
    return values(running.get().text)


def polled(running: Running) -> Values:
    """Return the metrics once the first poll has ended, with whatever success."""
    names = ("state", "ready", "usage")
    wait_for(lambda: {("collector_success", name) for name in names} <= scrape(running).keys(), 20)
    return scrape(running)


QUICK = {"MIN_INTERVAL": "0"}


def test_every_window_is_exposed_number_by_number(
    langfuse: Langfuse, start_langfuse: Start
) -> None:
    running = start_langfuse(langfuse, **QUICK)
    found = polled(running)
    assert found["up",] == 1
    assert found["ready",] == 1
    assert found["info", "4.16.0"] == 1
    assert found["source_info", "metrics_v2"] == 1
    assert 0 < found["data_age_seconds",] < 400
    for window in WINDOWS:
        expected = expect(langfuse.project, window)
        assert found["traces", window] == expected.traces
        assert found["sessions", window] == expected.sessions
        assert found["users", window] == expected.users
        for model in set(expected.observations) - {"none"}:
            assert found["observations", model, window] == expected.observations[model]
            assert found["errors", model, window] == expected.errors[model]
            assert found["tokens", "input", model, window] == (expected.input[model])
            assert found["tokens", "output", model, window] == expected.output[model]
            assert found["cost_usd", model, window] == pytest.approx(expected.cost[model])
            for quantile, seconds in expected.latency[model].items():
                latency = found["latency_seconds", model, quantile, window]
                assert latency == pytest.approx(seconds, abs=1e-6)
            for quantile, seconds in expected.first[model].items():
                first = found["time_to_first_token_seconds", model, quantile, window]
                assert first == pytest.approx(seconds, abs=1e-6)
        assert ("cost_usd", "none", window) not in found
        assert {name: found["scores", name, window] for name in expected.scores} == expected.scores
        for name, mean in expected.means.items():
            assert found["score_mean", name, window] == pytest.approx(mean)
        assert ("score_mean", "tone", window) not in found


def test_the_output_is_as_prometheus_wants_it(langfuse: Langfuse, start_langfuse: Start) -> None:
    running = start_langfuse(langfuse, **QUICK)
    polled(running)
    text = running.get().text
    command = [tool("promtool"), "check", "metrics"]
    checked = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    types = dict(re.findall(r"# TYPE (\S+) (\S+)", text))
    assert {name for name, kind in types.items() if kind == "summary"} == {
        f"{PREFIX}latency_seconds",
        f"{PREFIX}time_to_first_token_seconds",
    }
    # A window's sum rises and falls.
    counters = {name for name, kind in types.items() if kind == "counter"}
    assert counters == {f"{PREFIX}collections_total"}
    assert "user-" not in text
    assert "session-" not in text
    openmetrics = running.get(accept="application/openmetrics-text; version=1.0.0").text
    assert f"# UNIT {PREFIX}cost_usd usd" in openmetrics


def test_the_usage_of_a_window_as_json(langfuse: Langfuse, start_langfuse: Start) -> None:
    running = start_langfuse(langfuse, **QUICK)
    polled(running)
    told = running.get("/api/v1/usage?window=24h").json()
    expected = expect(langfuse.project, "24h")
    assert (told["window"], told["source"]) == ("24h", "metrics_v2")
    assert (told["traces"], told["sessions"], told["users"]) == (
        expected.traces,
        expected.sessions,
        expected.users,
    )
    models = {one["model"]: one for one in told["models"]}
    assert {name: one["observations"] for name, one in models.items()} == expected.observations
    top = models["llama-3.3-70b"]
    assert top["cost_usd"] == pytest.approx(expected.cost["llama-3.3-70b"])
    assert top["latency_seconds"] == pytest.approx(expected.latency["llama-3.3-70b"], abs=1e-6)
    assert models["none"]["time_to_first_token_seconds"] is None
    assert {one["name"]: one["count"] for one in told["scores"]} == expected.scores
    assert running.get("/api/v1/usage").json()["window"] == "1h"


@pytest.mark.parametrize("window", ["2h", "", "1H", "x" * 5000, "%00"])
def test_a_window_that_does_not_exist(
    langfuse: Langfuse, start_langfuse: Start, window: str
) -> None:
    answer = start_langfuse(langfuse).get(f"/api/v1/usage?window={window}")
    assert answer.status_code == 400
    assert answer.json()["error"].endswith("expected one of 5m, 1h, 24h")
    assert len(answer.text) < 500


def test_what_is_gone_is_not_shown_as_fresh(langfuse: Langfuse, start_langfuse: Start) -> None:
    running = start_langfuse(langfuse, LANGFUSE__INTERVAL="10s", **QUICK)
    assert polled(running)["up",] == 1
    for path in ("/api/public/v2/metrics", "/api/public/health", "/api/public/ready"):
        langfuse.says[path] = said(502, "no")
    wait_for(lambda: scrape(running)["up",] == 0, 20)
    wait_for(lambda: scrape(running)["collector_success", "usage"] == 0, 20)
    found = scrape(running)
    assert not any(
        name in {"traces", "observations", "info", "data_age_seconds"} for name, *_ in found
    )
    assert found["upstream_errors_total", "metrics_v2", "status"] >= 1
    answer = running.get("/api/v1/usage")
    assert answer.status_code == 503
    assert "status 502" in answer.json()["error"]
    langfuse.says.clear()
    wait_for(lambda: scrape(running)["up",] == 1, 20)
    wait_for(lambda: ("traces", "1h") in scrape(running), 20)


def test_what_many_models_do_is_added_up(start_langfuse: Start) -> None:
    made = project(traces=400, models=[f"model-{number:02}" for number in range(70)])
    with serving(Langfuse(made)) as langfuse:
        running = start_langfuse(langfuse, MAX_SERIES_PER_FAMILY="1000", MAX_SERIES="10000")
        found = polled(running)
    expected = expect(made, "24h")
    shown = {labels[0] for name, *labels in found if name == "observations" and labels[1] == "24h"}
    assert len(shown) == 51
    assert "other" in shown
    ranked = sorted(expected.observations, key=lambda name: (-expected.observations[name], name))
    assert shown - {"other"} == set(ranked[:50])
    rest = ranked[50:]
    assert rest
    assert found["observations", "other", "24h"] == sum(expected.observations[n] for n in rest)
    assert found["errors", "other", "24h"] == sum(expected.errors[name] for name in rest)
    assert found["tokens", "input", "other", "24h"] == sum(expected.input[name] for name in rest)
    assert found["cost_usd", "other", "24h"] == pytest.approx(
        sum(expected.cost[name] or 0 for name in rest)
    )
    assert not any(name == "latency_seconds" and "other" in labels for name, *labels in found)
    assert not any(name == "series_dropped_total" for name, *_ in found)


def test_the_default_caps_are_enough_for_the_default_number_of_models(
    start_langfuse: Start,
) -> None:
    made = project(traces=400, models=[f"model-{number:02}" for number in range(70)])
    with serving(Langfuse(made)) as langfuse:
        found = polled(start_langfuse(langfuse))
    assert not any(name == "series_dropped_total" for name, *_ in found)
    assert len([key for key in found if key[0] == "observations"]) == 153


def test_a_lower_cap_costs_the_least_used_models(start_langfuse: Start) -> None:
    made = project(traces=400, models=[f"model-{number:02}" for number in range(70)])
    with serving(Langfuse(made)) as langfuse:
        found = polled(start_langfuse(langfuse, LANGFUSE__MAX_SERIES_PER_FAMILY="200"))
    shown = {labels[0] for name, *labels in found if name == "latency_seconds"}
    counts = expect(made, "24h").observations
    top = sorted(set(counts) - {"none"}, key=lambda name: -counts[name])[:10]
    assert set(top) <= shown
    assert found["series_dropped_total", f"{PREFIX}latency_seconds"] > 0
    assert len([key for key in found if key[0] == "observations"]) == 153


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "expected either url, with public_key and secret_key, or database"),
        ({"URL": "http://langfuse:3000"}, "url needs public_key and secret_key"),
        (
            {
                "URL": "http://langfuse:3000",
                "PUBLIC_KEY": "planted",
                "DATABASE": "postgresql://x/y",
            },
            "expected either url, with public_key and secret_key, or database",
        ),
        (
            {"DATABASE": "postgresql://u:planted@h/d", "SECRET_KEY": "planted"},
            "public_key and secret_key belong to url, not to database",
        ),
        ({"DATABASE": "mysql://u:planted@h/d"}, "expected postgresql://… or clickhouse://…"),
        ({"DATABASE": "planted"}, "expected postgresql://… or clickhouse://…"),
        ({"DATABASE": "postgresql://u:planted@h:port/d"}, "database is no URL"),
        ({"DATABASE": "clickhouse+native://u:planted@h/d"}, "names a driver"),
        ({"DATABASE": "clickhouse://:planted@/d"}, "database is no URL"),
        ({"DATABASE": ""}, "a hidden value is not allowed; expected a secret"),
        ({"URL": "http://u:planted@langfuse:3000"}, "'http://***@langfuse:3000' is not allowed"),
        ({"URL": "langfuse:3000"}, "expected a URL such as https://langfuse.example.com"),
        ({"URL": "http://h/?key=1"}, "expected a URL such as"),
        ({"URL": "http://h:99999999/"}, "expected a URL such as"),
        ({"URL": "ftp://h/"}, "expected a URL such as"),
        ({"URL": "http://h:/"}, "expected a URL such as"),
        ({"URL": "http://h:3000\n"}, "expected a URL such as"),
        ({"INTERVAL": "1s"}, "expected a duration such as 5m"),
        ({"MODELS": "0"}, "expected a number, 1 to 1000"),
    ],
)
def test_settings_that_can_not_be_used(settings: Mapping[str, str], expected: str) -> None:
    own = {f"LLM_MONITOR_LANGFUSE__{name}": text for name, text in settings.items()}
    with pytest.raises(SettingsError) as caught:
        check(read(own), {"langfuse": exporter.Settings}, registry.names())
    assert expected in str(caught.value)
    assert "planted" not in str(caught.value)


def test_secrets_are_told_nowhere(start_langfuse: Start) -> None:
    echo = json.dumps({"message": f"bad key {SECRET_KEY} of {PUBLIC_KEY}"})
    with serving(Langfuse(project())) as langfuse:
        running = start_langfuse(langfuse, LOG_LEVEL="debug", LANGFUSE__INTERVAL="10s", **QUICK)
        polled(running)
        for status in (401, 500, 200):
            langfuse.says["/api/public/v2/metrics"] = said(status, echo)
            before = len(langfuse.asked)
            wait_for(lambda before=before: len(langfuse.asked) > before + 2, 30)
        told = [
            running.get(path).text for path in ("/metrics", "/", "/api/v1/usage", "/openapi.json")
        ]
        told.append(running.output.read_text())
    for text in told:
        for secret in (PUBLIC_KEY, SECRET_KEY, "cGstbGY"):
            assert secret not in text


def test_keys_in_clear_are_warned_of_once(start_exporter: Start) -> None:
    keys = {"LANGFUSE__PUBLIC_KEY": PUBLIC_KEY, "LANGFUSE__SECRET_KEY": SECRET_KEY}
    running = start_exporter("langfuse", {"LANGFUSE__URL": "http://192.0.2.1:3000", **keys})
    assert running.output.read_text().count("travel in clear") == 1


def test_it_ends_at_once_while_langfuse_hangs(langfuse: Langfuse, start_langfuse: Start) -> None:
    langfuse.once = [said(429, "{}", retry_after="100")] * 50
    running = start_langfuse(langfuse)
    wait_for(lambda: bool(langfuse.asked), 10)
    assert running.terminate() < 5


def test_what_the_database_needs_is_not_in_memory_without_one(
    langfuse: Langfuse, start_langfuse: Start
) -> None:
    running = start_langfuse(langfuse)
    polled(running)
    assert "psycopg" not in Path(f"/proc/{running.process.pid}/maps").read_text()
    # 54 MiB were measured, and 72 with SQLAlchemy and psycopg.
    assert running.resident() < 60 << 20


def test_several_clients_get_the_same(langfuse: Langfuse, start_langfuse: Start) -> None:
    running = start_langfuse(langfuse)
    polled(running)
    asked = len(langfuse.asked)
    with httpx.Client(base_url=f"http://127.0.0.1:{running.port}") as client:
        for _ in range(20):
            assert client.get("/metrics").status_code == 200
            assert client.get("/api/v1/usage?window=5m").status_code == 200
    assert len(langfuse.asked) == asked
