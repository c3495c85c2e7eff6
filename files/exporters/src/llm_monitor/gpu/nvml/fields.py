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
    "replay": pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY,
    "recovery": pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_RECOVERY,
    "crc": pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_CRC,
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


def link_errors(links: Iterable[int]) -> dict[Field, str]:
    """Return the fields of the links' errors, with the kind of each."""
    return {(field, link): kind for link in links for kind, field in _LINK_ERRORS.items()}


def link_states(links: Iterable[int]) -> dict[Field, int]:
    """Return the fields of the links' states (0 is down), with the link each is about."""
    return {(pynvml.NVML_FI_DEV_NVLINK_GET_STATE, link): link for link in links}


def sums(wanted: Mapping[Field, str], answers: Mapping[Field, float]) -> dict[str, int]:
    """Return the sums of `answers` by what `wanted` calls them."""
    totals: dict[str, int] = {}
    for field, answer in answers.items():
        if (name := wanted.get(field)) is not None:
            totals[name] = totals.get(name, 0) + int(answer)
    return totals
