"""The NVLink fabric that NVSwitches make: a GPU's registration with it, and its health."""

from typing import Any

import pynvml

from llm_monitor.gpu.nvml.reader import Reader

# nvml.h, NVML_GPU_FABRIC_HEALTH_MASK_*: two bits an aspect, of which 0 says that it isn't told.
_TRUE, _FALSE = 1, 2
_ASPECTS = {
    "degraded_bandwidth": pynvml.NVML_GPU_FABRIC_HEALTH_MASK_SHIFT_DEGRADED_BW,
    "route_recovery": pynvml.NVML_GPU_FABRIC_HEALTH_MASK_SHIFT_ROUTE_RECOVERY,
    "route_unhealthy": pynvml.NVML_GPU_FABRIC_HEALTH_MASK_SHIFT_ROUTE_UNHEALTHY,
    "access_timeout_recovery": pynvml.NVML_GPU_FABRIC_HEALTH_MASK_SHIFT_ACCESS_TIMEOUT_RECOVERY,
}
_WIDTH = 0x3
# Four bits, of which 1 says that there is none, and more what it is.
_CONFIGURATION = "incorrect_configuration"
_REGISTRATION = "registration_failed"
_CONFIGURATION_SHIFT = pynvml.NVML_GPU_FABRIC_HEALTH_MASK_SHIFT_INCORRECT_CONFIGURATION
_CONFIGURATION_WIDTH = pynvml.NVML_GPU_FABRIC_HEALTH_MASK_WIDTH_INCORRECT_CONFIGURATION


def read_fabric(reader: Reader) -> tuple[int | None, dict[str, bool]]:
    """Return the state of the registration and whether each fault is reported, by aspect.

    The state is None, and there are no faults, where a GPU has no fabric.
    """
    info = reader.attempt(("nvmlDeviceGetGpuFabricInfoV",), _info, reader.device.handle)
    if info is None or info.state == pynvml.NVML_GPU_FABRIC_STATE_NOT_SUPPORTED:
        return None, {}
    faults = _faults(info.healthMask)
    if info.state == pynvml.NVML_GPU_FABRIC_STATE_COMPLETED:
        # A registration can have come to its end with an error.
        faults[_REGISTRATION] = info.status != pynvml.NVML_SUCCESS
    return info.state, faults


def _info(handle: Any) -> Any:
    info = pynvml.c_nvmlGpuFabricInfo_v2_t()
    pynvml.nvmlDeviceGetGpuFabricInfoV(handle, pynvml.byref(info))
    return info


def _faults(mask: int) -> dict[str, bool]:
    told = {aspect: mask >> shift & _WIDTH for aspect, shift in _ASPECTS.items()}
    faults = {aspect: bits == _TRUE for aspect, bits in told.items() if bits in (_TRUE, _FALSE)}
    configuration = mask >> _CONFIGURATION_SHIFT & _CONFIGURATION_WIDTH
    if configuration:
        faults[_CONFIGURATION] = configuration > _TRUE
    return faults
