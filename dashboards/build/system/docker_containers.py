"""Whether all containers run and are well, and what they use."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours, variables
from ..board import Board
from ..limits import above
from ..links import cell, label, logs, to, variable
from ..panels import Face, Panel, stat, states
from ..queries import Query
from ..tables import Column, table
from ._container_use import logged, memory, processors, traffic

EMPTY = "No container exporter reports."
CHOSEN = '{instance=~"$instance", container=~"$container"}'
# The higher, the more somebody has to look at it.
STATE_CODES = {
    0: ("Ended", colours.OFF),
    1: ("Running", colours.OK),
    2: ("Paused or made", colours.OFF),
    3: ("Starting", colours.INFO),
    4: ("Unhealthy", colours.WARNING),
    5: ("Restarting", colours.CRITICAL),
    6: ("Failed", colours.CRITICAL),
}
HEALTH = {0: ("healthy", colours.OK), 1: ("starting", colours.INFO), 2: ("unhealthy", colours.WARNING)}
# Ended neither by itself nor on request, as the alert ContainerDown has it.
FAILED = (
    'llm_monitor_container_state{instance=~"$instance", container=~"$container", state=~"exited|dead"} == 1\n'
    "and on (instance, container) (\n"
    f"  llm_monitor_container_exit_code{CHOSEN} != 0 != 130 != 137 != 143\n"
    f"  or llm_monitor_container_oom_killed{CHOSEN} == 1\n"
    ")"
)


def board() -> Board:
    """Return the dashboard."""
    made = Board(
        uid="docker-containers",
        title="Docker containers",
        folder="system",
        description="Whether all containers run and are well, and what they use.",
        variables=[variables.instance("llm_monitor_container_up"), variables.container()],
    )
    made.row("", *_now(), *_lately())
    made.row("Each container", _over_time(), _all())
    made.row("Processors", *processors())
    made.row("Memory", *memory())
    made.row("Network and disks", *traffic())
    made.row("Logs", *logged())
    return made


def _now() -> Iterator[Panel]:
    yield _not_running()
    yield _running()
    yield _unhealthy()


def _not_running() -> Panel:
    running = 'llm_monitor_container_state{instance=~"$instance", container=~"$container", state="running"} == 1'
    return stat(
        "Not running",
        Query(
            "count(\n"
            f"  group by (instance, container) (instance_container:llm_monitor_container_expected:bool{CHOSEN}\n"
            f"  unless on (instance, container) {running})\n"
            f"  or group by (instance, container) ({FAILED})\n"
            '  or group by (instance, container) (llm_monitor_container_state{instance=~"$instance", '
            'container=~"$container", state="restarting"} == 1)\n'
            f") or 0 * count(llm_monitor_container_state{CHOSEN})"
        ),
        face=Face(
            "Containers that are expected and do not run, and others that have failed or crash again and again; one "
            "that did its work and ended is none of them. The table says which, and with what exit code.",
            "short",
            EMPTY,
            above(critical=1),
        ),
        width=3,
    )


def _running() -> Panel:
    running = 'llm_monitor_container_state{instance=~"$instance", container=~"$container", state="running"} == 1'
    return stat(
        "Running",
        Query(f"count({running})", "running"),
        Query(f"count(instance_container:llm_monitor_container_expected:bool{CHOSEN})", "expected"),
        face=Face(
            "Containers that run, and how many the inventory expects (`prometheus_expected_containers`); without that "
            "none are expected by name.",
            "short",
            EMPTY,
        ),
        width=5,
    )


def _unhealthy() -> Panel:
    return stat(
        "Unhealthy",
        Query(
            'sum(llm_monitor_container_health{instance=~"$instance", container=~"$container", status="unhealthy"})\n'
            f"or 0 * count(llm_monitor_container_state{CHOSEN})"
        ),
        face=Face(
            "Containers that run and whose own health check fails. Normal is 0; their logs say why.",
            "short",
            EMPTY,
            above(warning=1),
            links=[logs("Errors", instance=variable("instance"), container=variable("container"), level="error")],
        ),
        width=4,
    )


def _lately() -> Iterator[Panel]:
    yield stat(
        "Restarts",
        Query(f"sum(round(increase(llm_monitor_container_restarts_total{CHOSEN}[$__range])))"),
        face=Face(
            "How often Docker has started containers again because they had ended, in the time that is shown. Normal "
            "is 0; starts by hand do not count.",
            "short",
            EMPTY,
            above(warning=1),
        ),
        width=4,
    )
    yield stat(
        "Out of memory",
        Query('sum(round(increase(container_oom_events_total{instance=~"$instance", name=~"$container"}[$__range])))'),
        face=Face(
            "How often containers ran out of the memory that they may use, in the time that is shown. Normal is 0; "
            "raise the limit, or find what grows.",
            "short",
            EMPTY,
            above(critical=1),
        ),
        width=4,
    )
    yield stat(
        "Alerts",
        Query(
            'count(ALERTS{alertstate="firing", severity=~"critical|warning", component="container",'
            ' instance=~"$instance|", container=~"$container|"}) or vector(0)'
        ),
        face=Face(
            "Critical alerts and warnings about containers that fire. Normal is none; each has a runbook.",
            "short",
            "Prometheus does not answer.",
            above(warning=1),
            links=[to("alerts", "Alerts")],
        ),
        width=4,
    )


def _code() -> str:
    """Return the state and health of each container as one number, of STATE_CODES."""
    state = 'llm_monitor_container_state{instance=~"$instance", container=~"$container", state'
    health = 'llm_monitor_container_health{instance=~"$instance", container=~"$container", status'
    return (
        "max by (instance, container) (\n"
        f"  6 * ({FAILED})\n"
        f'  or 5 * ({state}="restarting"}} == 1)\n'
        f'  or 4 * ({health}="unhealthy"}} == 1 and on (instance, container) {state}="running"}} == 1)\n'
        f'  or 3 * ({health}="starting"}} == 1 and on (instance, container) {state}="running"}} == 1)\n'
        f'  or 2 * ({state}=~"paused|created"}} == 1)\n'
        f'  or 0 * ({state}=~"exited|dead|removing"}} == 1)\n'
        f'  or ({state}="running"}} == 1)\n'
        ")"
    )


def _health() -> str:
    """Return what each container's health check says, as one number, of HEALTH."""
    health = 'llm_monitor_container_health{instance=~"$instance", container=~"$container", status'
    return (
        "max by (instance, container) (\n"
        f'  2 * ({health}="unhealthy"}} == 1)\n'
        f'  or ({health}="starting"}} == 1)\n'
        f'  or 0 * ({health}="healthy"}} == 1)\n'
        ")"
    )


def _over_time() -> Panel:
    return states(
        "States over time",
        Query(f"topk(20, {_code()})", "{{container}}"),
        face=Face(
            "What state each container was in, and what its health check said; twenty at most, those in trouble first. "
            "A line that breaks is one that was removed or made anew.",
            "short",
            EMPTY,
            meanings=STATE_CODES,
            links=[
                to("docker-containers", "This container", instance=label("instance"), container=label("container")),
                logs("Its logs", container=label("container")),
            ],
        ),
        height=10,
    )


def _all() -> Panel:
    by = "max by (instance, container)"
    # "registry:5000/name:tag@sha256:..." - the tag is behind the last colon that no slash follows.
    named = (
        f'label_replace(label_replace(llm_monitor_container_info{CHOSEN}, "version", "$1", "image", '
        '"[^@]*:([^/@]+)(?:@.*)?"), "image", "$1", "image", "([^@]*?)(?::[^/@:]+)?(?:@.*)?")'
    )
    started = f"llm_monitor_container_started_timestamp_seconds{CHOSEN}"
    return table(
        "Containers",
        [
            Query(_code()),
            Query(f"max by (instance, container, image, version) ({named})"),
            Query(
                f"{by} (time() - {started} and on (instance, container) llm_monitor_container_state"
                '{instance=~"$instance", container=~"$container", state="running"} == 1)'
            ),
            Query(f"{by} (round(increase(llm_monitor_container_restarts_total{CHOSEN}[$__range])))"),
            Query(f"count by (instance, container) (llm_monitor_container_gpu_assigned{CHOSEN} == 1)"),
            Query(f"{by} (llm_monitor_container_exit_code{CHOSEN})"),
            Query(_health()),
        ],
        columns=_container_columns(),
        face=Face(
            "Every container with what it is made of and how it is. Health is empty where the image has no check; "
            "restarts are those in the time that is shown, the exit code that of one that has ended (137 is killed, "
            "often for memory; 143 stopped on request).",
            "short",
            EMPTY,
        ),
        height=12,
        sort="Container",
        rising=True,
    )


def _container_columns() -> list[Column]:
    return [
        Column("instance", "Host"),
        Column(
            "container",
            "Container",
            links=[
                to("docker-containers", "This container", instance=cell("instance"), container=cell("container")),
                logs("Its logs", container=cell("container")),
            ],
        ),
        Column("A", "State", "short", meanings=STATE_CODES),
        Column("G", "Health", "short", meanings=HEALTH, width=90),
        Column("image", "Image"),
        Column("version", "Version"),
        Column("C", "Up for", "s", width=100, decimals=1),
        Column("D", "Restarts", "short", above(warning=1), width=90),
        Column(
            "E",
            "GPUs",
            "short",
            width=70,
            links=[to("gpu-usage", "Its GPUs", instance=cell("instance"))],
        ),
        Column("F", "Exit code", "short", width=90),
    ]
