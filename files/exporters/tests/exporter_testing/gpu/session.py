"""The real binding in a process of its own, over a fake library: a process can load only one.

Each call runs in a thread of that process, so that one may hang while others are answered. Handles
stay there; here they are references.
"""

import ctypes
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from exporter_testing.gpu.nvml import FakeNvml
from exporter_testing.process import TESTS, plain_environment

THREADS = 16
Later = Future[Any]
PATIENCE = 20.0


class NvmlError(Exception):
    """An error of NVML; its text is the name of the binding's class, without NVMLError_."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A handle in the other process."""

    number: int


class Session:
    """Calls of the binding, by name."""

    def __init__(self, fake: FakeNvml) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "exporter_testing.gpu.session"],
            env={**plain_environment(), **fake.environment()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=TESTS,
            text=True,
        )
        self._waiting: dict[int, Later] = {}
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def later(self, function: str, *arguments: object) -> Later:
        """Call a function without waiting for its answer."""
        number = len(self._waiting)
        self._waiting[number] = future = Future()
        request = [number, function, [sent(argument) for argument in arguments]]
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return future

    def ask(self, function: str, *arguments: object) -> Any:
        """Return what a function answers, structures as dictionaries; raise NvmlError."""
        return self.later(function, *arguments).result(PATIENCE)

    def gpu(self, index: int) -> Ref:
        """Return the handle of a GPU."""
        handle = self.ask("nvmlDeviceGetHandleByIndex", index)
        assert isinstance(handle, Ref)
        return handle

    def fields(self, gpu: Ref, *fields: object) -> list[object]:
        """Return each field's value, or the number of its error as text."""
        values = self.ask("nvmlDeviceGetFieldValues", gpu, list(fields))
        return [v["value"] if v["nvmlReturn"] == 0 else str(v["nvmlReturn"]) for v in values]

    def complaints(self) -> str:
        """Return what the process has written to standard error."""
        return os.pread(self._errors.fileno(), 1 << 20, 0).decode(errors="backslashreplace")

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._reader.join()
        self._process.stdout.close()
        self._errors.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            number, error, value = json.loads(line)
            if error is None:
                self._waiting[number].set_result(received(value))
            else:
                self._waiting[number].set_exception(NvmlError(error))


@contextmanager
def session(fake: FakeNvml) -> Iterator[Session]:
    """Give a session in which the library is initialized."""
    one = Session(fake)
    try:
        one.ask("nvmlInit")
        yield one
    finally:
        one.close()


def sent(argument: object) -> object:
    return {"ref": argument.number} if isinstance(argument, Ref) else argument


def received(value: Any) -> Any:
    if isinstance(value, list):
        return [received(item) for item in value]
    if isinstance(value, dict):
        return Ref(value["ref"]) if "ref" in value else {k: received(v) for k, v in value.items()}
    return value


class Answering:
    """The other process's side."""

    def __init__(self) -> None:
        import pynvml

        self.pynvml = pynvml
        self.handles: list[object] = []
        self.kinds = (pynvml.c_nvmlDevice_t, pynvml.c_nvmlEventSet_t, pynvml.c_nvmlGpmSample_t)
        self.writing = threading.Lock()

    def answer(self, number: int, function: str, arguments: list[Any]) -> None:
        values = [self.handles[a["ref"]] if isinstance(a, dict) else a for a in arguments]
        try:
            called = getattr(self, function, None) or getattr(self.pynvml, function)
            error, value = None, self.plain(called(*values))
        except self.pynvml.NVMLError as failure:
            error, value = type(failure).__name__.removeprefix("NVMLError_"), None
        except UnicodeDecodeError as failure:
            error, value = repr(failure.object), None
        with self.writing:
            sys.stdout.write(json.dumps([number, error, value]) + "\n")
            sys.stdout.flush()

    def plain(self, value: Any) -> Any:
        if isinstance(value, self.kinds):
            self.handles.append(value)
            return {"ref": len(self.handles) - 1}
        if isinstance(value, self.pynvml.c_nvmlFieldValue_t):
            wide = value.valueType == self.pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG
            found = value.value.ullVal if wide else value.value.uiVal
            return {"nvmlReturn": value.nvmlReturn, "value": found}
        if isinstance(value, ctypes.Structure):
            return {name: self.plain(getattr(value, name)) for name, *_ in value._fields_}
        if isinstance(value, (list, tuple, ctypes.Array)):
            return [self.plain(item) for item in value]
        if isinstance(value, self.pynvml.nvmlFriendlyObject):
            return self.plain(vars(value))
        if isinstance(value, dict):
            return {name: self.plain(item) for name, item in value.items()}
        if isinstance(value, bytes):
            return value.decode()
        return value.value if isinstance(value, ctypes.c_uint) else value

    def took(self, times: int, function: str, *arguments: Any) -> float:
        """Return how many seconds so many calls took."""
        values = [self.handles[a["ref"]] if isinstance(a, dict) else a for a in arguments]
        began = time.perf_counter()
        for _ in range(times):
            getattr(self.pynvml, function)(*values)
        return time.perf_counter() - began

    def look_around(self, times: int) -> list[str]:
        """Ask every GPU for much, again and again; return the names of the errors."""
        errors = set()
        events = self.pynvml.nvmlEventSetCreate()
        for turn in range(times):
            try:
                gpu = self.pynvml.nvmlDeviceGetHandleByIndex(turn % 8)
                self.pynvml.nvmlDeviceGetTemperature(gpu, 0)
                self.pynvml.nvmlDeviceGetFieldValues(gpu, [82, 185, (138, 3)])
                self.pynvml.nvmlDeviceGetComputeRunningProcesses(gpu)
                self.pynvml.nvmlDeviceRegisterEvents(gpu, 8, events)
                self.pynvml.nvmlEventSetWait(events, 1)
            except self.pynvml.NVMLError as error:
                errors.add(type(error).__name__.removeprefix("NVMLError_"))
        self.pynvml.nvmlEventSetFree(events)
        return sorted(errors - {"Timeout"})

    def fabric(self, gpu: object, version: int) -> object:
        """Return what nvmlDeviceGetGpuFabricInfoV fills in."""
        info = getattr(self.pynvml, f"c_nvmlGpuFabricInfo_v{version}_t")()
        self.pynvml.nvmlDeviceGetGpuFabricInfoV(gpu, ctypes.byref(info))
        return info

    def gpm(self, first: object, second: object, metrics: list[int]) -> list[float | str]:
        """Return each metric's value, or the number of its error as text."""
        query = self.pynvml.c_nvmlGpmMetricsGet_t()
        query.version = self.pynvml.NVML_GPM_METRICS_GET_VERSION
        query.numMetrics = len(metrics)
        query.sample1, query.sample2 = first, second
        for place, metric in enumerate(metrics):
            query.metrics[place].metricId = metric
        self.pynvml.nvmlGpmMetricsGet(query)
        found = query.metrics[: len(metrics)]
        return [m.value if m.nvmlReturn == 0 else str(m.nvmlReturn) for m in found]


def main() -> None:
    answering = Answering()
    with ThreadPoolExecutor(THREADS) as threads:
        for line in sys.stdin:
            threads.submit(answering.answer, *json.loads(line))


if __name__ == "__main__":
    main()
