"""One GPU: the row that is repeated for each."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours
from ..limits import above, alert
from ..links import label, logs, to
from ..panels import Face, Panel, series
from ..queries import Query

EMPTY = "This GPU does not report."
THIS = '{instance=~"$instance", gpu=~"$gpu"}'
LINKS = (
    to("server-health", "Its host", instance=label("instance")),
    logs("Kernel messages", instance=label("instance"), service="kernel"),
)


def one() -> Iterator[Panel]:
    """Give what one GPU does."""
    yield _activity()
    yield _memory_by_container()
    yield _temperatures_and_limits()


def _activity() -> Panel:
    return series(
        "Activity",
        *(
            Query(f"llm_monitor_gpu_{metric}_ratio{THIS}", f"{{{{instance}}}} {said}")
            for metric, said in (
                ("sm_active", "multiprocessors"),
                ("sm_occupancy", "occupancy"),
                ("tensor_active", "tensor cores"),
                ("dram_active", "memory bandwidth"),
                ("fp16_active", "FP16"),
                ("fp32_active", "FP32"),
            )
        ),
        face=Face(
            "Which parts of the GPU work: little of the tensor cores and much of the memory bandwidth is usual for "
            "answers, the reverse for long prompts.",
            "percentunit",
            "This GPU does not measure its activity: Hopper and newer do.",
            least=0,
            most=1,
            links=LINKS,
        ),
        width=8,
    )


def _memory_by_container() -> Panel:
    return series(
        "Memory by container",
        Query(
            f"sum by (instance, container) (llm_monitor_gpu_container_memory_used_bytes{THIS})",
            "{{instance}} {{container}}",
        ),
        Query(f"llm_monitor_gpu_memory_total_bytes{THIS}", "{{instance}}: all there is"),
        face=Face(
            "Who holds the GPU's memory. What is not shown is free, or reserved by the driver.",
            "bytes",
            EMPTY,
            least=0,
            links=[
                to("docker-containers", "This container", instance=label("instance"), container=label("container")),
                logs("Its logs", container=label("container")),
            ],
        ),
        width=8,
        stacked=True,
        colour={".*: all there is": colours.LIMIT},
        dashed=".*: all there is",
    )


def _temperatures_and_limits() -> Panel:
    return series(
        "Temperatures and limits",
        Query(f"llm_monitor_gpu_temperature_celsius{THIS}", "{{instance}} {{sensor}}"),
        Query(f"llm_monitor_gpu_temperature_limit_celsius{THIS}", "{{instance}}: {{threshold}}"),
        face=Face(
            "Die and memory, and the temperatures at which the GPU slows down or shuts down; the coloured lines are "
            "the alerts' limits of the die.",
            "celsius",
            EMPTY,
            above(warning=alert("GpuTemperatureHigh"), critical=alert("GpuTemperatureCritical")),
            links=LINKS,
        ),
        width=8,
        dashed=".*: .*",
    )
