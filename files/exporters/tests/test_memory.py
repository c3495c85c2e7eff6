"""What an exporter costs in memory: the project holds itself to 45 MiB for one alone."""

import subprocess
import sys

from exporter_testing.process import Start, plain_environment

MOST = 45 << 20


def test_one_exporter_alone_stays_within_45_mib(start_node: Start) -> None:
    node = start_node(MIN_INTERVAL="0")
    for _ in range(300):
        assert node.get(accept_encoding="gzip").status_code == 200
    assert node.resident() <= MOST


def test_uvicorn_comes_without_its_command_line() -> None:
    code = (
        "import sys; from llm_monitor.base.memory import import_uvicorn; import_uvicorn();"
        "import uvicorn.server; print('click' in sys.modules, 'uvicorn.main' in sys.modules);"
        "import uvicorn.main; print(uvicorn.main.run is not None)"
    )
    command = [sys.executable, "-c", code]
    ended = subprocess.run(
        command, env=plain_environment(), capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == ["False", "False", "True"]
