"""`llm-monitor-mock backfill`: gives Prometheus a past of a simulated server."""

import argparse
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TypeVar

from llm_monitor.base.errors import SettingsError
from llm_monitor.mock.backfill.order import Order
from llm_monitor.mock.backfill.plan import periods
from llm_monitor.mock.backfill.run import BrokenError, write
from llm_monitor.mock.fleet.reading import read_fleet, usual_fleet
from llm_monitor.mock.parts import PLAYED
from llm_monitor.mock.scenario.library import Library

_PROGRAM = "llm-monitor-mock"
_BAD_ARGUMENTS = 2
_FAILED = 1
_TOLD_EVERY_SECONDS = 10.0
_MOST_DAYS = 366
_FIRST_YEAR, _LAST_YEAR = 2000, 2200
# rate(…[5m]), which rules use, needs two samples within its five minutes.
_STEP = 150
N = TypeVar("N", int, float)

_HELP = """\
Write what the exporters of a simulated server would have shown Prometheus in the past, in
OpenMetrics: one file for each two hours, as Prometheus' blocks are. The path of each file is
printed once it is complete, so that it can be loaded and removed while the next one is written:

  llm-monitor-mock backfill --output DIR | while read -r file; do
    promtool tsdb create-blocks-from openmetrics "$file" DATA && rm "$file"
  done
"""


def main() -> None:
    """Do what the command line says."""
    signal.signal(signal.SIGTERM, _end)
    options = _parser().parse_args()
    try:
        order = _order(options)
        folder = _empty(options.output)
    except SettingsError as error:
        _complain(error.problems)
        sys.exit(_BAD_ARGUMENTS)
    try:
        _backfill(order, folder)
    except (BrokenError, OSError) as error:
        _complain([str(error)])
        sys.exit(_FAILED)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _backfill(order: Order, folder: Path) -> None:
    begun = time.monotonic()
    told = 0.0
    for number, path in enumerate(write(order, folder), 1):
        sys.stdout.write(f"{path}\n")
        sys.stdout.flush()
        seconds = time.monotonic() - begun
        if seconds - told < _TOLD_EVERY_SECONDS and number < len(order.periods):
            continue
        told = seconds
        left = seconds * (len(order.periods) / number - 1)
        sys.stderr.write(
            f"{_PROGRAM}: {number} of {len(order.periods)} files after {seconds:.0f} s,"
            f" about {left:.0f} s left\n"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(_PROGRAM, description="A GPU server that isn't there.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    backfill = commands.add_parser(
        "backfill",
        help="write its past for Prometheus",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    backfill.add_argument("--output", type=Path, required=True, help="a folder, new or empty")
    backfill.add_argument("--days", type=_days, default=30.0, help="how long (%(default)g)")
    backfill.add_argument(
        "--until", type=_moment, help="when it ends, such as 2026-11-21T12:00:00Z (now)"
    )
    backfill.add_argument(
        "--scenario", default="normal", help="what it lives through (%(default)s)"
    )
    backfill.add_argument("--scenarios", type=Path, help="a folder with scenarios of your own")
    backfill.add_argument("--fleet", type=Path, help="a file that says what the server has")
    backfill.add_argument("--seed", type=_seed, default=1, help="for other noise (%(default)s)")
    backfill.add_argument(
        "--step",
        type=_step,
        default=_STEP,
        help="seconds between two samples but in the last six hours: there 30 (%(default)s)",
    )
    backfill.add_argument(
        "--instance", type=_instance, default="demo", help="the server's name (%(default)s)"
    )
    backfill.add_argument(
        "--exporters",
        type=_exporters,
        default=PLAYED,
        help=f"those of its exporters that were scraped (all: {','.join(PLAYED)})",
    )
    return parser


def _order(options: argparse.Namespace) -> Order:
    """Return what `options` ask for.

    Raises:
        SettingsError: When the fleet or a scenario is wrong.
    """
    fleet = read_fleet(options.fleet) if options.fleet else usual_fleet()
    library = Library(fleet, options.scenarios)
    if options.scenario not in library.names():
        known = ", ".join(library.names())
        problem = f"--scenario: there is no {options.scenario!r}; expected one of {known}"
        raise SettingsError([problem])
    return Order(
        fleet=fleet,
        scenarios=options.scenarios,
        scenario=options.scenario,
        seed=options.seed,
        instance=options.instance,
        exporters=options.exporters,
        periods=periods(options.until or time.time(), options.days, options.step),
    )


def _empty(folder: Path) -> Path:
    """Return `folder`, which is made if there is none.

    Raises:
        SettingsError: When something is in it, or it can't be had.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise SettingsError([f"--output: {folder} is not empty"])
    except OSError as error:
        raise SettingsError([f"--output: {folder}: {error.strerror}"]) from error
    return folder


def _days(text: str) -> float:
    return _number(text, float, 1 / 24, _MOST_DAYS, "a number of days, an hour (0.042) to 366")


def _step(text: str) -> int:
    # Prometheus looks back five minutes for a sample.
    return _number(text, int, 10, 240, "whole seconds, 10 to 240")


def _seed(text: str) -> int:
    return _number(text, int, 0, 2**63 - 1, "a whole number, not negative")


def _number(text: str, kind: Callable[[str], N], least: float, most: float, expected: str) -> N:
    try:
        number = kind(text)
    except ValueError:
        number = None
    if number is None or not least <= number <= most:
        message = f"{text!r} is not {expected}"
        raise argparse.ArgumentTypeError(message)
    return number


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        message = f"{text!r} is not a time such as 2026-11-21T12:00:00Z, with its zone"
        raise argparse.ArgumentTypeError(message)
    return moment.timestamp()


def _instance(text: str) -> str:
    if not re.fullmatch(r"[\w.:-]{1,253}", text, re.ASCII):
        message = f"{text!r} is not the name of a host"
        raise argparse.ArgumentTypeError(message)
    return text


def _exporters(text: str) -> tuple[str, ...]:
    names = {name.strip() for name in text.split(",")}
    if not names <= set(PLAYED):
        message = f"{text!r} is not a list of exporters: some of {','.join(PLAYED)}"
        raise argparse.ArgumentTypeError(message)
    return tuple(name for name in PLAYED if name in names)


def _complain(problems: Iterable[str]) -> None:
    for problem in problems:
        sys.stderr.write(f"{_PROGRAM}: {problem}\n")


def _end(number: int, _frame: FrameType | None) -> None:
    """End as an error does, so that what is unfinished is removed."""
    sys.exit(128 + number)
