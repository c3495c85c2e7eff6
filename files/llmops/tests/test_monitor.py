"""The monitor of a process: how it begins, ends, and says how it is."""

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY, Gauge

from llmops_monitoring import (
    BackendError,
    MetricEvent,
    MonitorConfig,
    StorageConfig,
    flush,
    health_check,
    initialize_monitoring,
    monitor_llm,
    shutdown,
)
from llmops_monitoring.storage.base import StorageBackend
from llmops_monitoring.transport.worker import InProcessTransport
from llmops_testing.backends import settings
from llmops_testing.waiting import wait_for


class Kept(StorageBackend):
    """Keeps events in memory."""

    def __init__(self, config: StorageConfig | None = None) -> None:
        super().__init__(config or StorageConfig())
        self.events: list[MetricEvent] = []
        self.down = False

    async def initialize(self) -> None:
        """Need nothing."""

    async def write_event(self, event: MetricEvent) -> None:
        if self.down:
            raise ConnectionError
        self.events.append(event)

    async def close(self) -> None:
        """Leave nothing."""

    async def health_check(self) -> bool:
        return not self.down


@monitor_llm("work", measure_text=True)
def work(text: str = "two words") -> str:
    return text


@pytest.fixture(autouse=True)
def _stopped() -> Iterator[None]:
    yield
    shutdown(0.1)


def test_calls_arrive() -> None:
    backend = Kept()
    assert initialize_monitoring(settings(), backend=backend) is not None
    for _ in range(25):
        work()
    assert flush()
    assert len(backend.events) == 25
    (event,) = {one.operation_name: one for one in backend.events}.values()
    assert event.text_metrics is not None
    assert event.text_metrics.words == 2
    health = health_check()
    assert health.running
    assert health.backend_healthy
    assert (health.queue_size, health.buffer_size, health.last_error) == (0, 0, None)
    assert health.last_flush is not None
    assert health.counters["enqueued"] == health.counters["written"] == 25


def test_end_delivers_what_is_left() -> None:
    backend = Kept()
    initialize_monitoring(settings(flush_interval_seconds=60, batch_size=1000), backend=backend)
    work()
    assert shutdown()
    assert len(backend.events) == 1
    assert shutdown()
    work()
    assert len(backend.events) == 1
    assert not health_check().running


def test_second_monitor_takes_over() -> None:
    first, second = Kept(), Kept()
    initialize_monitoring(settings(), backend=first)
    work()
    initialize_monitoring(settings(), backend=second)
    work()
    work()
    assert flush()
    assert (len(first.events), len(second.events)) == (1, 2)


def test_plan_follows_the_monitor() -> None:
    @monitor_llm("plain")
    def plain() -> str:
        return "text"

    backends = []
    for wanted in (False, True, False):
        backends.append(Kept())
        initialize_monitoring(settings(measure_text=wanted), backend=backends[-1])
        plain()
        assert flush()
    told = [backend.events[0].text_metrics is not None for backend in backends]
    assert told == [False, True, False]


def test_nothing_is_measured_when_it_is_switched_off() -> None:
    backend = Kept()
    assert initialize_monitoring(settings(enabled=False), backend=backend) is None
    work()
    assert flush()
    assert not backend.events
    assert not health_check().running


def test_backend_that_is_down_is_told() -> None:
    backend = Kept()
    backend.down = True
    initialize_monitoring(settings(max_retries=0), backend=backend)
    assert work() == "two words"
    wait_for(lambda: health_check().backend_healthy is False)
    health = health_check()
    assert "ConnectionError" in str(health.last_error)
    counters = health.counters
    assert counters["enqueued"] == 1
    left = counters["written"] + counters["dropped"] + counters["queued"] + counters["spilled"]
    assert left == 1


def test_backend_that_nobody_knows(caplog: pytest.LogCaptureFixture) -> None:
    config = settings(backend="nobody's")
    assert initialize_monitoring(config) is None
    assert work() == "two words"
    message = "there is no backend nobody's; known are: "
    assert message in str(health_check().last_error)
    assert message in caplog.text
    with pytest.raises(BackendError, match=message):
        initialize_monitoring(settings(backend="nobody's", fail_silently=False))


class Point:
    """An entry point, as another package would bring it."""

    def __init__(self, name: str, found: Any) -> None:
        self.name, self.value, self._found = name, f"package:{name}", found

    def load(self) -> Any:
        if isinstance(self._found, Exception):
            raise self._found
        return self._found


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (ImportError("No module named 'x'"), r"is llmops-monitoring\[mine\] installed\?"),
        (dict, "backend mine is no StorageBackend: package:mine"),
    ],
)
def test_backend_that_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch, found: Any, message: str
) -> None:
    points = [Point("mine", found)]
    monkeypatch.setattr(
        "llmops_monitoring.storage.finding.entry_points", lambda *, group: points if group else []
    )
    with pytest.raises(BackendError, match=message):
        initialize_monitoring(settings(backend="mine", fail_silently=False))


def test_backend_of_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "llmops_monitoring.storage.finding.entry_points",
        lambda *, group: [Point("mine", Kept)] if group == "llmops_monitoring.backends" else [],
    )
    config = settings(backend="mine", options={"color": "red"})
    assert initialize_monitoring(config) is not None
    work()
    assert flush()
    assert health_check().counters["written"] == 1


def test_metrics_are_in_the_registry_while_it_runs() -> None:
    def told() -> float | None:
        return REGISTRY.get_sample_value(
            "llmops_operations_total", {"operation": "work", "type": "llm_call"}
        )

    initialize_monitoring(settings(expose_metrics=True), backend=Kept())
    work()
    assert flush()
    assert told() == 1
    assert REGISTRY.get_sample_value("llmops_written_total") == 1
    shutdown()
    assert told() is None


def test_monitor_with_metrics_ends_twice() -> None:
    monitor = initialize_monitoring(settings(expose_metrics=True), backend=Kept())
    assert monitor is not None
    assert monitor.stop()
    assert monitor.stop()
    assert shutdown()


def test_metrics_that_somebody_else_has_begin_nothing(caplog: pytest.LogCaptureFixture) -> None:
    gauge = Gauge("llmops_written_total", "Somebody else's.")
    threads = set(threading.enumerate())
    try:
        assert initialize_monitoring(settings(expose_metrics=True), backend=Kept()) is None
    finally:
        REGISTRY.unregister(gauge)
    assert not set(threading.enumerate()) - threads
    assert work() == "two words"
    assert "Duplicated timeseries" in str(health_check().last_error)
    assert "nothing is measured" in caplog.text


def test_transport_that_does_not_start_leaves_no_metrics() -> None:
    class Refuses(InProcessTransport):
        def start(self) -> None:
            raise OSError

    config = settings(expose_metrics=True)
    refuses = Refuses(Kept(), config, lambda _: [])
    assert initialize_monitoring(config, transport=refuses) is None
    assert initialize_monitoring(config, backend=Kept()) is not None


def test_metrics_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llmops_monitoring.metrics", None)
    with pytest.raises(BackendError, match=r"is llmops-monitoring\[prometheus\] installed\?"):
        initialize_monitoring(settings(expose_metrics=True, fail_silently=False), backend=Kept())


def test_transport_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llmops_monitoring.transport.redis", None)
    config = settings(transport="redis", redis_url="redis://127.0.0.1:1/0", fail_silently=False)
    with pytest.raises(BackendError, match=r"is llmops-monitoring\[redis\] installed\?"):
        initialize_monitoring(config)


def test_redis_is_where_calls_go(tmp_path: Path) -> None:
    given = {"transport": "redis", "redis_url": "redis://127.0.0.1:1/0", "max_retries": 0}
    path = tmp_path / "spill.sqlite"
    initialize_monitoring(settings(**given, overflow="spill", spill_path=path))
    work()
    wait_for(lambda: health_check().backend_healthy is False)
    wait_for(lambda: health_check().counters["spilled"] == 1)


def test_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_ENABLED", "false")
    assert initialize_monitoring() is None


# Python warns since 3.12: that it goes well is what this shows.
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_forked_child_counts_from_zero() -> None:
    backend = Kept()
    config = MonitorConfig(storage=StorageConfig(flush_interval_seconds=0.02))
    initialize_monitoring(config, backend=backend)

    @monitor_llm("fails", session_id_from=lambda: 1 / 0)
    def problem() -> None:
        """Have a problem."""

    problem()
    assert flush()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # pytest must not end twice.
        try:
            health = health_check()
            problem()
            done = flush()
            after = health_check()
            counters = (health.counters["enqueued"], len(health.problems), done)
            os.write(writer, repr((*counters, after.counters["written"])).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        assert told.read() == "(0, 0, True, 1)"
    os.waitpid(child, 0)
    assert health_check().counters["written"] == 1


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_forked_child_without_a_backend_counts_what_it_drops() -> None:
    class Named(Kept):
        def __init__(self, config: StorageConfig, *, name: str) -> None:
            super().__init__(config)
            self.name = name

    initialize_monitoring(settings(), backend=Named(StorageConfig(), name="mine"))
    work()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work()
            os.write(writer, repr((work(), dict(health_check().dropped))).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        assert told.read() == "('two words', {'stopped': 2})"
    os.waitpid(child, 0)
    assert flush()
    assert health_check().counters["written"] == 1
