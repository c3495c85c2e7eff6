"""Days of the simulated server in a real Prometheus, with what our rules would have recorded and alerted in them."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from ansible_collections.llmops.monitoring.tests.integration.programs import running_prometheus, tool
from ansible_collections.llmops.monitoring.tools import recorded
from ansible_collections.llmops.monitoring.tools.recorded import STEP, Rule, Series
from exporter_testing.process import free_port

_INSTANCE = "demo"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_BACKFILL = "from llm_monitor.mock.cli import main; main()"


class History:
    """Blocks of Prometheus in a folder, from one moment to another."""

    def __init__(self, folder: Path, begin: int, end: int) -> None:
        """Keep blocks in `folder`, of the time from `begin` to `end`, Unix times."""
        self._folder = folder
        self._begin = begin
        self._end = end

    def play(self, scenarios: Path, scenario: str) -> None:
        """Let the simulated server live through a scenario of those in a folder."""
        days = (self._end - self._begin) / 86400
        written = self._folder / "written"
        options = [f"--days={days}", f"--step={STEP}", f"--until={_text(self._end)}", f"--instance={_INSTANCE}"]
        command = [sys.executable, "-c", _BACKFILL, "backfill", f"--output={written}", *options]
        command += [f"--scenarios={scenarios}", f"--scenario={scenario}"]
        log = self._folder / "backfill.log"
        with (
            log.open("w") as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                self.load(Path(line.strip()))
        assert process.returncode == 0, log.read_text()[-2000:]

    def load(self, path: Path, *flags: str) -> None:
        """Make blocks of a file of OpenMetrics, and remove it."""
        command = [tool("promtool"), "tsdb", "create-blocks-from", *flags]
        subprocess.run([*command, "openmetrics", "--quiet", str(path), str(self._folder / "data")], check=True)
        path.unlink()

    def record(self, rules: Sequence[Rule], denser: Callable[[Iterator[str]], Iterator[str]] = iter) -> None:
        """Record what rules make of it; one that builds on its own past begins without.

        Args:
            rules: What Prometheus would have evaluated.
            denser: Gives lines of OpenMetrics, and more between them where there shall be more than one in a `STEP`.
        """
        for level in recorded.levels(rules):
            path = self._folder / "recorded.om"
            with self._prometheus() as url, path.open("w", encoding="utf-8") as file:
                file.writelines(denser(recorded.openmetrics(level, partial(self._ask, url))))
            self.load(path, "--max-block-duration=720h")

    def firing(self, rules: Sequence[Rule]) -> dict[tuple[str, str], list[float]]:
        """Return when each alert has fired, by its name and severity: Unix times."""
        with self._prometheus() as url:
            return {
                (rule["alert"], rule["labels"]["severity"]): sorted(
                    {moment for one in self._ask(url, rule["expr"]) for moment in _fired(one, rule)}
                )
                for rule in rules
            }

    def values(self, expression: str) -> list[Series]:
        """Return what an expression gives over all of the time."""
        with self._prometheus() as url:
            return self._ask(url, expression)

    def _prometheus(self) -> AbstractContextManager[str]:
        """Return what runs a Prometheus over the blocks that there are, and gives its address."""
        (self._folder / "prometheus.yml").write_text("{}", encoding="utf-8")
        flags = ("--storage.tsdb.retention.time=10y", "--query.timeout=30m", "--query.max-samples=1000000000")
        return running_prometheus(self._folder, free_port(), *flags)

    def _ask(self, url: str, expression: str) -> list[Series]:
        return recorded.values(url, expression, self._begin, self._end)


def seconds(duration: str) -> int:
    """Return the seconds of a duration as Prometheus writes it, such as `1h30m`."""
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smhdw])", duration))


def _fired(series: Series, rule: Rule) -> Iterator[float]:
    """Give the moments at which an alert fires for a series that its expression gives."""
    patience = seconds(rule.get("for", "0s"))
    since = last = float("-inf")
    for moment, _value in series["values"]:
        if moment - last > STEP:
            since = moment
        last = moment
        if moment - since >= patience:
            yield moment


def _text(moment: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
