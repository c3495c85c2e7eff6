"""W3C Trace Context, level 1 and 2: the header `traceparent`."""

import re

_HEADER = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_TRACE = re.compile(r"[0-9a-f]{32}")
_SPAN = re.compile(r"[0-9a-f]{16}")
_NO_VERSION = "ff"
_FIRST_VERSION = "00"
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16


def parse(header: str | None) -> tuple[str, str] | None:
    """Return the ids of trace and span, or None where the header is not one to follow."""
    found = _HEADER.fullmatch(header.strip()) if isinstance(header, str) else None
    if found is None:
        return None
    version, trace_id, span_id, _, more = found.groups()
    # Later versions may say more; this one may not.
    if version == _NO_VERSION or (version == _FIRST_VERSION and more is not None):
        return None
    if trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return trace_id, span_id


def build(trace_id: str | None, span_id: str | None) -> str | None:
    """Return the header for a span, marked as recorded; None where its ids are not W3C's."""
    if trace_id is None or span_id is None:
        return None
    if not _TRACE.fullmatch(trace_id) or not _SPAN.fullmatch(span_id):
        return None
    return f"{_FIRST_VERSION}-{trace_id}-{span_id}-01"
