"""What a scraper says in its headers: format, compression, patience, and whom it asks."""

import math
import re
from functools import lru_cache

from llm_monitor.base.collection.engine import LONGEST_COLLECTION

_MARGIN = 0.5
_OPENMETRICS_VERSIONS = {"", "1.0.0", "0.0.1"}
_HOST = re.compile(r"(?:[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


@lru_cache(maxsize=64)
def wants_openmetrics(accept: str) -> bool:
    """Return whether an `Accept` header prefers OpenMetrics to the text format."""
    openmetrics = text = 0.0
    for media_type, parameters, quality in _items(accept):
        if media_type == "application/openmetrics-text":
            if parameters.get("version", "").strip('"') in _OPENMETRICS_VERSIONS:
                openmetrics = max(openmetrics, quality)
        elif media_type in {"text/plain", "text/*", "*/*"}:
            text = max(text, quality)
    return openmetrics > 0 and openmetrics >= text


@lru_cache(maxsize=64)
def wants_gzip(accept_encoding: str) -> bool:
    """Return whether an `Accept-Encoding` header allows gzip."""
    qualities = {coding: quality for coding, _, quality in _items(accept_encoding)}
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def is_address(host: str) -> bool:
    """Return whether a `Host` header names a host, so that others can be sent to it as well."""
    return _HOST.fullmatch(host) is not None


def patience(scrape_timeout: str) -> float:
    """Return the seconds that an answer may take.

    Args:
        scrape_timeout: `X-Prometheus-Scrape-Timeout-Seconds`, or anything else. Half a second of
            it is left for the way back (half of it when it is under a second); 8 s at most.
    """
    try:
        seconds = float(scrape_timeout)
    except ValueError:
        return LONGEST_COLLECTION
    if not math.isfinite(seconds) or seconds <= 0:
        return LONGEST_COLLECTION
    return min(LONGEST_COLLECTION, max(seconds - _MARGIN, seconds / 2))


def _items(text: str) -> list[tuple[str, dict[str, str], float]]:
    """Return (lower case value, its parameters, its quality) of each item of a header."""
    items = []
    for part in text.split(","):
        value, *rest = part.split(";")
        pairs = (one.partition("=") for one in rest)
        parameters = {name.strip().lower(): content.strip() for name, _, content in pairs}
        items.append((value.strip().lower(), parameters, _quality(parameters.get("q", "1"))))
    return items


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
