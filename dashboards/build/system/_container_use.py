"""What containers use, and what they log."""

from __future__ import annotations

from collections.abc import Iterator

from ..limits import above, alert
from ..links import label, logs, to
from ..panels import Face, Panel, series
from ..queries import LogQuery, Query

EMPTY = "No container exporter reports."
# cAdvisor's metrics call the container name.
NAMED = '{instance=~"$instance", name=~"$container"}'
NAME_LINKS = (
    to("docker-containers", "This container", instance=label("instance"), container=label("name")),
    logs("Its logs", container=label("name")),
)


def processors() -> Iterator[Panel]:
    """Give what containers do with processors."""
    used = f"sum by (instance, name) (rate(container_cpu_usage_seconds_total{NAMED}[$__rate_interval]))"
    yield series(
        "CPU by container",
        Query(f"topk(15, {used})", "{{name}}"),
        face=Face(
            "Cores that each container uses; the fifteen that use most.", "short", EMPTY, least=0, links=NAME_LINKS
        ),
        width=8,
    )
    yield series(
        "Throttled",
        Query(
            "topk(15, instance_container:container_cpu_throttled:ratio_rate5m"
            '{instance=~"$instance", container=~"$container"})',
            "{{container}}",
        ),
        face=Face(
            "Share of the periods in which a container used up its CPU limit and had to wait. Over the line it is "
            "slower than it could be: raise its limit.",
            "percentunit",
            "No container has a CPU limit.",
            above(warning=alert("ContainerThrottled")),
            least=0,
            links=[logs("Its logs", container=label("container"))],
        ),
        width=8,
    )
    yield series(
        "CPU, with GPU and without",
        *_with_and_without(used),
        face=Face(
            "Cores in use by all containers that have a GPU, and by all others. What serves models needs cores too: a "
            "model whose process is short of them leaves its GPU idle.",
            "short",
            EMPTY,
            least=0,
        ),
        width=8,
        stacked=True,
    )


def memory() -> Iterator[Panel]:
    """Give what containers hold of the memory."""
    working = f"max by (instance, name) (container_memory_working_set_bytes{NAMED})"
    yield series(
        "Memory by container",
        Query(f"topk(15, {working})", "{{name}}"),
        face=Face(
            "Memory that can't be freed without harm (the working set); the fifteen that hold most.",
            "bytes",
            EMPTY,
            least=0,
            links=NAME_LINKS,
        ),
        width=8,
    )
    yield series(
        "Memory against limit",
        Query(
            f"topk(15, {working}\n/ on (instance, name) (max by (instance, name) (container_spec_memory_limit_bytes"
            f"{NAMED}) > 0))",
            "{{name}}",
        ),
        face=Face(
            "Share of its own limit that each container holds. At 100 % the kernel kills a process in it.",
            "percentunit",
            "No container has a memory limit.",
            least=0,
            most=1,
            links=NAME_LINKS,
        ),
        width=8,
    )
    yield series(
        "Memory, with GPU and without",
        *_with_and_without(working),
        face=Face("Working set of all containers that have a GPU, and of all others.", "bytes", EMPTY, least=0),
        width=8,
        stacked=True,
    )


def traffic() -> Iterator[Panel]:
    """Give what containers send, receive, read and write."""
    for title, said, unit_empty, metrics, ways in (
        (
            "Network by container",
            "received (above) and sent (below)",
            "No container has a network of its own.",
            ("network_receive", "network_transmit"),
            ("received", "sent"),
        ),
        (
            "Disks by container",
            "read from disks (above) and written to them (below)",
            "No container has used a disk.",
            ("fs_reads", "fs_writes"),
            ("read", "written"),
        ),
    ):
        yield series(
            title,
            *(
                Query(
                    f"topk(8, sum by (instance, name) (rate(container_{metric}_bytes_total{NAMED}[$__rate_interval])))",
                    f"{{{{name}}}} {way}",
                )
                for metric, way in zip(metrics, ways, strict=True)
            ),
            face=Face(
                f"Bytes {said} in a second; the eight containers with most of each.",
                "Bps",
                unit_empty,
                links=NAME_LINKS,
            ),
            mirrored=f".* {ways[1]}",
        )


def logged() -> Iterator[Panel]:
    """Give how many errors containers log."""
    yield series(
        "Errors in logs",
        LogQuery(
            'topk(15, sum by (container) (count_over_time({instance=~"$instance", container=~"$container", '
            'level=~"error|critical"}[$__interval])))',
            "{{container}}",
        ),
        face=Face(
            "Lines at level error or critical, by container. A rise belongs to what broke at that time; click for the "
            "lines.",
            "short",
            "No errors were logged in this time.",
            least=0,
            links=[logs("The lines", container=label("container"), level="error")],
        ),
        width=24,
        as_bars=True,
    )


def _with_and_without(used: str) -> list[Query]:
    """Return what containers with a GPU and all others use together."""
    has = (
        'label_replace(llm_monitor_container_gpu_assigned{instance=~"$instance", container=~"$container"} == 1, '
        '"name", "$1", "container", "(.+)")'
    )
    return [
        Query(f"sum({used} and on (instance, name) {has})", "with GPU"),
        Query(f"sum({used} unless on (instance, name) {has})", "without"),
    ]
