"""Langfuses that misbehave under an exporter that runs: what that costs, counts and logs."""

import asyncio
import dataclasses
import json
import re
from collections import Counter
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from exporter_testing.hostile import HOSTILES, Hostile, in_json
from exporter_testing.hostile import serving as hostile_serving
from exporter_testing.langfuse.data import project
from exporter_testing.langfuse.server import (
    GENERATIONS,
    PUBLIC_KEY,
    SECRET_KEY,
    Answer,
    Asked,
    Langfuse,
    said,
    serving,
)
from exporter_testing.process import Running, Start, wait_for
from exporter_testing.scraping import Values, ask
from llm_monitor.base.collection.engine import Engine, Limits
from llm_monitor.base.exporter import Exporter
from llm_monitor.base.web.app import create_app
from llm_monitor.base.web.auth import Credentials
from llm_monitor.langfuse.exporter import Settings, build

PREFIX = "llm_monitor_langfuse_"
V2, V1, DAILY = GENERATIONS
LIMITS = Limits(min_interval=0, per_family=500, total=5000)

Logs = Sequence[MutableMapping[str, Any]]


@dataclasses.dataclass
class Seen:
    """What an exporter told while it polled three times.

    Attributes:
        scrapes: The metrics of each scrape.
        usage: What the JSON API said of the last day.
        logs: The log lines.
    """

    scrapes: list[Values]
    usage: httpx.Response
    logs: Logs

    @property
    def last(self) -> Values:
        return self.scrapes[-1]

    def errors(self, endpoint: str, scrape: int = -1) -> dict[str, float]:
        """Return how often what is asked of `endpoint` had failed, by reason."""
        name = f"{PREFIX}upstream_errors_total"
        return {key[2]: n for key, n in self.scrapes[scrape].items() if key[:2] == (name, endpoint)}

    def failed(self, endpoint: str) -> list[str]:
        """Return the reasons that were logged."""
        return [
            log["reason"]
            for log in self.logs
            if log["event"] == "upstream failed" and log["upstream"] == endpoint
        ]

    def success(self, collector: str) -> float:
        return self.last[f"{PREFIX}collector_success", collector]

    def names(self) -> set[str]:
        return {name.removeprefix(PREFIX) for name, *_ in self.last}


def eager(exporter: Exporter) -> Exporter:
    """Return `exporter` polling on each scrape, so that no test has to wait for its intervals."""
    background = (one.collector for one in exporter.background)
    collectors = [*background, *exporter.collectors]
    return dataclasses.replace(exporter, collectors=collectors, background=[])


def watch(url: str, patience: str = "4s") -> Seen:
    """Let an exporter ask the Langfuse at `url` on three scrapes."""
    keys = {"public_key": PUBLIC_KEY, "secret_key": SECRET_KEY, "ca_file": "", "port": 9903}
    limits = {"timeout": patience, "interval": "5m", "models": 50}
    exporter = eager(build(Settings.model_validate({"url": url, **keys, **limits})))

    async def run() -> tuple[list[Values], httpx.Response]:
        engine = Engine(exporter, LIMITS)
        transport = httpx.ASGITransport(create_app(engine, Credentials()))
        scrapes = [await ask(engine, 8) for _ in range(3)]
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return scrapes, await client.get("/api/v1/usage?window=24h")

    with capture_logs() as logs:
        scrapes, usage = asyncio.run(run())
    return Seen(scrapes, usage, logs)


def check_quiet(seen: Seen) -> None:
    """Check that nothing was told twice, and no secret at all."""
    told = Counter(
        (log["event"], log.get("upstream", log.get("collector")), log.get("reason"))
        for log in seen.logs
    )
    assert max(told.values(), default=1) == 1
    assert not any("recovered" in event for event, *_ in told)
    for text in (str(seen.logs), str(seen.scrapes), seen.usage.text):
        assert "planted" not in text


def check_lost(seen: Seen, reasons: frozenset[str]) -> None:
    """Check that the usage is gone and nothing else is, counted at each poll and told once."""
    assert seen.success("state") == seen.success("ready") == 1
    assert seen.last[f"{PREFIX}up",] == seen.last[f"{PREFIX}ready",] == 1
    assert seen.success("usage") == 0
    assert not seen.names() & {"traces", "observations", "tokens", "scores", "source_info"}
    assert seen.usage.status_code == 503
    (endpoint,) = {key[1] for key in seen.last if key[0] == f"{PREFIX}upstream_errors_total"}
    assert set(seen.errors(endpoint)) <= reasons
    # What fails in one scrape may be counted in the next one only.
    assert sum(seen.errors(endpoint).values()) >= 2
    assert seen.failed(endpoint) == [*seen.errors(endpoint)]
    assert [log["collector"] for log in seen.logs if log["event"] == "collector failed"] == [
        "usage"
    ]
    check_quiet(seen)


def patience(hostile: Hostile) -> str:
    """Return a short time for those that use it up, a long one for those that only take theirs."""
    return "500ms" if "timeout" in hostile.reasons else "4s"


@pytest.mark.parametrize(
    "hostile",
    [one for one in HOSTILES if one.serve and not one.text and one.scheme == "http"],
    ids=str,
)
def test_hostile_usage_costs_what_is_read_from_it_only(
    langfuse: Langfuse, hostile: Hostile
) -> None:
    with hostile_serving(hostile) as url:
        langfuse.says = dict.fromkeys(GENERATIONS, url)
        seen = watch(langfuse.url, patience(hostile))
    check_lost(seen, hostile.reasons)


@pytest.mark.parametrize("hostile", [one for one in HOSTILES if not one.text], ids=str)
def test_a_langfuse_that_is_hostile_altogether_is_not_up(hostile: Hostile) -> None:
    with hostile_serving(hostile) as url:
        seen = watch(url, patience(hostile))
    assert seen.last[f"{PREFIX}up",] == 0
    assert seen.success("state") == seen.success("usage") == 0
    assert seen.success("upstream") == 1
    for endpoint in ("health", "metrics_v2"):
        assert seen.errors(endpoint)
        assert set(seen.errors(endpoint)) <= hostile.reasons
        assert sum(seen.errors(endpoint).values()) > sum(seen.errors(endpoint, 0).values())
        assert seen.failed(endpoint) == [*seen.errors(endpoint)]
    assert seen.usage.status_code == 503
    check_quiet(seen)


def query_row(name: object, number: object) -> dict[str, Any]:
    return {
        "providedModelName": name,
        "name": name,
        "count_count": "3",
        "sum_totalCost": number,
        "p50_latency": number,
        "avg_value": number,
    }


def day_row(name: object, number: object) -> dict[str, Any]:
    use = {"model": name, "countObservations": 3, "inputUsage": 1, "totalCost": number}
    return {"date": name, "countTraces": 1, "usage": [use]}


IN_JSON = [(V2, one) for one in in_json(query_row)] + [(DAILY, one) for one in in_json(day_row)]


@pytest.mark.parametrize(("path", "hostile"), IN_JSON, ids=str)
def test_hostile_rows_cost_what_is_read_from_them_only(
    langfuse: Langfuse, path: str, hostile: Hostile
) -> None:
    with hostile_serving(hostile) as url:
        langfuse.says = dict.fromkeys(GENERATIONS[: GENERATIONS.index(path)], said(404, "{}"))
        langfuse.says[path] = url
        seen = watch(langfuse.url)
    if not seen.success("usage"):
        check_lost(seen, hostile.reasons)
        return
    assert "" in hostile.reasons
    assert seen.usage.status_code == 200
    models = {one["model"]: one for one in seen.usage.json()["models"]}
    assert sum(one["observations"] for one in models.values()) in ROWS[hostile.name]
    assert ("cost_usd" in seen.names()) == (hostile.name != "not_finite")
    endpoint = "metrics_daily" if path == DAILY else "metrics_v2"
    assert set(seen.errors(endpoint)) == hostile.reasons - {""}
    assert seen.failed(endpoint) == [*seen.errors(endpoint)]
    check_quiet(seen)


# What there is of three observations each.
ROWS: Mapping[str, set[int]] = {
    "not_finite": {9},
    "deep_names": {3},
    "quotes": {3},
    "half_characters": {9},
    "long_names": {6},
    "many_rows": {300_000},
}


class Choosy(Langfuse):
    """A Langfuse that fails at one of the questions of each window."""

    def answer(self, one: Asked) -> Answer | str:
        if one.path == V2 and json.loads(one.params["query"]).get("filters"):
            return said(500, "{}")
        return super().answer(one)


def test_a_question_that_fails_after_others_is_logged_once() -> None:
    with serving(Choosy(project())) as langfuse:
        seen = watch(langfuse.url)
    check_lost(seen, frozenset({"status"}))


def test_a_day_that_comes_twice_is_no_day_more(langfuse: Langfuse) -> None:
    langfuse.says = dict.fromkeys((V2, V1), said(404, "{}"))
    day = {"date": "2026-11-21", "countTraces": 1, "usage": []}
    langfuse.says[DAILY] = said(200, json.dumps({"data": [day], "meta": {"totalPages": 2}}))
    check_lost(watch(langfuse.url), frozenset({"unparsable"}))


def test_a_sum_with_what_is_no_number_is_none(langfuse: Langfuse) -> None:
    langfuse.says = dict.fromkeys((V2, V1), said(404, "{}"))
    use = [
        {"model": "a", "countObservations": 2, "inputUsage": 1e999, "outputUsage": 5},
        {"model": "b", "countObservations": "NaN", "inputUsage": 7},
    ]
    day = {"date": "2026-11-21", "countTraces": 4, "usage": use}
    langfuse.says[DAILY] = said(200, json.dumps({"data": [day]}))
    seen = watch(langfuse.url)
    assert seen.last[f"{PREFIX}traces", "24h"] == 4
    assert seen.last[f"{PREFIX}observations", "24h", "a"] == 2
    assert seen.last[f"{PREFIX}tokens", "24h", "a", "output"] == 5
    assert (f"{PREFIX}tokens", "24h", "a", "input") not in seen.last
    assert (f"{PREFIX}observations", "24h", "b") not in seen.last
    assert set(seen.errors("metrics_daily")) == {"not_finite"}
    check_quiet(seen)


@pytest.mark.slow
def test_what_is_hostile_poll_after_poll_is_told_once_by_a_process(
    langfuse: Langfuse, start_langfuse: Start
) -> None:
    langfuse.says[V2] = said(200, "{")
    running = start_langfuse(langfuse, LANGFUSE__INTERVAL="10s", MIN_INTERVAL="0")
    wait_for(lambda: counted(running, "unparsable") >= 2, 30)
    assert f"{PREFIX}up 1\n" in running.get().text
    events = Counter(json.loads(line)["event"] for line in running.output.read_text().splitlines())
    assert events["upstream failed"] == events["collector failed"] == 1


def counted(running: Running, reason: str) -> int:
    found = re.search(rf'upstream_errors_total{{.*reason="{reason}"}} (\d+)', running.get().text)
    return int(found[1]) if found else 0


@pytest.mark.slow
@pytest.mark.parametrize("path", [V2, DAILY])
def test_as_many_rows_as_fit_in_an_answer_fit_in_the_memory(
    langfuse: Langfuse, start_langfuse: Start, path: str
) -> None:
    langfuse.says = dict.fromkeys(GENERATIONS[: GENERATIONS.index(path)], said(404, "{}"))
    if path == DAILY:
        use = [f'{{"model":"{number}","countObservations":3}}' for number in range(9_999)]
        body = f'{{"data":[{{"date":"","usage":[{",".join(use)}]}}]}}'
    else:
        times = '"p50_latency":1,"p95_latency":2,"p99_latency":3'
        made = (
            f'{{"providedModelName":"{number}","name":"{number}","count_count":3,{times}}}'
            for number in range(37_000)
        )
        body = f'{{"data":[{",".join(made)}]}}'
    langfuse.says[path] = said(200, body)
    running = start_langfuse(langfuse)
    wait_for(lambda: 'collector_success{collector="usage"}' in running.get().text, 60)
    text = running.get().text
    assert 'collector_success{collector="usage"} 1\n' in text
    assert 'observations{window="24h",model="other"}' in text
    # What its container may use; 140 MiB of it were measured.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{running.process.pid}/status").read_text())
    assert peak
    assert int(peak[1]) << 10 < 192 << 20
