"""`python -m llmops_monitoring.storage.keeper [--check | --verify]`."""

import asyncio
import os
import signal
import sys
from typing import Final

from llmops_monitoring.storage import migrations
from llmops_monitoring.storage.keeper import running, settings, verdict

_USAGE: Final = """\
usage: python -m llmops_monitoring.storage.keeper [--check | --verify]
  Keeps an event store in PostgreSQL in order, until SIGTERM.
  --check   only looks whether it could: settings and passwords, without the database
  --verify  only looks whether applications can write and read; ends with 1 where they can't
It is told what to do by LLMOPS_KEEPER_DATABASE (a connection string of the owner, without a
password), LLMOPS_KEEPER_SECRETS (a folder with owner_password, writer_password, reader_password),
LLMOPS_KEEPER_RETENTION_DAYS and LLMOPS_KEEPER_WELL (a file that is there while all is well).
"""


def main(arguments: list[str]) -> int:
    """Do what the arguments say; return the status to end with."""
    if arguments not in ([], ["--check"], ["--verify"]):
        sys.stderr.write(_USAGE)
        return 2
    try:
        told = settings.from_environment(os.environ)
        for name in ("owner", "writer", "reader"):
            told.password(name)
        if arguments == ["--check"]:
            sys.stdout.write(f"migrations up to {max(migrations.steps())}\n")
            return 0
        if arguments == ["--verify"]:
            return _verify(told)
        asyncio.run(_run(told))
    except settings.SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _verify(told: settings.Settings) -> int:
    found = asyncio.run(verdict.problems(told, running.now().date()))
    sys.stdout.write("".join(f"{problem}\n" for problem in found))
    return 1 if found else 0


async def _run(told: settings.Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    await running.run(told, stop)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
