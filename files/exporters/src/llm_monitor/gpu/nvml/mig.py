"""The MIG devices of a GPU."""

from functools import partial
from typing import Any

import pynvml

from llm_monitor.gpu.facts import Mig, MigDevice
from llm_monitor.gpu.nvml.activity import measure
from llm_monitor.gpu.nvml.memory import read_memory
from llm_monitor.gpu.nvml.reader import Reader, decoded, undecoded

_MODE = "nvmlDeviceGetMigMode"
_BUSY = pynvml.NVML_GPM_METRIC_GRAPHICS_UTIL


def read_mig(reader: Reader) -> Mig:
    """Return the GPU's MIG devices; none where MIG is off or not supported."""
    modes = reader.call(pynvml.nvmlDeviceGetMigMode)
    if modes is not None and reader.device.kept.setdefault(_MODE, modes[0]) != modes[0]:
        # What a GPU supports is another matter once it is divided, or whole again.
        reader.device.forget()
        reader.device.kept[_MODE] = modes[0]
    if modes is None or modes[0] != pynvml.NVML_DEVICE_MIG_ENABLE:
        return Mig((), reader.failures)
    most = reader.call(pynvml.nvmlDeviceGetMaxMigDeviceCount) or 0
    devices = [_device(reader, index) for index in range(most)]
    return Mig(tuple(one for one in devices if one is not None), reader.failures)


def _device(reader: Reader, index: int) -> MigDevice | None:
    """Return the MIG device at a place, None where there is none."""
    try:
        handle = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(reader.device.handle, index)
    except pynvml.NVMLError as error:
        if error.value != pynvml.NVML_ERROR_NOT_FOUND:
            reader.judge(("nvmlDeviceGetMigDeviceHandleByIndex",), error.value)
        return None

    def ask(function: Any) -> Any:
        return reader.attempt((f"{function.__name__} of a MIG device",), function, handle)

    uuid = decoded(ask(undecoded(pynvml.nvmlDeviceGetUUID)))
    name = decoded(ask(undecoded(pynvml.nvmlDeviceGetName)))
    instance = ask(pynvml.nvmlDeviceGetGpuInstanceId)
    if not uuid or instance is None:
        return None
    return MigDevice(
        uuid=uuid,
        profile=name.rpartition("MIG ")[2],
        gpu_instance=instance,
        memory=read_memory(reader, handle, " of a MIG device"),
        utilization=_utilization(reader, instance),
    )


def _utilization(reader: Reader, instance: int) -> float | None:
    """Return how busy a GPU instance was since it was asked before, from 0 to 1."""
    fill = partial(_fill, instance)
    busy = measure(reader, f"nvmlGpmMigSampleGet of {instance}", fill, (_BUSY,)).get(_BUSY)
    return None if busy is None else busy / 100


def _fill(instance: int, device: Any, sample: Any) -> Any:
    return pynvml.nvmlGpmMigSampleGet(device, instance, sample)
