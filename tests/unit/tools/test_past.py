"""The past of the demo's Prometheus, with an engine that only notes what it is asked for."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.tools import past, recorded

# Answers as the engine would, notes each call, and ends as `ends` says for the programs that it would run.
ENGINE = """\
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
words = sys.argv[1:]
with (folder / "calls").open("a") as file:
    file.write(json.dumps(words) + "\\n")
told = json.loads((folder / "told.json").read_text())
if words[0] == "ps":
    print("\\n".join(told["recorders" if "recorder" in words[-1] else "running"]))
elif words[0] == "logs":
    print("the disk is full", file=sys.stderr)
elif words[0] == "inspect":
    print(json.dumps([told["container"]]))
elif words[0] == "port":
    print(told["address"])
elif words[0] == "exec":
    with (folder / "recorded").open("a") as file:
        file.write(sys.stdin.read())
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
# The first builds on the second.
RULES = [{"name": "a:b:sum", "query": "sum(a:b:ratio)"}, {"name": "a:b:ratio", "query": "b", "labels": {"team": "one"}}]


class Engine:
    """What it tells, and what it was asked for."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        ends = {"test -e": 1}
        self.told: dict[str, Any] = {"running": ["one"], "recorders": ["two"], "container": CONTAINER, "ends": ends}
        self.told["address"] = address
        (folder / "engine.py").write_text(ENGINE)

    def plays(self, days: float = 2) -> list[str]:
        """Give the demo a past, and return what ran for it."""
        (self.folder / "told.json").write_text(json.dumps(self.told))
        past.main(days)
        return self.ran()

    def ran(self) -> list[str]:
        calls = [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]
        return [" ".join(call) for call in calls if call[0] in ("run", "exec", "stop", "rm")]

    def recorded(self) -> list[str]:
        """Return the files that were made of what rules record."""
        return (self.folder / "recorded").read_text().split("# EOF\n")[:-1]


@pytest.fixture
def seen() -> list[float]:
    """Return since when Prometheus has seen the simulated server: nothing, or one Unix time."""
    return []


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: list[float]) -> Iterator[Engine]:
    class Prometheus(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/-/ready":
                self.answer({})
            elif self.path == "/api/v1/rules?type=record":
                self.answer({"groups": [{"rules": RULES}]})
            else:
                self.answer({"result": [{"metric": {}, "value": [0, str(moment)]} for moment in seen]})

        def do_POST(self) -> None:
            asked = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            value = [int(asked["start"][0]), "1"], [int(asked["end"][0]), "2"]
            self.answer({"result": [{"metric": {"model": asked["query"][0]}, "values": value}]})

        def answer(self, data: dict[str, Any]) -> None:
            body = json.dumps({"status": "success", "data": data}).encode()
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
    yield Engine(tmp_path, f"127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()


def test_past_ends_when_prometheus_was_made_and_is_given_as_a_whole(engine: Engine) -> None:
    _mark, empty, *between, give = engine.plays()
    assert "mkdir" in empty
    (written,) = (call for call in between if "backfill" in call)
    assert "--days=2 --until=2026-11-21T12:00:00+0000" in written
    assert give.endswith(past.GIVE)
    for call in engine.ran():
        if call.startswith("run"):
            assert "--read-only --cap-drop=ALL" in call
            assert "--volume=a-volume:/prometheus" in call


def test_rules_are_recorded_after_those_that_they_build_on(engine: Engine) -> None:
    ran = engine.plays(days=3)
    end = 1_795_262_400
    begin = end - 3 * 86400
    # In parts that are a block each.
    inner = 1_795_089_600
    assert inner % past.LARGEST_BLOCK_SECONDS == 0
    parts = (begin, inner - recorded.STEP), (inner, end)
    assert engine.recorded() == [
        f"# TYPE {name} gauge\n{name}{{{labels}}} 1 {first}\n{name}{{{labels}}} 2 {last}\n"
        for name, labels in (("a:b:ratio", 'model="b",team="one"'), ("a:b:sum", 'model="sum(a:b:ratio)"'))
        for first, last in parts
    ]
    recorder = [call.split()[0] for call in ran if past.RECORDER in call]
    assert recorder == ["run", "exec", "exec", "stop", "rm"] * 2


def test_recorder_that_ends_early_is_told_with_its_own_words(engine: Engine) -> None:
    engine.told |= {"address": "127.0.0.1:1", "recorders": []}
    with pytest.raises(past.PastError, match="not ready: the disk is full"):
        engine.plays()
    assert_nothing_is_left(engine)


def test_past_ends_before_what_prometheus_has_seen_itself(engine: Engine, seen: list[float]) -> None:
    seen.append(1_795_262_400 - 3600)
    (written,) = (call for call in engine.plays() if "backfill" in call)
    assert "--until=2026-11-21T10:55:00+0000" in written


def test_it_is_given_once(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.told["ends"] = {}
    (mark,) = engine.plays()
    assert past.MARK in mark
    assert "has a past already; after `make demo-down` it gets another one" in capsys.readouterr().out


def test_what_prometheus_would_remove_at_once_is_not_made(engine: Engine, seen: list[float]) -> None:
    seen.append(1_795_270_000 - 31 * 86400)
    assert len(engine.plays()) == 1


def assert_nothing_is_left(engine: Engine) -> None:
    assert engine.ran()[-1].endswith(f"rm -rf {past.FOLDER}")


@pytest.mark.parametrize("part", ["backfill", "while read", "cat > recorded"])
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
    assert f"rm --force {past.WRITER} {past.LOADER} {past.RECORDER}" in engine.ran()
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
