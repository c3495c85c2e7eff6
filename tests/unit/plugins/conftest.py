"""Plays a Docker engine at the socket that the modules ask."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest

Checker = Callable[[Mapping[str, Any]], tuple[int, str]]


@dataclass
class FakeEngine:
    """What the engine holds, how its one-shot containers behave, and what it was asked."""

    socket_path: str
    images: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    running: list[dict[str, Any]] = field(default_factory=list)
    checker: Checker = lambda config: (0, "")
    created: dict[str, dict[str, Any]] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    signals: list[tuple[str, str]] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=dict)
    version: str = "28.2.2"

    def answer(self, request: Any) -> tuple[Any, ...]:
        """Return status, body and headers."""
        path = unquote(request.path)
        query = {name: values[0] for name, values in parse_qs(request.query).items()}
        parts = path.strip("/").split("/")
        if path == "/_ping":
            return 200, b"OK", {"Api-Version": "1.41"}
        if path == "/version":
            return 200, {"Version": self.version, "ApiVersion": "1.41", "Os": "linux", "Arch": "amd64"}
        if path == "/info":
            return 200, self.info
        if path == "/containers/json":
            return 200, [found for found in self.running if _selected(found, json.loads(query.get("filters", "{}")))]
        if path == "/containers/create":
            return self._create(query["name"], request.body)
        if parts[0] == "images":
            image = "/".join(parts[1:-1])
            if image in self.refused:
                return 400, {"message": "invalid reference format"}
            return (200, {"Id": image}) if image in self.images else (404, {"message": f"No such image: {image}"})
        if parts[0] == "containers":
            return self._container(request.method, parts[1], parts[2] if len(parts) > 2 else "", query)
        return 404, {"message": f"page not found: {path}"}

    def _create(self, name: str, config: dict[str, Any]) -> tuple[int, Any]:
        if config["Image"] not in self.images:
            return 404, {"message": f"No such image: {config['Image']}"}
        self.created[name] = config
        return 201, {"Id": name, "Warnings": []}

    def _container(self, method: str, name: str, verb: str, query: Mapping[str, str]) -> tuple[int, Any]:
        if method == "DELETE":
            self.removed.append(name)
            return 204, b""
        if verb == "kill":
            self.signals.append((name, query["signal"]))
            return 204, b""
        if verb == "wait":
            return 200, {"StatusCode": self.checker(self.created[name])[0]}
        if verb == "logs":
            output = self.checker(self.created[name])[1].encode()
            return 200, b"\x01\0\0\0" + len(output).to_bytes(4, "big") + output
        return 204, b""


def _selected(container: Mapping[str, Any], filters: Mapping[str, list[str]]) -> bool:
    labels = {f"{name}={value}" for name, value in container["Labels"].items()} | set(container["Labels"])
    return all(label in labels for label in filters.get("label", []))


@pytest.fixture
def fake_engine(engine: Any, answer: Any, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Return an engine behind a real socket that keeps containers and images in mind."""
    fake = FakeEngine(engine.socket_path)
    monkeypatch.setattr(engine, "answer", lambda request: answer(*fake.answer(request)))
    return fake
