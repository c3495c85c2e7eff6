"""Hosts with containers, of which the exporter asks the engine anew in each collection."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from exporter_testing.cgroups import Kernel
from exporter_testing.containers import Host
from exporter_testing.docker_api import DockerStandIn, serving
from llm_monitor.base.docker import inventory
from llm_monitor.container import roster

MakeHost = Callable[..., Host]


@pytest.fixture
def make_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeHost]:
    """Make a host with that layout of control groups."""
    monkeypatch.setattr(inventory, "_SHARED_SECONDS", 0.0)
    monkeypatch.setattr(roster, "_SHARED_SECONDS", 0.0)
    monkeypatch.setattr(roster, "_GRACE_SECONDS", 0.0)
    with ExitStack() as stack:

        def make(layout: str = "v2", place: str = "/docker/{}", **settings: str) -> Host:
            engine = stack.enter_context(serving(DockerStandIn(), tmp_path / "docker.sock"))
            host = Host(Kernel(tmp_path, layout, place), engine, **settings)
            stack.callback(host.close)
            return host

        yield make


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    """Make a host with control groups of version 2."""
    return make_host()
