"""Hours of the simulated server in a real Prometheus, one scenario after the other, with what our rules record of them.

They are made once, kept below .cache for as long as nothing changes of which they are made, and never written to: a
Prometheus over them runs in a folder of links.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from ansible_collections.llmops.monitoring.docs.build import alerts
from ansible_collections.llmops.monitoring.tests.dashboards.metrics import ELSEWHERE
from ansible_collections.llmops.monitoring.tests.integration.programs import running_prometheus, tool
from ansible_collections.llmops.monitoring.tools import recorded
from exporter_testing.process import free_port
from llm_monitor.mock.backfill.lines import stamped
from llm_monitor.mock.backfill.target import Target
from llm_monitor.mock.clock import VirtualClock
from llm_monitor.mock.fleet.reading import usual_fleet
from llm_monitor.mock.parts import PLAYED, play
from llm_monitor.mock.scenario.library import Library
from llm_monitor.mock.stage import Stage

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = Path(__file__).with_name("scenarios")
KEPT = ROOT / ".cache" / "dashboards"
# Of which the past is made.
SOURCES = (
    *("files/exporters/src", "templates/prometheus/rules", "roles/prometheus/vars", "roles/prometheus/defaults"),
    *("tests/dashboards/past.py", "tests/dashboards/elsewhere.yml", "tests/dashboards/scenarios", "tools/recorded.py"),
)

INSTANCE = "demo"
# At the same time of the day every time: nine in the morning.
BEGIN = 1_793_523_600
# Prometheus' blocks are of two hours; none shall have two scenarios.
APART = 4 * 3600
STEP = 60
_UP_BEFORE = 7200.0


@dataclass(frozen=True)
class Part:
    """What the server lives through, and for how many minutes."""

    scenario: str
    minutes: int
    place: int

    @property
    def begin(self) -> int:
        """The first scrape, Unix time."""
        return BEGIN + self.place * APART

    @property
    def end(self) -> int:
        """The last scrape, Unix time."""
        return self.begin + self.minutes * 60


PARTS = tuple(
    Part(scenario, minutes, place)
    for place, (scenario, minutes) in enumerate(
        {"normal": 75, "high_load": 60, "degraded": 60, "failure": 45, "maintenance": 30, "trouble": 45}.items()
    )
)
# What is compared with the week before finds there what the first part shows; tests ask nothing about it alone.
WEEK_BEFORE = Part(PARTS[0].scenario, PARTS[0].minutes, -7 * 86400 // APART)
LIVED = (WEEK_BEFORE, *PARTS)


@contextmanager
def prometheus() -> Iterator[str]:
    """Run a Prometheus over the past, and give its address."""
    kept = made()
    with tempfile.TemporaryDirectory(dir=KEPT, prefix="run-") as folder:
        # Links cost nothing, and what Prometheus removes or adds there is not the past's. It writes into one file
        # that it finds, where it keeps queries, and another Prometheus dies of it.
        unlinked = shutil.ignore_patterns("queries.active")
        shutil.copytree(kept / "data", Path(folder) / "data", copy_function=os.link, ignore=unlinked)
        with _running(Path(folder)) as url:
            yield url


def made() -> Path:
    """Return the folder of the past, after making it if there is none of these sources.

    Tests that run beside each other wait for the one that makes it, and none removes what another is about to use.
    """
    folder = KEPT / f"past-{fingerprint(SOURCES)}"
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            making = Path(tempfile.mkdtemp(dir=KEPT, prefix="making-"))
            try:
                _make(making)
                for old in KEPT.glob("past-*"):
                    shutil.rmtree(old)
                making.rename(folder)
            finally:
                shutil.rmtree(making, ignore_errors=True)
    return folder


def fingerprint(sources: Iterable[str]) -> str:
    """Return what changes when files or folders do, whose paths start at the repository's root."""
    digest = hashlib.sha256()
    for source in sources:
        path = ROOT / source
        for file in sorted(path.rglob("*.[pyj]*") if path.is_dir() else [path]):
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _make(folder: Path) -> None:
    """Play all scenarios at once, and record what rules make of them."""
    command = [sys.executable, "-m", __spec__.name]
    # What pytest has put on the path.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = {part: folder / f"part{part.place}" for part in LIVED}
    players = [subprocess.Popen([*command, str(part.place), path], env=environment) for part, path in told.items()]
    for (part, path), player in zip(told.items(), players, strict=True):
        assert player.wait() == 0, f"{part.scenario} could not be played"
        _load(folder, path)
    _write(folder / "elsewhere", _elsewhere())
    _load(folder, folder / "elsewhere")
    _record(folder)


def _load(folder: Path, path: Path) -> None:
    command = [tool("promtool"), "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(path)]
    subprocess.run([*command, str(folder / "data")], check=True)
    path.unlink()


def _write(path: Path, lines: Iterator[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(lines)
        file.write("# EOF\n")


def _played(part: Part) -> Iterator[str]:
    """Give what exporters show, and what Prometheus notes of their scrapes, as OpenMetrics."""
    # What a scenario breaks is no news to who plays it.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    clock = VirtualClock(part.begin, 0.0)
    library = Library(usual_fleet(), LIBRARY)
    stage = Stage(usual_fleet(), library, part.scenario, clock, up_before=_UP_BEFORE)
    labels = {one.name: f'job="{one.name}",instance="{INSTANCE}"' for one in play(stage.view(), PLAYED)}
    targets = {one.name: Target(one, labels[one.name]) for one in play(stage.view(), PLAYED)}
    moments = range(part.begin, part.end + 1, STEP)
    noted: defaultdict[str, list[str]] = defaultdict(list)
    for place, moment in enumerate(moments):
        clock.advance(moment - clock.now())
        for name, target in targets.items():
            scrape = target.scrape(place, clock.now())
            for metric, value in {"up": int(scrape.up), "scrape_duration_seconds": scrape.seconds}.items():
                noted[metric].append(f"{metric}{{{labels[name]}}} {value} {moment}\n")
    for target in targets.values():
        yield from target.write(stamped(moments))
    for metric, lines in noted.items():
        # Series by series, each in the order of time.
        yield from (f"# TYPE {metric} gauge\n", *sorted(lines, key=lambda line: line.split(" ")[0]))


def _elsewhere() -> Iterator[str]:
    """Give the series that stand in for what the simulated server can't have."""
    for name, given in ELSEWHERE.items():
        counts = given["type"] == "counter"
        # Its lines are told apart by the whole name, which ends with _total anyway or is one of a histogram's.
        if given.get("series"):
            yield f"# TYPE {name} {'unknown' if counts else 'gauge'}\n"
        for one in given.get("series", ()):
            labels = ",".join(f'{label}="{value}"' for label, value in one["labels"].items())
            for part in LIVED:
                is_there = part.scenario in one.get("in", part.scenario)
                for moment in range(part.begin, part.end + 1, STEP) if is_there or counts else ():
                    value = one["value"] * (moment - BEGIN + _UP_BEFORE if counts else 1) * is_there
                    yield f"{name}{{{labels}}} {value} {moment}\n"


def _record(folder: Path) -> None:
    """Record what rules make of it, and which alerts there would be."""
    variables = {
        "prometheus_expected_containers": {INSTANCE: [one.name for one in usual_fleet().containers]},
        "prometheus_daily_budget_usd": 750,
        "prometheus_gpu_cost_usd_per_hour": 3.6,
    }
    values = alerts.variables(**variables)
    kinds = list(alerts.SECTIONS)
    rules = [rule for kind in kinds for rule in alerts.rules(f"{kind}_rules", values)]
    for level in recorded.levels(rules):
        with _running(folder) as url:
            _write(folder / "recorded", _without_end(recorded.openmetrics(level, partial(_ask, url))))
        _load(folder, folder / "recorded")
    firing = [rule for kind in kinds for rule in alerts.rules(f"{kind}_alerts", values)]
    with _running(folder) as url:
        _write(folder / "alerts", _alerts(firing, url))
    _load(folder, folder / "alerts")


def _without_end(lines: Iterator[str]) -> Iterator[str]:
    return (line for line in lines if line != "# EOF\n")


def _alerts(rules: Sequence[dict[str, Any]], url: str) -> Iterator[str]:
    """Give ALERTS and ALERTS_FOR_STATE as if no rule waited."""
    active: dict[str, list[tuple[float, float]]] = {}
    for rule in rules:
        for one in _ask(url, rule["expr"]):
            labels = {**one["metric"], **rule["labels"], "alertname": rule["alert"]}
            labels.pop("__name__", None)
            text = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
            since = last = float("-inf")
            for moment, _value in one["values"]:
                since = since if moment - last <= recorded.STEP else moment
                last = moment
                active.setdefault(text, []).append((moment, since))
    yield "# TYPE ALERTS gauge\n"
    for labels_text, values in active.items():
        for moment, _since in values:
            yield f'ALERTS{{alertstate="firing",{labels_text}}} 1 {moment}\n'
    yield "# TYPE ALERTS_FOR_STATE gauge\n"
    for labels_text, values in active.items():
        for moment, since in values:
            yield f"ALERTS_FOR_STATE{{{labels_text}}} {since} {moment}\n"


def _ask(url: str, expression: str) -> list[recorded.Series]:
    """Return what an expression gives in all parts."""
    found: dict[frozenset[tuple[str, str]], recorded.Series] = {}
    for part in LIVED:
        for one in recorded.values(url, expression, part.begin, part.end):
            known = found.setdefault(frozenset(one["metric"].items()), {"metric": one["metric"], "values": []})
            known["values"] += one["values"]
    return list(found.values())


@contextmanager
def _running(folder: Path) -> Iterator[str]:
    (folder / "prometheus.yml").write_text("{}", encoding="utf-8")
    with running_prometheus(folder, free_port(), "--storage.tsdb.retention.time=10y") as url:
        yield url


if __name__ == "__main__":
    _write(Path(sys.argv[2]), _played(next(part for part in LIVED if part.place == int(sys.argv[1]))))
