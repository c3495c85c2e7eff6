"""The fleets there are: the usual one, and those that a user writes."""

from pathlib import Path

from llm_monitor.mock.documents import Document
from llm_monitor.mock.fleet.layout import Fleet

_USUAL = Path(__file__).with_name("default.yaml")


def read_fleet(path: Path) -> Fleet:
    """Return the fleet in the file at `path`.

    Raises:
        SettingsError: With every problem: file, line, key, what is wrong and what is allowed.
    """
    return Document(path).check(Fleet)


def usual_fleet() -> Fleet:
    """Return eight H200s with five models, LiteLLM and Langfuse."""
    return read_fleet(_USUAL)
