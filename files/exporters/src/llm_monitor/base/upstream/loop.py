"""An event loop in a thread of its own that nothing can hold up, the resolver least of all."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from llm_monitor.base.collection.isolation import Crew

Address = tuple[Any, ...]
Question = tuple[Any, ...]


class PatientLoop(asyncio.SelectorEventLoop):
    """Resolves names in daemon threads, each name at most once at a time.

    The loop's usual executor is joined when the interpreter ends: one name server that does not
    answer would hold up the process' end, and every further question would cost another thread.
    """

    def __init__(self, crew: Crew) -> None:
        """Resolve names in the threads of `crew`."""
        super().__init__()
        self._crew = crew
        self._asked: dict[Question, asyncio.Future[list[Address]]] = {}

    async def getaddrinfo(
        self,
        host: str | bytes | None,
        port: str | bytes | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - asyncio calls it so
        proto: int = 0,
        flags: int = 0,
    ) -> list[Address]:
        """Return what `socket.getaddrinfo` does.

        Raises:
            OSError: What it raises.
        """
        question = (host, port, family, type, proto, flags)
        asked = self._asked.get(question)
        if asked is None:
            asked = self.create_future()
            # It raises where no thread can be started: the question must not stay open then.
            # However soon the answer comes, it is settled on this loop, after what is below.
            self._crew.submit(self._resolver(question, asked))
            self._asked[question] = asked
            asked.add_done_callback(lambda future: self._forget(question, future))
        return await asyncio.shield(asked)

    def _forget(self, question: Question, asked: "asyncio.Future[list[Address]]") -> None:
        del self._asked[question]
        # Whoever asked may have given up; an error that nobody looks at would be logged.
        asked.exception()

    def _resolver(
        self, question: Question, asked: "asyncio.Future[list[Address]]"
    ) -> Callable[[], None]:
        def resolve() -> None:
            result: list[Address] = []
            error: Exception | None = None
            try:
                result = [*socket.getaddrinfo(*question)]
            except Exception as raised:
                # Names that can't be written in ASCII raise UnicodeError; a thread that dies of it
                # would leave the question open for good.
                error = raised
            with suppress(RuntimeError):
                self.call_soon_threadsafe(_settle, asked, result, error)

        return resolve


def _settle(
    asked: "asyncio.Future[list[Address]]", result: list[Address], error: Exception | None
) -> None:
    if error is None:
        asked.set_result(result)
    else:
        asked.set_exception(error)
