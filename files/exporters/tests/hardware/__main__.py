"""`python -m hardware`: compares the GPU exporter with nvidia-smi and tells what it found.

It ends with 0 when nothing is wrong, with 1 when a family contradicts nvidia-smi, and with 2 when
that could not be found out.
"""

import argparse
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from hardware import probes
from hardware.compare import Pair, compare, take_pairs
from hardware.exporter import Exporter, ExporterError, running
from hardware.report import COMPARED, MOVED, Row, Verdict, number, table, tally
from hardware.smi import Smi, SmiError
from hardware.watch import LOAD, LoadError, loaded, moved, sample

_SCRAPES = 10
_MIB = 1 << 20


class Check:
    """The check, part by part.

    Attributes:
        lines: The document so far.
        rows: What was compared so far.
    """

    def __init__(self, exporter: Exporter, smi: Smi, options: argparse.Namespace) -> None:
        """Check `exporter` against `smi`."""
        self.lines: list[str] = []
        self.rows: list[Row] = []
        self._exporter = exporter
        self._smi = smi
        self._options = options

    def run(self) -> None:
        """Do all parts."""
        pairs = self._pairs()
        self._head(pairs[-1])
        self._compared("At rest, as this machine was found", pairs)
        self._load()
        self._questions(pairs[-1])
        self._cost()
        self._unsupported()
        self.lines += [f"In all: {tally(self.rows)}."]

    def _pairs(self) -> list[Pair]:
        options = self._options
        return take_pairs(self._exporter, self._smi, options.rounds, options.pause)

    def _head(self, pair: Pair) -> None:
        names = sorted({f"{one.info['name']}" for one in pair.told.values()})
        known = next(iter(pair.told.values()))
        moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        versions = (
            f"Driver {known.info['driver']}, CUDA {known.info['cuda']}, VBIOS "
            f"{known.info['vbios']}; Python {platform.python_version()}, "
            f"Linux {platform.release()}."
        )
        title = f"## {len(pair.told)} of {', '.join(names)}, {moment}"
        self.lines += [title, "", f"{versions} Written by `make test-gpu`.", ""]

    def _compared(self, title: str, pairs: Sequence[Pair]) -> None:
        rows = compare(pairs)
        self.rows += rows
        took = statistics.median(pair.after.moment - pair.before.moment for pair in pairs)
        self.lines += [f"### {title}", ""]
        self.lines += [f"{len(pairs)} comparisons, each within {took:.1f} s: {tally(rows)}.", ""]
        self.lines += table(COMPARED, (row.cells() for row in rows))

    def _load(self) -> None:
        options = self._options
        idle = sample(self._exporter, options.seconds)
        try:
            with loaded([options.python, str(LOAD)]) as load:
                time.sleep(options.seconds)
                busy = sample(self._exporter, options.seconds)
                rows = moved(idle, busy, load, self._exporter.processes())
                pairs = self._pairs()
        except LoadError as error:
            self.lines += ["### Under load", "", f"Not checked: {error}.", ""]
            return
        self.rows += rows
        self.lines += ["### What a load moves", ""]
        self.lines += [f"`hardware/load.py`, for {options.seconds:g} s before the scrape.", ""]
        self.lines += table(MOVED, (row.cells() for row in rows))
        self._compared("Under load", pairs)

    def _questions(self, pair: Pair) -> None:
        told = {"as root" if probes.is_root() else "as an ordinary user": _asked("")}
        if probes.is_root():
            told["as nobody"] = _asked("nobody")
        first = next(iter(told.values()))
        latency = first.pop("latency", {})
        rows = [
            (chapter, question, *(_answer(one, chapter, question) for one in told.values()))
            for chapter, answers in first.items()
            for question in answers
        ]
        self.lines += ["### What NVML answers", "", self._power(pair), ""]
        self.lines += table(("", "question", *told), rows)
        self.lines += ["### How long a call takes", ""]
        self.lines += table(("call", "median µs"), latency.items())

    def _power(self, pair: Pair) -> str:
        """Say what nvidia-smi says of power, for what NVML answers has to be compared with it."""
        uuid, told = next(iter(pair.told.items()))
        average = told.readings.get(("power_watts",))
        ours = pair.after.values.get(uuid, {}).get(("power_watts",))
        return (
            f"GPU 0, at rest. Shortly before, nvidia-smi told {number(average)} W on average and "
            f"{number(told.instant_power)} W instantly, and the exporter {number(ours)} W."
        )

    def _cost(self) -> None:
        before, took = self._exporter.cpu(), []
        for _ in range(_SCRAPES):
            scrape = self._exporter.scrape()
            took.append(scrape.seconds * 1e3)
            time.sleep(self._options.pause)
        cpu = (self._exporter.cpu() - before) / _SCRAPES * 1e3
        self.lines += ["### What a cold scrape costs", ""]
        figures = [
            ("median, ms", f"{statistics.median(took):.1f}"),
            (f"longest of {_SCRAPES}, ms", f"{max(took):.1f}"),
            ("CPU, ms", f"{cpu:.1f}"),
            ("resident set, MiB", f"{self._exporter.resident() / _MIB:.1f}"),
            ("series", str(scrape.series)),
        ]
        self.lines += table(("", "measured"), figures)

    def _unsupported(self) -> None:
        """List the calls that the exporter does not repeat, a line for each call and reason."""
        told: dict[tuple[str, str], list[str]] = {}
        for spoken, reason in self._exporter.unsupported().items():
            name, _, arguments = spoken.rstrip(")").partition("(")
            told.setdefault((name, reason), []).append(arguments)
        if told:
            self.lines += ["### Calls that are not supported", ""]
            rows = ((name, "; ".join(given), reason) for (name, reason), given in told.items())
            self.lines += table(("call", "with", "reason"), rows)


def _asked(user: str) -> dict[str, probes.Told]:
    try:
        return probes.ask(user)
    except probes.ProbeError as error:
        return {"NVML": {"can be asked": str(error)}}


def _answer(told: dict[str, probes.Told], chapter: str, question: str) -> str:
    """Return an answer, or why there is none."""
    if chapter in told:
        return told[chapter].get(question, "-")
    return told.get("NVML", {}).get("can be asked", "-")


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="test-gpu", description=__doc__)
    parser.add_argument("--smi", default="nvidia-smi", help="nvidia-smi, by name or path")
    parser.add_argument(
        "--python", default="python3", help="a Python that has PyTorch, for the load (python3)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="comparisons (5)")
    parser.add_argument("--pause", type=float, default=1, help="seconds between two of them (1)")
    parser.add_argument("--seconds", type=float, default=10, help="how long the load warms up (10)")
    parser.add_argument("--output", type=Path, help="a file for the document")
    return parser.parse_args(arguments)


def main() -> int:
    """Check, print the document and say how to exit."""
    options = options_of(sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        try:
            smi = Smi(options.smi)
            smi.ask()
            with running(Path(folder, "log")) as exporter:
                check = Check(exporter, smi, options)
                check.run()
        except (SmiError, ExporterError) as error:
            sys.stderr.write(f"test-gpu: {error}\n")
            return 2
    document = "\n".join(check.lines) + "\n"
    sys.stdout.write(document)
    if options.output:
        options.output.write_text(document)
    return int(any(row.verdict == Verdict.WRONG for row in check.rows))


if __name__ == "__main__":
    sys.exit(main())
