"""The fields of nvmlDeviceGetFieldValues that are read, as (id, scope)."""

from collections.abc import Iterable, Mapping

import pynvml

from llm_monitor.gpu.nvml.reader import Field

# nvml.h: a scope of UINT_MAX adds up all links.
_ALL = 0xFFFFFFFF
_KIBIBYTE = 1024

POWER_GPU = (pynvml.NVML_FI_DEV_POWER_AVERAGE, pynvml.NVML_POWER_SCOPE_GPU)
POWER_MEMORY = (pynvml.NVML_FI_DEV_POWER_AVERAGE, pynvml.NVML_POWER_SCOPE_MEMORY)
MEMORY_TEMPERATURE = (pynvml.NVML_FI_DEV_MEMORY_TEMP, 0)
RECOVERY_ACTION = (pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION, 0)
# Nanoseconds in which clocks were held down, by reason.
THROTTLE = {
    "sw_power_cap": (pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP, 0),
    "sync_boost": (pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SYNC_BOOST, 0),
    "sw_thermal": (pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN, 0),
    "hw_thermal": (pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN, 0),
    "hw_power_brake": (pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN, 0),
}
TRANSMITTED = pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX
RECEIVED = pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX
_LINK_ERRORS = {
    pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY: "replay",
    pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_RECOVERY: "recovery",
    pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_CRC: "crc",
}


def traffic(links: Iterable[int] | None) -> dict[Field, str]:
    """Return the fields of the traffic with the link each is about: "" for all, if None."""
    scopes = {_ALL: ""} if links is None else {link: str(link) for link in links}
    return {
        (field, scope): link for field in (TRANSMITTED, RECEIVED) for scope, link in scopes.items()
    }


def traffic_of(
    field: int, wanted: Mapping[Field, str], answers: Mapping[Field, float]
) -> dict[str, int]:
    """Return the bytes by link that `answers` give for TRANSMITTED or RECEIVED (in KiB)."""
    return {
        link: int(answers[one]) * _KIBIBYTE
        for one, link in wanted.items()
        if one[0] == field and one in answers
    }


def link_errors(links: Iterable[int]) -> list[Field]:
    """Return the fields of the links' errors."""
    return [(field, link) for link in links for field in _LINK_ERRORS]


def link_states(links: Iterable[int]) -> dict[Field, int]:
    """Return the fields of the links' states (0 is down), with the link each is about."""
    return {(pynvml.NVML_FI_DEV_NVLINK_GET_STATE, link): link for link in links}


def error_sums(answers: Mapping[Field, float]) -> dict[str, int]:
    """Return the sums over all links of what fields of `link_errors` answer, by kind."""
    totals: dict[str, int] = {}
    for (field, _), answer in answers.items():
        kind = _LINK_ERRORS[field]
        totals[kind] = totals.get(kind, 0) + int(answer)
    return totals
