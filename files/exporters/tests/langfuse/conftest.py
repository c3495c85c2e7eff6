from collections.abc import Iterator

import pytest

from exporter_testing.langfuse.asking import Asking
from exporter_testing.langfuse.data import project
from exporter_testing.langfuse.server import PUBLIC_KEY, SECRET_KEY, Langfuse, serving
from exporter_testing.process import Running, Start


@pytest.fixture
def langfuse() -> Iterator[Langfuse]:
    """Return a Langfuse with a small project."""
    with serving(Langfuse(project())) as one:
        yield one


@pytest.fixture
def asking(langfuse: Langfuse) -> Asking:
    return Asking(langfuse.url)


@pytest.fixture
def start_langfuse(start_exporter: Start) -> Start:
    """Start an exporter that asks `langfuse` with the given settings."""

    def run(langfuse: Langfuse, **settings: str) -> Running:
        keys = {"LANGFUSE__PUBLIC_KEY": PUBLIC_KEY, "LANGFUSE__SECRET_KEY": SECRET_KEY}
        return start_exporter("langfuse", {"LANGFUSE__URL": langfuse.url, **keys, **settings})

    return run
