"""How the models are, for the people who use them: no hosts, containers or GPUs, and no ways to what shows them."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours, limits, variables
from ..board import ANNOUNCED, Board
from ..links import Link
from ..panels import Face, Meanings, Panel, series, since, stat, states, text
from ..queries import Query
from ..tables import Column, table

CHOSEN = '{model=~"$model"}'
EMPTY = "Nothing is known of any model right now."
STATES: Meanings = {2: ("Online", colours.OK), 1: ("Degraded", colours.WARNING), 0: ("Down", colours.CRITICAL)}
KINDS: Meanings = {
    "maintenance": ("Maintenance", colours.INFO),
    "incident": ("Incident", colours.CRITICAL),
    "deprecation": ("Deprecation", colours.WARNING),
}
MONTH = 30 * 24 * 3600

WORDS = (
    "**Online**: the model answers as promised. **Degraded**: it answers, but too many requests fail, or answers "
    "begin too late. **Down**: it does not answer. Availability counts the time in which a model was not down."
)

# An announcement without models is about all of them, and then it has no such label.
EVERY_MODEL = 'label_replace({series}, "model", "All models", "model", "")'
WORDED = "max by (id, kind, title, text, model)"


def board() -> Board:
    """Return the dashboard."""
    made = Board(
        uid="system-status",
        title="System status",
        folder="announcements",
        description="Which models can be used, how well they have worked, and what is announced.",
        variables=[variables.model("model:llm_monitor_available:bool")],
        annotations=[ANNOUNCED],
        links=False,
        beside=[
            Link("RSS", "/public/announcements/feed.rss"),
            Link("JSON feed", "/public/announcements/feed.json"),
        ],
    )
    made.row("", *_now(), _models(), _announced())
    made.row("Lately", *since("7d", *_lately()))
    made.row("Incidents", *since("30d", _incidents()))
    return made


def _now() -> Iterator[Panel]:
    yield stat(
        "All models",
        Query(f"min(model:llm_monitor_status:state{CHOSEN})"),
        face=Face(
            "How the model is that is worst off. The table below tells which one.",
            "short",
            EMPTY,
            meanings={
                2: ("All online", colours.OK),
                1: ("Some degraded", colours.WARNING),
                0: ("Some down", colours.CRITICAL),
            },
        ),
        width=6,
    )
    yield stat(
        "Models online",
        Query(f"sum(model:llm_monitor_available:bool{CHOSEN})", "online"),
        Query(f"count(model:llm_monitor_available:bool{CHOSEN})", "in all"),
        face=Face("How many models can be used right now, of how many there are.", "short", EMPTY, decimals=0),
        width=5,
        filled=False,
    )
    yield stat(
        "Announced for now",
        Query("count(count by (id) (llm_monitor_announcement_info)) or vector(0)"),
        face=Face(
            "How many announcements are in force: see below what they say.",
            "short",
            "Nothing is announced.",
            limits.Limits(((None, colours.OK), (1, colours.INFO))),
            decimals=0,
        ),
        width=4,
    )
    yield text("What the words mean", WORDS, description="How to read this page.", width=9, height=4)


def _models() -> Panel:
    return table(
        "Models",
        [
            Query(f"max by (model) (model:llm_monitor_status:state{CHOSEN})"),
            Query(f"max by (model) (model:llm_monitor_available:avg30d{CHOSEN})"),
            Query(f"(1 - max by (model) (model:llm_monitor_available:avg30d{CHOSEN})) * {MONTH}"),
            Query(f"max by (model) (model:llm_monitor_request_latency:p95_rate1h{CHOSEN} > 0)"),
        ],
        columns=[
            Column("model", "Model"),
            Column("A", "State", meanings=STATES),
            Column(
                "B",
                "Available in 30 days",
                unit="percentunit",
                decimals=2,
                limits=limits.below(warning=limits.default("prometheus_objective")),
            ),
            Column("C", "Down in 30 days", unit="s", decimals=0),
            Column("D", "Response time", unit="s", decimals=1),
        ],
        face=Face(
            "Every model: how it is now, the share of the last 30 days in which it could be used, and the time within "
            "which 19 of 20 answers were complete in the last hour; without one nobody asked.",
            "short",
            EMPTY,
        ),
        sort="State",
        rising=True,
        height=10,
    )


def _announced() -> Panel:
    start, end = (f"llm_monitor_announcement_{edge}_timestamp_seconds" for edge in ("start", "end"))
    chosen = '{model=~"$model|"}'
    over = f"({start}{chosen} unless on (id, model) ({end}{chosen} <= time()))"
    return table(
        "Announcements",
        [
            Query(f"{WORDED} ({EVERY_MODEL.format(series=f'{over} <= bool time()')})"),
            Query(f"{WORDED} ({EVERY_MODEL.format(series=over)}) * 1000"),
            Query(f"{WORDED} ({EVERY_MODEL.format(series=f'{end}{chosen} > time()')}) * 1000"),
        ],
        columns=[
            Column("A", "When", meanings={1: ("Now", colours.INFO), 0: ("Planned", colours.OFF)}, width=90),
            Column("kind", "Kind", meanings=KINDS, width=120),
            Column("title", "What", width=320, wrap=True),
            Column("text", "What it means", wrap=True),
            Column("model", "Model", width=200),
            Column("B", "From", unit="dateTimeAsIso", width=170),
            Column("C", "Until", unit="dateTimeAsIso", width=170),
        ],
        face=Face(
            "What is in force or planned. What has no end lasts until it is taken back.",
            "short",
            "Nothing is announced.",
        ),
        sort="From",
        rising=True,
        height=7,
    )


def _lately() -> Iterator[Panel]:
    # The worst of every step, so that a short outage can be seen in a long time too.
    yield states(
        "How each model was",
        Query(f"min by (model) (min_over_time(model:llm_monitor_status:state{CHOSEN}[$__rate_interval]))", "{{model}}"),
        face=Face("When each model was online, degraded or down.", "short", EMPTY, meanings=STATES),
        height=9,
    )
    yield series(
        "Response time",
        Query(f"topk(20, model:llm_monitor_request_latency:p95_rate1h{CHOSEN})", "{{model}}"),
        face=Face(
            "The time within which 19 of 20 answers were complete, over an hour each.", "s", "Nobody asked.", least=0
        ),
    )
    yield series(
        "Availability by day",
        Query(f"bottomk(20, avg_over_time(model:llm_monitor_available:avg1h{CHOSEN}[1d:1h]))", "{{model}}"),
        face=Face(
            "The share of the 24 hours before each moment in which a model could be used.",
            "percentunit",
            EMPTY,
            limits.below(warning=limits.default("prometheus_objective")),
            most=1,
        ),
    )


def _incidents() -> Panel:
    start, end = (f"llm_monitor_announcement_{edge}_timestamp_seconds" for edge in ("start", "end"))
    chosen = '{kind="incident", model=~"$model|"}'
    began = f"{WORDED} (last_over_time({start}{chosen}[$__range]))"
    return table(
        "Recent incidents",
        [
            Query(f"({EVERY_MODEL.format(series=began)} <= time()) * 1000"),
            Query(f"{EVERY_MODEL.format(series=f'{WORDED} (last_over_time({end}{chosen}[$__range]))')} * 1000"),
        ],
        columns=[
            Column("A", "From", unit="dateTimeAsIso", width=170),
            Column("B", "Until", unit="dateTimeAsIso", width=170),
            Column("title", "What", width=320, wrap=True),
            Column("text", "What it meant", wrap=True),
            Column("model", "Model", width=200),
        ],
        face=Face(
            "Incidents that were told of in this time, over or not.", "short", "No incident was told of in this time."
        ),
        sort="From",
        height=7,
    )
