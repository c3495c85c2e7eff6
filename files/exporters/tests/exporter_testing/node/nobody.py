"""A node exporter that gives up root once everything is loaded."""

import importlib
import os
from typing import Any

from llm_monitor.base import registry
from llm_monitor.base.config.reading import Reading
from llm_monitor.base.process import run_exporters

NOBODY = 65534
# What uvicorn loads only once it serves, when nobody may no longer be able to read it.
LATE = ("uvicorn.lifespan.off", "uvicorn.protocols.http.httptools_impl")


class Read(Reading):
    """What was read while root could still run the child process."""

    def __init__(self) -> None:
        super().__init__()
        self._raw = super().result()

    def result(self) -> dict[str, Any]:
        return self._raw


def main() -> None:
    registry.load("node")
    for module in LATE:
        importlib.import_module(module)
    reading = Read()
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    run_exporters(["node"], reading)


if __name__ == "__main__":
    main()
