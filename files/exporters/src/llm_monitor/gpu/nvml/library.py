"""The NVML library: opened once, and opened again when the driver went away.

NVML may be called from any thread, but not while it is being closed. So every use is counted, and
the library is closed and opened again only when nobody is in it.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pynvml
import structlog

from llm_monitor.base.errors import SourceError
from llm_monitor.base.logs import Once
from llm_monitor.gpu.facts import Gpu
from llm_monitor.gpu.nvml.reader import (
    CLOSED,
    LOST,
    Device,
    DriverError,
    GpuLostError,
    Reader,
    decoded,
    reason_of,
    undecoded,
)

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_PATIENCE = 2.0
_REFRESH_SECONDS = 0.5

_log = structlog.get_logger(__name__)
_once = Once(__name__)


class Nvml:
    """The library and the GPUs that it gives access to.

    Attributes:
        session: How often the library has been opened.
    """

    def __init__(self) -> None:
        """Open nothing yet."""
        self.session = 0
        self._changed = threading.Condition()
        self._refreshing = threading.Lock()
        self._refreshed = 0.0
        self._users = 0
        self._open = False
        self._gone = ""
        self._retry_at = 0.0
        self._pause = _FIRST_PAUSE
        self._devices: tuple[Device, ...] = ()

    def devices(self) -> tuple[Device, ...]:
        """Return the GPUs that can be asked, looking again for those that are missing.

        Raises:
            DriverError: When the driver or its library can't be had.
        """
        with self.use():
            age = time.monotonic() - self._refreshed
            # Whoever does not get the lock goes on with what is known: looking again may hang.
            if age >= _REFRESH_SECONDS and self._refreshing.acquire(blocking=False):
                try:
                    self._refresh()
                finally:
                    self._refreshing.release()
            return self.present()

    def present(self) -> tuple[Device, ...]:
        """Return the GPUs that can be asked as far as is known, without asking."""
        return tuple(one for one in self._devices if not one.lost)

    def touch(self) -> None:
        """Find out which GPUs are lost; call it while the library is in use."""
        for device in self.present():
            with suppress(GpuLostError):
                Reader(device).call(pynvml.nvmlDeviceGetTemperature, pynvml.NVML_TEMPERATURE_GPU)

    @contextmanager
    def read(self, gpu: Gpu) -> Iterator[Reader]:
        """Give what asks about a GPU, while the library is open.

        Raises:
            GpuLostError: When the GPU is not there any more.
            DriverError: When the driver or its library can't be had.
        """
        with self.use():
            device = next((one for one in self._devices if one.gpu == gpu), None)
            if device is None or device.lost:
                message = f"GPU {gpu.index} ({gpu.uuid}) is lost"
                raise GpuLostError(message)
            device.doubt()
            yield Reader(device)

    @contextmanager
    def use(self) -> Iterator[None]:
        """Keep the library open meanwhile; it is opened first if need be.

        Raises:
            DriverError: When the driver or its library can't be had.
        """
        self._enter()
        try:
            yield
        except DriverError as error:
            self._gone = self._gone or str(error)
            raise
        except pynvml.NVMLError as error:
            raise SourceError(reason_of(error.value)) from error
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify_all()

    def _enter(self) -> None:
        if not self._changed.acquire(timeout=_PATIENCE):
            message = "NVML is being opened and has not answered yet"
            raise DriverError(message)
        try:
            if not self._usable():
                self._reopen()
            self._users += 1
        finally:
            self._changed.release()

    def _reopen(self) -> None:
        """Close what has gone and open anew, at growing intervals while that fails."""
        before = self._retry_at
        if time.monotonic() < before:
            raise DriverError(self._gone)
        if not self._changed.wait_for(lambda: self._users == 0 or self._usable(), _PATIENCE):
            message = f"{self._gone}; a call to it has not returned yet"
            raise DriverError(message)
        # Others waited as well, and one of them has been here first.
        if self._usable():
            return
        if self._retry_at != before:
            raise DriverError(self._gone)
        try:
            self._close()
            pynvml.nvmlInit()
            self._open = True
            self.session += 1
            self._devices = _find(())
        except pynvml.NVMLError as error:
            self._gone = reason_of(error.value)
            self._retry_at = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            raise DriverError(self._gone) from error
        self._gone = ""
        self._pause = _FIRST_PAUSE
        _log.info("NVML is open", gpus=len(self._devices))

    def _usable(self) -> bool:
        return self._open and not self._gone

    def _close(self) -> None:
        if not self._open:
            return
        self._open = False
        try:
            pynvml.nvmlShutdown()
        except pynvml.NVMLError as error:
            _log.info("NVML was closed already", reason=reason_of(error.value))

    def _refresh(self) -> None:
        """Look again when the number of GPUs has changed, or some are missing.

        What is known stays when the driver is there and only fails to count.
        """
        try:
            present = self.present()
            if not pynvml.nvmlDeviceGetCount() == len(present) == len(self._devices):
                self._devices = _find(present)
                for device in self._devices:
                    if device not in present:
                        gpu = device.gpu
                        _log.info("GPU found", gpu=gpu.index, gpu_uuid=gpu.uuid)
        except pynvml.NVMLError as error:
            if error.value in CLOSED or not present:
                raise DriverError(reason_of(error.value)) from error
            _once.info("GPUs can't be counted", "nvmlDeviceGetCount", reason=reason_of(error.value))
        self._refreshed = time.monotonic()


def _find(known: Sequence[Device]) -> tuple[Device, ...]:
    """Return the GPUs that answer, those that are `known` as they are."""
    by_index = {one.gpu.index: one for one in known}
    indexes = range(pynvml.nvmlDeviceGetCount())
    found = (_device(index, by_index.get(index)) for index in indexes)
    return tuple(device for device in found if device is not None)


def _device(index: int, known: Device | None) -> Device | None:
    """Return the GPU of that index, which is `known` unless it is another one by now.

    Returns None for one that is not known and does not answer; raises NVMLError when the driver
    has gone.
    """
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        gpu = Gpu(index, decoded(undecoded(pynvml.nvmlDeviceGetUUID)(handle)))
        if known is not None and known.gpu == gpu:
            return known
        _touch(handle)
    except pynvml.NVMLError as error:
        if error.value in CLOSED:
            raise
        _once.info("a GPU does not answer", str(index), reason=reason_of(error.value))
        return known
    return Device(gpu, handle)


def _touch(handle: object) -> None:
    """Raise NVMLError when the hardware is gone: the library knows handles and UUIDs without it."""
    try:
        pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)
    except pynvml.NVMLError as error:
        if error.value in CLOSED | LOST:
            raise
