"""Errors of GPUs, their memory and their links."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours
from ..limits import above, alert, alert_text, below
from ..links import cell, label, logs, to
from ..panels import Face, Panel, series, states
from ..queries import Query
from ..tables import Column, table

EMPTY = "No GPU exporter reports."
DAY = 86400
CHOSEN = '{instance=~"$instance", gpu=~"$gpu"}'
GPU = "{{instance}} GPU {{gpu}}"
LINKS = (to("gpu-usage", "This GPU", instance=label("instance"), gpu=label("gpu")),)
NEEDS = {
    "0": ("nothing", colours.OK),
    "1": ("a reset", colours.CRITICAL),
    "2": ("a reboot", colours.CRITICAL),
    "3": ("to be drained of peers", colours.CRITICAL),
    "4": ("to be drained and reset", colours.CRITICAL),
}


def errors() -> Iterator[Panel]:
    """Give what goes wrong with GPUs over time."""
    yield series(
        "Memory errors",
        Query(
            "max by (instance, gpu, kind) (increase(llm_monitor_gpu_ecc_errors_total"
            '{instance=~"$instance", gpu=~"$gpu", counter="aggregate"}[$__rate_interval])) > 0',
            f"{GPU} {{{{kind}}}}",
        ),
        face=Face(
            "ECC errors by GPU. Corrected ones do no harm in small numbers; an uncorrected one ends the program that "
            "meets it. None is normal, and then this is empty.",
            "short",
            "No memory errors in this time.",
            least=0,
            links=LINKS,
        ),
        as_bars=True,
    )
    yield series(
        "XIDs",
        Query(
            f"sum by (instance, gpu, xid) (increase(llm_monitor_gpu_xid_errors_total{CHOSEN}[$__rate_interval])) > 0",
            f"{GPU}: XID {{{{xid}}}}",
        ),
        face=Face(
            "Errors that the driver reports, by GPU and number. None is normal, and then this is empty. The first one "
            "ever of a number may be missing here: the table above has it.",
            "short",
            "No XIDs in this time.",
            least=0,
            links=[*LINKS, logs("Kernel messages", instance=label("instance"), service="kernel")],
        ),
        as_bars=True,
    )


def health() -> Panel:
    """Return what each GPU says of itself."""
    by = "max by (instance, gpu)"
    ignored = alert_text("GpuXidApplication", "ignored_xids")
    ecc = 'llm_monitor_gpu_ecc_errors_total{instance=~"$instance", gpu=~"$gpu", counter="aggregate", kind='
    return table(
        "Health of each GPU",
        [
            Query(
                f"{by} (llm_monitor_gpu_responding{CHOSEN} or 0 * "
                f"last_over_time(llm_monitor_gpu_responding{CHOSEN}[1d]))"
            ),
            Query(f"{by} (llm_monitor_gpu_recovery_action{CHOSEN})"),
            Query(
                "min by (instance, gpu) (time() - llm_monitor_gpu_xid_last_timestamp_seconds"
                f'{{instance=~"$instance", gpu=~"$gpu", xid!~"{ignored}"}} < {30 * DAY})'
            ),
            Query(f'{by} (round(increase({ecc}"uncorrected"}}[$__range])))'),
            Query(f'{by} (round(increase({ecc}"corrected"}}[$__range])))'),
            Query(f"sum by (instance, gpu) (llm_monitor_gpu_remapped_rows{CHOSEN})"),
            Query(f"{by} (llm_monitor_gpu_remap_pending{CHOSEN})"),
            Query(f"{by} (llm_monitor_gpu_remap_failure{CHOSEN})"),
            Query(f'{by} (llm_monitor_gpu_temperature_celsius{{instance=~"$instance", gpu=~"$gpu", sensor="die"}})'),
        ],
        columns=_health_columns(),
        face=Face(
            "What each GPU says of itself; one that was there within a day and is not any more is gone. Errors are "
            "those in the time that is shown, the last XID within 30 days, and coloured for a day. Remapped rows are "
            "memory that has worn out and was replaced by spare rows.",
            "short",
            EMPTY,
        ),
        height=9,
        sort="GPU",
        rising=True,
    )


def _health_columns() -> list[Column]:
    bad = {"0": ("no", colours.OK), "1": ("yes", colours.CRITICAL)}
    return [
        Column("instance", "Host"),
        Column(
            "gpu",
            "GPU",
            width=60,
            links=[to("gpu-usage", "This GPU", instance=cell("instance"), gpu=cell("gpu"))],
        ),
        Column("A", "Responds", meanings={"1": ("yes", colours.OK), "0": ("no, or gone", colours.CRITICAL)}),
        Column("B", "Needs", meanings=NEEDS),
        Column(
            "I",
            "Die",
            "celsius",
            above(warning=alert("GpuTemperatureHigh"), critical=alert("GpuTemperatureCritical")),
            width=80,
        ),
        Column("C", "Last XID before", "s", below(warning=DAY)),
        Column("D", "Uncorrected errors", "short", above(critical=alert("GpuEccUncorrectable") + 1)),
        Column("E", "Corrected errors", "short"),
        Column("F", "Remapped rows", "short"),
        Column("G", "Remap pending", meanings={"0": ("no", colours.OK), "1": ("at the next reset", colours.WARNING)}),
        Column("H", "Must be replaced", meanings=bad),
    ]


def links() -> Iterator[Panel]:
    """Give what goes over links between GPUs and to the host."""
    yield _nvlink_throughput()
    yield _nvlink_errors()
    yield _pcie_throughput()
    yield _pcie_replays()
    yield _nvlink_fabric()


def _nvlink_throughput() -> Panel:
    return series(
        "NVLink throughput",
        *(
            Query(
                f"sum by (instance, gpu) (rate(llm_monitor_gpu_nvlink_{way}_bytes_total{CHOSEN}[$__rate_interval]))",
                f"{GPU} {done}",
            )
            for way, done in (("receive", "received"), ("transmit", "sent"))
        ),
        face=Face(
            "Bytes received (above) and sent (below) in a second over all of a GPU's NVLinks. Models on several GPUs "
            "need it for every token; GPUs of one model show the same.",
            "Bps",
            "No GPU has NVLinks.",
            links=LINKS,
        ),
        mirrored=".* sent",
    )


def _nvlink_errors() -> Panel:
    return series(
        "NVLink errors",
        Query(
            "sum by (instance, gpu, kind) (increase(llm_monitor_gpu_nvlink_errors_total"
            f"{CHOSEN}[$__rate_interval])) > 0",
            f"{GPU} {{{{kind}}}}",
        ),
        face=Face(
            "Errors on NVLinks by kind. Replays and recoveries shall not happen; a few CRC errors may.",
            "short",
            "No NVLink errors in this time.",
            least=0,
            links=LINKS,
        ),
        as_bars=True,
    )


def _pcie_throughput() -> Panel:
    return series(
        "PCIe throughput",
        *(
            Query(f"llm_monitor_gpu_pcie_{way}_bytes_per_second{CHOSEN}", f"{GPU} {done}")
            for way, done in (("receive", "received"), ("transmit", "sent"))
        ),
        face=Face(
            "Bytes received (above) and sent (below) in a second over PCIe. Much of it while nothing is loaded is a "
            "model that does not fit into the GPU's memory.",
            "Bps",
            "No GPU measures this: Hopper and newer do.",
            links=LINKS,
        ),
        width=8,
        mirrored=".* sent",
    )


def _pcie_replays() -> Panel:
    window = alert_text("GpuPcieReplay", "window")
    minutes = int(window.removesuffix("m"))
    return series(
        f"PCIe replays in {minutes} minutes",
        Query(
            f"{60 * minutes} * sum by (instance, gpu) (rate(llm_monitor_gpu_pcie_replays_total"
            f"{CHOSEN}[$__rate_interval]))",
            GPU,
        ),
        face=Face(
            f"Packets that had to be sent again, at the pace of each moment for {minutes} minutes; the line is the "
            "alert's limit. A few are nothing; many are a bad slot, riser or board.",
            "short",
            EMPTY,
            above(warning=alert("GpuPcieReplay")),
            least=0,
            links=LINKS,
        ),
        width=8,
    )


def _nvlink_fabric() -> Panel:
    return states(
        "NVLink fabric",
        Query(
            "max by (instance, gpu) (llm_monitor_gpu_fabric_state"
            f"{CHOSEN})\n+ on (instance, gpu) 10 * max by (instance, gpu) (llm_monitor_gpu_fabric_unhealthy{CHOSEN})\n"
            f"or max by (instance, gpu) (llm_monitor_gpu_fabric_state{CHOSEN})",
            GPU,
        ),
        face=Face(
            "Whether each GPU has joined the fabric of NVSwitches. Without it, models on several GPUs do not start: "
            "see the fabric manager's service.",
            "short",
            "No GPU is part of an NVLink fabric.",
            meanings={
                1: ("Not started", colours.CRITICAL),
                2: ("Joining", colours.WARNING),
                3: ("Joined", colours.OK),
                11: ("Not started, unhealthy", colours.CRITICAL),
                12: ("Joining, unhealthy", colours.CRITICAL),
                13: ("Joined, unhealthy", colours.CRITICAL),
            },
            links=LINKS,
        ),
        width=8,
    )
