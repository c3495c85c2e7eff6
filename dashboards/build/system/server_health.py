"""Whether hosts are well: what is up, what is used, what is about to be full."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours, variables
from ..board import Board
from ..limits import above, alert, below
from ..links import cell, label, to
from ..panels import Face, Panel, stat
from ..queries import Query
from ..tables import Column, table
from ._server_compute import kernel, memory, processors
from ._server_storage import disks, network

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
    made.row("", *_seen(), *_used())
    made.row("Each host", _hosts())
    made.row("Processors", *processors())
    made.row("Memory", *memory())
    made.row("Disks", *disks())
    made.row("Network", *network())
    made.row("Kernel and sensors", *kernel(), collapsed=True)
    return made


def _seen() -> Iterator[Panel]:
    yield _hosts_down()
    for severity, said, limits in (
        ("critical", "What needs somebody now", above(critical=1)),
        ("warning", "What needs somebody today", above(warning=1)),
    ):
        yield stat(
            f"{severity.capitalize()} alerts",
            Query(f'count(ALERTS{{alertstate="firing", severity="{severity}", instance=~"$instance|"}}) or vector(0)'),
            face=Face(
                f"{said}: alerts that fire, of these hosts and of what belongs to none. The dashboard of alerts says "
                "which, and each leads to its runbook.",
                "short",
                "Prometheus does not answer.",
                limits,
                links=[to("alerts", "Alerts")],
            ),
            width=3,
        )
    yield _uptime()


def _hosts_down() -> Panel:
    return stat(
        "Hosts down",
        Query(
            "count(group by (instance) (last_over_time("
            'llm_monitor_node_up{instance=~"$instance"}[1d])))\n'
            '- (count(group by (instance) (llm_monitor_node_up{instance=~"$instance"})) or vector(0))'
        ),
        face=Face(
            "Hosts that have reported within a day and do not now. Normal is 0. Log in there: either the host or its "
            "node exporter is down, and nothing else is known about it.",
            "short",
            EMPTY,
            above(critical=1),
        ),
        width=3,
    )


def _uptime() -> Panel:
    return stat(
        "Uptime",
        Query('min(instance:llm_monitor_node_uptime:seconds{instance=~"$instance"})'),
        face=Face(
            "Time since the boot of the host that has booted last. A short one that nobody planned is a crash: see the "
            "kernel's messages from before.",
            "s",
            EMPTY,
            decimals=1,
        ),
        width=3,
    )


def _used() -> Iterator[Panel]:
    yield _cpu_in_use()
    yield _load_per_core()
    yield _memory_available()
    yield _root_disk_free()


def _cpu_in_use() -> Panel:
    return stat(
        "CPU in use",
        Query('max(instance:llm_monitor_node_cpu_utilization:ratio_rate5m{instance=~"$instance"})'),
        face=Face(
            "Share of CPU time in use over 5 minutes, on the busiest host. The row of processors says by what.",
            "percentunit",
            EMPTY,
            above(warning=alert("HostCpuHigh")),
            decimals=0,
        ),
        width=3,
    )


def _load_per_core() -> Panel:
    return stat(
        "Load per core",
        Query('max(llm_monitor_node_load5{instance=~"$instance"} / llm_monitor_node_cpus{instance=~"$instance"})'),
        face=Face(
            "Tasks that ran or waited for a disk, on average over 5 minutes, for each core; on the host with the most. "
            "Up to 1 everything gets its turn at once.",
            "short",
            EMPTY,
            above(warning=1, critical=2),
            decimals=2,
        ),
        width=3,
    )


def _memory_available() -> Panel:
    return stat(
        "Memory available",
        Query('min(instance:llm_monitor_node_memory_available:ratio{instance=~"$instance"})'),
        face=Face(
            "What can be had without swapping, on the host with the least. When it is low, the OOM killer is near: see "
            "which container holds it.",
            "percentunit",
            EMPTY,
            below(warning=alert("HostMemoryLow"), critical=alert("HostMemoryLow", "critical_threshold")),
            decimals=0,
            links=[to("docker-containers", "Containers", instance=label("instance"))],
        ),
        width=3,
    )


def _root_disk_free() -> Panel:
    return stat(
        "Root disk free",
        Query(
            'min(instance_mountpoint:llm_monitor_node_filesystem_avail:ratio{instance=~"$instance", mountpoint="/"})'
        ),
        face=Face(
            "Free space of the root file system, on the host with the least. Containers stop when it is full; remove "
            "images and logs that nobody needs.",
            "percentunit",
            "No host reports its root file system.",
            below(warning=alert("DiskFillsIn4h"), critical=alert("DiskLow")),
            decimals=0,
        ),
        width=3,
    )


def _hosts() -> Panel:
    known = 'group by (instance) (last_over_time(llm_monitor_node_up{instance=~"$instance"}[1d]))'
    alerts = 'count by (instance) (ALERTS{alertstate="firing", severity=~"critical|warning", instance=~"$instance"})'
    return table(
        "Hosts",
        [
            Query(f'max by (instance) (llm_monitor_node_up{{instance=~"$instance"}}) or 0 * {known}'),
            Query(f"{alerts} and {known} or 0 * {known}"),
            Query('max by (instance) (instance:llm_monitor_node_cpu_utilization:ratio_rate5m{instance=~"$instance"})'),
            Query('min by (instance) (instance:llm_monitor_node_memory_available:ratio{instance=~"$instance"})'),
            Query(
                'min by (instance) (instance_mountpoint:llm_monitor_node_filesystem_avail:ratio{instance=~"$instance"})'
            ),
            Query(
                'max by (instance) (llm_monitor_node_load5{instance=~"$instance"}\n'
                '/ on (instance) llm_monitor_node_cpus{instance=~"$instance"})'
            ),
            Query('max by (instance) (instance:llm_monitor_node_uptime:seconds{instance=~"$instance"})'),
            Query('max by (instance, kernel, os) (llm_monitor_node_info{instance=~"$instance"})'),
        ],
        columns=_host_columns(),
        face=Face(
            "Every host that has reported within a day, with what it has the least of. The ones that are down stand "
            "here too; alerts that belong to no host are not counted.",
            "short",
            EMPTY,
        ),
        height=6,
        sort="Alerts",
    )


def _host_columns() -> list[Column]:
    return [
        Column(
            "instance",
            "Host",
            links=[
                to("server-health", "This host", instance=cell("instance")),
                to("gpu-usage", "Its GPUs", instance=cell("instance")),
                to("docker-containers", "Its containers", instance=cell("instance")),
            ],
        ),
        Column("A", "State", meanings={"1": ("up", colours.OK), "0": ("down", colours.CRITICAL)}, width=80),
        Column("B", "Alerts", "short", above(warning=1), width=80),
        Column("C", "CPU in use", "percentunit", above(warning=alert("HostCpuHigh")), as_bar=True),
        Column(
            "D",
            "Memory available",
            "percentunit",
            below(warning=alert("HostMemoryLow"), critical=alert("HostMemoryLow", "critical_threshold")),
            as_bar=True,
        ),
        Column(
            "E",
            "Fullest disk: free",
            "percentunit",
            below(warning=alert("DiskFillsIn4h"), critical=alert("DiskLow")),
            as_bar=True,
        ),
        Column("F", "Load per core", "short", above(warning=1, critical=2), width=120, decimals=2),
        Column("G", "Up for", "s", width=100, decimals=1),
        Column("os", "System"),
        Column("kernel", "Kernel"),
    ]
