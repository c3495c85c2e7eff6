"""Who measures in this process."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llmops_monitoring.instrumentation.recorder import Recorder


class _Active:
    """The recorder of the process, None while nothing is measured."""

    __slots__ = ("recorder",)

    def __init__(self) -> None:
        self.recorder: Recorder | None = None


ACTIVE: Final = _Active()
