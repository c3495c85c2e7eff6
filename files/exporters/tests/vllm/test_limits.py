"""Servers that send as much as they may, all at once, beside an honest one."""

import time
from collections.abc import Iterator

import pytest

from exporter_testing.process import Start, wait_for
from exporter_testing.vllm import RECORDED, StandIn
from llm_monitor.base.upstream.fetch import LARGEST_BODY

# What the container may use, and how long a collection may last.
MEMORY = 192 << 20
SECONDS = 8.0


def lines() -> bytes:
    """Return as many samples as there can be, none of them wanted."""
    return b"a 1\n" * (LARGEST_BODY // 4)


def series() -> bytes:
    """Return nearly as many wanted series as there may be, with long labels."""

    def written() -> Iterator[bytes]:
        for number in range(19_000):
            labels = b",".join(b'a%d_%d=""' % (one, number) for one in range(25))
            yield b'vllm:num_requests_running{engine="%d",%s} 1\n' % (number, labels)

    return b"".join(written())


def moderate() -> bytes:
    """Return what a dozen may send at the same time."""
    return lines()[: LARGEST_BODY // 4]


@pytest.mark.parametrize("count", [4, 12])
def test_hostile_servers_take_no_more_than_there_is(
    stand_in: StandIn, start_vllm: Start, count: int
) -> None:
    bodies = [lines(), series(), moderate()]
    assert all(len(body) <= LARGEST_BODY for body in bodies)
    hostile = {f"h{n}": stand_in(bodies[n % len(bodies)]).address for n in range(count)}
    running = start_vllm({**hostile, "honest": stand_in().address})
    alone = start_vllm({"honest": stand_in().address})
    whole = honest(alone.get().text)
    assert len(whole) > 150
    for _ in range(3):
        renewed = time.monotonic() + 1.1
        wait_for(lambda end=renewed: time.monotonic() > end)  # type: ignore[misc]
        began = time.monotonic()
        text = running.get(x_prometheus_scrape_timeout_seconds="10").text
        assert time.monotonic() - began < SECONDS
        assert honest(text) == whole
        assert 'llm_monitor_vllm_collector_success{collector="servers"} 1' in text
        assert text.count("llm_monitor_vllm_up{") == count + 1
    assert running.most_resident() < MEMORY


def honest(text: str) -> list[str]:
    """Return the series of the honest server, without what is measured anew."""
    return [line for line in text.splitlines() if 'container="honest"' in line]


def test_what_is_passed_through_takes_no_more_either(stand_in: StandIn, start_vllm: Start) -> None:
    large = stand_in(b"# " + b"x" * (LARGEST_BODY - 3) + b"\n")
    running = start_vllm({"large": large.address, "honest": stand_in().address})
    for _ in range(4):
        assert len(running.get("/api/v1/containers/large/metrics").content) == LARGEST_BODY
    assert running.get("/api/v1/containers/honest/metrics").content == RECORDED.read_bytes()
