import asyncio

from exporter_testing.toys import BAD, Toy, good, toy_exporter
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.collection.engine import Engine, Limits
from llm_monitor.base.collection.together import Together

LASTING, EAGER = Limits(min_interval=3600), Limits(min_interval=0)


def joined(limits: Limits) -> Together:
    """Return an engine whose sample lasts, with another one that has `limits`."""
    other = Toy("other", (BAD,), lambda: [BAD(2)])
    engines = Engine(toy_exporter(good()), LASTING), Engine(toy_exporter(other, name="b"), limits)
    return Together(engines[0], [engines[1]])


def test_the_samples_of_all_are_one() -> None:
    async def check() -> None:
        body = (await joined(LASTING).snapshot(Deadline.after(5))).body()
        for series in (b"toy_good 1", b"toy_bad 2", b"llm_monitor_toy_up 1", b"llm_monitor_b_up 1"):
            assert series + b"\n" in body

    asyncio.run(check())


def test_what_is_as_before_is_not_rendered_anew() -> None:
    async def check() -> None:
        together = joined(LASTING)
        first = await together.snapshot(Deadline.after(5))
        assert await together.snapshot(Deadline.after(5)) is first

    asyncio.run(check())


def test_what_is_newer_in_one_of_them_is_served() -> None:
    async def check() -> None:
        together = joined(EAGER)
        first = await together.snapshot(Deadline.after(5))
        second = await together.snapshot(Deadline.after(5))
        assert b"llm_monitor_b_collections_total 1\n" in first.body()
        assert b"llm_monitor_b_collections_total 2\n" in second.body()

    asyncio.run(check())
