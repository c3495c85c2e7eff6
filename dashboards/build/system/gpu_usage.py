"""Whether all GPUs are there and well, what they do, and for whom."""

from __future__ import annotations

from collections.abc import Iterator

from .. import heatmaps, variables
from ..board import Board
from ..limits import above, alert, alert_text
from ..links import cell, label, logs, to, variable
from ..panels import Face, Panel, stat
from ..queries import Query
from ..tables import Column, table
from ._gpu_health import errors, health, links
from ._gpu_one import one
from ._gpu_work import power, work

EMPTY = "No GPU exporter reports."
CHOSEN = '{instance=~"$instance", gpu=~"$gpu"}'


def board() -> Board:
    """Return the dashboard."""
    made = Board(
        uid="gpu-usage",
        title="GPU usage",
        folder="system",
        description="Whether all GPUs are there and well, what they do, and for which container and model.",
        variables=[variables.instance("llm_monitor_gpu_up"), variables.gpu()],
    )
    made.row("", *_there(), *_used(), *_errors())
    made.row("Each GPU", health(), _tenants(), _busy())
    made.row("Work", *work())
    made.row("Power and heat", *power())
    made.row("Errors", *errors())
    made.row("NVLink, PCIe and fabric", *links(), collapsed=True)
    made.row("GPU $gpu", *one(), collapsed=True, repeat="gpu")
    return made


def _there() -> Iterator[Panel]:
    yield stat(
        "GPUs missing",
        Query(
            "sum(max by (instance) (last_over_time("
            'llm_monitor_gpu_gpus_expected{instance=~"$instance"}[1d])))\n'
            '- (sum(llm_monitor_gpu_gpus{instance=~"$instance"}) or vector(0))'
        ),
        face=Face(
            "GPUs that should be there and that the driver gives no access to, or of which nothing has reported since "
            "less than a day ago. Normal is 0. What ran on a missing one has failed; the kernel's messages name the "
            "XID.",
            "short",
            EMPTY,
            above(critical=1),
            links=[logs("Kernel messages", instance=variable("instance"), service="kernel")],
        ),
        width=3,
    )
    yield stat(
        "GPUs seen",
        Query('sum(llm_monitor_gpu_gpus{instance=~"$instance"})', "seen"),
        Query('sum(llm_monitor_gpu_gpus_expected{instance=~"$instance"})', "expected"),
        face=Face("GPUs that the driver gives access to, and how many there should be.", "short", EMPTY),
        width=3,
    )


def _used() -> Iterator[Panel]:
    yield _busy_over_time()
    yield _memory_in_use()
    yield _power()
    yield _hottest_gpu()


def _busy_over_time() -> Panel:
    return stat(
        "Busy",
        Query(f"avg(instance_gpu:llm_monitor_gpu_active:ratio{CHOSEN})"),
        face=Face(
            "Share of the multiprocessors that were busy, on average over all GPUs; of GPUs older than Hopper the "
            "share of time in which anything ran. Little while requests wait means that something else is slow.",
            "percentunit",
            EMPTY,
            decimals=0,
        ),
        width=3,
    )


def _memory_in_use() -> Panel:
    return stat(
        "Memory in use",
        Query(f"sum(llm_monitor_gpu_memory_used_bytes{CHOSEN}) / sum(llm_monitor_gpu_memory_total_bytes{CHOSEN})"),
        face=Face(
            "Share of the memory of all GPUs. vLLM takes what it may at its start and keeps it, so nine tenths are "
            "usual.",
            "percentunit",
            EMPTY,
            decimals=0,
        ),
        width=3,
    )


def _power() -> Panel:
    return stat(
        "Power",
        Query(f"sum(llm_monitor_gpu_power_watts{CHOSEN})"),
        face=Face("What all GPUs draw together now.", "watt", EMPTY, decimals=1),
        width=3,
    )


def _hottest_gpu() -> Panel:
    return stat(
        "Hottest GPU",
        Query('max(llm_monitor_gpu_temperature_celsius{instance=~"$instance", gpu=~"$gpu", sensor="die"})'),
        face=Face(
            "Temperature of the hottest die. Above the limit GPUs soon slow down: look at the air, the fans, and who "
            "shares them.",
            "celsius",
            EMPTY,
            above(warning=alert("GpuTemperatureHigh"), critical=alert("GpuTemperatureCritical")),
            decimals=0,
        ),
        width=3,
    )


def _errors() -> Iterator[Panel]:
    xids = alert_text("GpuXidHardware", "xids")
    ignored = alert_text("GpuXidApplication", "ignored_xids")
    for title, matcher, limits, said in (
        ("Hardware XIDs, 24 h", f'xid=~"{xids}"', above(critical=1), "The GPU, its memory or its links are at fault"),
        ("Other XIDs, 24 h", f'xid!~"{xids}|{ignored}"', above(warning=1), "Most often a program did something wrong"),
    ):
        yield stat(
            title,
            Query(
                "count(time() - llm_monitor_gpu_xid_last_timestamp_seconds"
                f'{{instance=~"$instance", gpu=~"$gpu", {matcher}}} < 86400)\n'
                'or 0 * sum(llm_monitor_gpu_gpus{instance=~"$instance"})'
            ),
            face=Face(
                f"How many kinds of errors the driver reported of GPUs within a day. {said}. Normal is 0; the runbook "
                "says what each number means, the kernel's messages what it was about.",
                "short",
                EMPTY,
                limits,
                links=[logs("Kernel messages", instance=variable("instance"), service="kernel")],
            ),
            width=3,
        )


def _of_tenant(value: str) -> str:
    """Return a value of GPUs for each container and model that has one; a GPU without any has a row of its own."""
    of_gpu = f"max by (instance, gpu, gpu_uuid) ({value})"
    return (
        "(\n"
        "  0 * max by (instance, gpu_uuid, container, model) ("
        'llm_monitor_vllm_gpu_assignment_ratio{instance=~"$instance"})\n'
        "  or on (instance, gpu_uuid, container)\n"
        "  0 * max by (instance, gpu_uuid, container) ("
        f"llm_monitor_gpu_container_memory_used_bytes{CHOSEN})\n"
        f")\n+ on (instance, gpu_uuid) group_left (gpu) {of_gpu}\n"
        f"or on (instance, gpu_uuid)\n{of_gpu}"
    )


def _tenants() -> Panel:
    return table(
        "GPUs, containers and models",
        [
            Query(_of_tenant(f"instance_gpu:llm_monitor_gpu_active:ratio{CHOSEN}")),
            Query(_of_tenant(f"instance_gpu:llm_monitor_gpu_memory_used:ratio{CHOSEN}")),
            Query(_of_tenant('llm_monitor_gpu_temperature_celsius{instance=~"$instance", gpu=~"$gpu", sensor="die"}')),
            Query(_of_tenant(f"llm_monitor_gpu_power_watts{CHOSEN}")),
        ],
        columns=_tenant_columns(),
        face=Face(
            "Which container has which GPU, for which model; one that several models share has a row for each of them, "
            "with what it does as a whole. A GPU without a container is free.",
            "short",
            EMPTY,
        ),
        height=10,
        sort="GPU",
        rising=True,
    )


def _tenant_columns() -> list[Column]:
    return [
        Column("instance", "Host"),
        Column(
            "gpu",
            "GPU",
            width=60,
            links=[to("gpu-usage", "This GPU", instance=cell("instance"), gpu=cell("gpu"))],
        ),
        Column(
            "container",
            "Container",
            links=[
                to("docker-containers", "This container", instance=cell("instance"), container=cell("container")),
                logs("Its logs", container=cell("container")),
            ],
        ),
        Column("model", "Model", links=[to("vllm-docker-status", "This model", model=cell("model"))]),
        Column("A", "Busy", "percentunit", as_bar=True),
        Column("B", "Memory in use", "percentunit", as_bar=True),
        Column(
            "C",
            "Die",
            "celsius",
            above(warning=alert("GpuTemperatureHigh"), critical=alert("GpuTemperatureCritical")),
            width=80,
        ),
        Column("D", "Power", "watt", width=90, decimals=0),
    ]


def _busy() -> Panel:
    return heatmaps.by_series(
        "Busy GPUs over time",
        Query(f"instance_gpu:llm_monitor_gpu_active:ratio{CHOSEN}", "{{instance}} GPU {{gpu}}"),
        face=Face(
            "Share of each GPU's multiprocessors that were busy: a line for each GPU, the darker the busier. A gap is "
            "a GPU that was not there.",
            "percentunit",
            EMPTY,
            least=0,
            most=1,
            links=[to("gpu-usage", "This GPU", instance=label("instance"), gpu=label("gpu"))],
        ),
        height=7,
    )
