"""What services and kernels write: how much of it is trouble, of what kind, and the lines themselves."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours, links, variables
from ..board import Board
from ..limits import above
from ..panels import Face, Panel, bars, logs, series, stat
from ..queries import LogQuery

EMPTY = "No such line in this time."
# Lines of the kernel and of the journal have no container.
CHOSEN = 'service=~"$service", container=~"$container", level=~"$level", instance=~"$instance"'
FAILING = 'level=~"error|critical"'
FOUND = "|~ `(?i)$text`"

LEVELS = {
    "critical|error": colours.CRITICAL,
    "warning": colours.WARNING,
    "info": colours.INFO,
    "debug|unknown|": colours.OFF,
}
# What a line of trouble looks like: the kernel on a GPU; the kernel, or CUDA, on memory; Python on a failure.
XID = '|= "NVRM: Xid"'
OUT_OF_MEMORY = (
    "|~ `Out of memory: Killed process|invoked oom-killer|Memory cgroup out of memory|[Oo]ut ?[Oo]f ?[Mm]emory`"
)
TRACEBACK = '|= "Traceback (most recent call last)"'


def board() -> Board:
    """Return the dashboard."""
    made = Board(
        uid="log-explorer",
        title="Log explorer",
        folder="logs",
        description="What services and kernels wrote: how much, how much of it is trouble, and every line.",
        variables=[
            variables.of_log_label("instance", "Host"),
            variables.of_log_label("service", "Service"),
            variables.of_log_label("container", "Container", some_lack_it=True),
            variables.of_log_label("level", "Level"),
            variables.words("text", "Text"),
        ],
    )
    made.row("", *_counts())
    made.row("How much", *_volume())
    made.row(
        "The lines themselves",
        _lines("Every line", CHOSEN, FOUND, "Every line that the choices above leave, the newest first."),
    )
    made.row("Signs of trouble", *_signs(), collapsed=True)
    return made


def _counted(selector: str, pipeline: str) -> str:
    return f"sum(count_over_time({{{selector}}} {pipeline} [$__range]))"


def _counts() -> Iterator[Panel]:
    kinds = [
        ("Lines", CHOSEN, FOUND, "Lines that the choices above leave.", None, None),
        (
            "Errors",
            f"{CHOSEN}, {FAILING}",
            FOUND,
            "Lines of the level error or above. See below which service.",
            1,
            None,
        ),
        ("Warnings", f'{CHOSEN}, level="warning"', FOUND, "Lines of the level warning.", None, None),
        (
            "GPU errors (XID)",
            CHOSEN,
            XID,
            "XID messages of NVIDIA's driver. The number tells what happened; 48, 79 and 94 to 95 mean the hardware.",
            None,
            1,
        ),
        (
            "Out of memory",
            CHOSEN,
            OUT_OF_MEMORY,
            "Processes that the kernel killed for memory, and GPUs without enough of it.",
            None,
            1,
        ),
        ("Tracebacks", CHOSEN, TRACEBACK, "Python programs that did not expect what happened.", 1, None),
    ]
    for title, selector, pipeline, description, warning, critical in kinds:
        has_limit = warning is not None or critical is not None
        face = Face(description, "short", "None", decimals=0)
        if has_limit:
            face = Face(description, "short", "None", above(warning=warning, critical=critical), decimals=0)
        yield stat(title, LogQuery(_counted(selector, pipeline)), face=face, filled=has_limit)


def _volume() -> Iterator[Panel]:
    yield _lines_by_level()
    yield _errors_by_service()
    yield _services_that_write_most()
    yield _services_with_the_highest_share_of_errors()


def _lines_by_level() -> Panel:
    return series(
        "Lines by level",
        LogQuery(f"sum by (level) (count_over_time({{{CHOSEN}}} {FOUND} [$__auto]))", "{{level}}"),
        face=Face("How much is written, by level. A sudden wall of anything is worth a look.", "short", EMPTY, least=0),
        stacked=True,
        as_bars=True,
        colour=LEVELS,
    )


def _errors_by_service() -> Panel:
    return series(
        "Errors by service",
        LogQuery(
            f"topk(10, sum by (service) (rate({{{CHOSEN}, {FAILING}}} {FOUND} [$__auto])))",
            "{{service}}",
        ),
        face=Face(
            "Lines of the level error or above in a second, of the ten services with the most. Normal is none; open a "
            "service's logs by its line.",
            "cps",
            EMPTY,
            links=[links.logs("Its logs", service=links.label("service"))],
            least=0,
        ),
    )


def _services_that_write_most() -> Panel:
    return bars(
        "Services that write most",
        LogQuery(f"topk(10, sum by (service) (count_over_time({{{CHOSEN}}} {FOUND} [$__range])))", "{{service}}"),
        face=Face(
            "Lines in this time, of the ten services with the most. One that writes far more than others fills Loki.",
            "short",
            EMPTY,
            links=[links.logs("Its logs", service=links.label("service"))],
            least=0,
        ),
        width=12,
    )


def _services_with_the_highest_share_of_errors() -> Panel:
    return bars(
        "Services with the highest share of errors",
        LogQuery(
            f"topk(10, sum by (service) (count_over_time({{{CHOSEN}, {FAILING}}} {FOUND} [$__range]))"
            f" / sum by (service) (count_over_time({{{CHOSEN}}} {FOUND} [$__range])))",
            "{{service}}",
        ),
        face=Face(
            "The share of a service's lines that are of the level error or above.",
            "percentunit",
            EMPTY,
            links=[links.logs("Its logs", service=links.label("service"))],
            least=0,
            most=1,
        ),
        width=12,
    )


def _signs() -> Iterator[Panel]:
    yield _lines(
        "What the driver says of GPUs", CHOSEN, XID, "XID messages of NVIDIA's driver, from the kernels' logs.", 8
    )
    yield _lines(
        "What memory ran out for",
        CHOSEN,
        OUT_OF_MEMORY,
        "What the kernel killed for memory, and what CUDA could not have.",
        8,
    )
    yield _lines(
        "What Python programs failed of",
        CHOSEN,
        TRACEBACK,
        "What Python programs say of failures that they did not expect.",
        8,
    )


def _lines(title: str, selector: str, pipeline: str, description: str, height: int = 16) -> Panel:
    return logs(title, LogQuery(f"{{{selector}}} {pipeline}"), face=Face(description, "short", EMPTY), height=height)
