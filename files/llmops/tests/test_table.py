import contextlib
from collections.abc import Iterator

import pytest

from llmops_monitoring import monitor_llm
from llmops_monitoring.call import Call
from llmops_monitoring.config import MonitorConfig
from llmops_monitoring.event import MetricEvent
from llmops_monitoring.instrumentation.active import ACTIVE
from llmops_monitoring.instrumentation.making import EventMaker
from llmops_monitoring.instrumentation.problems import Problems
from llmops_monitoring.instrumentation.recorder import Recorder
from llmops_monitoring.storage.columns import values
from llmops_monitoring.table import EventTable
from llmops_testing.events import event

ANSWER = {"model": "m", "usage": {"prompt_tokens": 3, "completion_tokens": 4}}


@monitor_llm("ask", measure_text=True, custom_attributes={"team": "ü"})
def ask(answer: object) -> object:
    if isinstance(answer, Exception):
        raise answer
    return answer


@pytest.fixture
def calls() -> Iterator[list[Call]]:
    """Give calls of all kinds: with text, tokens, an error, and with nothing."""
    noted: list[Call] = []
    ACTIVE.recorder = Recorder(MonitorConfig(), noted.append, Problems())
    for answer in ("two words", ANSWER, ValueError("no"), None):
        with contextlib.suppress(ValueError):
            ask(answer)
    yield noted
    ACTIVE.recorder = None


def made(calls: list[Call]) -> EventTable:
    return EventMaker(MonitorConfig(), Problems()).make(calls)


def test_an_event_is_the_same_each_time_it_is_looked_at(calls: list[Call]) -> None:
    table = made(calls)
    assert list(table) == [table[place] for place in range(4)]
    assert table[-1] == table[3]
    for one in table:
        assert MetricEvent.model_validate_json(one.model_dump_json()) == one


def test_columns_are_those_of_the_events_that_they_stand_for(calls: list[Call]) -> None:
    table = made(calls)
    assert values(table) == values(list(table))
    assert EventTable.of(list(table)).columns == table.columns


def test_every_call_has_its_own_and_nothing_of_the_one_beside_it(calls: list[Call]) -> None:
    text, tokens, failed, nothing = made(calls)
    assert text.text_metrics is not None
    assert (text.text_metrics.words, text.token_metrics) == (2, None)
    assert tokens.token_metrics is not None
    assert (tokens.token_metrics.total_tokens, tokens.error_type) == (7, None)
    assert (failed.error, failed.error_type, failed.token_metrics) == (True, "ValueError", None)
    assert (nothing.error, nothing.text_metrics, nothing.cost) == (False, None, None)
    assert len({one.event_id for one in (text, tokens, failed, nothing)}) == 4
    assert text.custom_attributes == {"team": "ü"}


def test_parts_of_a_table_are_tables(calls: list[Call]) -> None:
    table = made(calls)
    events = list(table)
    assert list(table[:2]) + list(table[2:]) == events
    assert list(table.select([True, False, False, True])) == [events[0], events[3]]
    assert len(table[4:]) == 0


def test_who_asks_for_an_event_that_is_not_there_is_told() -> None:
    table = EventTable.of([event(1), event(2)])
    with pytest.raises(IndexError):
        table[2]
    assert list(reversed(table)) == [event(2), event(1)]
    assert len(EventTable.of([])) == 0
