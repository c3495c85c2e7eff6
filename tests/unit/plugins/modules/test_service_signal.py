"""Signals to the running containers of services, by a played engine and services that tell of their reloads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils import _reloads
from ansible_collections.llmops.monitoring.plugins.modules import service_signal
from ansible_collections.llmops.monitoring.tests.serving import serving


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


# ------------------------------------------------------------ what the services say of it


def metrics(successful: int, success_time: float, service: str = "prometheus") -> str:
    """Return what a service tells after a reload, among other things."""
    return (
        f"# TYPE {service}_config_last_reload_successful gauge\n"
        f"{service}_config_last_reload_successful {successful}\n"
        f"other_config_last_reload_successful 1\n"
        f"# TYPE {service}_config_last_reload_success_timestamp_seconds gauge\n"
        f"{service}_config_last_reload_success_timestamp_seconds {success_time!r}\n"
    )


class TellingService:
    """Tells what it is given, which becomes another thing a few looks after the signal."""

    def __init__(self, signals: list[tuple[str, str]]) -> None:
        self.signals = signals
        self.before: str | int = metrics(1, 1795247054.6973445)
        self.after: list[str | int] = [metrics(1, 1795247057.857)]
        self.paths: list[str] = []
        self.url = ""

    def answer(self, path: str) -> str | int:
        self.paths.append(path)
        if not self.signals:
            return self.before
        return self.after.pop(0) if len(self.after) > 1 else self.after[0]


class _Server(ThreadingHTTPServer):
    def __init__(self, service: TellingService) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service = service


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_arguments: object) -> None:
        """Keep the tests' output quiet."""

    def do_GET(self) -> None:
        answer = self.server.service.answer(self.path)
        content = answer.encode() if isinstance(answer, str) else b""
        self.send_response(200 if isinstance(answer, str) else answer)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def telling(fake_engine: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], TellingService]]:
    """Return a function that starts services that tell of their reloads over HTTP."""
    monkeypatch.setattr(_reloads, "INTERVAL", 0.02)
    servers = ExitStack()

    def start() -> TellingService:
        service = TellingService(fake_engine.signals)
        server = _Server(service)
        service.url = f"http://127.0.0.1:{server.server_port}/metrics"
        servers.enter_context(serving(server))
        return service

    with servers:
        yield start


@pytest.fixture
def prometheus(telling: Callable[[], TellingService]) -> TellingService:
    return telling()


# Before the signal, and at one look after the other: each ends with a reload that was taken.
TAKEN = {
    "at once": (metrics(1, 100.5), [metrics(1, 101.5)]),
    "later": (metrics(1, 100.5), [metrics(1, 100.5), metrics(1, 100.5), metrics(1, 100.5000002)]),
    "by a clock that was set back": (metrics(1, 100.5), [metrics(1, 90.5)]),
    "after one that was refused before": (metrics(0, 100.5), [metrics(0, 100.5), metrics(1, 101.5)]),
    "by one that started anew": (metrics(1, 100.5), [503, metrics(0, 0.0), metrics(1, 101.5)]),
}


@pytest.mark.parametrize(("before", "after"), TAKEN.values(), ids=TAKEN)
def test_it_waits_until_the_service_says_that_it_reloaded(
    send: Any, fake_engine: Any, prometheus: TellingService, before: str, after: list[str | int]
) -> None:
    prometheus.before, prometheus.after = before, list(after)
    looks = 1 + len(after)
    result = send("prometheus", metrics={"prometheus": prometheus.url}, timeout=20)
    assert (result["failed"], result["changed"]) == (False, True)
    assert len(fake_engine.signals) == 2
    assert prometheus.paths == ["/metrics"] * looks


def test_alloy_tells_it_by_names_of_its_own(telling: Callable[[], TellingService]) -> None:
    alloy = telling()
    alloy.before = metrics(1, 2.5).replace("prometheus_config_last_reload", "alloy_config_last_load")
    assert _reloads.last_reload("alloy", alloy.url) == _reloads.Reload(successful=True, success_time=2.5)
    with pytest.raises(_reloads.NotYet, match="has no prometheus_config_last_reload_successful"):
        _reloads.last_reload("prometheus", alloy.url)


def test_a_refusal_is_told_at_once(send: Any, prometheus: TellingService) -> None:
    prometheus.after = [metrics(1, 1795247054.6973445), metrics(0, 1795247054.6973445)]
    result = send("prometheus", metrics={"prometheus": prometheus.url}, timeout=600)
    assert (result["failed"], result["changed"]) == (True, True)
    assert result["problems"] == [
        f"prometheus refused it: prometheus_config_last_reload_successful is 0 ({prometheus.url})."
    ]
    assert result["msg"] == "\n".join(
        [
            "After SIGHUP, the configuration was not taken:",
            *result["problems"],
            "See `docker compose --project-name llm-monitor logs`.",
        ]
    )


# What stays as it is, and what is said of it.
SILENT = {
    "nothing happens": (metrics(1, 100.5), metrics(1, 100.5), "prometheus_config_last_reload_successful 1."),
    "it had failed before": (metrics(0, 100.5), metrics(0, 100.5), "prometheus_config_last_reload_successful 0."),
    "it is gone": (metrics(1, 100.5), 503, "/metrics can't be read: status 503."),
}


@pytest.mark.parametrize(("before", "after", "said"), SILENT.values(), ids=SILENT)
def test_one_that_does_not_reload_in_time_is_named(
    send: Any, prometheus: TellingService, before: str, after: str | int, said: str
) -> None:
    prometheus.before, prometheus.after = before, [after]
    result = send("prometheus", metrics={"prometheus": prometheus.url}, timeout=1)
    assert result["failed"]
    assert "prometheus did not tell within 1 s that it took it: http://127.0.0.1:" in result["msg"]
    assert said in result["msg"]


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (404, "/metrics can't be read: status 404."),
        (metrics(1, 1.5, service="alertmanager"), "/metrics has no prometheus_config_last_reload_successful."),
        ("prometheus_config_last_reload_successful 1\n", "no prometheus_config_last_reload_success_timestamp_seconds."),
    ],
)
def test_one_that_can_not_tell_gets_no_signal(
    send: Any, fake_engine: Any, prometheus: TellingService, before: str | int, said: str
) -> None:
    prometheus.before = before
    result = send("prometheus", metrics={"prometheus": prometheus.url}, timeout=0)
    assert result["failed"]
    assert "Nothing got SIGHUP, since it could not be told what came of it:\nprometheus" in result["msg"]
    assert said in result["msg"]
    assert fake_engine.signals == []


@pytest.mark.parametrize(
    ("url", "said"), [("http://127.0.0.1:1/metrics", "Connection refused"), ("metrics", "metrics can't be read: ")]
)
def test_no_answer_gets_no_signal(send: Any, fake_engine: Any, url: str, said: str) -> None:
    result = send("prometheus", metrics={"prometheus": url}, timeout=0)
    assert result["failed"]
    assert said in result["msg"]
    assert fake_engine.signals == []


def test_every_service_is_waited_for_and_named(send: Any, telling: Callable[[], TellingService]) -> None:
    prometheus, alertmanager = telling(), telling()
    prometheus.after = [metrics(0, 1795247054.6973445)]
    alertmanager.before = metrics(1, 1.5, service="alertmanager")
    alertmanager.after = [*[alertmanager.before] * 3, metrics(0, 1.5, service="alertmanager")]
    urls = {"prometheus": prometheus.url, "alertmanager": alertmanager.url}
    result = send("prometheus", "alertmanager", metrics=urls, timeout=600)
    assert [problem.split()[0] for problem in result["problems"]] == ["prometheus", "alertmanager"]
    assert len(result["containers"]) == 3


def test_only_the_services_of_the_task_are_asked(send: Any, prometheus: TellingService) -> None:
    result = send("alertmanager", metrics={"prometheus": prometheus.url})
    assert result["containers"] == ["llm-monitor-alertmanager-1"]
    assert prometheus.paths == []


def test_check_mode_asks_no_service(send: Any, prometheus: TellingService) -> None:
    result = send("prometheus", check=True, metrics={"prometheus": prometheus.url})
    assert result["changed"]
    assert prometheus.paths == []
