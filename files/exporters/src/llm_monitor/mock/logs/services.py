"""What containers other than vLLM's write: when they come and go, and what some do meanwhile."""

from datetime import UTC, datetime
from functools import partial

from llm_monitor.mock.identity import address
from llm_monitor.mock.logs import dialects
from llm_monitor.mock.logs.roll import Roll
from llm_monitor.mock.logs.span import Fate, Span

_REQUESTS = 20
_FAILED = 2
_CHECK_SECONDS = 30.0
_MINUTE = 60.0
_ROUTINE_SECONDS = 300.0
# Without a trace for so long the worker warns.
_STALE_SECONDS = 120.0


class Service:
    """One container and its log."""

    def __init__(self, span: Span, fate: Fate, roll: Roll) -> None:
        """Write to `roll` what the container does in `span`."""
        self._span = span
        self._fate = fate
        self._roll = roll
        self._dialect = dialects.of(fate.image)

    def write(self) -> None:
        """Write what it says in the span."""
        fate = self._fate
        if fate.ended is not None and not fate.killed:
            if fate.asked:
                self._say(fate.ended, "INFO", "received a signal, shutting down")
            else:
                self._say(fate.ended, "ERROR", "fatal error, exiting")
        if fate.began and fate.started is not None:
            self._say(fate.started, "INFO", "starting")
        if self._span.has(fate.ready):
            self._say(fate.ready, "INFO", self._dialect.ready)
        if fate.up:
            self._works()

    def _say(self, time: float, level: str, text: str) -> None:
        line = self._dialect.form(self._roll.within(time), level, text)
        self._roll.add(time, line, self._dialect.stream)

    def _works(self) -> None:
        span, image, now = self._span, self._dialect.image, self._span.after.time
        if self._dialect.full and span.full() and span.passes(_CHECK_SECONDS):
            self._say(now, "ERROR", self._dialect.full)
        if self._dialect.routine and span.passes(_ROUTINE_SECONDS):
            self._say(now, "INFO", self._dialect.routine)
        # LiteLLM itself tells of a failed check what it answered.
        if self._fate.failing and image != "litellm" and span.passes(_CHECK_SECONDS):
            self._say(now, "WARNING", "health check answered with status 503")
        if image == "nginx":
            self._proxies()
        elif image == "text-embeddings-inference":
            self._embeds()
        elif "langfuse-worker" in self._fate.image and span.passes(_MINUTE):
            self._ingests()

    def _proxies(self) -> None:
        """Write the requests of LiteLLM's clients, which come through here."""
        succeeded = sum(self._span.grown("gateway.succeeded"))
        failed = sum(map(sum, self._span.grown("gateway.failed")))
        if self._span.works("litellm"):
            self._roll.sample(succeeded, _REQUESTS, partial(_combined, 200))
            self._roll.sample(failed, _FAILED, partial(_combined, 500))
            return

        def refused(time: float, _: float) -> str:
            text = "connect() failed (111: Connection refused) while connecting to upstream"
            return self._dialect.form(time, "ERROR", text)

        self._roll.sample(_FAILED, _FAILED, refused, "stderr")
        self._roll.sample(_FAILED, _FAILED, partial(_combined, 502))

    def _embeds(self) -> None:
        """Write the texts that LiteLLM had turned into vectors; others it sends nothing."""
        # The first containers are those behind its routes, in the same order.
        done, place = self._span.grown("gateway.succeeded"), self._fate.place
        if place >= len(done):
            return
        form = self._dialect.form
        self._roll.sample(
            done[place], _REQUESTS, lambda time, _: form(time, "INFO", "embed: Success")
        )

    def _ingests(self) -> None:
        """Write how many observations Langfuse has got, or since when it gets none."""
        traces = self._span.after.traces
        newest = float(traces.newest[self._span.row])
        silent = self._span.after.time - newest
        if newest and silent > _STALE_SECONDS:
            text = f"ingestion queue is stale: no trace for {silent:.0f} s"
            self._say(self._span.after.time, "WARNING", text)
            return
        whole = int(traces.observations[self._span.row].sum())
        text = f"ingestion queue is empty, {whole} observations since the start"
        self._say(self._span.after.time, "INFO", text)


def _combined(status: int, time: float, chance: float) -> str:
    """Return nginx's line for a request, in its format `combined`."""
    stamp = datetime.fromtimestamp(time, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
    size = 400 + int(chance * 4000)
    request = "POST /v1/chat/completions HTTP/1.1"
    return f'{address(-1)} - - [{stamp}] "{request}" {status} {size} "-" "python-httpx/0.28.1"'
