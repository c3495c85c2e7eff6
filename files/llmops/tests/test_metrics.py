import os

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from llmops_monitoring.metrics import Metrics
from llmops_monitoring.transport.base import TransportStats
from llmops_monitoring.transport.worker import InProcessTransport
from llmops_testing.backends import Recorder, settings
from llmops_testing.events import call, event, make
from llmops_testing.full import FULL


def samples(metrics: Metrics) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(metrics)
    text = generate_latest(registry).decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = (f",{name}={value}" for name, value in sorted(sample.labels.items()))
            found[sample.name + "".join(labels)] = sample.value
    return found


def test_events_are_counted() -> None:
    metrics = Metrics(TransportStats)
    metrics.observe(FULL)
    metrics.observe(event(1, duration_ms=700.0))
    found = samples(metrics)
    operation = ",operation=answer,type=llm_call"
    assert found["llmops_operations_total" + operation] == 2
    assert found[f"llmops_errors_total,error=TimeoutError{operation}"] == 1
    assert found["llmops_tokens_total,direction=input,model=m"] == 3
    assert found["llmops_tokens_total,direction=output,model=m"] == 4
    assert found["llmops_cost_dollars_total,model=m"] == 0.25
    duration = "llmops_operation_duration_seconds"
    assert found[f"{duration}_count{operation}"] == 2
    assert found[f"{duration}_sum{operation}"] == pytest.approx(0.7015)
    assert found[f"{duration}_bucket,le=0.01{operation}"] == 1
    assert found[f"{duration}_bucket,le=1.0{operation}"] == 2
    assert found[f"{duration}_bucket,le=+Inf{operation}"] == 2


def test_delivery_is_told() -> None:
    stats = TransportStats(
        enqueued=20, written=10, dropped={"rejected": 3}, queued=5, spilled=2, retried=4,
        healthy=False, flushes=6, flush_seconds=1.5,
    )  # fmt: skip
    found = samples(Metrics(lambda: stats))
    assert found["llmops_enqueued_total"] == 20
    assert found["llmops_written_total"] == 10
    assert found["llmops_dropped_total,reason=rejected"] == 3
    assert found["llmops_dropped_total,reason=queue_full"] == 0
    assert found["llmops_retries_total"] == 4
    assert found["llmops_queue_calls"] == 5
    assert found["llmops_spilled_calls"] == 2
    assert found["llmops_backend_healthy"] == 0
    assert (found["llmops_flush_seconds_count"], found["llmops_flush_seconds_sum"]) == (6, 1.5)


def test_before_the_first_attempt_nothing_is_said_of_the_backend() -> None:
    assert "llmops_backend_healthy" not in samples(Metrics(TransportStats))


def test_names_do_not_grow_without_end() -> None:
    metrics = Metrics(TransportStats)
    for number in range(2000):
        metrics.observe(event(number, operation_name=f"answer {number}"))
    found = samples(metrics)
    calls = {name: value for name, value in found.items() if "operations_total" in name}
    assert len(calls) <= 501
    assert sum(calls.values()) == 2000
    assert calls["llmops_operations_total,operation=other,type=llm_call"] == 1501


def test_a_transport_shows_its_events() -> None:
    transport = InProcessTransport(Recorder(), settings(), make)
    metrics = Metrics(transport.stats)
    transport.watch(metrics)
    transport.start()
    for number in range(15):
        transport.put(call(number))
    transport.stop(5)
    found = samples(metrics)
    assert found["llmops_operations_total,operation=answer,type=llm_call"] == 15
    assert found["llmops_written_total"] == 15
    assert found["llmops_flush_seconds_count"] >= 1


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_counts_from_zero() -> None:
    transport = InProcessTransport(Recorder(), settings(), make)
    metrics = Metrics(transport.stats)
    transport.watch(metrics)
    transport.start()
    transport.put(call(1))
    assert transport.flush(5)
    child = os.fork()
    if not child:
        seen = [name for name in samples(metrics) if "operations_total" in name]
        os._exit(len(seen))
    assert os.waitpid(child, 0)[1] == 0
    assert samples(metrics)["llmops_operations_total,operation=answer,type=llm_call"] == 1
    transport.stop(5)
