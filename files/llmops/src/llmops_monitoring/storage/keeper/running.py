"""The keeper goes on: a turn at its start, then one every hour and when a day begins."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg

from llmops_monitoring.storage.keeper import store
from llmops_monitoring.storage.keeper.settings import Settings, SettingsError

_HOUR: Final = 3600.0
# A day is dropped a little after its successor began, by whatever clock.
_AFTER_MIDNIGHT: Final = timedelta(seconds=5)
_LONGEST_WAIT: Final = 60.0

Clock = Callable[[], datetime]


def say(level: str, event: str, **fields: Any) -> None:
    """Write one line to the log, as JSON."""
    line = {"timestamp": datetime.now(UTC).isoformat(), "level": level, "event": event, **fields}
    sys.stdout.write(json.dumps(line, default=str) + "\n")
    sys.stdout.flush()


def now() -> datetime:
    """Return the time, of UTC."""
    return datetime.now(UTC)


async def run(settings: Settings, stop: asyncio.Event, clock: Clock = now) -> None:
    """Keep the event store in order until `stop` is set.

    What goes wrong is told in the log and tried again, soon at first and once a minute at last.
    """
    failures = 0
    while not stop.is_set():
        try:
            await _turn(settings, clock)
        except (psycopg.Error, store.StoreError, SettingsError) as error:
            _set_well(settings, well=False)
            seconds = min(2.0**failures, _LONGEST_WAIT)
            failures = min(failures + 1, 10)
            # Its text may have lines, of which the first says it.
            said = str(error).strip() or type(error).__name__
            say("error", "the event store is not in order", error=said, again_in_seconds=seconds)
        else:
            _set_well(settings, well=True)
            failures = 0
            seconds = until_next(clock())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)
    _set_well(settings, well=False)


def until_next(moment: datetime) -> float:
    """Return the seconds until the next turn: an hour, or less where a day of UTC begins before."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return min(_HOUR, (midnight + _AFTER_MIDNIGHT - moment).total_seconds())


async def _turn(settings: Settings, clock: Clock) -> None:
    async with store.connected(settings) as connection:
        turn = await store.keep(connection, settings, clock().date())
    say(
        "info",
        "the event store is in order",
        migrations_applied=turn.applied,
        days_made=turn.made,
        days_dropped=turn.dropped,
        retention_days=settings.retention_days,
    )


def _set_well(settings: Settings, *, well: bool) -> None:
    if settings.well is None:
        return
    if well:
        settings.well.touch()
    else:
        settings.well.unlink(missing_ok=True)
