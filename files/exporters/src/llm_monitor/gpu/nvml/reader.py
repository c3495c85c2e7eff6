"""Asking one GPU, call by call, and what an error of a call means."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

import pynvml
import structlog

from llm_monitor.base.errors import SourceError
from llm_monitor.base.logs import Once
from llm_monitor.gpu.facts import Gpu

# What hardly changes before the driver does, so that such a call is not made again for a while.
_UNSUPPORTED = frozenset(
    {
        pynvml.NVML_ERROR_NOT_SUPPORTED,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
        pynvml.NVML_ERROR_NO_PERMISSION,
        pynvml.NVML_ERROR_DEPRECATED,
    }
)
LOST = frozenset({pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_GPU_NOT_FOUND})
CLOSED = frozenset(
    {
        pynvml.NVML_ERROR_UNINITIALIZED,
        pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
        pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
    }
)
# NVML_VALUE_NOT_AVAILABLE, which is -1, as the types of its numbers hold it.
_NOT_AVAILABLE = frozenset({2**32 - 1, 2**64 - 1})
_TRUST_SECONDS = 600.0
_HINTS = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "libnvidia-ml.so.1 is not there: in a container, the "
    "NVIDIA runtime brings it when NVIDIA_DRIVER_CAPABILITIES has utility",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is not loaded on the host",
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "the driver was updated while the exporter ran: "
    "restart the exporter's container, so that it gets the new library",
}

_log = structlog.get_logger(__name__)
_once = Once(__name__)

# How keys call what is asked together in one call.
FIELD = "field"
GPM = "GPM metric"

Field = tuple[int, int]
Key = tuple[object, ...]


class GpuLostError(SourceError):
    """A GPU has fallen off the bus."""


class DriverError(SourceError):
    """The driver or its library can't be had at present."""


class Device:
    """One GPU while the library is open.

    Attributes:
        gpu: Which GPU it is.
        handle: NVML's handle.
        unsupported: Calls that this GPU or driver does not support, with the reason.
        lost: Whether it has fallen off the bus.
        kept: What a kind of reading keeps for its next time, by its name.
    """

    __slots__ = ("_doubted", "gpu", "handle", "kept", "lost", "unsupported")

    def __init__(self, gpu: Gpu, handle: Any) -> None:
        """Stand for the GPU of that handle."""
        self.gpu = gpu
        self.handle = handle
        self.unsupported: dict[Key, str] = {}
        self.lost = False
        self.kept: dict[str, Any] = {}
        self._doubted = time.monotonic()

    def forget(self) -> None:
        """Forget what is known of it."""
        self.kept.clear()
        self.unsupported.clear()

    def doubt(self) -> None:
        """Forget now and then what is not supported: a driver may have refused it only then."""
        now = time.monotonic()
        if now - self._doubted >= _TRUST_SECONDS:
            self._doubted = now
            self.unsupported.clear()

    def told_unsupported(self) -> dict[str, str]:
        """Return what is not supported, for people."""
        return {spoken(key): reason for key, reason in list(self.unsupported.items())}


class Reader:
    """Makes calls about one GPU, and notes what failed.

    Attributes:
        device: The GPU.
        problems: The calls that failed though they are supported, each with its error.
    """

    __slots__ = ("device", "problems")

    def __init__(self, device: Device) -> None:
        """Ask about `device`."""
        self.device = device
        self.problems: list[str] = []

    @property
    def failures(self) -> tuple[str, ...]:
        """The calls that failed."""
        return tuple(self.problems)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what `function` says of the GPU, None where that can't be had.

        Raises:
            GpuLostError: When the GPU has fallen off the bus.
            DriverError: When the driver has gone.
        """
        return self.attempt((function.__name__, *arguments), function, self.device.handle)

    def once(self, function: Callable[..., Any]) -> Any:
        """Do as `call`, but only once while the library is open: the answer stays the same."""
        kept = self.device.kept
        if kept.get(function.__name__) is None:
            kept[function.__name__] = self.call(function)
        return kept[function.__name__]

    def attempt(self, key: Key, function: Callable[..., Any], subject: Any) -> Any:
        """Do as `call`, but with `subject`: a MIG device, a sample. `key` names call and arguments.

        Raises:
            GpuLostError: When the GPU has fallen off the bus.
            DriverError: When the driver has gone.
        """
        if key in self.device.unsupported:
            return None
        try:
            answer = function(subject, *key[1:])
        except pynvml.NVMLError as error:
            self.judge(key, error.value)
        except ValueError as error:
            # What the binding raises for text that is no UTF-8.
            self.problems.append(f"{spoken(key)}: {error}")
        else:
            told = not isinstance(answer, int) or answer not in _NOT_AVAILABLE
            return answer if told else None
        return None

    def text(self, function: Callable[..., Any]) -> str:
        """Return the text that `function` says of the GPU, empty where there is none."""
        return decoded(self.call(undecoded(function)))

    def fields(self, wanted: Sequence[Field]) -> dict[Field, float]:
        """Return the values of fields (id, scope) in one call, without those that can't be had."""
        unsupported = self.device.unsupported
        wanted = [one for one in wanted if (FIELD, *one) not in unsupported]
        if not wanted:
            return {}
        key = ("nvmlDeviceGetFieldValues",)
        answers = self.attempt(key, partial(_field_values, wanted), self.device.handle)
        values = {}
        for field, answer in zip(wanted, answers or (), strict=False):
            code = answer.nvmlReturn
            if code != pynvml.NVML_SUCCESS:
                self.judge((FIELD, *field), code)
            elif (number := _number(answer.valueType, answer.value)) not in _NOT_AVAILABLE:
                values[field] = number
        return values

    def judge(self, key: Key, code: int) -> None:
        """Decide what an error of the call `key` means: lost, gone, unsupported or failed."""
        reason = reason_of(code)
        if code in LOST:
            self._lose(reason)
        if code in CLOSED:
            message = f"{spoken(key)}: {reason}"
            raise DriverError(message)
        # It says of a field, or of a call with arguments, that they are not known here.
        strange = code == pynvml.NVML_ERROR_INVALID_ARGUMENT and len(key) > 1
        if strange or code in _UNSUPPORTED:
            self.device.unsupported[key] = reason
            # A call fails in the same way for each of its arguments: it is logged once.
            subject = spoken(key) if key[0] in (FIELD, GPM) else str(key[0])
            _once.info("not supported by a GPU", subject, reason=reason)
        else:
            self.problems.append(f"{spoken(key)}: {reason}")

    def _lose(self, reason: str) -> NoReturn:
        device = self.device
        if not device.lost:
            device.lost = True
            _log.warning("GPU lost", gpu=device.gpu.index, gpu_uuid=device.gpu.uuid, reason=reason)
        message = f"GPU {device.gpu.index} ({device.gpu.uuid}) is lost: {reason}"
        raise GpuLostError(message)


def undecoded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function of the binding that gives bytes where `function` would decode them.

    The binding's own functions raise UnicodeDecodeError for bytes that are no UTF-8.
    """
    inner: Callable[..., Any] = getattr(function, "__wrapped__", function)
    return inner


def decoded(raw: object) -> str:
    """Return text, with its bytes that are no UTF-8 as escapes; empty for None."""
    if isinstance(raw, bytes):
        return raw.decode("utf-8", "backslashreplace")
    return "" if raw is None else str(raw)


def reason_of(code: int) -> str:
    """Return what an NVML error means, with a hint where there is one."""
    return _HINTS.get(code) or str(pynvml.NVMLError(code))


def spoken(key: Key) -> str:
    """Return a call as people write it."""
    name, *arguments = key
    return f"{name}({', '.join(map(str, arguments))})" if arguments else str(name)


def _field_values(wanted: Sequence[Field], handle: Any) -> Any:
    return pynvml.nvmlDeviceGetFieldValues(handle, wanted)


def _number(kind: int, union: Any) -> float:
    """Return the number in a field's value; its type says which member of the union holds it."""
    members = {
        pynvml.NVML_VALUE_TYPE_DOUBLE: "dVal",
        pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: "uiVal",
        pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG: "ulVal",
        pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: "sllVal",
        pynvml.NVML_VALUE_TYPE_SIGNED_INT: "siVal",
        pynvml.NVML_VALUE_TYPE_UNSIGNED_SHORT: "usVal",
    }
    number: float = getattr(union, members.get(kind, "ullVal"))
    return number
