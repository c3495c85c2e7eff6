"""What a GPU source answers, in base units; None and missing keys stand for what a GPU lacks."""

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class Gpu:
    """Which GPU it is.

    Attributes:
        index: Its number on this host, as nvidia-smi counts.
        uuid: Its UUID, which stays the same when numbers change.
    """

    index: int
    uuid: str


class Reading(Protocol):
    """What one kind of question to one GPU gave."""

    @property
    def failures(self) -> tuple[str, ...]:
        """The calls that failed though the GPU supports them, each with its error."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """What stays as it is while the driver is loaded.

    Attributes:
        name: The product's name.
        driver: Version of the driver.
        cuda: Newest CUDA version that the driver supports.
        vbios: Version of the VBIOS.
        pci_bus_id: Address on the PCI bus.
        serial: Serial number of the board; empty where there is none.
        clocks_max: Highest frequencies in hertz by domain.
        temperature_limits: Degrees Celsius by threshold.
        failures: Calls that failed.
    """

    name: str
    driver: str
    cuda: str
    vbios: str
    pci_bus_id: str
    serial: str
    clocks_max: dict[str, float]
    temperature_limits: dict[str, float]
    failures: tuple[str, ...] = ()


class Memory(NamedTuple):
    """Memory in bytes; used, free and reserved make the total."""

    total: int
    used: int
    free: int
    reserved: int


@dataclass(frozen=True, slots=True)
class Load:
    """How busy and how full a GPU is; ratios from 0 to 1."""

    utilization: float | None
    memory_controller: float | None
    memory: Memory | None
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Power:
    """What a GPU draws, in watts, and has drawn, in joules."""

    energy: float | None
    watts: float | None
    memory_watts: float | None
    limit: float | None
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Thermal:
    """How warm a GPU is, and how fast it may run.

    Attributes:
        temperatures: Degrees Celsius by sensor: die, memory.
        margin: Degrees Celsius left until it slows down.
        clocks: Hertz by domain.
        throttle_seconds: Seconds in which clocks were held down, by reason.
        throttle_active: Whether clocks are held down now, by reason.
        performance_state: 0 (most) to 15 (least).
        failures: Calls that failed.
    """

    temperatures: dict[str, float]
    margin: float | None
    clocks: dict[str, float]
    throttle_seconds: dict[str, float]
    throttle_active: dict[str, bool]
    performance_state: int | None
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pcie:
    """How a GPU is connected to the host: PCIe generation and lanes, now and at most."""

    generation: int | None
    width: int | None
    generation_max: int | None
    width_max: int | None
    replays: int | None
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NvLink:
    """How a GPU is connected to others.

    Attributes:
        active: Links that are up; None where there are no links.
        transmitted: Bytes sent by link; the key "" stands for all links.
        received: Bytes received by link, with the same keys.
        errors: Errors by kind, summed over the links.
        failures: Calls that failed.
    """

    active: int | None
    transmitted: dict[str, int]
    received: dict[str, int]
    errors: dict[str, int]
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """What tells of failing hardware, and the modes that an operator sets.

    Attributes:
        ecc_enabled: Whether memory errors are corrected.
        ecc_errors: Errors by kind (corrected, uncorrected) and counter (volatile, aggregate).
        remapped: Rows of memory replaced, by cause (correctable, uncorrectable).
        remap_pending: Whether a row waits for a reset to be replaced.
        remap_failure: Whether a row could not be replaced.
        recovery_action: What the GPU needs, as NVML numbers it.
        fabric_state: State of its registration with the NVLink fabric, as NVML numbers it.
        fabric_faults: Whether the fabric reports a fault, by aspect.
        persistence: Whether the driver stays loaded without a client.
        compute_mode: Who may compute, as NVML numbers it.
        failures: Calls that failed.
    """

    ecc_enabled: bool | None
    ecc_errors: dict[tuple[str, str], int]
    remapped: dict[str, int]
    remap_pending: bool | None
    remap_failure: bool | None
    recovery_action: int | None
    fabric_state: int | None
    fabric_faults: dict[str, bool]
    persistence: bool | None
    compute_mode: int | None
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Activity:
    """What a GPU's units did between this reading and the one before.

    Attributes:
        ratios: Shares from 0 to 1, by unit: sm, occupancy, tensor, dram, fp16, fp32, fp64.
        pcie_transmitted: Bytes a second that it sent over PCIe.
        pcie_received: Bytes a second that it received over PCIe.
        failures: Calls that failed.
    """

    ratios: dict[str, float] = field(default_factory=dict)
    pcie_transmitted: float | None = None
    pcie_received: float | None = None
    failures: tuple[str, ...] = ()


class Process(NamedTuple):
    """A process that computes on a GPU.

    Attributes:
        pid: Its number as this exporter's own process namespace counts.
        memory: Bytes of the GPU's memory that it uses; None where the driver does not say.
        utilization: Share of time in which its kernels ran; None where the driver does not say.
    """

    pid: int
    memory: int | None
    utilization: float | None


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes that compute on a GPU; None where the driver does not say."""

    processes: tuple[Process, ...] | None
    failures: tuple[str, ...] = ()


class MigDevice(NamedTuple):
    """A part of a GPU that works as one of its own.

    Attributes:
        uuid: Its UUID.
        profile: Its share, such as 3g.71gb.
        gpu_instance: Number of the GPU instance that it belongs to.
        memory: Its memory; None where the driver does not say.
        utilization: Share of time in which its GPU instance computed.
    """

    uuid: str
    profile: str
    gpu_instance: int
    memory: Memory | None
    utilization: float | None


@dataclass(frozen=True, slots=True)
class Mig:
    """The MIG devices of a GPU; none where MIG is off."""

    devices: tuple[MigDevice, ...]
    failures: tuple[str, ...] = ()
