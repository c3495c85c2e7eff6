"""The two formats of `/metrics`: Prometheus text 0.0.4 and OpenMetrics 1.0.

Written by hand because it runs on every scrape: a series' name and labels are rendered once and
kept by the guard, so that a scrape joins ready strings with numbers. Sample lines are the same
in both formats; only the families' headers and the end mark differ.
"""

import zlib
from collections.abc import Iterable, Mapping
from functools import cache

from llm_monitor.base.files import printable
from llm_monitor.base.metrics.family import HISTOGRAM, Family, Histogram, Value

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_GZIP_LEVEL = 3
_GZIP_WINDOW = 16 + 13
_GZIP_MEMORY = 6
_LABEL_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})

Series = dict[str, Value]


def label_pairs(family: Family, values: tuple[str, ...]) -> str:
    """Return `name="value",…` for a series, escaped, always valid UTF-8.

    A label with an empty value is left out: to Prometheus that is the same. Lone surrogates, which
    the operating system's names may hold, become their backslash escapes.
    """
    pairs = (
        f'{name}="{value.translate(_LABEL_ESCAPES)}"'
        for name, value in zip(family.labels, values, strict=True)
        if value
    )
    return printable(",".join(pairs))


def series_key(family: Family, values: tuple[str, ...]) -> str:
    """Return what the guard keeps for a series: the start of its line, or a histogram's labels."""
    pairs = label_pairs(family, values)
    if family.kind == HISTOGRAM:
        return pairs
    return f"{family.name}{{{pairs}}} " if pairs else f"{family.name} "


@cache
def header(family: Family, openmetrics: bool) -> str:
    """Return the lines that come before a family's samples."""
    name = family.base_name if openmetrics else family.name
    lines = f"# HELP {name} {_escape_help(family.help, openmetrics)}\n# TYPE {name} {family.kind}\n"
    if openmetrics and family.unit:
        lines += f"# UNIT {name} {family.unit}\n"
    return lines


def sample_lines(family: Family, series: Mapping[str, Value]) -> str:
    """Return the sample lines of a family."""
    if family.kind == HISTOGRAM:
        return "".join(
            _histogram_lines(family.name, pairs, value)
            for pairs, value in series.items()
            if isinstance(value, Histogram)
        )
    return "".join([f"{key}{value!r}\n" for key, value in series.items()])


def compress(body: bytes) -> bytes:
    """Return `body` gzipped, with settings that prefer little CPU and memory to the last bytes."""
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW, _GZIP_MEMORY)
    return packer.compress(body) + packer.flush()


def render(blocks: Iterable[tuple[str, str]], openmetrics: bool) -> bytes:
    """Return a whole body from (header, sample lines) of each family."""
    parts = [part for block in blocks for part in block]
    if openmetrics:
        parts.append("# EOF\n")
    return "".join(parts).encode()


def _escape_help(text: str, openmetrics: bool) -> str:
    escaped = text.translate(_HELP_ESCAPES)
    return escaped.replace('"', r"\"") if openmetrics else escaped


def _histogram_lines(name: str, pairs: str, value: Histogram) -> str:
    start = f"{name}_bucket{{{pairs}{',' if pairs else ''}le="
    bounds = [*(repr(float(bound)) for bound in value.bounds), "+Inf"]
    lines = [
        f'{start}"{bound}"}} {count!r}\n' for bound, count in zip(bounds, value.counts, strict=True)
    ]
    labels = f"{{{pairs}}}" if pairs else ""
    lines.append(f"{name}_sum{labels} {value.sum!r}\n{name}_count{labels} {value.counts[-1]!r}\n")
    return "".join(lines)
