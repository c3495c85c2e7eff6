"""Exporters as real processes: start, authentication, logs, shutdown."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from exporter_testing.process import EXPORTER, Start, free_port, plain_environment, wait_for

HEALTHCHECK = str(Path(sys.executable).with_name("llm-monitor-healthcheck"))


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**plain_environment(), **variables}
    return subprocess.run(
        arguments, env=environment, capture_output=True, text=True, timeout=20, check=False
    )


def test_bad_settings_stop_the_start() -> None:
    ended = run(EXPORTER, "node", LLM_MONITOR_NODE__PORT="http", LLM_MONITOR_AUTH__TOKN="s3cret")
    assert ended.returncode == 2
    assert "node.port (LLM_MONITOR_NODE__PORT): 'http' is not allowed" in ended.stderr
    assert "auth.tokn" in ended.stderr
    assert "s3cret" not in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nod"], "'nod' is no exporter; expected some of"),
        ([], "no exporter named"),
        (["node", "node"], "named twice"),
    ],
)
def test_bad_arguments_stop_the_start(arguments: list[str], expected: str) -> None:
    ended = run(EXPORTER, *arguments)
    assert ended.returncode == 2
    assert expected in ended.stderr


def test_version_and_help() -> None:
    assert run(EXPORTER, "--version").stdout == "llm-monitor-exporter 0.1.0\n"
    assert "node" in run(EXPORTER, "--help").stdout
    assert "--check" in run(EXPORTER, "--help").stdout


def test_a_check_of_good_settings_is_silent_and_starts_nothing(
    start_node: Start, tmp_path: Path
) -> None:
    port = start_node().port
    (tmp_path / "token").write_text("s3cret\n")
    (tmp_path / "settings.yaml").write_text(f"node: {{port: {port}}}\n")
    ended = run(
        EXPORTER,
        "--check",
        "node",
        LLM_MONITOR_SETTINGS_FILE=str(tmp_path / "settings.yaml"),
        LLM_MONITOR_AUTH__TOKEN_FILE=str(tmp_path / "token"),
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("names", "variables"),
    [
        ("node", {"NODE__PORT": "http", "AUTH__TOKN": "s3cret"}),
        ("node", {"AUTH__TOKEN_FILE": "/does/not/exist"}),
        ("node", {"SETTINGS_FILE": "/does/not/exist"}),
        ("mock", {"MOCK__SCENARIO": "doom"}),
        ("mock", {"MOCK__FLEET": "/does/not/exist", "NODE__PORT": "9100"}),
        ("nod", {}),
        ("", {}),
    ],
)
def test_a_check_says_what_a_start_would_say(names: str, variables: dict[str, str]) -> None:
    environment = {f"LLM_MONITOR_{name}": text for name, text in variables.items()}
    started = run(EXPORTER, *names.split(), **environment)
    checked = run(EXPORTER, "--check", *names.split(), **environment)
    assert checked.stderr == started.stderr
    assert "llm-monitor-exporter: " in checked.stderr
    assert (checked.returncode, checked.stdout) == (2, "")


def test_a_check_that_is_ended_has_not_succeeded(start: Start, tmp_path: Path) -> None:
    never = tmp_path / "settings.yaml"
    os.mkfifo(never)
    environment = {"LLM_MONITOR_SETTINGS_FILE": str(never)}
    check = start([EXPORTER, "--check", "node"], free_port(), environment, ready=False)
    writers: list[int] = []

    def is_read() -> bool:
        with suppress(OSError):
            writers.append(os.open(never, os.O_WRONLY | os.O_NONBLOCK))
        return bool(writers)

    wait_for(is_read, 30)
    assert check.terminate() < 5
    assert check.process.returncode == 143
    never.unlink()
    os.close(writers[0])


def test_a_port_that_is_taken(start_node: Start) -> None:
    port = str(start_node().port)
    ended = run(EXPORTER, "node", LLM_MONITOR_NODE__PORT=port)
    assert ended.returncode == 2
    assert f"can't listen on 127.0.0.1 port {port}: Address already in use" in ended.stderr


def test_the_health_check(start_node: Start) -> None:
    port = str(start_node().port)
    assert run(HEALTHCHECK, port).returncode == 0
    assert run(HEALTHCHECK, str(free_port())).returncode == 1
    assert run(HEALTHCHECK).returncode == 1
    assert "not a port" in run(HEALTHCHECK, "70000").stderr
    assert "usage" in run(HEALTHCHECK, "http").stderr


def test_the_health_check_tells_a_hung_first_collection(start: Start) -> None:
    first, second = free_port(), free_port()
    toys = [sys.executable, "-m", "exporter_testing.toys", str(first), str(second)]
    both = start(toys, second)
    assert run(HEALTHCHECK, str(second)).returncode == 0
    assert run(HEALTHCHECK, str(first)).returncode == 1
    assert run(HEALTHCHECK, str(second), str(second)).returncode == 0
    assert run(HEALTHCHECK, str(second), str(first)).returncode == 1
    assert both.terminate() < 5


def test_a_token_is_asked_for_and_never_logged(start_node: Start, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    node = start_node(AUTH__TOKEN_FILE=str(tmp_path / "token"), LOG_LEVEL="debug")
    assert node.get().status_code == 401
    assert node.get(authorization="Bearer wrong-s3cret").status_code == 401
    assert node.get(authorization="Bearer s3cret").status_code == 200
    assert node.get("/health").status_code == 200
    assert node.get("/metrics?token=s3cret", authorization="Bearer s3cret").status_code == 200
    assert node.terminate() < 5
    assert "s3cret" not in node.output.read_text()


def test_every_log_line_is_one_json_object(start_node: Start) -> None:
    node = start_node(LOG_LEVEL="debug")
    node.get()
    node.client.request("GET", "/metrics", headers={"accept": "*/*"}, content=b"\x00")
    node.terminate()
    lines = [json.loads(line) for line in node.output.read_text().splitlines()]
    events = [line["event"] for line in lines]
    assert events[0] == "listening"
    assert events[-1] == "stopped"
    assert all({"event", "level", "logger", "timestamp"} <= set(line) for line in lines)


def test_an_idle_exporter_rests_and_still_knows_the_date(start_node: Start) -> None:
    def wakes() -> int:
        status = Path(f"/proc/{node.process.pid}/status").read_text()
        return int(status.partition("voluntary_ctxt_switches:")[2].split()[0])

    def age() -> float:
        date = parsedate_to_datetime(node.get("/health").headers["date"])
        return (datetime.now(UTC) - date).total_seconds()

    node = start_node()
    # What comes a second after the start is over.
    time.sleep(1.5)
    before, began = wakes(), time.monotonic()
    time.sleep(2)
    assert wakes() - before <= 2 * (time.monotonic() - began)
    assert age() < 3


def test_sigterm_ends_an_idle_exporter(start_node: Start) -> None:
    node = start_node()
    assert node.terminate() < 5
    assert node.process.returncode == 0


def test_sigterm_during_a_scrape_with_a_stuck_collector(start: Start) -> None:
    first, second = free_port(), free_port()
    toys = start([sys.executable, "-m", "exporter_testing.toys", str(first), str(second)], second)
    with socket.create_connection(("127.0.0.1", first), timeout=10) as scraping:
        scraping.sendall(b"GET /metrics HTTP/1.1\r\nHost: toys\r\n\r\n")
        # What came before it has been read when this is answered.
        assert toys.client.get(f"http://127.0.0.1:{first}/health").status_code == 200
        assert toys.terminate() < 5
        answer = b"".join(iter(lambda: scraping.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"toy_good 1" in answer
    assert toys.process.returncode == 0


def test_sigterm_while_it_still_loads(start: Start) -> None:
    node = start([EXPORTER, "node"], free_port(), ready=False)
    wait_for(lambda: b"llm-monitor" in Path(f"/proc/{node.process.pid}/cmdline").read_bytes())
    assert node.terminate() < 5


def test_several_exporters_in_one_process(start: Start) -> None:
    first, second = free_port(), free_port()
    toys = start([sys.executable, "-m", "exporter_testing.toys", str(first), str(second)], second)
    other = toys.get()
    assert "llm_monitor_other_up 1" in other.text
    hurried = toys.client.get(
        f"http://127.0.0.1:{first}/metrics", headers={"X-Prometheus-Scrape-Timeout-Seconds": "1"}
    )
    assert 'llm_monitor_toy_collector_success{collector="hung"} 0' in hurried.text
    assert "llm_monitor_toy_up 1" in hurried.text
