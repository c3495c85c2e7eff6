"""Writes a backfill: two processes play the exporters, and their parts are put together here."""

import multiprocessing
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from llm_monitor.mock.backfill.lines import plain, stamped
from llm_monitor.mock.backfill.plan import Period
from llm_monitor.mock.backfill.share import Notes, Order, part, work
from llm_monitor.mock.parts import PLAYED

# About as much work each. By exporters rather than by days, so that each exporter lives through
# all of the time, and what it counts goes on.
_FIRST = ("vllm", "litellm")
_SHARES = (_FIRST, tuple(name for name in PLAYED if name not in _FIRST))


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
        ExitStack() as all_,
    ):
        parts = Path(name)
        ears = [all_.enter_context(_process(order, names, parts)) for names in _SHARES]
        for period in order.periods:
            notes: Notes = {}
            for ear in ears:
                try:
                    notes |= ear.recv()
                except EOFError:
                    message = "a process has ended before its work was done"
                    raise BrokenError(message) from None
            whole = _assemble(order, period, parts, notes)
            yield whole.rename(folder / period.name)


@contextmanager
def _process(order: Order, names: tuple[str, ...], parts: Path) -> Iterator[Connection]:
    """Play the exporters `names` in a process, and give what tells of its progress."""
    context = multiprocessing.get_context("spawn")
    ear, mouth = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(order, names, parts, mouth), daemon=True)
    process.start()
    # Its own end is the only one left, so that its death is noticed.
    mouth.close()
    try:
        yield ear
    finally:
        process.terminate()
        process.join()
        ear.close()


def _assemble(order: Order, period: Period, parts: Path, notes: Notes) -> Path:
    """Put the parts of a file together, with what Prometheus itself would have noted."""
    path = parts / period.name
    stamps = stamped(period.moments)
    jobs = {name: notes[name] for name in PLAYED}
    with path.open("wb") as file:
        for name in PLAYED:
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
