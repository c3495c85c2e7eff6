"""Ids of spans, traces and events, from a generator that is nobody else's.

The application may seed `random`, and then get the same numbers again: it must get them with this
library as it got them without, and two of its runs must not get the same ids.
"""

import os
import random
from typing import overload

_generator = random.Random()  # noqa: S311  Ids are unique, not secret.
if hasattr(os, "register_at_fork"):  # Windows has no fork.
    os.register_at_fork(after_in_child=_generator.seed)

random_bits = _generator.getrandbits

TRACE_BITS = 128
SPAN_BITS = 64


@overload
def trace_text(trace_id: int | str) -> str: ...


@overload
def trace_text(trace_id: int | str | None) -> str | None: ...


def trace_text(trace_id: int | str | None) -> str | None:
    """Return a trace's id as W3C writes it, or as the application gave it."""
    # A third of what formatting takes, and each event has three of these.
    return trace_id.to_bytes(16).hex() if isinstance(trace_id, int) else trace_id


@overload
def span_text(span_id: int | str) -> str: ...


@overload
def span_text(span_id: int | str | None) -> str | None: ...


def span_text(span_id: int | str | None) -> str | None:
    """Return a span's id as W3C writes it, or as the application gave it."""
    return span_id.to_bytes(8).hex() if isinstance(span_id, int) else span_id


def new_id() -> str:
    """Return 32 hexadecimal digits that nobody had before."""
    return new_ids(1)[0]


def new_ids(count: int) -> list[str]:
    """Return texts of 32 hexadecimal digits that nobody had before."""
    # All at once: a quarter of the work.
    digits = random_bits(128 * count).to_bytes(16 * count).hex()
    return [digits[begin : begin + 32] for begin in range(0, 32 * count, 32)]
