"""How long Prometheus takes for what dashboards ask, over days of the simulated server.

The past is made once and kept below .cache: samples 150 seconds apart, and in the last six hours 30, with what our
recording rules make of them. Every query of every panel is asked as Grafana asks it when the dashboard is opened: with
all variables at All, over the dashboard's own range, for as many points as a wide panel has. Each dashboard has to stay
below a second at the 95th percentile of its slowest query.

Usage: python bench/dashboards.py [--days N] [--runs N] [--dashboard UID]
"""

import argparse
import math
import statistics
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from comparing import print_conditions
from measuring import ROOT, judge

sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.llmops.monitoring.docs.build import alerts
from ansible_collections.llmops.monitoring.tests.dashboards import asking
from ansible_collections.llmops.monitoring.tests.dashboards.reading import Asked, dashboards, queries
from ansible_collections.llmops.monitoring.tests.integration.programs import free_port, running_prometheus
from ansible_collections.llmops.monitoring.tests.scenarios.history import History

TARGET_SECONDS = 1.0
DAY = 86400
# What a panel over the whole width of a screen asks for.
POINTS = 1000
SCRAPE_SECONDS = 30
UNITS = {"m": 60, "h": 3600, "d": DAY}
# Steps that Grafana rounds to.
STEPS = (30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600)


@dataclass(frozen=True)
class Timed:
    """How long a query took.

    Attributes:
        where: The panel's title and the query's letter.
        p50: The median, seconds.
        p95: The 95th percentile, seconds.
        size: Bytes of the answer.
    """

    where: str
    p50: float
    p95: float
    size: int


def past(days: float) -> tuple[Path, int]:
    """Return the folder of blocks of so many days, and their end, Unix time; make them if they are not there."""
    # The same moment every time, so that what was made can be used again.
    end = 1_795_176_000
    folder = ROOT / ".cache" / f"bench-dashboards-{days:g}"
    if not (folder / "done").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        print(f"making {days:g} days of the simulated server …", flush=True)
        history = History(folder, end - int(days * DAY), end)
        history.play(ROOT / "tests" / "dashboards" / "scenarios", "normal")
        values = alerts.variables(prometheus_gpu_cost_usd_per_hour=3.6)
        history.record([rule for kind in alerts.SECTIONS for rule in alerts.rules(f"{kind}_rules", values)])
        (folder / "done").touch()
    return folder, end


@contextmanager
def prometheus(folder: Path) -> Iterator[str]:
    """Run a Prometheus over the blocks of a folder, as a rollout runs it, and give its address."""
    with TemporaryDirectory(dir=folder) as run:
        (Path(run) / "prometheus.yml").write_text("{}", encoding="utf-8")
        (Path(run) / "data").symlink_to(folder / "data")
        with running_prometheus(Path(run), free_port(), "--storage.tsdb.retention.time=10y") as url:
            yield url


def timed(url: str, board: Mapping[str, Any], asked: Asked, end: int, runs: int) -> Timed:
    """Ask a query some times as Grafana asks it, and tell how long that took."""
    begin = end - span(board)
    step = next((one for one in STEPS if one >= (end - begin) / POINTS), STEPS[-1])
    values = {**asking.everything(board), **asking.own_values(begin, end, step, SCRAPE_SECONDS)}
    query = asking.fill(asked.expr, values)
    path, given = "query_range", {"query": query, "start": begin, "end": end, "step": step}
    if asked.instant:
        path, given = "query", {"query": query, "time": end}
    data = urllib.parse.urlencode(given).encode()
    took = []
    size = 0
    for _run in range(runs):
        begun = time.perf_counter()
        with urllib.request.urlopen(f"{url}/api/v1/{path}", data, timeout=120) as answer:
            size = len(answer.read())
        took.append(time.perf_counter() - begun)
    took.sort()
    return Timed(asked.where, statistics.median(took), took[math.ceil(0.95 * runs) - 1], size)


def span(board: Mapping[str, Any]) -> int:
    """Return the seconds that a dashboard shows at first."""
    duration = board["time"]["from"].removeprefix("now-")
    return int(duration[:-1]) * UNITS[duration[-1]]


def main() -> None:
    """Measure and print, and end with a failure if a dashboard is slower than it may be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--days", type=float, default=30, help="how long the past is")
    parser.add_argument("--runs", type=int, default=20, help="how often each query is asked")
    parser.add_argument("--dashboard", help="the uid of one dashboard, if not all")
    options = parser.parse_args()
    folder, end = past(options.days)
    boards = [one.json for one in dashboards() if options.dashboard in (None, one.uid)]
    print_conditions(f"queries of {len(boards)} dashboards over {options.days:g} days, {options.runs} times each")
    print(f"{'dashboard':<22}{'range':>6}{'queries':>9}{'p50 s':>8}{'p95 s':>8}{'KiB':>8}  slowest query")
    targets = []
    with prometheus(folder) as url:
        for board in boards:
            asked = [one for one in queries(board) if one.source == "prometheus"]
            found = [timed(url, board, one, end, options.runs) for one in asked]
            if not found:
                continue
            slowest = max(found, key=lambda one: one.p95)
            numbers = f"{len(found):>9}{slowest.p50:>8.3f}{slowest.p95:>8.3f}{slowest.size / 1024:>8.0f}"
            since = board["time"]["from"].removeprefix("now-")
            print(f"{board['uid']:<22}{since:>6}{numbers}  {slowest.where}", flush=True)
            targets.append((f"{board['uid']}, s", slowest.p95, TARGET_SECONDS))
    judge(targets)


if __name__ == "__main__":
    main()
