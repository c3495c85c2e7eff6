"""Writes a backfill: processes share the work, and what they write is put together here.

One simulates the server, two others play the exporters over that.
"""

import multiprocessing
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from llm_monitor.mock.backfill.lines import plain, stamped
from llm_monitor.mock.backfill.order import Order
from llm_monitor.mock.backfill.plan import Period
from llm_monitor.mock.backfill.share import Notes, part, work
from llm_monitor.mock.backfill.simulation import simulate

# About as much work each. By exporters rather than by days, so that each exporter lives through
# all of the time, and what it counts goes on.
_FIRST = ("vllm", "litellm")
_CONTEXT = multiprocessing.get_context("spawn")


class BrokenError(Exception):
    """A process has ended before its work was done."""


def write(order: Order, folder: Path) -> Iterator[Path]:
    """Write the files of `order` into `folder` and give each as soon as it is complete.

    What is not complete is kept in a folder of its own within it, which is gone in the end.

    Raises:
        BrokenError: When one of the processes fails; it has said why itself.
        OSError: When something can't be written.
    """
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".unfinished-") as name,
        _processes(order, Path(name)) as ears,
    ):
        for period in order.periods:
            notes: Notes = {}
            for ear in ears:
                try:
                    notes |= ear.recv()
                except EOFError:
                    message = "a process has ended before its work was done"
                    raise BrokenError(message) from None
            whole = _assemble(order, period, Path(name), notes)
            yield whole.rename(folder / period.name)


@contextmanager
def _processes(order: Order, parts: Path) -> Iterator[list[Connection]]:
    """Simulate in one process, play each share in another; give what tells of their scrapes."""
    shares = _shares(order)
    simulated, scraped = ([_CONTEXT.Pipe(duplex=False) for _ in shares] for _ in range(2))
    with ExitStack() as all_:
        all_.enter_context(_process(simulate, order, [mouth for _, mouth in simulated]))
        for names, (ear, _), (_, mouth) in zip(shares, simulated, scraped, strict=True):
            all_.enter_context(_process(work, order, names, parts, ear, mouth))
        # The processes' own ends are the only ones left, so that a death is noticed.
        for one in (*chain(*simulated), *(mouth for _, mouth in scraped)):
            one.close()
        yield [all_.enter_context(ear) for ear, _ in scraped]


def _shares(order: Order) -> list[Sequence[str]]:
    """Return which exporters are played by one process each."""
    first = [name for name in order.exporters if name in _FIRST]
    second = [name for name in order.exporters if name not in _FIRST]
    return [share for share in (first, second) if share]


@contextmanager
def _process(call: Callable[..., None], *arguments: Any) -> Iterator[None]:
    """Make a call in a process, which ends with the context at the latest."""
    process = _CONTEXT.Process(target=_apart, args=(call, *arguments), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _apart(call: Callable[..., None], *arguments: Any) -> None:
    """Make a call in a process of its own."""
    # Ctrl-C reaches every process; this one is ended by the one that started it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Where another one has ended too early, that one has said why.
    with suppress(EOFError, BrokenPipeError):
        call(*arguments)


def _assemble(order: Order, period: Period, parts: Path, notes: Notes) -> Path:
    """Put the parts of a file together, with what Prometheus itself would have noted."""
    path = parts / period.name
    stamps = stamped(period.moments)
    jobs = {name: notes[name] for name in order.exporters}
    with path.open("wb") as file:
        for name in order.exporters:
            one = part(parts, period, name)
            with one.open("rb") as source:
                shutil.copyfileobj(source, file, 1 << 20)
            one.unlink()
        for name, values in (
            ("up", {job: [int(one.up) for one in found] for job, found in jobs.items()}),
            ("scrape_duration_seconds", _column(jobs, "seconds")),
            ("scrape_samples_scraped", _column(jobs, "samples")),
        ):
            file.write(plain(name, values, order.labels, stamps).encode())
        file.write(b"# EOF\n")
    return path


def _column(jobs: Notes, field: str) -> dict[str, list[float]]:
    return {job: [getattr(one, field) for one in found] for job, found in jobs.items()}
