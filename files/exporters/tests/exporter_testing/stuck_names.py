"""An exporter whose upstream's name hangs; `python -m exporter_testing.stuck_names PORT`."""

import asyncio
import socket
import sys
import time
from collections.abc import Iterator

from exporter_testing.toys import GOOD, Toy, toy_exporter
from llm_monitor.base import logs
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.collection.engine import Engine, Limits
from llm_monitor.base.metrics.family import Sample
from llm_monitor.base.upstream.fetch import Fetcher
from llm_monitor.base.web.auth import Credentials
from llm_monitor.base.web.server import Service, listen, serve


def main() -> None:
    """Serve until SIGTERM."""
    logs.configure("info", "json")
    fetcher = Fetcher("toy")

    def ask() -> Iterator[Sample]:
        deadline = Deadline.after(0.2)
        fetcher.run(fetcher.get("http://never.invalid", deadline=deadline), deadline)
        yield GOOD(1)

    listener = listen("127.0.0.1", int(sys.argv[1]), "port")
    socket.getaddrinfo = lambda *_: time.sleep(3600)  # type: ignore[assignment,return-value]
    engine = Engine(toy_exporter(Toy("asking", (GOOD,), ask)), Limits(min_interval=0))
    asyncio.run(serve([Service(engine, listener)], Credentials()))


if __name__ == "__main__":
    main()
