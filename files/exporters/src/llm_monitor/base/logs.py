"""Structured logs: one line an event, JSON in containers, uvicorn's lines among them."""

import logging
import sys
import threading
from typing import Any, Literal

import structlog

_REMEMBERED = 1000


def configure(level: str, style: Literal["json", "console"]) -> None:
    """Send every log line of this process to standard output, as `style`, from `level` on."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # httpx logs every request, address and all.
    for name in ("uvicorn", "uvicorn.error", "asyncio", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


class Once:
    """Logs each thing once, for what stays as it is: a file that this user may not read.

    Things come and go on a host, so only those that were met last are remembered.
    """

    def __init__(self, name: str) -> None:
        """Log under `name`."""
        self._log = structlog.get_logger(name)
        self._told: dict[tuple[str, str], None] = {}
        self._lock = threading.Lock()

    def info(self, event: str, subject: str, **about: Any) -> None:
        """Log `event` about `subject` unless it was logged before."""
        thing = event, subject
        with self._lock:
            known = thing in self._told
            self._told.pop(thing, None)
            self._told[thing] = None
            if len(self._told) > _REMEMBERED:
                del self._told[next(iter(self._told))]
        if not known:
            self._log.info(event, subject=subject, **about)
