"""What an exporter costs in memory; `bench/exporters.py` holds the image's packages to 45 MiB."""

import importlib
import subprocess
import sys

import pytest

from exporter_testing.process import Start, plain_environment
from llm_monitor.base import memory

_GROWTH = 2 << 20
_UNUSED = {"click", "multiprocessing", "dynaconf", "pydantic.v1", "difflib", "psutil"}


def python(code: str) -> list[str]:
    """Return what a Python process of its own prints, by words."""
    command = [sys.executable, "-c", code]
    ended = subprocess.run(
        command, env=plain_environment(), capture_output=True, text=True, check=True
    )
    return ended.stdout.split()


def test_a_running_exporter_has_loaded_nothing_that_it_does_not_use() -> None:
    loaded = python(
        "from llm_monitor.base.memory import import_uvicorn; import_uvicorn()\n"
        "from llm_monitor.base.collection.engine import Engine, Limits\n"
        "from llm_monitor.base.web.app import create_app\n"
        "from llm_monitor.base.web.auth import Credentials\n"
        "import llm_monitor.base.process, llm_monitor.node.exporter, sys\n"
        "from llm_monitor.base.exporter import Exporter\n"
        "create_app(Engine(Exporter('toy', ()), Limits()), Credentials(token='x'))\n"
        "print(*sys.modules)"
    )
    assert "fastapi" in loaded
    assert not _UNUSED & set(loaded)


def test_what_asks_over_http_has_no_command_line_either() -> None:
    loaded = python(
        "from llm_monitor.base.memory import skip_httpx_command_line; skip_httpx_command_line()\n"
        "import llm_monitor.vllm.exporter, sys\n"
        "print(*sys.modules)"
    )
    assert "httpx" in loaded
    assert not {"click", "trio", "dynaconf"} & set(loaded)


def test_uvicorns_command_line_can_still_be_loaded() -> None:
    assert python(
        "import sys; from llm_monitor.base.memory import import_uvicorn; import_uvicorn()\n"
        "print('uvicorn.main' in sys.modules)\n"
        "import uvicorn.main; print(callable(uvicorn.main.run))"
    ) == ["False", "True"]


def test_memory_does_not_grow_with_scrapes(start_node: Start) -> None:
    node = start_node(MIN_INTERVAL="0")

    def scrape(times: int) -> int:
        for _ in range(times):
            assert node.get(accept_encoding="gzip").status_code == 200
        return node.resident()

    settled = scrape(300)
    assert scrape(1000) - settled < _GROWTH


def test_what_is_missing_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "no_such_module", raising=False)
    memory.remember_missing("no_such_module")
    memory.remember_missing("no_such_module")
    monkeypatch.setattr(sys, "meta_path", [])
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_module")
    monkeypatch.delitem(sys.modules, "no_such_module")
    memory.remember_missing("json")
    assert sys.modules["json"] is not None
