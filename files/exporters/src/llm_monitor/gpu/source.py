"""The only code of the GPU exporter that touches the GPUs: NVML's calls, one kind at a time."""

import threading
from collections.abc import Callable
from typing import Any, Protocol

import pynvml

from llm_monitor.gpu.facts import (
    Activity,
    Gpu,
    Health,
    Identity,
    Load,
    Mig,
    NvLink,
    Pcie,
    Power,
    Processes,
    Thermal,
)
from llm_monitor.gpu.nvml import fields
from llm_monitor.gpu.nvml.activity import read_activity
from llm_monitor.gpu.nvml.fabric import read_fabric
from llm_monitor.gpu.nvml.library import Nvml
from llm_monitor.gpu.nvml.memory import read_memory
from llm_monitor.gpu.nvml.mig import read_mig
from llm_monitor.gpu.nvml.nvlink import read_nvlink
from llm_monitor.gpu.nvml.processes import read_processes
from llm_monitor.gpu.nvml.reader import Reader, decoded, undecoded
from llm_monitor.gpu.nvml.xids import OnXid, watch_xids

_MEGAHERTZ = 1e6
_CLOCKS = {
    "sm": pynvml.NVML_CLOCK_SM,
    "memory": pynvml.NVML_CLOCK_MEM,
    "graphics": pynvml.NVML_CLOCK_GRAPHICS,
    "video": pynvml.NVML_CLOCK_VIDEO,
}
_THRESHOLDS = {
    "slowdown": pynvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN,
    "shutdown": pynvml.NVML_TEMPERATURE_THRESHOLD_SHUTDOWN,
    "memory_max": pynvml.NVML_TEMPERATURE_THRESHOLD_MEM_MAX,
}
_REASONS = {
    "applications_clocks": pynvml.nvmlClocksEventReasonApplicationsClocksSetting,
    "sw_power_cap": pynvml.nvmlClocksEventReasonSwPowerCap,
    "hw_slowdown": pynvml.nvmlClocksEventReasonHwSlowdown,
    "sync_boost": pynvml.nvmlClocksEventReasonSyncBoost,
    "sw_thermal": pynvml.nvmlClocksEventReasonSwThermalSlowdown,
    "hw_thermal": pynvml.nvmlClocksEventReasonHwThermalSlowdown,
    "hw_power_brake": pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown,
}
_ECC_KINDS = {
    "corrected": pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED,
    "uncorrected": pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
}
_ECC_COUNTERS = {
    "volatile": pynvml.NVML_VOLATILE_ECC,
    "aggregate": pynvml.NVML_AGGREGATE_ECC,
}


class GpuSource(Protocol):
    """What the collectors ask of the GPUs; simulated GPUs answer the same.

    Every method raises GpuLostError for a GPU that has gone, and SourceError when the driver or
    its library can't be had. Any may hang; one that hangs about a GPU must leave the others free.
    """

    def gpus(self) -> list[Gpu]:
        """Return the GPUs that can be asked."""
        ...

    def identity(self, gpu: Gpu) -> Identity:
        """Return what stays as it is while the driver is loaded."""
        ...

    def load(self, gpu: Gpu) -> Load:
        """Return how busy and how full it is."""
        ...

    def power(self, gpu: Gpu) -> Power:
        """Return what it draws and has drawn."""
        ...

    def thermal(self, gpu: Gpu) -> Thermal:
        """Return how warm it is and how fast it runs."""
        ...

    def pcie(self, gpu: Gpu) -> Pcie:
        """Return how it is connected to the host."""
        ...

    def nvlink(self, gpu: Gpu) -> NvLink:
        """Return how it is connected to other GPUs."""
        ...

    def health(self, gpu: Gpu) -> Health:
        """Return what tells of failing hardware, and its modes."""
        ...

    def activity(self, gpu: Gpu) -> Activity:
        """Return what its units did since this was asked before; nothing the first time."""
        ...

    def processes(self, gpu: Gpu) -> Processes:
        """Return the processes that compute on it."""
        ...

    def mig(self, gpu: Gpu) -> Mig:
        """Return its MIG devices."""
        ...

    def unsupported(self, gpu: Gpu) -> dict[str, str]:
        """Return the calls that it does not support, each with the reason."""
        ...

    def watch_xids(self, stop: threading.Event, on_xid: OnXid) -> None:
        """Call `on_xid` for every error that the driver reports, until `stop` is set."""
        ...


class NvmlSource:
    """The GPUs of this host."""

    def __init__(self, per_link: bool) -> None:
        """Read NVLink's traffic link by link when `per_link`, else of all links together."""
        self._nvml = Nvml()
        self._per_link = per_link

    def gpus(self) -> list[Gpu]:
        """Return the GPUs that can be asked."""
        return [device.gpu for device in self._nvml.devices()]

    def identity(self, gpu: Gpu) -> Identity:
        """Return what stays as it is while the driver is loaded."""
        with self._nvml.read(gpu) as reader:
            known: Identity | None = reader.device.kept.get("identity")
            if known is None:
                known = _identity(reader)
                if not known.failures:
                    reader.device.kept["identity"] = known
            return known

    def load(self, gpu: Gpu) -> Load:
        """Return how busy and how full it is."""
        with self._nvml.read(gpu) as reader:
            rates = reader.call(pynvml.nvmlDeviceGetUtilizationRates)
            return Load(
                utilization=rates and _share(rates.gpu),
                memory_controller=rates and _share(rates.memory),
                memory=read_memory(reader, reader.device.handle),
                failures=reader.failures,
            )

    def power(self, gpu: Gpu) -> Power:
        """Return what it draws and has drawn."""
        with self._nvml.read(gpu) as reader:
            drawn = reader.fields([fields.POWER_GPU, fields.POWER_MEMORY])
            milliwatts = drawn.get(fields.POWER_GPU)
            if milliwatts is None:
                milliwatts = reader.call(pynvml.nvmlDeviceGetPowerUsage)
            return Power(
                energy=_thousandth(reader.call(pynvml.nvmlDeviceGetTotalEnergyConsumption)),
                watts=_thousandth(milliwatts),
                memory_watts=_thousandth(drawn.get(fields.POWER_MEMORY)),
                limit=_thousandth(reader.call(pynvml.nvmlDeviceGetEnforcedPowerLimit)),
                failures=reader.failures,
            )

    def thermal(self, gpu: Gpu) -> Thermal:
        """Return how warm it is and how fast it runs."""
        with self._nvml.read(gpu) as reader:
            call = reader.call
            answers = reader.fields([fields.MEMORY_TEMPERATURE, *fields.THROTTLE.values()])
            temperatures = {
                "die": call(pynvml.nvmlDeviceGetTemperature, pynvml.NVML_TEMPERATURE_GPU),
                "memory": answers.get(fields.MEMORY_TEMPERATURE),
            }
            reasons = call(pynvml.nvmlDeviceGetCurrentClocksEventReasons)
            return Thermal(
                temperatures={name: t for name, t in temperatures.items() if t is not None},
                margin=call(pynvml.nvmlDeviceGetMarginTemperature),
                clocks=_clocks(reader, pynvml.nvmlDeviceGetClockInfo),
                throttle_seconds={
                    reason: answers[field] / 1e9
                    for reason, field in fields.THROTTLE.items()
                    if field in answers
                },
                throttle_active={}
                if reasons is None
                else {name: bool(reasons & bit) for name, bit in _REASONS.items()},
                performance_state=_known_state(call(pynvml.nvmlDeviceGetPerformanceState)),
                failures=reader.failures,
            )

    def pcie(self, gpu: Gpu) -> Pcie:
        """Return how it is connected to the host."""
        with self._nvml.read(gpu) as reader:
            return Pcie(
                generation=reader.call(pynvml.nvmlDeviceGetCurrPcieLinkGeneration),
                width=reader.call(pynvml.nvmlDeviceGetCurrPcieLinkWidth),
                generation_max=reader.once(pynvml.nvmlDeviceGetMaxPcieLinkGeneration),
                width_max=reader.once(pynvml.nvmlDeviceGetMaxPcieLinkWidth),
                replays=reader.call(pynvml.nvmlDeviceGetPcieReplayCounter),
                failures=reader.failures,
            )

    def nvlink(self, gpu: Gpu) -> NvLink:
        """Return how it is connected to other GPUs."""
        with self._nvml.read(gpu) as reader:
            return read_nvlink(reader, self._per_link)

    def health(self, gpu: Gpu) -> Health:
        """Return what tells of failing hardware, and its modes."""
        with self._nvml.read(gpu) as reader:
            call = reader.call
            modes = call(pynvml.nvmlDeviceGetEccMode)
            rows = call(pynvml.nvmlDeviceGetRemappedRows)
            state, faults = read_fabric(reader)
            persistence = call(pynvml.nvmlDeviceGetPersistenceMode)
            action = reader.fields([fields.RECOVERY_ACTION]).get(fields.RECOVERY_ACTION)
            return Health(
                ecc_enabled=None if modes is None else bool(modes[0]),
                ecc_errors=_ecc_errors(reader),
                remapped={"correctable": rows[0], "uncorrectable": rows[1]} if rows else {},
                remap_pending=bool(rows[2]) if rows else None,
                remap_failure=bool(rows[3]) if rows else None,
                recovery_action=None if action is None else int(action),
                fabric_state=state,
                fabric_faults=faults,
                persistence=None if persistence is None else bool(persistence),
                compute_mode=call(pynvml.nvmlDeviceGetComputeMode),
                failures=reader.failures,
            )

    def activity(self, gpu: Gpu) -> Activity:
        """Return what its units did since this was asked before; nothing the first time."""
        with self._nvml.read(gpu) as reader:
            return read_activity(reader)

    def processes(self, gpu: Gpu) -> Processes:
        """Return the processes that compute on it."""
        with self._nvml.read(gpu) as reader:
            return read_processes(reader)

    def mig(self, gpu: Gpu) -> Mig:
        """Return its MIG devices."""
        with self._nvml.read(gpu) as reader:
            return read_mig(reader)

    def unsupported(self, gpu: Gpu) -> dict[str, str]:
        """Return the calls that it does not support, each with the reason."""
        with self._nvml.read(gpu) as reader:
            return reader.device.told_unsupported()

    def watch_xids(self, stop: threading.Event, on_xid: OnXid) -> None:
        """Call `on_xid` for every error that the driver reports, until `stop` is set."""
        watch_xids(self._nvml, stop, on_xid)


def _identity(reader: Reader) -> Identity:
    call, handle = reader.call, reader.device.handle
    limits = {
        name: call(pynvml.nvmlDeviceGetTemperatureThreshold, number)
        for name, number in _THRESHOLDS.items()
    }
    cuda = reader.attempt(("nvmlSystemGetCudaDriverVersion_v2",), _cuda, None)
    driver = reader.attempt(("nvmlSystemGetDriverVersion",), _driver, None)
    return Identity(
        name=reader.text(pynvml.nvmlDeviceGetName),
        driver=decoded(driver),
        cuda=decoded(cuda),
        vbios=reader.text(pynvml.nvmlDeviceGetVbiosVersion),
        pci_bus_id=decoded(reader.attempt(("nvmlDeviceGetPciInfo_v3",), _bus_id, handle)),
        serial=reader.text(pynvml.nvmlDeviceGetSerial),
        clocks_max=_clocks(reader, pynvml.nvmlDeviceGetMaxClockInfo),
        # Some GPUs answer 0 for a limit that they don't have.
        temperature_limits={name: float(limit) for name, limit in limits.items() if limit},
        failures=reader.failures,
    )


def _clocks(reader: Reader, function: Callable[..., Any]) -> dict[str, float]:
    """Return the frequencies that `function` gives, in hertz by domain."""
    answers = {domain: reader.call(function, number) for domain, number in _CLOCKS.items()}
    return {domain: answer * _MEGAHERTZ for domain, answer in answers.items() if answer is not None}


def _ecc_errors(reader: Reader) -> dict[tuple[str, str], int]:
    answers = {
        (kind, counter): reader.call(pynvml.nvmlDeviceGetTotalEccErrors, kind_number, number)
        for kind, kind_number in _ECC_KINDS.items()
        for counter, number in _ECC_COUNTERS.items()
    }
    return {key: answer for key, answer in answers.items() if answer is not None}


def _share(percent: int) -> float | None:
    """Return a percentage as a ratio, None for more than all."""
    return percent / 100 if percent <= 100 else None


def _thousandth(number: float | None) -> float | None:
    return None if number is None else number / 1000


def _known_state(state: int | None) -> int | None:
    return None if state == pynvml.NVML_PSTATE_UNKNOWN else state


def _cuda(_: None) -> str:
    """Return the CUDA version, which NVML gives as 1000 times the major plus 10 times the minor."""
    version: int = pynvml.nvmlSystemGetCudaDriverVersion_v2()
    return f"{version // 1000}.{version % 1000 // 10}"


def _driver(_: None) -> Any:
    return undecoded(pynvml.nvmlSystemGetDriverVersion)()


def _bus_id(handle: Any) -> Any:
    return pynvml.nvmlDeviceGetPciInfo_v3(handle).busId
