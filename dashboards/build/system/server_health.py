"""Whether hosts are well: what is up, what is used, what is about to be full."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours, variables
from ..board import Board
from ..limits import above, alert, below
from ..panels import Face, Panel, series, stat
from ..queries import Query

EMPTY = "No node exporter reports."


def board() -> Board:
    """Return the dashboard."""
    made = Board(
        uid="server-health",
        title="Server health",
        folder="system",
        description="Whether the hosts are well, and if not, what they lack.",
        variables=[variables.instance("llm_monitor_node_up")],
    )
    made.row("", *_status())
    made.row("Processors", _cpu_modes())
    return made


def _status() -> Iterator[Panel]:
    yield stat(
        "CPU in use",
        Query('max(instance:llm_monitor_node_cpu_utilization:ratio_rate5m{instance=~"$instance"})'),
        face=Face(
            "The busiest host's share of CPU time in use over 5 minutes. Find what uses it below, by mode.",
            "percentunit",
            EMPTY,
            above(warning=alert("HostCpuHigh")),
        ),
    )
    yield stat(
        "Memory available",
        Query('min(instance:llm_monitor_node_memory_available:ratio{instance=~"$instance"})'),
        face=Face(
            "What can be had without swapping, on the host with the least. When it is low, the OOM killer is near: see "
            "which containers hold it.",
            "percentunit",
            EMPTY,
            below(warning=alert("HostMemoryLow"), critical=alert("HostMemoryLow", "critical_threshold")),
        ),
    )


def _cpu_modes() -> Panel:
    return series(
        "CPU by mode",
        Query(
            "sum by (mode) (rate(llm_monitor_node_cpu_seconds_total"
            '{instance=~"$instance", mode!="idle"}[$__rate_interval]))',
            "{{mode}}",
        ),
        face=Face("Cores in use, by what they do. Much iowait means slow disks.", "short", EMPTY, least=0),
        stacked=True,
        colour={
            "user|nice": colours.USER,
            "system": colours.SYSTEM,
            "iowait": colours.IO_WAIT,
            "steal": colours.STOLEN,
        },
    )
