"""The event store in a real PostgreSQL, which llmops_monitoring made and wrote."""

import time
from collections.abc import Sequence
from typing import Any

import pytest
from llmops_monitoring.event import MetricEvent
from sqlalchemy import text

from exporter_testing.event_store import TABLE, EventStore, event, later, poll, reader
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.llmops import database
from llm_monitor.llmops.facts import MOST_EVENTS, WINDOWS, Use
from llm_monitor.llmops.statements import Statements


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Return quantiles as percentile_cont defines them."""
    ranked = sorted(values)
    found = {}
    for quantile in ("0.5", "0.95", "0.99"):
        place = float(quantile) * (len(ranked) - 1)
        low = int(place)
        high = min(low + 1, len(ranked) - 1)
        found[quantile] = ranked[low] + (ranked[high] - ranked[low]) * (place - low)
    return found


def expect(events: Sequence[MetricEvent]) -> Use:
    tokens = [one.token_metrics for one in events if one.token_metrics]
    costs = [one.cost for one in events if one.cost is not None]
    streams = [one.stream_metrics for one in events if one.stream_metrics]
    first = [(one.time_to_first_token_ms or 0) / 1000 for one in streams]
    return Use(
        requests=len(events),
        errors=sum(one.error for one in events),
        input_tokens=sum(one.input_tokens for one in tokens) if tokens else None,
        output_tokens=sum(one.output_tokens for one in tokens) if tokens else None,
        cost=sum(costs) if costs else None,
        latency=quantiles([one.duration_ms / 1000 for one in events]),
        first_token=quantiles(first) if first else {},
    )


def same(found: Use, expected: Use) -> bool:
    return (
        (found.requests, found.errors) == (expected.requests, expected.errors)
        and (found.input_tokens, found.output_tokens)
        == (expected.input_tokens, expected.output_tokens)
        and found.cost == pytest.approx(expected.cost)
        and found.latency == pytest.approx(expected.latency)
        and found.first_token == pytest.approx(expected.first_token)
    )


def some_events() -> list[MetricEvent]:
    return [
        event(
            age=10 + number * 60 * (1 + number // 20),
            operation=("answer", "summarize", "embed")[number % 3],
            model=("llama3-70b", "mixtral", None)[number % 5 % 3],
            duration=0.1 + number / 7,
            first=0.05 + number / 90 if number % 2 else None,
            tokens=(number, 3 * number) if number % 4 else None,
            cost=number / 1000 if number % 5 else None,
            error="openai.APITimeoutError" if number % 11 == 0 else None,
            session=f"session-{number // 4}" if number % 6 else None,
        )
        for number in range(120)
    ]


def test_every_window_number_by_number(server: EventStore) -> None:
    url = server.anew()
    made = some_events()
    server.write(made)
    found = poll(url)
    newest = max(one.timestamp for one in made).timestamp()
    assert found.newest == pytest.approx(newest, abs=1e-3)
    assert list(found.windows) == list(WINDOWS)
    for name, window in found.windows.items():
        inside = [one for one in made if one.timestamp.timestamp() >= found.at - WINDOWS[name]]
        assert same(window.total, expect(inside))
        assert window.sessions == len({one.session_id for one in inside} - {None})

        def model(one: MetricEvent) -> str:
            return (one.token_metrics and one.token_metrics.model) or "none"

        for key, parts in (
            (lambda one: one.operation_name, window.operations),
            (model, window.models),
            (lambda one: (one.operation_name, model(one)), window.pairs),
        ):
            assert {key(one) for one in inside} == set(parts)  # type: ignore[no-untyped-call]
            for label, use in parts.items():
                mine = [one for one in inside if key(one) == label]  # type: ignore[no-untyped-call]
                assert same(use, expect(mine)), (name, label)
            requests = [use.requests for use in parts.values()]
            assert requests == sorted(requests, reverse=True)
        errors = [one.operation_name for one in inside if one.error]
        assert window.failures == {(name, "timeout"): errors.count(name) for name in set(errors)}


def test_an_empty_store(store: EventStore) -> None:
    found = poll(store.url)
    assert found.newest is None
    for window in found.windows.values():
        assert (window.total, window.sessions, window.newest) == (Use(), 0, None)
        assert not window.pairs
        assert not window.failures


def test_the_newest_event_is_looked_for_in_seven_days(store: EventStore) -> None:
    newest = event(3 * 86400)
    store.write([newest, event(6 * 86400)])
    found = poll(store.url)
    assert found.newest == pytest.approx(newest.timestamp.timestamp(), abs=0.001)
    assert found.windows["24h"].total.requests == 0


def test_an_event_of_the_future_waits_for_its_time(store: EventStore) -> None:
    store.write([event(60), event(-600), event(-86400 * 400)])
    found = poll(store.url)
    assert found.windows["24h"].total.requests == 1
    assert found.newest is not None
    assert 60 <= found.at - found.newest < 70


def test_late_events_count_where_they_belong(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = reader(store.url)
    store.write([event(30)])
    assert asked.poll(Deadline.after(20)).windows["1h"].total.requests == 1
    store.write([event(1800), event(2000)])
    later(monkeypatch, 30)
    assert asked.poll(Deadline.after(20)).windows["1h"].total.requests == 3


def test_the_longest_window_is_asked_for_less_often(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = reader(store.url)
    first = asked.poll(Deadline.after(20)).windows
    store.write([event(20)])
    later(monkeypatch, 30)
    again = asked.poll(Deadline.after(20)).windows
    assert again["24h"] is first["24h"]
    assert again["5m"].total.requests == 1
    later(monkeypatch, 270)
    assert asked.poll(Deadline.after(20)).windows["24h"].total.requests == 1


def test_another_schema_and_table(server: EventStore) -> None:
    for schema, table in (("apart", "a" * 63), ("order", "user")):
        url = server.anew(schema, table)
        server.write([event(1)], schema, table)
        assert poll(url, names=(schema, table)).windows["5m"].total.requests == 1
        assert reader(url, names=(schema, table)).version(Deadline.after(5)) >= 2


@pytest.fixture(scope="module")
def busy(server: EventStore) -> str:
    """Return the URL of an event store with 20,000 events in each of the last five days."""
    server.bare()
    url = server.migrate()
    server.fill(days=5, events=100_000)
    server.execute(f"ANALYZE {TABLE}")
    return url


@pytest.mark.parametrize("window", list(WINDOWS))
@pytest.mark.parametrize("question", ["usage", "sessions", "failures", "newest"])
def test_only_a_part_is_read(busy: str, window: str, question: str) -> None:
    # Noon of yesterday: of a day that has just begun there is too little for an index to pay.
    now = time.time() // 86400 * 86400 - 43200
    given: dict[str, Any] = {**database._span(now, WINDOWS[window]), "most": 50}  # noqa: SLF001
    statement = getattr(Statements.of("public", TABLE), question).text
    values = {key: value for key, value in given.items() if f":{key}" in statement}
    with reader(busy)._database.transaction(Deadline.after(5)) as transaction:  # noqa: SLF001
        plan = transaction.rows(text(f"EXPLAIN {statement}"), values)
    lines = [row["QUERY PLAN"] for row in plan]
    read = {line.split(f"{TABLE}_")[1][:8] for line in lines if f" on {TABLE}_2" in line}
    assert read == {f"{given[one]:%Y%m%d}" for one in ("since", "until")}
    if window != "24h":
        assert not any("Seq Scan" in line for line in lines)
        assert any("timestamp_idx" in line for line in lines)


def test_a_session_is_found_by_its_index(store: EventStore) -> None:
    reading = Statements.of("public", TABLE)
    store.write([event(1, session="mine")])
    span = {**database._span(time.time(), 3600), "session": "mine"}  # noqa: SLF001
    asked = reader(store.url)
    for statement in (reading.session, reading.events):
        with asked._database.transaction(Deadline.after(5)) as transaction:  # noqa: SLF001
            transaction.rows(text("SELECT set_config('enable_seqscan', 'off', true)"))
            plan = str(transaction.rows(text(f"EXPLAIN {statement.text}"), span))
        assert "session_id_timestamp_idx" in plan


def test_a_session(store: EventStore) -> None:
    mine = [
        event(100 - 10 * number, duration=number, session="mine", cost=0.5, first=0.1)
        for number in range(1, 6)
    ]
    store.write([*mine, event(5, session="another"), event(7200, session="mine")])
    found = reader(store.url).session("mine", 3600, Deadline.after(5))
    assert found is not None
    assert same(found.use, expect(mine))
    assert (found.first, found.last) == (mine[0].timestamp, mine[-1].timestamp)
    assert [one["event_id"] for one in found.events] == [one.event_id for one in mine[::-1]]
    assert reader(store.url).session("nobody", 3600, Deadline.after(5)) is None


def test_of_a_long_session_the_newest_events_are_told(store: EventStore) -> None:
    made = [event(1000 - number, session="long") for number in range(MOST_EVENTS + 50)]
    store.write(made)
    found = reader(store.url).session("long", 3600, Deadline.after(5))
    assert found is not None
    assert found.use.requests == MOST_EVENTS + 50
    assert len(found.events) == MOST_EVENTS
    assert found.events[0]["event_id"] == made[-1].event_id


def test_what_many_operations_do_is_added_up(store: EventStore) -> None:
    made = [
        event(10, f"operation-{number:03}", f"model-{number:03}", error="ValueError")
        for number in range(300)
    ]
    often = [event(20, "often", "much") for _ in range(5)]
    store.write([*made, *often])
    window = poll(store.url, most=3).windows["5m"]
    assert list(window.operations) == ["other", "often", "operation-000", "operation-001"]
    assert window.operations["other"].requests == 298
    assert window.models["other"].requests == 298
    assert len(window.operations["other"].latency) == 3
    assert window.pairs["often", "much"].requests == 5
    assert window.total.requests == 305
    assert sum(window.failures.values()) == 300
    assert window.failures["other", "other"] == 298


def test_an_operation_that_is_called_other(store: EventStore) -> None:
    made = [event(10, f"operation-{number}", "m") for number in range(5)]
    store.write([*made, *(event(10, "other", "other") for _ in range(9))])
    window = poll(store.url, most=2).windows["5m"]
    assert window.operations["other"].requests == 13
    assert window.operations["other"].latency == {}


def test_names_that_mean_ill(store: EventStore) -> None:
    long = "".join(chr(0x1F600 + number % 60) for number in range(900))
    names = ["a\nb", 'quo"te', "back\\slash", long, "{}", "\u202eevil", "x' OR 1=1 --", "nul\0", ""]
    store.write([event(10, name, name) for name in names])
    found = set(poll(store.url).windows["5m"].operations)
    replaced = {"nul\0": "nul\ufffd", "": "none", long: long[:128]}
    assert found == {replaced.get(name, name) for name in names}


def test_numbers_that_are_none(store: EventStore) -> None:
    store.write([event(10, cost=1.0), event(11, cost=2.0), event(12), event(13), event(14)])
    with store.connect() as owner:
        ids = [row[0] for row in owner.execute("SELECT event_id FROM metric_events ORDER BY 1")]
        for one, value in zip(ids, ("NaN", "Infinity", "-Infinity", "-1"), strict=False):
            owner.execute(
                "UPDATE metric_events SET cost = %s, duration_ms = %s,"
                " stream_time_to_first_token_ms = %s, input_tokens = -5 WHERE event_id = %s",
                (value, value, value, one),
            )
    use = poll(store.url).windows["5m"].total
    assert (use.requests, use.cost, use.input_tokens) == (5, None, 100)
    assert use.latency == {"0.5": 1, "0.95": 1, "0.99": 1}
    assert use.first_token == {}


def test_sums_that_no_integer_of_64_bits_holds(store: EventStore) -> None:
    most = 2**62
    store.write([event(10, tokens=(most, 1)) for _ in range(5)])
    assert poll(store.url).windows["5m"].total.input_tokens == 5 * most


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("openai.APITimeoutError", "timeout"),
        ("asyncio.exceptions.CancelledError", "cancelled"),
        ("openai.RateLimitError", "rate_limit"),
        ("litellm.exceptions.ContextWindowExceededError", "context_window"),
        ("anthropic.AuthenticationError", "auth"),
        ("ConnectionResetError", "connection"),
        ("httpx.ReadTimeout", "timeout"),
        ("httpx.ConnectTimeout", "timeout"),
        ("httpx.RemoteProtocolError", "connection"),
        ("openai.InternalServerError", "server_error"),
        ("openai.BadRequestError", "bad_request"),
        ("ValueError", "other"),
        ("", "other"),
        ("\u202e" * 4000, "other"),
    ],
)
def test_why_a_call_failed(store: EventStore, error: str, reason: str) -> None:
    store.write([event(10, error=error), event(10, error="KeyError")])
    store.execute(f"UPDATE {TABLE} SET error_type = NULL WHERE error_type = 'KeyError'")  # noqa: S608
    failures = poll(store.url).windows["5m"].failures
    assert failures.get(("answer", reason)) == (2 if reason == "other" else 1)
    assert sum(failures.values()) == 2


def test_errors_of_more_classes_than_are_read(store: EventStore) -> None:
    store.write([event(10, error=f"E{number}Timeout") for number in range(1200)])
    failures = poll(store.url).windows["5m"].failures
    assert failures == {("answer", "timeout"): 1000, ("answer", "other"): 200}


def test_a_day_of_600_000_events_is_read_in_seconds(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.fill(days=1, events=600_000)
    asked = reader(store.url, timeout=20)  # as it is shipped
    began = time.monotonic()
    found = asked.poll(Deadline.after(30))
    first = time.monotonic() - began
    # Those that were the oldest when they were made may be older than a day by now.
    assert 590_000 < found.windows["24h"].total.requests <= 600_000
    later(monkeypatch, 30)
    began = time.monotonic()
    asked.poll(Deadline.after(30))
    again = time.monotonic() - began
    # Three seconds and a fifth of one, where nothing else is done.
    assert again < first / 2
