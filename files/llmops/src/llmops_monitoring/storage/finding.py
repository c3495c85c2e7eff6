"""Finds backends by name: those shipped here, and those that other packages bring."""

from importlib.metadata import entry_points
from typing import Final

from llmops_monitoring.storage.base import StorageBackend

GROUP: Final = "llmops_monitoring.backends"


class BackendError(Exception):
    """A backend that can't be had, and what to do about it."""


def backend_class(name: str) -> type[StorageBackend]:
    """Return the class of the backend `name`.

    Raises:
        BackendError: When nobody brings it, what it needs is not installed, or it is no backend.
    """
    known = {point.name: point for point in entry_points(group=GROUP)}
    if name not in known:
        names = ", ".join(sorted(known)) or "none is installed"
        message = f"there is no backend {name}; known are: {names}"
        raise BackendError(message)
    try:
        found = known[name].load()
    except ImportError as error:
        message = (
            f"backend {name} can't be loaded: {error}; is llmops-monitoring[{name}] installed?"
        )
        raise BackendError(message) from error
    if not (isinstance(found, type) and issubclass(found, StorageBackend)):
        message = f"backend {name} is no StorageBackend: {known[name].value}"
        raise BackendError(message)
    return found
