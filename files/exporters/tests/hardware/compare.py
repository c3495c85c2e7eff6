"""The exporter and nvidia-smi side by side, several times, each time within about a second."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hardware.exporter import Exporter, Scrape
from hardware.report import Row, Verdict, number
from hardware.smi import Key, Smi, Told
from llm_monitor.gpu.metrics import FAMILIES

_PREFIX = "llm_monitor_gpu_"
_MEBIBYTE = 1 << 20
# What nvidia-smi may be off by, as a share and in the family's unit: it rounds, and what it reads
# moves between our two scrapes. All else has to be the same.
_TOLERANCES: dict[str, tuple[float, float]] = {
    "utilization_ratio": (0, 0.1),
    "memory_controller_utilization_ratio": (0, 0.1),
    **dict.fromkeys(
        ("memory_total_bytes", "memory_used_bytes", "memory_free_bytes", "memory_reserved_bytes"),
        (0, 2 * _MEBIBYTE),
    ),
    "power_watts": (0.05, 5),
    "memory_power_watts": (0.05, 5),
    "power_limit_watts": (0, 0.01),
    "temperature_celsius": (0, 2),
    "temperature_margin_celsius": (0, 2),
    "clock_hertz": (0.05, 0),
    "throttle_seconds_total": (0, 0.01),
    **dict.fromkeys(
        ("nvlink_transmit_bytes_total", "nvlink_receive_bytes_total"),
        # Each of up to 36 links is rounded to KiB.
        (0, 36 << 10),
    ),
}
# What changes with every scrape or says nothing of a GPU by a number.
_LEFT_OUT = ("info", "gpus", "gpus_expected", "responding")
_INFO = ("name", "driver", "cuda", "vbios", "pci_bus_id")


@dataclass(frozen=True, slots=True)
class Pair:
    """What both said at about the same time.

    Attributes:
        before: A scrape before nvidia-smi was asked.
        told: What nvidia-smi said, by UUID.
        after: A scrape after that.
    """

    before: Scrape
    told: Mapping[str, Told]
    after: Scrape


def take_pairs(exporter: Exporter, smi: Smi, rounds: int, pause: float) -> list[Pair]:
    """Ask both so many times.

    Raises:
        SmiError: When nvidia-smi can't be asked.
        ExporterError: When the exporter does not answer.
    """
    pairs = []
    for _ in range(rounds):
        before = exporter.scrape()
        told = smi.ask()
        links = smi.ask_nvlink()
        for uuid, one in told.items():
            one.readings.update(links.get(uuid, {}))
        pairs.append(Pair(before, told, exporter.scrape()))
        time.sleep(pause)
    return pairs


def compare(pairs: Sequence[Pair]) -> list[Row]:
    """Return a row for each family and each of its label values, those that nobody gives included.

    A row is wrong when a GPU's two values never agreed, doubtful when they did not always.
    """
    keys = dict.fromkeys(_keys(pairs))
    rows = [_info_row(pairs), _count_row(pairs), *(_row(key, pairs) for key in keys)]
    known = {row.subject.partition("{")[0] for row in rows}
    names = [one.name.removeprefix(_PREFIX) for one in FAMILIES]
    missing = [name for name in names if name not in known and name not in _LEFT_OUT]
    return rows + [Row(name, "-", "-", Verdict.UNSUPPORTED) for name in missing]


def spoken(key: Key) -> str:
    """Return a key as a table shows it."""
    name, *labels = key
    return f"{name}{{{', '.join(labels)}}}" if labels else name


def _keys(pairs: Sequence[Pair]) -> Iterable[Key]:
    """Yield what either says of any GPU, in the order of the declarations."""
    found = {
        key
        for pair in pairs
        for keys in (
            *(values.keys() for uuid, values in pair.after.values.items() if uuid),
            *(told.readings.keys() for told in pair.told.values()),
        )
        for key in keys
        if key[0] not in _LEFT_OUT
    }
    names = (one.name.removeprefix(_PREFIX) for one in FAMILIES)
    order = {name: place for place, name in enumerate(names)}
    return sorted(found, key=lambda key: (order.get(key[0], len(order)), key))


def _row(key: Key, pairs: Sequence[Pair]) -> Row:
    """Return what all GPUs say of a key together: the worst of them."""
    uuids = list(dict.fromkeys(uuid for pair in pairs for uuid in pair.told))
    rows = [(_of_gpu(key, uuid, pairs), place) for place, uuid in enumerate(uuids)]
    worst, place = max(rows, key=lambda row: _SEVERITY[row[0].verdict])
    differing = Counter(row.verdict for row, _ in rows)
    if len(differing) == 1:
        return worst
    note = f"GPU {place}; {differing[worst.verdict]} of {len(rows)} GPUs. {worst.note}".strip()
    return Row(worst.subject, worst.ours, worst.theirs, worst.verdict, note)


_SEVERITY = {
    verdict: place
    for place, verdict in enumerate(
        (
            Verdict.UNSUPPORTED,
            Verdict.SUPPORTED,
            Verdict.ALONE,
            Verdict.DOUBTFUL,
            Verdict.WRONG,
        )
    )
}


def _of_gpu(key: Key, uuid: str, pairs: Sequence[Pair]) -> Row:
    """Return what a GPU's values of a key come to; the values shown are the last that differ."""
    seen = [_values(key, uuid, pair) for pair in pairs]
    ours = [range_ for range_, _ in seen if range_]
    theirs = [value for _, value in seen if value is not None]
    asked = any(key in pair.told[uuid].readings for pair in pairs if uuid in pair.told)
    shown = number(ours[-1][1]) if ours else "-", number(theirs[-1]) if theirs else "-"
    if not ours and not theirs:
        return Row(spoken(key), *shown, Verdict.UNSUPPORTED)
    if not theirs:
        note = "nvidia-smi says N/A" if asked else "nvidia-smi does not tell it"
        return Row(spoken(key), *shown, Verdict.DOUBTFUL if asked else Verdict.ALONE, note)
    if not ours:
        return Row(spoken(key), *shown, Verdict.WRONG, "the exporter leaves it out")
    agreed = [value is not None and agrees(key, range_, value) for range_, value in seen]
    if all(agreed):
        return Row(spoken(key), *shown, Verdict.SUPPORTED)
    range_, value = seen[agreed.index(False)]
    note = f"agreed in {sum(agreed)} of {len(agreed)} comparisons"
    verdict = Verdict.DOUBTFUL if any(agreed) else Verdict.WRONG
    return Row(spoken(key), number(range_[1] if range_ else None), number(value), verdict, note)


Range = tuple[float, float] | None


def _values(key: Key, uuid: str, pair: Pair) -> tuple[Range, float | None]:
    """Return the least and the most that the exporter says, and what nvidia-smi says."""
    scrapes = (pair.before.values.get(uuid, {}), pair.after.values.get(uuid, {}))
    ours = [values[key] for values in scrapes if key in values]
    told = pair.told.get(uuid)
    theirs = told.readings.get(key) if told else None
    return (min(ours), max(ours)) if ours else None, theirs


def agrees(key: Key, ours: Range, theirs: float) -> bool:
    """Return whether what nvidia-smi says lies between our two scrapes, give or take a little."""
    if ours is None:
        return False
    share, absolute = _TOLERANCES.get(key[0], (0, 0))
    allowed = max(absolute, share * abs(theirs)) + 1e-6
    return ours[0] - allowed <= theirs <= ours[1] + allowed


def _info_row(pairs: Sequence[Pair]) -> Row:
    pair = pairs[-1]
    ours = {uuid: [labels[name] for name in _INFO] for uuid, labels in pair.after.info.items()}
    theirs = {uuid: [told.info[name] for name in _INFO] for uuid, told in pair.told.items()}
    said, told = (", ".join(next(iter(one.values()), [])) for one in (ours, theirs))
    same = bool(ours) and ours == theirs
    return Row("info", said, told, Verdict.SUPPORTED if same else Verdict.WRONG)


def _count_row(pairs: Sequence[Pair]) -> Row:
    pair = pairs[-1]
    ours, theirs = pair.after.values.get("", {}).get(("gpus",), 0.0), len(pair.told)
    verdict = Verdict.SUPPORTED if ours == theirs else Verdict.WRONG
    return Row("gpus", number(ours), str(theirs), verdict)
