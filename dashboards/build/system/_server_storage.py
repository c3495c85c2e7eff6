"""The rows of a server's disks and network."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours
from ..limits import above, alert, alert_text, below
from ..links import cell, label, logs, to
from ..panels import Face, Panel, series
from ..queries import Query
from ..tables import Column, table
from ._server_compute import LINKS

EMPTY = "No node exporter reports."


def disks() -> Iterator[Panel]:
    """Give how full file systems are, and how busy disks."""
    yield _filesystems()
    yield _disk_throughput()
    yield _disk_latency()
    yield _disk_busy()


def _disk_throughput() -> Panel:
    return series(
        "Disk throughput",
        Query(
            "sum by (instance, device) (rate(llm_monitor_node_disk_read_bytes_total"
            '{instance=~"$instance"}[$__rate_interval]))',
            "{{instance}} {{device}} read",
        ),
        Query(
            "sum by (instance, device) (rate(llm_monitor_node_disk_written_bytes_total"
            '{instance=~"$instance"}[$__rate_interval]))',
            "{{instance}} {{device}} written",
        ),
        face=Face(
            "Bytes read (above) and written (below) in a second, by device. Models are read once, "
            "at their start; much later means that they are loaded again and again.",
            "Bps",
            EMPTY,
            links=LINKS,
        ),
        width=8,
        mirrored=".* written",
    )


def _disk_latency() -> Panel:
    return series(
        "Disk latency",
        *(
            Query(
                f"sum by (instance, device) (rate(llm_monitor_node_disk_{one}_time_seconds_total"
                f'{{instance=~"$instance"}}[$__rate_interval]))\n'
                f"/ (sum by (instance, device) (rate(llm_monitor_node_disk_{many}_total"
                f'{{instance=~"$instance"}}[$__rate_interval])) > 0)',
                f"{{{{instance}}}} {{{{device}}}} {done}",
            )
            for one, many, done in (("read", "reads", "read"), ("write", "writes", "written"))
        ),
        face=Face(
            "How long a read or a write took on average. Fast disks need less than a millisecond; tens of them are a "
            "disk that is overloaded or about to fail.",
            "s",
            "No disk was used in this time.",
            least=0,
            links=LINKS,
        ),
        width=8,
        dashed=".* written",
    )


def _disk_busy() -> Panel:
    return series(
        "Disk busy",
        Query(
            "sum by (instance, device) (rate(llm_monitor_node_disk_io_time_seconds_total"
            '{instance=~"$instance"}[$__rate_interval]))',
            "{{instance}} {{device}}",
        ),
        Query(
            'instance:llm_monitor_node_cpu_iowait:ratio_rate5m{instance=~"$instance"}',
            "{{instance}}: CPUs wait for disks",
        ),
        face=Face(
            "Share of the time in which a disk had anything to do, and of CPU time that went by waiting for disks; the "
            "line is the alert's limit for that. A fast disk can be busy all the time and still take more.",
            "percentunit",
            EMPTY,
            above(warning=alert("HostIoWaitHigh")),
            least=0,
            most=1,
            links=LINKS,
        ),
        width=8,
    )


def _filesystems() -> Panel:
    window = alert_text("DiskFillsIn24h", "window")
    by = "max by (instance, mountpoint, fstype)"
    avail = 'llm_monitor_node_filesystem_avail_bytes{instance=~"$instance"}'
    return table(
        "File systems",
        [
            Query(f'{by} (instance_mountpoint:llm_monitor_node_filesystem_avail:ratio{{instance=~"$instance"}})'),
            Query(f"{by} ({avail})"),
            Query(f'{by} (llm_monitor_node_filesystem_size_bytes{{instance=~"$instance"}})'),
            Query(f"{by} ({avail} / (-deriv({avail}[{window}]) > 0)) / 86400"),
            Query(f'{by} (instance_mountpoint:llm_monitor_node_filesystem_files_free:ratio{{instance=~"$instance"}})'),
            Query(f'{by} (llm_monitor_node_filesystem_readonly{{instance=~"$instance"}})'),
        ],
        columns=_filesystem_columns(),
        face=Face(
            f"Every file system of every host, the fullest first. Days until full go by the trend of {window}, "
            "and are empty while it does not fill. One that is not writable and was before is a failing disk.",
            "short",
            EMPTY,
        ),
        sort="Free",
        rising=True,
        height=7,
    )


def _filesystem_columns() -> list[Column]:
    return [
        Column(
            "instance",
            "Host",
            links=[
                to("docker-containers", "Containers of this host", instance=cell("instance")),
                logs("Kernel messages", instance=cell("instance"), service="kernel"),
            ],
        ),
        Column("mountpoint", "Mounted at"),
        Column("fstype", "Type", width=80),
        Column(
            "A", "Free", "percentunit", below(warning=alert("DiskFillsIn4h"), critical=alert("DiskLow")), as_bar=True
        ),
        Column("B", "Free space", "bytes", width=110),
        Column("C", "Size", "bytes", width=110),
        Column(
            "D",
            "Days until full",
            "short",
            below(
                warning=alert("DiskFillsIn24h", "horizon") / 86400,
                critical=alert("DiskFillsIn4h", "horizon") / 86400,
            ),
            width=130,
            decimals=1,
        ),
        Column("E", "Inodes free", "percentunit", below(warning=alert("InodesLow")), width=110, decimals=0),
        Column(
            "F",
            "Writable",
            "none",
            meanings={"0": ("yes", colours.OK), "1": ("no", colours.WARNING)},
            width=90,
        ),
    ]


def network() -> Iterator[Panel]:
    """Give what the network carries and loses."""
    yield series(
        "Network throughput",
        Query(
            "sum by (instance, device) (rate(llm_monitor_node_network_receive_bytes_total"
            '{instance=~"$instance"}[$__rate_interval]))',
            "{{instance}} {{device}} received",
        ),
        Query(
            "sum by (instance, device) (rate(llm_monitor_node_network_transmit_bytes_total"
            '{instance=~"$instance"}[$__rate_interval]))',
            "{{instance}} {{device}} sent",
        ),
        face=Face(
            "Bytes received (above) and sent (below) in a second, by device; Docker's own devices are left out.",
            "Bps",
            EMPTY,
            links=LINKS,
        ),
        mirrored=".* sent",
    )
    yield series(
        "Network errors",
        Query(
            'instance_device:llm_monitor_node_network_errors:ratio_rate5m{instance=~"$instance"}',
            "{{instance}} {{device}} {{direction}}",
        ),
        face=Face(
            "Share of packets with errors, by device and direction. Normal is 0; over the line look at cable, "
            "transceiver and switch port.",
            "percentunit",
            "No packets in this time.",
            above(warning=alert("NetworkErrors")),
            least=0,
            links=[logs("Kernel messages", instance=label("instance"), service="kernel")],
        ),
    )
