"""Signals to the running containers of services, by a played engine."""

from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.modules import service_signal


def container(service: str, project: str = "llm-monitor", number: int = 1) -> dict[str, Any]:
    labels = {"com.docker.compose.project": project, "com.docker.compose.service": service}
    return {"Id": f"id-{project}-{service}-{number}", "Names": [f"/{project}-{service}-{number}"], "Labels": labels}


@pytest.fixture
def send(run_module: Any, fake_engine: Any) -> Any:
    fake_engine.running = [
        container("prometheus"),
        container("prometheus", number=2),
        container("alertmanager"),
        container("prometheus", project="another"),
    ]

    def run(*services: str, check: bool = False, **options: Any) -> Any:
        merged = {"services": list(services), "socket_path": fake_engine.socket_path, **options}
        return run_module(service_signal.main, merged, check_mode=check)

    return run


def test_every_container_of_the_services_gets_the_signal(send: Any, fake_engine: Any) -> None:
    result = send("prometheus")
    assert result["changed"]
    assert result["containers"] == ["llm-monitor-prometheus-1", "llm-monitor-prometheus-2"]
    assert fake_engine.signals == [("id-llm-monitor-prometheus-1", "SIGHUP"), ("id-llm-monitor-prometheus-2", "SIGHUP")]


def test_project_and_signal_can_be_chosen(send: Any, fake_engine: Any) -> None:
    send("prometheus", project="another", signal="SIGUSR1")
    assert fake_engine.signals == [("id-another-prometheus-1", "SIGUSR1")]


def test_no_services_need_no_engine(send: Any, tmp_path: Any) -> None:
    result = send(socket_path=str(tmp_path / "none.sock"))
    assert not result["changed"]
    assert not result["failed"]


def test_one_that_does_not_run_is_named_and_nothing_is_sent(send: Any, fake_engine: Any) -> None:
    result = send("prometheus", "loki")
    assert result["failed"]
    assert "No container of loki runs in the Compose project llm-monitor" in result["msg"]
    assert fake_engine.signals == []


def test_no_engine_is_named(send: Any, tmp_path: Any) -> None:
    result = send("prometheus", socket_path=str(tmp_path / "none.sock"))
    assert result["failed"]
    assert "There is no Docker engine's socket" in result["msg"]


def test_check_mode_sends_nothing(send: Any, fake_engine: Any) -> None:
    result = send("prometheus", "loki", check=True)
    assert result["changed"]
    assert result["containers"] == ["llm-monitor-prometheus-1", "llm-monitor-prometheus-2"]
    assert fake_engine.signals == []


def test_check_mode_takes_a_bare_host(send: Any, tmp_path: Any) -> None:
    result = send("prometheus", check=True, socket_path=str(tmp_path / "none.sock"))
    assert not result["failed"]
    assert not result["changed"]
