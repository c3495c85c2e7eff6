"""The past of the demo's Prometheus, with an engine that only notes what it is asked for."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.tools import past

# Answers as the engine would, notes each call, and ends as `ends` says for the programs that it would run.
ENGINE = """\
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
words = sys.argv[1:]
with (folder / "calls").open("a") as file:
    file.write(json.dumps(words) + "\\n")
told = json.loads((folder / "told.json").read_text())
if words[0] == "ps":
    print("\\n".join(told["running"]))
elif words[0] == "inspect":
    print(json.dumps([told["container"]]))
elif words[0] == "run":
    if "backfill" in words:
        print("/prometheus/past/written/one.om", flush=True)
    if "while read" in words[-1]:
        assert "one.om" in sys.stdin.read()
    for part, code in told["ends"].items():
        if part in " ".join(words):
            sys.exit(code)
"""
MADE = "2026-11-21T12:00:00.123456789Z"
CONTAINER = {
    "Config": {"Image": "an-image"},
    "Created": MADE,
    "Mounts": [{"Destination": "/etc/prometheus"}, {"Destination": "/prometheus", "Name": "a-volume"}],
}


class Engine:
    """What it tells, and what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: dict[str, Any] = {"running": ["one"], "container": CONTAINER, "ends": {"test -e": 1}}
        (folder / "engine.py").write_text(ENGINE)

    def plays(self) -> list[str]:
        """Give the demo a past, and return what ran for it."""
        (self.folder / "told.json").write_text(json.dumps(self.told))
        past.main(2)
        return self.ran()

    def ran(self) -> list[str]:
        calls = [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]
        return [" ".join(call) for call in calls if call[0] in ("run", "rm")]


@pytest.fixture
def seen() -> list[float]:
    """Return since when Prometheus has seen the simulated server: nothing, or one Unix time."""
    return []


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: list[float]) -> Iterator[Engine]:
    class Prometheus(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            result = [{"metric": {}, "value": [0, str(moment)]} for moment in seen]
            body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Prometheus)
    threading.Thread(target=server.serve_forever).start()
    monkeypatch.setattr(past, "URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(past, "DOCKER", [sys.executable, str(tmp_path / "engine.py")])
    monkeypatch.setattr(signal, "signal", lambda *arguments: None)
    monkeypatch.setattr(time, "time", lambda: 1_795_270_000.0)
    yield Engine(tmp_path)
    server.shutdown()
    server.server_close()


def test_past_ends_when_prometheus_was_made_and_is_given_as_a_whole(engine: Engine) -> None:
    _mark, empty, *both, give = engine.plays()
    assert "mkdir" in empty
    (written,) = (call for call in both if "backfill" in call)
    assert "--days=2 --until=2026-11-21T12:00:00+0000" in written
    assert give.endswith(past.GIVE)
    assert len(both) == 2
    for call in engine.ran():
        assert "--read-only --cap-drop=ALL" in call
        assert "--volume=a-volume:/prometheus" in call


def test_past_ends_before_what_prometheus_has_seen_itself(engine: Engine, seen: list[float]) -> None:
    seen.append(1_795_262_400 - 3600)
    (written,) = (call for call in engine.plays() if "backfill" in call)
    assert "--until=2026-11-21T10:55:00+0000" in written


def test_it_is_given_once(engine: Engine) -> None:
    engine.told["ends"] = {}
    (mark,) = engine.plays()
    assert past.MARK in mark


def test_what_prometheus_would_remove_at_once_is_not_made(engine: Engine, seen: list[float]) -> None:
    seen.append(1_795_270_000 - 31 * 86400)
    assert len(engine.plays()) == 1


def assert_nothing_is_left(engine: Engine) -> None:
    assert engine.ran()[-1].endswith(f"rm -rf {past.FOLDER}")


@pytest.mark.parametrize("part", ["backfill", "while read"])
def test_one_that_fails_leaves_nothing(engine: Engine, part: str) -> None:
    engine.told["ends"][part] = 1
    with pytest.raises(past.PastError, match="tries again"):
        engine.plays()
    assert_nothing_is_left(engine)


def test_one_that_is_interrupted_leaves_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    popen: Callable[..., Any] = subprocess.Popen

    def interrupted(command: list[str], **options: Any) -> Any:
        if past.LOAD in command:
            raise KeyboardInterrupt
        return popen(command, **options)

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine.plays()
    assert f"rm --force {past.WRITER} {past.LOADER}" in engine.ran()
    assert_nothing_is_left(engine)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"running": []}, "No container of prometheus runs here; `make demo` starts one"),
        ({"container": {**CONTAINER, "Mounts": []}}, "has no volume"),
    ],
)
def test_without_a_demo_it_says_so(engine: Engine, changed: dict[str, Any], problem: str) -> None:
    engine.told.update(changed)
    with pytest.raises(past.PastError, match=problem):
        engine.plays()
