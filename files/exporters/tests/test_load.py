"""A monitoring load: two scrapers, and somebody's curl loop that asks fifty times a second."""

import gzip
import threading
import time
from collections import Counter
from http.client import HTTPConnection

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter_testing.process import Running, Start
from exporter_testing.prometheus import prometheus, query

_PER_SECOND = 50
_GROWTH = 2 << 20


def collections(node: Running) -> int:
    families = {f.name: f for f in text_string_to_metric_families(node.get().text)}
    return int(families["llm_monitor_node_collections"].samples[0].value)


class Scraper(threading.Thread):
    """Asks at a steady rate, each time with a new connection, and counts the answers."""

    def __init__(self, port: int, interval: float, headers: dict[str, str]) -> None:
        super().__init__()
        self.answers: Counter[str] = Counter()
        self.slowest = 0.0
        self.over = threading.Event()
        self._port = port
        self._interval = interval
        self._headers = headers

    def run(self) -> None:
        due = time.monotonic()
        while not self.over.wait(max(0.0, due - time.monotonic())):
            due += self._interval
            began = time.monotonic()
            self.answers[self._ask()] += 1
            self.slowest = max(self.slowest, time.monotonic() - began)

    def _ask(self) -> str:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("GET", "/metrics", headers=self._headers)
            answer = connection.getresponse()
            body = answer.read()
        except OSError as error:
            return repr(error)
        finally:
            connection.close()
        if answer.headers["content-encoding"] == "gzip":
            body = gzip.decompress(body)
        return f"{answer.status} {b'llm_monitor_node_memory_total_bytes ' in body}"


@pytest.mark.parametrize(
    ("seconds", "interval"),
    [(6.0, 1.0), pytest.param(60.0, 5.0, marks=pytest.mark.slow)],
)
def test_a_load_costs_one_collection_per_interval(
    start_node: Start, seconds: float, interval: float
) -> None:
    node = start_node(MIN_INTERVAL=f"{int(interval)}s")
    scrapers = [
        Scraper(node.port, 1, {"accept": "application/openmetrics-text; version=1.0.0"}),
        Scraper(node.port, 1, {"accept-encoding": "gzip"}),
        Scraper(node.port, 1 / _PER_SECOND, {}),
    ]
    for _ in range(50):
        node.get()
    time.sleep(1.5)
    memory, before, began = node.resident(), collections(node), time.monotonic()
    for scraper in scrapers:
        scraper.start()
    time.sleep(seconds)
    for scraper in scrapers:
        scraper.over.set()
    for scraper in scrapers:
        scraper.join()
    took = time.monotonic() - began
    cost = collections(node) - before
    answers = sum((scraper.answers for scraper in scrapers), Counter())
    assert set(answers) == {"200 True"}
    assert answers.total() > 0.8 * _PER_SECOND * seconds
    assert took / interval - 2 <= cost <= took / interval + 2
    assert max(scraper.slowest for scraper in scrapers) < 2
    assert node.resident() - memory < _GROWTH


def test_a_prometheus_scrapes_it(
    start_node: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A real Prometheus finds the target up and the host's memory in its database."""
    node = start_node()
    folder = tmp_path_factory.mktemp("prometheus")
    scrape_configs = (
        "- job_name: node\n  scrape_interval: 5s\n  scrape_timeout: 5s\n"
        f"  static_configs: [{{targets: ['127.0.0.1:{node.port}']}}]\n"
    )
    with prometheus(folder, scrape_configs) as port:
        assert query(port, "up") == 1
        assert query(port, "llm_monitor_node_memory_total_bytes") > 0
        assert query(port, 'count({job="node"})') > 60
