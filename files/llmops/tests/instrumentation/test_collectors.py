"""Collectors: the registry, what the application's own may say, and what becomes of nonsense."""

import itertools
import threading
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from llmops_monitoring import (
    CollectorContext,
    CollectorRegistry,
    ImageMetrics,
    MetricCollector,
    TextMetrics,
    monitor_llm,
)
from llmops_testing.memory import Measuring, Memory


class Says(MetricCollector):
    """Says what it is told to."""

    metric_type = "says"

    def __init__(self, told: Any = None) -> None:
        self.told = told
        self.asked: list[tuple[Any, ...]] = []

    def collect(
        self,
        result: Any,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        context: CollectorContext,
    ) -> Any:
        self.asked.append((result, args, dict(kwargs), context))
        if isinstance(self.told, BaseException):
            raise self.told
        return self.told


class Other(Says):
    """Has another name."""

    metric_type = "other"


def call(memory: Memory, *collectors: Any, **attributes: object) -> Any:
    """Return the event of a call that these collectors are asked about."""

    @monitor_llm("call", collectors=collectors, custom_attributes=attributes)
    def function(question: str, *, loud: bool) -> str:
        return question if loud else ""

    assert function("why?", loud=True) == "why?"
    return memory.event


def test_collector_is_asked_about_the_call(memory: Memory) -> None:
    says = Says({})
    event = call(memory, says)
    ((result, args, kwargs, context),) = says.asked
    assert (result, args, kwargs) == ("why?", ("why?",), {"loud": True})
    assert context.operation_name == "call"
    assert (context.trace_id, context.span_id) == (event.trace_id, event.span_id)
    assert context.duration_ms == event.duration_ms


def test_collector_fills_the_event(memory: Memory) -> None:
    text = TextMetrics(characters=1, words=2, bytes=3, lines=4)
    event = call(
        memory,
        Says(
            {
                "text_metrics": text,
                "image_metrics": {"count": 1, "pixels": 6, "format": "png\0"},
                "token_metrics": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
                "cost": 0.25,
                "custom_attributes": {"language": "de"},
                "mood": "good",
            }
        ),
    )
    assert event.text_metrics == text
    assert event.image_metrics == ImageMetrics(count=1, pixels=6, format="png\ufffd")
    assert event.token_metrics.total_tokens == 3
    assert event.cost == 0.25
    assert event.custom_attributes == {"language": "de", "says.mood": "good"}


def test_keys_never_clash(memory: Memory) -> None:
    event = call(
        memory,
        Says({"custom_attributes": {"key": 1, "own": True}}),
        Other({"custom_attributes": {"key": 2}}),
        Other({"custom_attributes": {"key": 3}}),
        Other({"custom_attributes": {"key": 1}}),
        key=0,
    )
    assert event.custom_attributes == {
        "key": 0,
        "says.key": 1,
        "own": True,
        "other.key": 2,
        "other.key.2": 3,
        "other.key.3": 1,
    }


def test_collector_need_not_say_anything(memory: Memory) -> None:
    class Silent(Says):
        def should_collect(self, *_: object) -> bool:
            return False

    silent = Silent({"mood": "bad"})
    assert call(memory, silent, Says(None)).custom_attributes == {}
    assert not silent.asked


@pytest.mark.parametrize(
    "nonsense",
    [
        ValueError("no"),
        SystemExit(1),
        KeyboardInterrupt(),
        RecursionError(),
        7,
        "text",
        [1, 2],
        {"cost": "dear"},
        {"cost": -1},
        {"cost": float("nan")},
        {"text_metrics": "long"},
        {"text_metrics": {"characters": -1}},
        {"token_metrics": {"unknown": 1}},
        {"custom_attributes": 5},
    ],
)
def test_nonsense_is_left_out_and_counted(measuring: Measuring, nonsense: Any) -> None:
    memory = measuring()
    event = call(memory, Says(nonsense), Other({"mood": "good"}))
    assert event.custom_attributes == {"other.mood": "good"}
    assert event.cost is None
    assert memory.problems.counts() == {"collector Says": 1}


def test_strange_names_become_text(memory: Memory) -> None:
    event = call(memory, Says({3: 1, None: 2, "a" * 999: 3}))
    names = sorted(event.custom_attributes, key=len)
    assert names[:2] == ["says.3", "says.None"]
    assert len(names[2]) < 300


def test_slow_collector_holds_nobody_up(measuring: Measuring) -> None:
    memory = measuring(collector_timeout_seconds=1)
    free, begun = threading.Event(), threading.Event()

    class Slow(Says):
        def collect(self, *_: Any) -> Any:
            begun.set()
            free.wait(30)
            return {"mood": "slow"}

    slow = Slow()
    assert call(memory, slow, Other({"mood": "good"})).custom_attributes == {"other.mood": "good"}
    assert begun.is_set()
    assert call(memory, slow).custom_attributes == {}
    assert memory.problems.counts() == {"collector Slow": 2}
    free.set()
    while "says.mood" not in call(memory, slow).custom_attributes:
        pass
    memory.maker.close()


class Endless(Mapping[Any, Any]):
    """Holds names without end."""

    def __getitem__(self, name: Any) -> Any:
        return name

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Any]:
        return itertools.count()


@pytest.mark.parametrize("found", [Endless(), {"custom_attributes": Endless()}])
def test_names_without_end_are_cut_off(measuring: Measuring, found: Any) -> None:
    attributes = call(measuring(), Says(found)).custom_attributes
    assert 256 < len(attributes) <= 1000
    assert attributes.get("says.7", attributes.get("7")) == 7


@pytest.mark.parametrize("within", ["", "custom_attributes", "token_metrics"])
def test_what_a_collector_gave_holds_nobody_up(measuring: Measuring, within: str) -> None:
    memory = measuring(collector_timeout_seconds=1)
    free = threading.Event()

    class Waits(Endless):
        def __iter__(self) -> Iterator[Any]:
            free.wait(30)
            return iter(())

        @property
        def input_tokens(self) -> int:
            free.wait(30)
            return 1

    found = {within: Waits()} if within else Waits()
    event = call(memory, Says(found), Other({"mood": "good"}))
    assert event.custom_attributes == {"other.mood": "good"}
    assert memory.problems.counts() == {"collector Says": 1}
    free.set()
    memory.maker.close()


def test_collector_is_not_asked_about_failed_calls(memory: Memory) -> None:
    says = Says({})

    @monitor_llm(collectors=[says])
    def fails() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        fails()
    assert memory.event.error
    assert not says.asked


def test_collector_gets_the_chunks_of_a_stream(memory: Memory) -> None:
    says = Says({"mood": "good"})

    @monitor_llm(collectors=[says])
    def chunks() -> Iterator[int]:
        yield from range(5000)

    assert len(list(chunks())) == 5000
    event = memory.event
    assert event.custom_attributes == {"says.mood": "good"}
    assert event.stream_metrics is not None
    assert event.stream_metrics.chunks == 5000
    assert says.asked[0][0] == list(range(1000))


def test_registry() -> None:
    built_in = ["cost", "image", "text", "tokens"]
    assert CollectorRegistry.list_available() == built_in
    says = CollectorRegistry.register("mine", Says)
    assert isinstance(says, Says)
    assert CollectorRegistry.get("mine") is says
    assert CollectorRegistry.list_available() == ["cost", "image", "mine", "text", "tokens"]
    other = Other()
    assert CollectorRegistry.register("mine", other) is other
    assert CollectorRegistry.get("mine") is other
    CollectorRegistry.clear()
    assert CollectorRegistry.list_available() == built_in
    assert CollectorRegistry.get("mine") is None
    nonsense: Any = SimpleNamespace()
    with pytest.raises(TypeError, match="not a MetricCollector: SimpleNamespace"):
        CollectorRegistry.register("mine", nonsense)
    with pytest.raises(ValueError, match="the collector text is built in"):
        CollectorRegistry.register("text", other)


def test_collector_by_name_and_by_class(memory: Memory, caplog: pytest.LogCaptureFixture) -> None:
    CollectorRegistry.register("mine", Says({"mood": "good"}))
    event = call(memory, "mine", "text", "nobody", Other)
    assert event.custom_attributes == {"says.mood": "good"}
    assert event.text_metrics is not None
    assert "call: there is no collector nobody; it is left out" in caplog.text


@pytest.mark.parametrize("name", ["text", "image", "tokens", "cost"])
def test_collectors_that_are_built_in_can_be_asked_alone(name: str) -> None:
    collector = CollectorRegistry.get(name)
    assert collector is not None
    context = CollectorContext("call", "llm_call", None, None, "s", 1.0)
    answer = {
        "model": "gpt-4o",
        "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 0},
        "content": "It rains.",
        "images": [{"width": 2, "height": 3}],
    }
    found = collector.collect(answer, (), {}, context)
    assert len(found) == 1
    assert collector.collect(None, (), {}, context) == {}
    assert collector.should_collect(None, (), {})
    if name == "cost":
        assert found == {"cost": 2.5}
