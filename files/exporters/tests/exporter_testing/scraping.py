"""Asking an engine and reading what it answers."""

from prometheus_client.parser import text_string_to_metric_families

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.collection.engine import Engine
from llm_monitor.base.collection.snapshot import Snapshot

Values = dict[tuple[str, ...], float]


def values(snapshot: Snapshot) -> Values:
    """Return a snapshot's samples by their names and labels' values."""
    families = text_string_to_metric_families(snapshot.body().decode())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


async def ask(engine: Engine, seconds: float = 5) -> Values:
    return values(await engine.snapshot(Deadline.after(seconds)))
