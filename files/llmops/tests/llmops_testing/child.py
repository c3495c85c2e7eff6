"""Applications that end in different ways: `python -m llmops_testing.child SCENARIO FOLDER`.

They say `ready` once whoever started them may go on.
"""

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmops_monitoring.transport.worker import InProcessTransport
from llmops_testing.backends import settings
from llmops_testing.events import call, make
from llmops_testing.files import FileBackend


def begin(folder: Path, backend: Any = FileBackend, **given: Any) -> InProcessTransport:
    """Return a started transport that delivers into `folder`."""
    told = {"flush_interval_seconds": 60.0, "shutdown_timeout_seconds": 3.0, **given}
    config = settings(output_dir=folder, spill_path=folder / "spill.sqlite", **told)
    transport = InProcessTransport(backend(config.storage), config, make)
    transport.start()
    return transport


def put(transport: InProcessTransport, *numbers: int) -> None:
    for number in numbers:
        transport.put(call(number))


def ready(*told: object) -> None:
    """Say so, with more if there is more to say."""
    os.write(1, (" ".join(map(str, ("ready", *told))) + "\n").encode())


def wait() -> None:
    """Wait for a signal."""
    while True:
        time.sleep(60)


def ends(folder: Path) -> None:
    put(begin(folder), *range(95))


def fails(folder: Path) -> None:
    put(begin(folder), *range(95))
    message = "the application's own"
    raise RuntimeError(message)


def terminated(folder: Path) -> None:
    put(begin(folder), *range(95))
    ready()
    wait()


def terminated_but_stuck(folder: Path) -> None:
    (folder / "stuck").touch()
    put(begin(folder, shutdown_timeout_seconds=0.5), *range(95))
    ready()
    wait()


def terminated_by_itself(folder: Path) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    put(begin(folder), *range(95))
    ready()
    wait()


def terminated_while_spilling(folder: Path) -> None:
    (folder / "down").touch()
    put(begin(folder, overflow="spill"), *range(95))
    ready()
    wait()


def terminated_in_a_loop(folder: Path) -> None:
    async def main() -> None:
        put(begin(folder), *range(95))
        ready()
        await asyncio.sleep(60)

    asyncio.run(main())


def killed(folder: Path) -> None:
    """Put at most a thousand calls a second, and tell how many there were."""
    # It takes a while to load, and the others don't need it.
    from llmops_monitoring.storage.parquet import ParquetBackend

    transport = begin(folder, ParquetBackend, batch_size=100_000, flush_interval_seconds=1)
    for number in range(100_000):
        transport.put(call(number))
        ready(number + 1)
        time.sleep(0.001)


def killed_while_spilling(folder: Path) -> None:
    (folder / "down").touch()
    transport = begin(folder, overflow="spill")
    put(transport, *range(95))
    transport.flush(10)
    ready(transport.stats().spilled)
    wait()


def heir(folder: Path) -> None:
    """Be the next process, to which nothing new happens."""
    transport = begin(folder, overflow="spill")
    end = time.monotonic() + 10
    while transport.stats().spilled and time.monotonic() < end:
        time.sleep(0.01)


def forked(folder: Path) -> None:
    """Fork with calls in the queue: they are the parent's."""
    transport = begin(folder)
    put(transport, *range(15))
    if not os.fork():
        stats = transport.stats()
        ready(stats.enqueued, stats.queued, stats.running)
        put(transport, *range(100, 195))
        return
    put(transport, *range(15, 95))
    os.wait()


def forked_while_busy(folder: Path) -> None:
    """Fork again and again while other threads put and the worker writes."""
    transport = begin(folder, batch_size=7, overflow="spill")
    go_on = threading.Event()

    def produce() -> None:
        number = 1_000_000
        while not go_on.is_set():
            transport.put(call(number))
            number += 1
            time.sleep(0.0001)

    thread = threading.Thread(target=produce)
    thread.start()
    for child in range(15):
        if not os.fork():
            put(transport, *range(child * 100, child * 100 + 100))
            assert transport.stop(10)
            os._exit(0)
    codes = [os.wait()[1] for _ in range(15)]
    go_on.set()
    thread.join()
    ready(sum(codes), transport.flush(10))


def pre_forked(folder: Path) -> None:
    """Load the application, fork workers, and end them as gunicorn does."""
    transport = begin(folder)
    workers = []
    for worker in range(3):
        process = os.fork()
        if process:
            workers.append(process)
            continue
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        put(transport, *range(worker * 100, worker * 100 + 95))
        ready()
        wait()
    sys.stdin.readline()
    for process in workers:
        os.kill(process, signal.SIGTERM)
    for _ in workers:
        os.wait()


def pooled(folder: Path) -> None:
    """Put in a process of multiprocessing, which ends without atexit."""
    transport = begin(folder)
    context = multiprocessing.get_context("fork")
    process = context.Process(target=put, args=(transport, *range(95)))
    process.start()
    process.join()


def forked_and_left(folder: Path) -> None:
    """Fork a child that never puts: the parent's descriptors and wake-ups have to survive it."""
    transport = begin(folder, batch_size=5)
    for _ in range(5):
        if not os.fork():
            # The end of the child's interpreter finalizes all that it has copies of.
            return
    for _ in range(5):
        os.wait()
    put(transport, *range(95))
    ready(transport.flush(10))


SCENARIOS: dict[str, Callable[[Path], None]] = {
    one.__name__: one
    for one in (
        ends,
        fails,
        terminated,
        terminated_but_stuck,
        terminated_by_itself,
        terminated_while_spilling,
        terminated_in_a_loop,
        killed,
        killed_while_spilling,
        heir,
        forked,
        forked_while_busy,
        pre_forked,
        pooled,
        forked_and_left,
    )
}

if __name__ == "__main__":
    SCENARIOS[sys.argv[1]](Path(sys.argv[2]))
