"""`llm-monitor-exporter NAME…`: runs one or several exporters in this process."""

import signal
import sys
from collections.abc import Sequence
from types import FrameType

from llm_monitor.base import registry
from llm_monitor.base.config.reading import Reading
from llm_monitor.base.errors import SettingsError
from llm_monitor.base.memory import import_uvicorn
from llm_monitor.base.version import VERSION

_BAD_SETTINGS = 2
_USAGE = "usage: llm-monitor-exporter NAME…"


def main() -> None:
    """Run the exporters named on the command line until SIGTERM."""
    signal.signal(signal.SIGTERM, _end)
    try:
        run(sys.argv[1:])
    except SettingsError as error:
        for problem in error.problems:
            sys.stderr.write(f"llm-monitor-exporter: {problem}\n")
        sys.exit(_BAD_SETTINGS)


def run(arguments: Sequence[str]) -> None:
    """Run the exporters in `arguments`; `--help` and `--version` answer and return.

    Raises:
        SettingsError: When a name, a setting or a port can't be used.
    """
    if "--version" in arguments:
        sys.stdout.write(f"llm-monitor-exporter {VERSION}\n")
        return
    if "--help" in arguments or "-h" in arguments:
        sys.stdout.write(f"{_USAGE}\nExporters: {', '.join(registry.names())}\n")
        return
    _check_names(arguments)
    reading = Reading()
    import_uvicorn()
    # Loading the web framework takes longer than reading the settings, so both happen at once.
    from llm_monitor.base.process import run_exporters

    run_exporters(arguments, reading)


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
    """End at once: as process 1 of a container nothing else would, while modules still load."""
    sys.exit(0)
