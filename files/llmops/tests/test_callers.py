"""Callers as applications have them: a web server, a chain of runnables, loops in threads."""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Header
from fastapi.responses import StreamingResponse
from httpx import ASGITransport, AsyncClient

from llmops_monitoring import SpanContext, carry_context, monitor_llm
from llmops_testing.memory import Memory, measure, stop


@pytest.fixture
def memory() -> Iterator[Memory]:
    yield measure(fail_silently=False)
    stop()


@monitor_llm("tokens", measure_text=True)
async def tokens(prompt: str) -> AsyncIterator[str]:
    for word in prompt.split():
        await asyncio.sleep(0)
        yield f"{word} "


@monitor_llm("look up")
def session(x_session: Annotated[str | None, Header()] = None) -> str | None:
    return x_session


def web() -> FastAPI:
    """Return a server whose routes and dependencies are decorated."""
    app = FastAPI()

    @app.get("/ask/{number}")
    @monitor_llm("ask", session_id_from="user")
    async def ask(
        number: int, user: Annotated[str | None, Depends(session)], loud: bool = False
    ) -> dict[str, object]:
        return {"number": number, "user": user, "loud": loud}

    @app.get("/sync")
    @monitor_llm("sync")
    def sync(word: str) -> str:
        return word

    @app.get("/stream")
    @monitor_llm("stream")
    async def stream(prompt: str) -> StreamingResponse:
        return StreamingResponse(tokens(prompt))

    return app


def test_routes_are_what_they_were(memory: Memory) -> None:
    async def ask() -> None:
        transport = ASGITransport(app=web())
        async with AsyncClient(transport=transport, base_url="http://app") as client:
            answer = await client.get("/ask/7?loud=1", headers={"x-session": "s-1"})
            assert answer.json() == {"number": 7, "user": "s-1", "loud": True}
            assert (await client.get("/ask/seven")).status_code == 422
            assert (await client.get("/sync?word=a")).json() == "a"
            assert (await client.get("/stream?prompt=it rains")).text == "it rains "
            told = (await client.get("/openapi.json")).json()["paths"]["/ask/{number}"]["get"]
            assert [one["name"] for one in told["parameters"]] == ["number", "loud", "x-session"]

    asyncio.run(ask())
    events = {event.operation_name: event for event in memory.events}
    assert set(events) == {"look up", "ask", "sync", "stream", "tokens"}
    assert events["ask"].session_id == "s-1"
    streamed = events["tokens"]
    assert streamed.stream_metrics is not None
    assert (streamed.stream_metrics.ended, streamed.stream_metrics.chunks) == ("completed", 2)
    assert streamed.text_metrics is not None
    assert streamed.text_metrics.words == 2


class Model:
    """A model as chains call it."""

    @monitor_llm("invoke")
    def invoke(self, prompt: str) -> str:
        return prompt.upper()

    @monitor_llm("ainvoke")
    async def ainvoke(self, prompt: str) -> str:
        return await asyncio.to_thread(self.invoke, prompt)

    @monitor_llm("stream")
    def stream(self, prompt: str) -> Iterator[str]:
        yield from prompt

    @monitor_llm("astream")
    async def astream(self, prompt: str) -> AsyncIterator[str]:
        for letter in self.stream(prompt):
            yield letter

    @monitor_llm("batch")
    def batch(self, prompts: list[str]) -> list[str]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(carry_context(self.invoke), prompts))


class Chain:
    """Steps that decide by what they are given whether to await, iterate or call."""

    def __init__(self, *steps: Any) -> None:
        self._steps = steps

    async def run(self, value: Any) -> Any:
        for step in self._steps:
            if inspect.isasyncgenfunction(step):
                value = "".join([one async for one in step(value)])
            elif inspect.iscoroutinefunction(step):
                value = await step(value)
            elif inspect.isgeneratorfunction(step):
                value = "".join(step(value))
            else:
                value = step(value)
        return value


def test_chain_finds_out_what_its_steps_are(memory: Memory) -> None:
    model = Model()
    chain = Chain(model.invoke, model.ainvoke, model.stream, model.astream)
    with SpanContext(session_id="s"):
        assert asyncio.run(chain.run("abc")) == "ABC"
        assert model.batch(["a", "b"]) == ["A", "B"]
    events = memory.events
    assert {event.session_id for event in events} == {"s"}
    parents = {event.span_id: event.operation_name for event in events}
    told = sorted(
        (event.operation_name, parents.get(str(event.parent_span_id), "")) for event in events
    )
    assert told == [
        ("ainvoke", ""),
        ("astream", ""),
        ("batch", ""),
        ("invoke", ""),
        ("invoke", "ainvoke"),
        ("invoke", "batch"),
        ("invoke", "batch"),
        ("stream", ""),
        ("stream", "astream"),
    ]


def test_loops_in_threads(memory: Memory) -> None:
    def run() -> None:
        assert asyncio.run(Model().ainvoke("a")) == "A"

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(memory.events) == 10
