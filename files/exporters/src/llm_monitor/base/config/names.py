"""How a setting is called in the environment."""

from collections.abc import Sequence

PREFIX = "LLM_MONITOR_"
FILE_VARIABLE = f"{PREFIX}SETTINGS_FILE"


def variable(path: Sequence[str | int]) -> str:
    """Return the environment variable of the setting at `path`, such as LLM_MONITOR_NODE__PORT."""
    return PREFIX + "__".join(str(part) for part in path).upper()


def spoken(path: Sequence[str | int]) -> str:
    """Return how messages call a setting: its key in a file, then its environment variable."""
    return f"{'.'.join(str(part) for part in path)} ({variable(path)})"
