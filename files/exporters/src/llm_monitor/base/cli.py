"""`llm-monitor-exporter NAME…`: runs one or several exporters in this process, or checks them."""

import signal
import sys
from collections.abc import Sequence
from types import FrameType

from llm_monitor.base import registry
from llm_monitor.base.config.reading import Reading
from llm_monitor.base.errors import SettingsError
from llm_monitor.base.memory import import_uvicorn, skip_httpx_command_line
from llm_monitor.base.version import VERSION

_BAD_SETTINGS = 2
_ENDED = 128 + signal.SIGTERM
_CHECK = "--check"
_USAGE = f"usage: llm-monitor-exporter [{_CHECK}] NAME…"
_HELP = """
Runs the exporters named until SIGTERM.

  --check    start nothing: exit with 0 and say nothing when the settings are fit for a start,
             else say what is wrong with them, as a start would, and exit with 2
  --version  say which version this is
"""


def main() -> None:
    """Do what the command line says: run exporters until SIGTERM, or only check their settings."""
    signal.signal(signal.SIGTERM, _end)
    try:
        run(sys.argv[1:])
    except SettingsError as error:
        for problem in error.problems:
            sys.stderr.write(f"llm-monitor-exporter: {problem}\n")
        sys.exit(_BAD_SETTINGS)


def run(arguments: Sequence[str]) -> None:
    """Run the exporters in `arguments`; `--check`, `--help` and `--version` start none and return.

    Raises:
        SettingsError: When a name, a setting or a port can't be used.
    """
    if "--version" in arguments:
        sys.stdout.write(f"llm-monitor-exporter {VERSION}\n")
        return
    if "--help" in arguments or "-h" in arguments:
        sys.stdout.write(f"{_USAGE}\n{_HELP}\nExporters: {', '.join(registry.names())}\n")
        return
    names = [one for one in arguments if one != _CHECK]
    _check_names(names)
    reading = Reading()
    if _CHECK in arguments:
        from llm_monitor.base.config.load import load

        load(names, reading)
        return
    import_uvicorn()
    skip_httpx_command_line()
    # Loading the web framework takes longer than reading the settings, so both happen at once.
    from llm_monitor.base.process import run_exporters

    run_exporters(names, reading)


def _check_names(names: Sequence[str]) -> None:
    known = registry.names()
    problems = [
        f"{name!r} is no exporter; expected some of {', '.join(known)}"
        for name in names
        if name not in known
    ]
    if not names:
        problems.append(f"no exporter named; expected some of {', '.join(known)}\n{_USAGE}")
    if len(set(names)) != len(names):
        problems.append(f"an exporter is named twice: {' '.join(names)}")
    if problems:
        raise SettingsError(problems)


def _end(_number: int, _frame: FrameType | None) -> None:
    """End at once: as process 1 of a container nothing else would, while modules still load.

    A check that did not come to its end must not look like one that found nothing wrong.
    """
    sys.exit(_ENDED if _CHECK in sys.argv else 0)
