"""An application for gunicorn that reports its calls to the folder REPORTING_FOLDER."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from llmops_monitoring import MonitorConfig, initialize_monitoring, monitor_llm
from llmops_monitoring.config import StorageConfig

initialize_monitoring(
    MonitorConfig(
        storage=StorageConfig(
            output_dir=Path(os.environ["REPORTING_FOLDER"]),
            # Longer than the test: what is written is written because processes end.
            flush_interval_seconds=600,
        )
    )
)


@monitor_llm("answer", session_id_from="path")
def answer(path: str) -> bytes:
    return f"{os.getpid()} {path}".encode()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the process' number and the path."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer(environ["PATH_INFO"])]
