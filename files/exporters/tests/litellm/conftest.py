"""What tests of the LiteLLM exporter share: one that asks a LiteLLM made of pages."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from exporter_testing.litellm.server import StandIn, standing_in
from exporter_testing.litellm.settings import settings
from exporter_testing.scraping import Values, ask
from llm_monitor.base.collection.engine import Engine, Limits
from llm_monitor.litellm.exporter import build

Scrape = Callable[[], Values]
Scraping = Callable[..., Scrape]


@pytest.fixture
def proxy() -> Iterator[StandIn]:
    with standing_in() as server:
        yield server


@pytest.fixture
def scraping(proxy: StandIn) -> Scraping:
    """Return a function that makes an exporter and returns what scrapes it."""

    def made(url: str = "", **changes: object) -> Scrape:
        limits = Limits(min_interval=0, longest=20)
        engine = Engine(build(settings(url or proxy.url, **changes)), limits)
        return lambda: asyncio.run(ask(engine, 20))

    return made


@pytest.fixture
def scrape(scraping: Scraping) -> Scrape:
    """Scrape an exporter with the usual settings."""
    return scraping()


@pytest.fixture
def follow(proxy: StandIn, scrape: Scrape) -> Scrape:
    """Scrape an exporter that has been there since before LiteLLM counted anything."""
    followed = False

    def scraped() -> Values:
        nonlocal followed
        if not followed:
            followed = True
            with proxy.uncounted():
                scrape()
        return scrape()

    return scraped
