"""What moves when a GPU computes: the exporter before and during a load."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hardware.exporter import Exporter, Scrape
from hardware.report import Row, Verdict, number
from hardware.smi import Key

LOAD = Path(__file__).with_name("load.py")
# The first use of PyTorch on a machine compiles and loads for a while.
PATIENCE = 120.0
# What a load that keeps the GPU busy adds at least. The last three compute in bf16 on tensor cores,
# from cache for the most part.
_RISES: dict[Key, float] = {
    ("utilization_ratio",): 0.5,
    ("power_watts",): 50,
    ("temperature_celsius", "die"): 1,
    ("processes",): 1,
    ("sm_active_ratio",): 0.5,
    ("sm_occupancy_ratio",): 0.02,
    ("tensor_active_ratio",): 0.2,
    ("dram_active_ratio",): 0.01,
}
_ENERGY: Key = ("energy_joules_total",)
_POWER: Key = ("power_watts",)
_MEMORY: Key = ("memory_used_bytes",)
# How far joules may be from watts times seconds: power is sampled, energy is counted.
_ENERGY_SHARE = 0.15


class LoadError(Exception):
    """The load could not be run."""


@dataclass(frozen=True, slots=True)
class Load:
    """What computes.

    Attributes:
        uuid: The GPU on which it does.
        pid: Its process.
        held: Bytes of memory that it holds at least.
    """

    uuid: str
    pid: int
    held: int


@contextmanager
def loaded(command: Sequence[str], patience: float = PATIENCE) -> Iterator[Load]:
    """Run a load until the end of the block.

    Raises:
        LoadError: When it does not start to compute, as where PyTorch is missing.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    except OSError as error:
        raise LoadError(str(error)) from error
    killer = threading.Timer(patience, process.kill)
    killer.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        killer.cancel()
        if not line:
            raise LoadError(_last_words(process))
        told = json.loads(line)
        yield Load(told["gpu_uuid"], told["pid"], told["bytes"])
    finally:
        killer.cancel()
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _last_words(process: "subprocess.Popen[str]") -> str:
    process.wait()
    assert process.stderr is not None
    lines = process.stderr.read().strip().splitlines()
    return lines[-1] if lines else f"it ended with {process.returncode} before it computed"


def sample(exporter: Exporter, seconds: float) -> list[Scrape]:
    """Return two scrapes so many seconds apart.

    Raises:
        ExporterError: When the exporter does not answer.
    """
    first = exporter.scrape()
    time.sleep(seconds)
    return [first, exporter.scrape()]


def moved(
    idle: Sequence[Scrape], busy: Sequence[Scrape], load: Load, listed: Sequence[dict[str, object]]
) -> list[Row]:
    """Return what of the loaded GPU moved as it should have.

    Args:
        idle: Scrapes before the load.
        busy: Scrapes while it computed.
        load: The load.
        listed: The exporter's processes while it computed.
    """
    rises = dict(_RISES)
    rises[_MEMORY] = load.held
    rows = [_risen(key, least, idle, busy, load.uuid) for key, least in rises.items()]
    rows += [_energy(idle, load.uuid, "idle"), _energy(busy, load.uuid, "under load")]
    return [*rows, _process(load, listed)]


def _risen(
    key: Key, least: float, idle: Sequence[Scrape], busy: Sequence[Scrape], uuid: str
) -> Row:
    before, after = (scrapes[-1].values.get(uuid, {}).get(key) for scrapes in (idle, busy))
    subject = key[0] if len(key) == 1 else f"{key[0]}{{{key[1]}}}"
    shown = number(before), number(after)
    if before is None and after is None:
        return Row(subject, *shown, Verdict.UNSUPPORTED)
    if before is None or after is None:
        return Row(subject, *shown, Verdict.DOUBTFUL, "given only once")
    good = after - before >= least
    note = "" if good else f"should have risen by {number(least)} at least"
    return Row(subject, *shown, Verdict.SUPPORTED if good else Verdict.DOUBTFUL, note)


def _energy(scrapes: Sequence[Scrape], uuid: str, when: str) -> Row:
    """Compare what energy rose by with what the power amounts to."""
    first, last = scrapes[0], scrapes[-1]
    begun, ended = (one.values.get(uuid, {}).get(_ENERGY) for one in (first, last))
    watts = [w for one in scrapes if (w := one.values.get(uuid, {}).get(_POWER)) is not None]
    subject = f"{_ENERGY[0]} against {_POWER[0]}, {when}"
    if begun is None or ended is None or not watts:
        return Row(subject, "-", "-", Verdict.UNSUPPORTED)
    by_energy = (ended - begun) / (last.moment - first.moment)
    by_power = sum(watts) / len(watts)
    near = abs(by_energy - by_power) <= _ENERGY_SHARE * by_power
    shown = f"{by_energy:.1f} J/s", f"{by_power:.1f} W"
    return Row(subject, *shown, Verdict.SUPPORTED if near else Verdict.DOUBTFUL)


def _process(load: Load, listed: Sequence[dict[str, object]]) -> Row:
    """Say whether the load's own process is seen, with at least the memory that it holds."""
    subject = "/api/v1/processes: the load's own process"
    mine = [one for one in listed if one["pid"] == load.pid and one["gpu_uuid"] == load.uuid]
    wanted = f"pid {load.pid}, {load.held} bytes"
    if not mine:
        seen = f"{len(listed)} others"
        note = "is this a container without the host's process namespace?"
        return Row(subject, seen, wanted, Verdict.DOUBTFUL, note)
    memory = mine[0]["memory_used_bytes"]
    good = isinstance(memory, int) and memory >= load.held
    return Row(subject, f"{memory} bytes", wanted, Verdict.SUPPORTED if good else Verdict.DOUBTFUL)
