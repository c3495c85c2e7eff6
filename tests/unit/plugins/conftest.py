"""Plays a Docker engine at the socket that the modules ask, and an nvidia-smi that prints what was recorded."""

import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils import _gpu_source

RECORDED = Path(__file__).parent / "fixtures" / "nvidia_smi"
GPU = re.compile(r"\t<gpu id=.*?\n\t</gpu>\n", re.DOTALL)
Checker = Callable[[Mapping[str, Any]], tuple[int, str]]


@dataclass
class FakeEngine:
    """What the engine holds, how its one-shot containers behave, and what it was asked."""

    socket_path: str
    images: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    refuses_to_start: str = ""
    running: list[dict[str, Any]] = field(default_factory=list)
    inspections: dict[str, dict[str, Any]] = field(default_factory=dict)
    checker: Checker = lambda config: (0, "")
    created: dict[str, dict[str, Any]] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    signals: list[tuple[str, str]] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=dict)
    version: str = "28.2.2"
    networks: list[str] = field(default_factory=list)
    may_end: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.may_end.set()

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
        if path == "/networks":
            return 200, [{"Name": name, "Id": name} for name in ("bridge", "host", "none", *self.networks)]
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
        if verb == "json":
            return 200, self.inspections[name]
        if verb == "kill":
            self.signals.append((name, query["signal"]))
            return 204, b""
        if verb == "start" and self.refuses_to_start:
            return 500, {"message": self.refuses_to_start}
        if verb == "wait":
            self.may_end.wait(60)
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


def recorded(name: str, without: Sequence[int] = ()) -> str:
    """Return what an nvidia-smi printed, without the GPUs at some places of a report."""
    text = (RECORDED / name).read_text(encoding="utf-8")
    for gpu in [found[0] for place, found in enumerate(GPU.finditer(text)) if place in without]:
        text = text.replace(gpu, "")
    return text


@pytest.fixture
def smi_text() -> Callable[..., str]:
    """Return the function that gives what an nvidia-smi printed once."""
    return recorded


@dataclass
class NvidiaSmi:
    """A real program that prints what it was given for each of its commands, and notes how it was called."""

    folder: Path
    pci_devices: Path

    @property
    def path(self) -> str:
        return str(self.folder / "nvidia-smi")

    def says(self, command: str, out: str = "", *, err: str = "", code: int = 0, first: str = "") -> None:
        """Let a command such as `-q -x` print this; `first` is shell that runs before."""
        place = self.folder / command.replace(" ", "")
        place.with_suffix(".out").write_text(out, encoding="utf-8")
        place.with_suffix(".err").write_text(err, encoding="utf-8")
        place.with_suffix(".sh").write_text(
            f"{first}\ncat '{place}.out'\ncat '{place}.err' >&2\nexit {code}\n", encoding="utf-8"
        )

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def has_pci_gpus(self, count: int, kind: str = "0x030200", vendor: str = "0x10de") -> None:
        """Put GPUs, or devices of another kind, onto the PCI bus."""
        there = len(list(self.pci_devices.iterdir()))
        for number in range(there, there + count):
            device = self.pci_devices / f"0000:{number:02x}:00.0"
            device.mkdir()
            (device / "vendor").write_text(f"{vendor}\n")
            (device / "class").write_text(f"{kind}\n")


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NvidiaSmi:
    """Return an nvidia-smi in a folder that is not on the path, on a host with an empty PCI bus and no NVML."""
    played = NvidiaSmi(tmp_path / "driver", tmp_path / "pci")
    for folder in (played.folder, played.pci_devices):
        folder.mkdir()
    program = Path(played.path)
    program.write_text(f'#!/bin/sh\necho "$*" >>{played.folder}/calls\n. "{played.folder}/$(echo $* | tr -d " ").sh"\n')
    program.chmod(0o755)
    monkeypatch.setattr(_gpu_source, "PCI_DEVICES", played.pci_devices)
    monkeypatch.setattr(_gpu_source, "KERNEL_DRIVER", tmp_path / "version")
    return played
