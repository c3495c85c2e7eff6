"""Errors that the driver reports as events: XIDs, by nvmlEventSetWait."""

import ctypes
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pynvml
import structlog

from llm_monitor.base.errors import SourceError
from llm_monitor.gpu.facts import Gpu
from llm_monitor.gpu.nvml.library import Nvml
from llm_monitor.gpu.nvml.reader import (
    CLOSED,
    LOST,
    Device,
    DriverError,
    GpuLostError,
    decoded,
    reason_of,
    undecoded,
)

OnXid = Callable[[Gpu, int], None]

# A wait holds up the opening of the library anew, so it is short.
_WAIT_SECONDS = 1.0
_XIDS = pynvml.nvmlEventTypeXidCriticalError

_log = structlog.get_logger(__name__)


def watch_xids(nvml: Nvml, stop: threading.Event, on_xid: OnXid) -> None:
    """Call `on_xid` for every XID of every GPU until `stop` is set.

    When a GPU is lost or comes back, all are registered anew, so that the others go on being
    watched; what happens in between is not seen.

    Raises:
        SourceError: When the driver can't be had, or lets no GPU be watched.
    """
    while not stop.is_set():
        _watch(nvml, stop, on_xid)


def _watch(nvml: Nvml, stop: threading.Event, on_xid: OnXid) -> None:
    """Watch until the GPUs that can be asked are others, or `stop` is set."""
    nvml.devices()
    with nvml.use():
        session, watched = nvml.session, nvml.present()
        events = _Events(watched)
    try:
        while not stop.is_set():
            nvml.devices()
            with nvml.use():
                if nvml.session != session:
                    return
                if nvml.present() != watched:
                    events.drain(stop, on_xid)
                    return
                begun, came = time.monotonic(), False
                try:
                    came = events.take(on_xid, _WAIT_SECONDS)
                except GpuLostError:
                    nvml.touch()
            if not came:
                # Where the driver does not wait, this does.
                stop.wait(max(0.0, begun + _WAIT_SECONDS - time.monotonic()))
    finally:
        with suppress(SourceError), nvml.use():
            # Where the library was closed meanwhile, the set was closed with it.
            if nvml.session == session:
                events.free()


class _Events:
    """An event set of NVML, with the GPUs that are registered in it."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self._gpus: dict[int, Gpu] = {}
        self._set: Any = pynvml.nvmlEventSetCreate()
        for device in devices:
            try:
                pynvml.nvmlDeviceRegisterEvents(device.handle, _XIDS, self._set)
            except pynvml.NVMLError as error:
                reason = reason_of(error.value)
                _log.warning("XIDs can't be watched", gpu=device.gpu.index, reason=reason)
            else:
                self._gpus[_address(device.handle)] = device.gpu
        if not self._gpus:
            self.free()
            message = "no GPU lets its XIDs be watched"
            raise SourceError(message)

    def take(self, on_xid: OnXid, seconds: float) -> bool:
        """Wait so long for one event; return whether one came.

        Raises:
            GpuLostError: When a GPU is lost.
            SourceError: When waiting fails otherwise.
        """
        try:
            event = pynvml.nvmlEventSetWait_v2(self._set, int(seconds * 1000))
        except pynvml.NVMLError as error:
            if error.value == pynvml.NVML_ERROR_TIMEOUT:
                return False
            kinds = dict.fromkeys(CLOSED, DriverError) | dict.fromkeys(LOST, GpuLostError)
            message = f"nvmlEventSetWait_v2: {reason_of(error.value)}"
            raise kinds.get(error.value, SourceError)(message) from error
        gpu = self._gpus.get(_address(event.device)) or self._by_uuid(event.device)
        if gpu is not None:
            on_xid(gpu, int(event.eventData))
        return True

    def drain(self, stop: threading.Event, on_xid: OnXid) -> None:
        """Take what is queued: it tells why a GPU was lost."""
        with suppress(GpuLostError):
            while not stop.is_set() and self.take(on_xid, 0):
                continue

    def free(self) -> None:
        """Give the set back."""
        pynvml.nvmlEventSetFree(self._set)

    def _by_uuid(self, handle: Any) -> Gpu | None:
        uuid = decoded(undecoded(pynvml.nvmlDeviceGetUUID)(handle))
        return next((gpu for gpu in self._gpus.values() if gpu.uuid == uuid), None)


def _address(handle: Any) -> int:
    return ctypes.cast(handle, ctypes.c_void_p).value or 0
