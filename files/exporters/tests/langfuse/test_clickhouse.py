"""Database mode against what a real ClickHouse answered over the tables of Langfuse 3 and 4."""

import base64
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from exporter_testing.hostile import HOSTILES, Hostile
from exporter_testing.hostile import serving as hostile_serving
from exporter_testing.langfuse.checks import check_all
from exporter_testing.langfuse.clickhouse import ClickHouse, Params, recorded, serving
from exporter_testing.langfuse.data import Project, expect, project
from exporter_testing.process import Start, wait_for
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.langfuse.database.choice import open_database
from llm_monitor.langfuse.database.clickhouse import address
from llm_monitor.langfuse.facts import Poll

PASSWORD = "planted/p@ss:word"  # noqa: S105 - planted
QUOTED = "planted%2Fp%40ss%3Aword"


@pytest.fixture
def made() -> Project:
    return project()


@pytest.fixture(params=["langfuse_3", "langfuse_4"])
def clickhouse(request: pytest.FixtureRequest, made: Project) -> Iterator[ClickHouse]:
    with serving(ClickHouse(recorded(request.param, made.newest()))) as one:
        yield one


def poll(url: str, seconds: float = 20) -> Poll:
    return open_database(url, 10, Complaints("test"), "").poll(Deadline.after(seconds))


def url_of(port: int) -> str:
    return f"clickhouse://monitor:{QUOTED}@127.0.0.1:{port}/langfuse"


def test_the_tables_number_by_number(clickhouse: ClickHouse, made: Project) -> None:
    found = poll(url_of(clickhouse.port))
    assert found.source == "clickhouse"
    assert found.newest == pytest.approx(made.newest(), abs=1e-3)
    for window, usage in found.windows.items():
        expected = expect(made, window)
        check_all(usage, expected)
        assert (usage.sessions, usage.users) == (expected.sessions, expected.users)


def test_every_statement_is_limited_in_time_and_shows_the_password_to_nobody(
    clickhouse: ClickHouse,
) -> None:
    poll(url_of(clickhouse.port))
    open_database(url_of(clickhouse.port), 10, Complaints("test"), "").version(Deadline.after(20))
    basic = base64.b64encode(f"monitor:{PASSWORD}".encode()).decode()
    assert {one["authorization"] for one in clickhouse.headers} == {f"Basic {basic}"}
    for params in clickhouse.asked:
        assert params["database"] == "langfuse"
        assert 1 <= int(params["max_execution_time"]) <= 10
        assert "planted" not in str(params)
        assert ("start_time" in params["query"]) <= ("param_since" in params)


def test_while_both_generations_of_tables_are_there_the_newer_data_counts(made: Project) -> None:
    old = recorded("langfuse_3", made.newest() - 7200)
    new = recorded("langfuse_4", made.newest())

    def both(params: Params) -> tuple[int, bytes]:
        if "system.tables" in params["query"]:
            return 200, b'{"data": [{"name": "observations"}, {"name": "events_core"}]}'
        status, body = old(params)
        return (status, body) if status == 200 else new(params)

    with serving(ClickHouse(both)) as clickhouse:
        found = poll(url_of(clickhouse.port))
    assert found.newest == pytest.approx(made.newest(), abs=1e-3)
    assert not any("observations FINAL" in one["query"] for one in clickhouse.asked)


def test_a_database_without_langfuses_tables() -> None:
    with (
        serving(ClickHouse(lambda _: (200, b'{"data": []}'))) as clickhouse,
        pytest.raises(UpstreamError, match="none of Langfuse's tables"),
    ):
        poll(url_of(clickhouse.port))


@pytest.mark.parametrize(("status", "reason"), [(403, "unauthorized"), (500, "status")])
def test_a_refusal_is_told_without_its_text(status: int, reason: str) -> None:
    said = f"Code: 516. DB::Exception: {PASSWORD}: Authentication failed".encode()
    with serving(ClickHouse(lambda _: (status, said))) as clickhouse:
        complaints = Complaints("test")
        repository = open_database(url_of(clickhouse.port), 5, complaints, "")
        with pytest.raises(UpstreamError) as caught:
            repository.version(Deadline.after(5))
    assert caught.value.reason == reason
    assert "planted" not in repr(caught.value)
    assert complaints.counts() == {("database", reason): 1}


@pytest.mark.parametrize("hostile", [one for one in HOSTILES if not one.text], ids=str)
def test_a_hostile_clickhouse_costs_its_answer_and_says_why(hostile: Hostile) -> None:
    with hostile_serving(hostile) as server:
        scheme, _, rest = server.partition("://")
        url = f"clickhouse+{scheme}://u:{QUOTED}@{rest}/langfuse"
        with pytest.raises(UpstreamError) as caught:
            poll(url, 2)
    assert caught.value.reason in hostile.reasons
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("body", ["[]", '{"data": 1}', '{"data": [1]}', "Code: 62"])
def test_an_answer_of_another_form(body: str) -> None:
    with serving(ClickHouse(lambda _: (200, body.encode()))) as clickhouse:
        with pytest.raises(UpstreamError) as caught:
            poll(url_of(clickhouse.port))
        assert caught.value.reason == Reason.UNPARSABLE


@pytest.mark.parametrize("row", ['{"name": "observations"}', '{"name": "events_core", "count": 1}'])
def test_rows_without_what_was_asked_for_are_nothing(row: str) -> None:
    with serving(ClickHouse(lambda _: (200, f'{{"data": [{row}]}}'.encode()))) as clickhouse:
        windows = poll(url_of(clickhouse.port)).windows
    assert not any(usage.models or usage.traces for usage in windows.values())


def test_what_only_some_statements_fail_at_is_told_once() -> None:
    refused = {"names": ["system.tables"]}

    def answer(params: Params) -> tuple[int, bytes]:
        status = 403 if any(name in params["query"] for name in refused["names"]) else 200
        return status, b'{"data": [{"name": "observations"}]}'

    with serving(ClickHouse(answer)) as clickhouse, capture_logs() as logs:
        complaints = Complaints("test")
        repository = open_database(url_of(clickhouse.port), 5, complaints, "")
        for _ in range(3):
            repository.version(Deadline.after(5))
            with pytest.raises(UpstreamError):
                repository.poll(Deadline.after(5))
        assert [log["event"] for log in logs] == ["upstream failed"]
        assert complaints.counts() == {("database", "unauthorized"): 3}
        refused["names"] = []
        repository.poll(Deadline.after(5))
    assert [log["event"] for log in logs] == ["upstream failed", "upstream recovered"]


@pytest.mark.parametrize(
    ("url", "where", "database"),
    [
        ("clickhouse://h", "http://h:8123/", "default"),
        ("clickhousedb://h/langfuse", "http://h:8123/", "langfuse"),
        ("clickhouse+https://h", "https://h:8443/", "default"),
        ("clickhouse+http://h:80", "http://h:80/", "default"),
        ("clickhousedb+connect://h:9000/x?secure=true", "https://h:9000/", "x"),
        ("clickhouse://[::1]:8123/", "http://[::1]:8123/", "default"),
    ],
)
def test_what_a_url_means(url: str, where: str, database: str) -> None:
    assert address(url) == (where, ("default", ""), database)


def test_the_exporter_over_clickhouse(
    clickhouse: ClickHouse, made: Project, start_exporter: Start
) -> None:
    running = start_exporter(
        "langfuse", {"LANGFUSE__DATABASE": url_of(clickhouse.port), "MIN_INTERVAL": "0"}
    )
    traces = f'llm_monitor_langfuse_traces{{window="24h"}} {expect(made, "24h").traces}\n'
    wait_for(lambda: traces in running.get().text, 20)
    told = running.get().text + running.output.read_text()
    assert "llm_monitor_langfuse_up 1\n" in told
    assert 'llm_monitor_langfuse_source_info{source="clickhouse"} 1\n' in told
    assert "planted" not in told
