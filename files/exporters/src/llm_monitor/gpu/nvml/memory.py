"""The memory of a GPU or of a MIG device."""

from typing import Any

import pynvml

from llm_monitor.gpu.facts import Memory
from llm_monitor.gpu.nvml.reader import Reader


def read_memory(reader: Reader, handle: Any, place: str = "") -> Memory | None:
    """Return the memory behind `handle`, in bytes; `place` tells MIG devices from their GPU."""
    answer = reader.attempt((f"nvmlDeviceGetMemoryInfo_v2{place}",), _second_version, handle)
    return answer and Memory(answer.total, answer.used, answer.free, answer.reserved)


def _second_version(handle: Any) -> Any:
    """Ask as of driver 510: what is reserved is told apart from what is used."""
    return pynvml.nvmlDeviceGetMemoryInfo(handle, pynvml.nvmlMemory_v2)
