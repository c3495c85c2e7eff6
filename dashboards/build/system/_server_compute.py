"""The rows of a server's processors, memory, kernel and sensors."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours
from ..limits import above, alert
from ..links import label, logs, to
from ..panels import Face, Panel, series
from ..queries import Query

EMPTY = "No node exporter reports."
LINKS = (
    to("docker-containers", "Containers of this host", instance=label("instance")),
    logs("Its logs", instance=label("instance")),
)


def processors() -> Iterator[Panel]:
    """Give what processors do, and who waits for them."""
    yield _cpu_by_mode()
    yield _cpu_in_use_by_host()
    yield _pressure()


def _cpu_by_mode() -> Panel:
    return series(
        "CPU by mode",
        Query(
            "sum by (mode) (rate(llm_monitor_node_cpu_seconds_total"
            '{instance=~"$instance", mode!="idle"}[$__rate_interval]))',
            "{{mode}}",
        ),
        face=Face(
            "Cores in use by what they do, of all hosts together. Programs are user; much iowait means that they wait "
            "for disks, steal that a hypervisor gives the time to others.",
            "short",
            EMPTY,
            least=0,
        ),
        width=8,
        stacked=True,
        colour={
            "user": colours.USER,
            "system": colours.SYSTEM,
            "iowait": colours.IO_WAIT,
            "steal": colours.STOLEN,
        },
    )


def _cpu_in_use_by_host() -> Panel:
    return series(
        "CPU in use, by host",
        Query('instance:llm_monitor_node_cpu_utilization:ratio_rate5m{instance=~"$instance"}', "{{instance}}"),
        face=Face(
            "Share of CPU time in use over 5 minutes. The line is the alert's limit.",
            "percentunit",
            EMPTY,
            above(warning=alert("HostCpuHigh")),
            least=0,
            most=1,
            links=LINKS,
        ),
        width=8,
    )


def _pressure() -> Panel:
    return series(
        "Pressure",
        Query(
            "max by (resource) (rate(llm_monitor_node_pressure_waiting_seconds_total"
            '{instance=~"$instance"}[$__rate_interval]))',
            "{{resource}}: some wait",
        ),
        Query(
            "max by (resource) ("
            'instance_resource:llm_monitor_node_pressure_stalled:ratio_rate5m{instance=~"$instance"})',
            "{{resource}}: all wait",
        ),
        face=Face(
            "Share of the time in which work waited for CPU, memory or disks (the kernel's PSI), on the host with the "
            "most. Near 0 is normal; the line is the alert's limit for all work waiting for memory.",
            "percentunit",
            "No host reports pressure; its kernel has to be built with PSI.",
            above(warning=alert("PressureHigh")),
            least=0,
        ),
        width=8,
    )


def memory() -> Iterator[Panel]:
    """Give what holds memory."""
    yield _what_holds_memory()
    yield _swap_in_use()
    yield _shared_memory_in_use()


def _what_holds_memory() -> Panel:
    used = 'sum(llm_monitor_node_memory_total_bytes{instance=~"$instance"})' + "".join(
        f'\n- sum(llm_monitor_node_memory_{part}_bytes{{instance=~"$instance"}})'
        for part in ("free", "buffers", "cached", "slab")
    )
    return series(
        "What holds memory",
        Query(used, "programs"),
        Query('sum(llm_monitor_node_memory_slab_bytes{instance=~"$instance"})', "kernel"),
        Query(
            'sum(llm_monitor_node_memory_cached_bytes{instance=~"$instance"})\n'
            '+ sum(llm_monitor_node_memory_buffers_bytes{instance=~"$instance"})',
            "page cache",
        ),
        Query('sum(llm_monitor_node_memory_free_bytes{instance=~"$instance"})', "free"),
        face=Face(
            "What holds the memory of all hosts together. The page cache gives way when programs need more, so little "
            "that is free is no harm; shared memory in /dev/shm counts as page cache and does not give way.",
            "bytes",
            EMPTY,
            least=0,
        ),
        width=8,
        stacked=True,
        colour={
            "programs": colours.USED,
            "kernel": colours.SYSTEM,
            "page cache": colours.CACHED,
            "free": colours.FREE,
        },
    )


def _swap_in_use() -> Panel:
    return series(
        "Swap in use",
        Query('llm_monitor_node_swap_used_bytes{instance=~"$instance"}', "{{instance}}"),
        face=Face(
            "Swap space in use, by host. What lies there for good does no harm; when it grows, memory is short.",
            "bytes",
            "No host has swap space, or none reports.",
            least=0,
            links=LINKS,
        ),
        width=8,
    )


def _shared_memory_in_use() -> Panel:
    return series(
        "Shared memory in use",
        Query('instance:llm_monitor_node_shm_used:ratio{instance=~"$instance"}', "{{instance}}"),
        face=Face(
            "Share of /dev/shm in use, by host. Workers of one model on several GPUs talk through it and crash when it "
            "is full; the line is the alert's limit.",
            "percentunit",
            EMPTY,
            above(warning=alert("ShmFull")),
            least=0,
            most=1,
            links=LINKS,
        ),
        width=8,
    )


def kernel() -> Iterator[Panel]:
    """Give what the kernel and the sensors tell."""
    yield _temperatures()
    yield _processes_killed_for_memory()
    yield _clock_offset()
    yield _processes_that_do_not_end()
    yield _open_files()
    yield _context_switches()
    yield _memory_free_by_numa_node()


def _temperatures() -> Panel:
    return series(
        "Temperatures",
        Query(
            "topk(20, max by (instance, chip, sensor) ("
            'llm_monitor_node_hwmon_temperature_celsius{instance=~"$instance"}))',
            "{{instance}} {{chip}} {{sensor}}",
        ),
        face=Face(
            "What sensors of processors, disks and boards read; GPUs have a dashboard of their own. A rise of all at "
            "once is the room's or a fan's.",
            "celsius",
            "No host has sensors that its kernel knows.",
            links=LINKS,
        ),
    )


def _processes_killed_for_memory() -> Panel:
    return series(
        "Processes killed for memory",
        Query(
            'sum by (instance) (increase(llm_monitor_node_oom_kills_total{instance=~"$instance"}[$__rate_interval]))',
            "{{instance}}",
        ),
        face=Face(
            "How often the kernel's OOM killer struck. Normal is never: the host, or a container's limit, was out of "
            "memory. The kernel's messages name the process.",
            "short",
            EMPTY,
            above(critical=alert("HostOomKill") + 1),
            least=0,
            links=[logs("Kernel messages", instance=label("instance"), service="kernel")],
        ),
        as_bars=True,
    )


def _clock_offset() -> Panel:
    return series(
        "Clock offset",
        Query('abs(llm_monitor_node_clock_offset_seconds{instance=~"$instance"})', "{{instance}}"),
        face=Face(
            "How far the clock is from its time source. Over the line logs and metrics of hosts do not fit together "
            "any more: see the time service.",
            "s",
            "No host's clock is kept by a time service.",
            above(warning=alert("ClockSkew")),
            least=0,
            links=LINKS,
        ),
    )


def _processes_that_do_not_end() -> Panel:
    return series(
        "Processes that do not end",
        Query(
            "sum by (instance, state) ("
            'llm_monitor_node_processes{instance=~"$instance", state=~"zombie|uninterruptible"})',
            "{{instance}} {{state}}",
        ),
        face=Face(
            "Zombies, whose parents never ask how they ended, and processes that wait for a device and can't end. "
            "A few come and go; many that stay point to a broken program or disk.",
            "short",
            EMPTY,
            least=0,
            links=LINKS,
        ),
    )


def _open_files() -> Panel:
    return series(
        "Open files",
        Query('llm_monitor_node_open_files{instance=~"$instance"}', "{{instance}}"),
        face=Face("File handles in use, by host. One that only rises is a leak.", "short", EMPTY, least=0, links=LINKS),
        width=8,
    )


def _context_switches() -> Panel:
    return series(
        "Context switches",
        Query(
            "sum by (instance) (rate(llm_monitor_node_context_switches_total"
            '{instance=~"$instance"}[$__rate_interval]))',
            "{{instance}}",
        ),
        face=Face("How often processors change tasks. It follows the load.", "ops", EMPTY, least=0, links=LINKS),
        width=8,
    )


def _memory_free_by_numa_node() -> Panel:
    return series(
        "Memory free, by NUMA node",
        Query(
            'llm_monitor_node_numa_memory_free_bytes{instance=~"$instance"}\n'
            '/ llm_monitor_node_numa_memory_total_bytes{instance=~"$instance"}',
            "{{instance}} node {{node}}",
        ),
        face=Face(
            "Share of each processor's own memory that is free. When one has none left, its programs use the other's, "
            "which is slower.",
            "percentunit",
            "No host has NUMA nodes.",
            least=0,
            most=1,
            links=LINKS,
        ),
        width=8,
    )
