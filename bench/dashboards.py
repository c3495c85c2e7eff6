"""How long Prometheus takes for what dashboards ask, over days of the simulated server.

The past is made once and kept below .cache for as long as its sources stay the same. Its samples are 150 seconds apart,
as those of `make demo`, and in the last six hours 30. What our recording rules make of models, which is what dashboards
ask for over more than some hours, is 30 seconds apart all the time, as on a server that was always up.

Every query of every panel is asked as Grafana asks it when the dashboard is opened, rows unfolded: with all variables
at All, over the panel's own time, for as many points as it is wide on a screen of 1,920 pixels. Each dashboard has to
stay below a second at the 95th percentile of its slowest query, with Prometheus and this program on two cores. Then all
are asked again, six at a time as a browser does, which has no target. What gives no answer is told: that is quick.

Usage: python bench/dashboards.py [--days N] [--runs N] [--dashboard UID]
"""

import argparse
import json
import math
import os
import shutil
import statistics
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from comparing import print_conditions
from measuring import PROJECT, ROOT, free_port, judge

sys.path.insert(0, str(ROOT / "collections"))
# What tests of both projects share.
sys.path.append(str(PROJECT / "tests"))

from ansible_collections.llmops.monitoring.docs.build import alerts
from ansible_collections.llmops.monitoring.tests.dashboards import asking
from ansible_collections.llmops.monitoring.tests.dashboards.past import fingerprint
from ansible_collections.llmops.monitoring.tests.dashboards.reading import (
    Asked,
    dashboards,
    panels,
    queries_of,
)
from ansible_collections.llmops.monitoring.tests.integration.programs import running_prometheus
from ansible_collections.llmops.monitoring.tests.scenarios.history import History
from ansible_collections.llmops.monitoring.tools.recorded import STEP

# Of which the past is made.
SOURCES = (
    *("files/exporters/src", "templates/prometheus/rules", "roles/prometheus/vars", "roles/prometheus/defaults"),
    *("tests/scenarios/history.py", "tools/recorded.py"),
)
TARGET_SECONDS = 1.0
CORES = 2
HOUR = 3600
DAY = 24 * HOUR
PIXELS = 1920
COLUMNS = 24
SCRAPE_SECONDS = 30
# How many requests a browser has under way to one server.
AT_ONCE = 6
UNITS = {"s": 1, "m": 60, "h": HOUR, "d": DAY}
# As Grafana rounds seconds between points: what is below the first becomes the second (its rangeUtil.roundInterval).
ROUNDED = (
    *((45, 30), (90, 60), (210, 120), (450, 300), (750, 600), (1050, 900), (1500, 1200), (2700, 1800)),
    *((5400, HOUR), (9000, 2 * HOUR), (16200, 3 * HOUR), (32400, 6 * HOUR), (86400, 12 * HOUR), (604800, DAY)),
)


@dataclass(frozen=True)
class Request:
    """What Grafana asks Prometheus for a query of a panel.

    Attributes:
        where: The panel's title and the query's letter.
        path: Which of Prometheus' APIs.
        given: Its parameters.
    """

    where: str
    path: str
    given: bytes


@dataclass(frozen=True)
class Timed:
    """How long a query took.

    Attributes:
        where: The panel's title and the query's letter.
        p50: The median, seconds.
        p95: The 95th percentile, seconds.
        size: Bytes of the answer.
        series: How many series it has.
    """

    where: str
    p50: float
    p95: float
    size: int
    series: int


def past(days: float) -> tuple[Path, int]:
    """Return the folder of blocks of so many days, and their end, Unix time; make them if they are not there."""
    # The same moment every time, so that what was made can be used again.
    end = 1_795_176_000
    kind = f"bench-dashboards-{days:g}-"
    folder = ROOT / ".cache" / f"{kind}{fingerprint(SOURCES)}"
    if not (folder / "done").is_file():
        for old in folder.parent.glob(f"{kind}*"):
            shutil.rmtree(old)
        folder.mkdir(parents=True)
        print(f"making {days:g} days of the simulated server …", flush=True)
        history = History(folder, end - int(days * DAY), end)
        history.play(ROOT / "tests" / "dashboards" / "scenarios", "normal")
        values = alerts.variables(prometheus_gpu_cost_usd_per_hour=3.6)
        history.record([rule for kind in alerts.SECTIONS for rule in alerts.rules(f"{kind}_rules", values)], denser)
        (folder / "done").touch()
    return folder, end


def denser(lines: Iterator[str]) -> Iterator[str]:
    """Give what is recorded of models as often as it is evaluated: each value holds until the next."""
    for line in lines:
        yield line
        if line.startswith("model:"):
            series, value, moment = line.rsplit(" ", 2)
            for later in range(SCRAPE_SECONDS, STEP, SCRAPE_SECONDS):
                yield f"{series} {value} {int(moment) + later}\n"


@contextmanager
def prometheus(folder: Path) -> Iterator[str]:
    """Run a Prometheus over the blocks of a folder, as a rollout runs it, and give its address."""
    with TemporaryDirectory(dir=folder) as run:
        (Path(run) / "prometheus.yml").write_text("{}", encoding="utf-8")
        (Path(run) / "data").symlink_to(folder / "data")
        with running_prometheus(Path(run), free_port(), "--storage.tsdb.retention.time=10y") as url:
            yield url


def span(since: str) -> int:
    """Return the seconds of a duration such as `6h` or `now-30d`."""
    duration = since.removeprefix("now-")
    return int(duration[:-1]) * UNITS[duration[-1]]


def request(board: Mapping[str, Any], panel: Mapping[str, Any], asked: Asked, end: int) -> Request:
    """Return what Grafana asks for a query when its dashboard is opened."""
    seconds = span(panel.get("timeFrom") or board["time"]["from"])
    begin = end - seconds
    between = seconds / (PIXELS * panel["gridPos"]["w"] / COLUMNS)
    rounded = next(step for below, step in ROUNDED if between < below)
    step = max(rounded, SCRAPE_SECONDS, span(panel.get("interval") or "0s"))
    values = {**asking.everything(board), **asking.own_values(begin, end, step, SCRAPE_SECONDS)}
    query = asking.fill(asked.expr, values)
    path, given = "query_range", {"query": query, "start": begin, "end": end, "step": step}
    if asked.instant:
        path, given = "query", {"query": query, "time": end}
    return Request(asked.where, path, urllib.parse.urlencode(given).encode())


def answer(url: str, asked: Request) -> bytes:
    """Return what Prometheus answers."""
    with urllib.request.urlopen(f"{url}/api/v1/{asked.path}", asked.given, timeout=120) as given:
        body: bytes = given.read()
    return body


def timed(url: str, asked: Request, runs: int) -> Timed:
    """Ask a query some times, one after the other, and tell how long that took."""
    took = []
    body = b""
    for _run in range(runs):
        begun = time.perf_counter()
        body = answer(url, asked)
        took.append(time.perf_counter() - begun)
    took.sort()
    series = len(json.loads(body)["data"]["result"])
    return Timed(asked.where, statistics.median(took), took[math.ceil(0.95 * runs) - 1], len(body), series)


def opened(url: str, asked: list[Request]) -> float:
    """Return the seconds until all queries of a dashboard are answered, which are asked as a browser does."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for _body in threads.map(lambda one: answer(url, one), asked):
            pass
    return time.perf_counter() - begun


def measured(url: str, board: Mapping[str, Any], end: int, runs: int) -> Timed | None:
    """Measure and print a dashboard; return its slowest query, if it asks Prometheus anything."""
    asked = [
        request(board, panel, one, end)
        for panel in panels(board)
        for one in queries_of(panel)
        if one.source == "prometheus"
    ]
    if not asked:
        return None
    found = [timed(url, one, runs) for one in asked]
    together = statistics.median(opened(url, asked) for _run in range(3))
    slowest = max(found, key=lambda one: one.p95)
    empty = sum(one.series == 0 for one in found)
    numbers = f"{len(found):>9}{empty:>7}{slowest.p50:>8.3f}{slowest.p95:>8.3f}{slowest.size / 1024:>8.0f}"
    since = board["time"]["from"].removeprefix("now-")
    print(f"{board['uid']:<22}{since:>6}{numbers}{together:>10.2f}  {slowest.where}", flush=True)
    return slowest


def main() -> None:
    """Measure and print, and end with a failure if a dashboard is slower than it may be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--days", type=float, default=30, help="how long the past is")
    parser.add_argument("--runs", type=int, default=20, help="how often each query is asked")
    parser.add_argument("--dashboard", help="the uid of one dashboard, if not all")
    options = parser.parse_args()
    folder, end = past(options.days)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    boards = [one.json for one in dashboards() if options.dashboard in (None, one.uid)]
    print_conditions(f"queries of {len(boards)} dashboards over {options.days:g} days, {options.runs} times each")
    heads = f"{'queries':>9}{'empty':>7}{'p50 s':>8}{'p95 s':>8}{'KiB':>8}{'opened s':>10}"
    print(f"{'dashboard':<22}{'range':>6}{heads}  slowest query")
    targets = []
    with prometheus(folder) as url:
        for board in boards:
            if slowest := measured(url, board, end, options.runs):
                targets.append((f"{board['uid']}, s", slowest.p95, TARGET_SECONDS))
    judge(targets)


if __name__ == "__main__":
    main()
