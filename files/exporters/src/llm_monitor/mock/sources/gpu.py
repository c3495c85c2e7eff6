"""The GPUs of a simulated server: H200s, unless the fleet says otherwise."""

import threading
from collections.abc import Iterable
from typing import NamedTuple

from llm_monitor.base.errors import SourceError
from llm_monitor.gpu.facts import (
    Activity,
    Gpu,
    Health,
    Identity,
    Load,
    Memory,
    Mig,
    NvLink,
    Pcie,
    Power,
    Processes,
    Thermal,
)
from llm_monitor.gpu.nvml.reader import GpuLostError
from llm_monitor.gpu.nvml.xids import OnXid
from llm_monitor.gpu.xids import Counted, Xids
from llm_monitor.mock.identity import gpu_uuid, pci_place
from llm_monitor.mock.sources.gpu_processes import Tenants
from llm_monitor.mock.view import View
from llm_monitor.mock.world.gpus import SLOWDOWN
from llm_monitor.mock.world.plan import Plan
from llm_monitor.mock.world.step import State

# Recorded from an H200 under load: names and versions, clocks, and the limits of its temperatures.
_DRIVER, _CUDA, _VBIOS = "590.48.01", "13.1", "96.00.A5.00.03"
_CLOCKS = {"sm": 1980e6, "memory": 3201e6, "graphics": 1980e6, "video": 1545e6}
_FIXED_CLOCK = "memory"
_CLOCK_STEP = 15e6
_LIMITS = {"slowdown": 89.0, "shutdown": 92.0, "memory_max": 95.0}
_RESERVED = 614 << 20
_LINKS = 18
_GENERATION, _LANES = 5, 16
_SERIAL = 1_650_000_000_000

_MEMORY_WARMER = 6.0
_MEMORY_IDLE_WATTS, _MEMORY_WATTS = 32.0, 70.0
# What units do while multiprocessors are busy. Making tokens waits for memory most of the time.
_UNITS = {"sm": 1.0, "occupancy": 0.41, "tensor": 0.55, "fp16": 0.05, "fp32": 0.11, "fp64": 0.0}
_DRAM_RUNNING, _DRAM_ACTIVE = 0.5, 0.35
_PCIE_IDLE, _PCIE_TRANSMITTED, _PCIE_RECEIVED = 3e5, 2.4e8, 1.1e8

_REGISTERED, _DRAIN_AND_RESET = 3, 4
_FABRIC_ASPECTS = (
    "degraded_bandwidth",
    "route_recovery",
    "route_unhealthy",
    "access_timeout_recovery",
    "incorrect_configuration",
)
_POLL_SECONDS = 1.0


class Card(NamedTuple):
    """A GPU at one moment; the fields of `world.gpus.Gpus`, and the faults that it has."""

    broken: frozenset[str]
    activity: float
    used: float
    watts: float
    joules: float
    celsius: float
    clock: float
    throttled: float
    throttled_seconds: float
    braked_seconds: float
    capped_seconds: float
    memory: float
    leaked: float
    corrected: float
    uncorrected: float
    nvlink_bytes: float
    nvlink_errors: float
    replays: float

    @property
    def dram(self) -> float:
        """The share of its memory's bandwidth that it uses."""
        return min(0.95, _DRAM_RUNNING * self.used + _DRAM_ACTIVE * self.activity)


class SimulatedGpus:
    """The GPUs of a simulated server."""

    def __init__(self, view: View) -> None:
        """Answer what `view` shows."""
        self._view = view
        self._plan = view.plan
        count = view.plan.fleet.gpu.count
        self._gpus = [Gpu(index, gpu_uuid(view.server, index)) for index in range(count)]
        self._tenants = Tenants(view.plan, view.server)
        self._kept: tuple[State, list[Card]] | None = None
        self._told: dict[tuple[Gpu, int], int] = {}

    def gpus(self) -> list[Gpu]:
        """Return those that are not lost."""
        cards = self._cards()[1]
        return [gpu for gpu in self._gpus if "gpu_lost" not in cards[gpu.index].broken]

    def identity(self, gpu: Gpu) -> Identity:
        """Return what stays as it is."""
        self._card(gpu)
        domain, bus = pci_place(gpu.index)
        return Identity(
            name=self._plan.fleet.gpu.name,
            driver=_DRIVER,
            cuda=_CUDA,
            vbios=_VBIOS,
            pci_bus_id=f"{domain:08X}:{bus:02X}:00.0",
            serial=str(_SERIAL + 64 * self._view.server + gpu.index),
            clocks_max=_CLOCKS,
            temperature_limits=_LIMITS,
        )

    def load(self, gpu: Gpu) -> Load:
        """Return how busy and how full it is."""
        card = self._card(gpu)
        total = int(self._plan.seats.memory)
        used = min(round(card.memory) + round(card.leaked), total - _RESERVED)
        return Load(
            utilization=round(card.used, 2),
            memory_controller=round(card.dram, 2),
            memory=Memory(total, used, total - _RESERVED - used, _RESERVED),
        )

    def power(self, gpu: Gpu) -> Power:
        """Return what it draws and has drawn."""
        card = self._card(gpu)
        return Power(
            energy=round(card.joules, 3),
            watts=round(card.watts, 3),
            memory_watts=round(_MEMORY_IDLE_WATTS + _MEMORY_WATTS * card.dram, 3),
            limit=self._plan.seats.limit,
        )

    def thermal(self, gpu: Gpu) -> Thermal:
        """Return how warm it is and how fast it runs."""
        card = self._card(gpu)
        braked = "power_brake" in card.broken
        die = round(card.celsius)
        clocks = {domain: _clock(hertz * card.clock) for domain, hertz in _CLOCKS.items()}
        return Thermal(
            temperatures={"die": die, "memory": round(card.celsius + _MEMORY_WARMER)},
            margin=SLOWDOWN - die,
            clocks=clocks | {_FIXED_CLOCK: _CLOCKS[_FIXED_CLOCK]},
            throttle_seconds={
                "sw_power_cap": card.capped_seconds,
                "sync_boost": 0.0,
                "sw_thermal": card.throttled_seconds,
                "hw_thermal": 0.0,
                "hw_power_brake": card.braked_seconds,
            },
            throttle_active={
                "applications_clocks": False,
                "sw_power_cap": card.watts >= self._plan.seats.limit,
                "hw_slowdown": braked,
                "sync_boost": False,
                "sw_thermal": card.throttled > 0,
                "hw_thermal": False,
                "hw_power_brake": braked,
            },
            performance_state=0,
        )

    def pcie(self, gpu: Gpu) -> Pcie:
        """Return how it is connected to the host."""
        replays = int(self._card(gpu).replays)
        return Pcie(_GENERATION, _LANES, _GENERATION, _LANES, replays)

    def nvlink(self, gpu: Gpu) -> NvLink:
        """Return how it is connected to other GPUs: all links together."""
        card = self._card(gpu)
        carried = {"": int(card.nvlink_bytes)}
        errors = {"replay": int(card.nvlink_errors), "recovery": 0, "crc": 0}
        return NvLink(_LINKS, carried, carried, errors)

    def health(self, gpu: Gpu) -> Health:
        """Return what tells of failing hardware, and its modes."""
        card = self._card(gpu)
        errors = {"corrected": int(card.corrected), "uncorrected": int(card.uncorrected)}
        pending, failure = "row_remap" in card.broken, "row_remap_failure" in card.broken
        faults = dict.fromkeys(_FABRIC_ASPECTS, False)
        return Health(
            ecc_enabled=True,
            ecc_errors={
                (kind, counter): count
                for kind, count in errors.items()
                for counter in ("volatile", "aggregate")
            },
            remapped={"correctable": 0, "uncorrectable": int(pending)},
            remap_pending=pending,
            remap_failure=failure,
            recovery_action=_DRAIN_AND_RESET if pending or failure else 0,
            fabric_state=_REGISTERED,
            fabric_faults=faults | {"registration_failed": "fabric" in card.broken},
            persistence=True,
            compute_mode=0,
        )

    def activity(self, gpu: Gpu) -> Activity:
        """Return what its units do; the simulation knows that the first time too."""
        card = self._card(gpu)
        ratios = {unit: round(share * card.activity, 4) for unit, share in _UNITS.items()}
        return Activity(
            ratios=ratios | {"dram": round(card.dram, 4)},
            pcie_transmitted=round(_PCIE_IDLE + _PCIE_TRANSMITTED * card.activity),
            pcie_received=round(_PCIE_IDLE + _PCIE_RECEIVED * card.activity),
        )

    def processes(self, gpu: Gpu) -> Processes:
        """Return the processes of the models that run on it, and of what else fills its memory."""
        card, state = self._card(gpu), self._cards()[0]
        return Processes(self._tenants.on(gpu.index, state, card.memory, card.leaked))

    def mig(self, gpu: Gpu) -> Mig:
        """Return no MIG devices: it is whole."""
        self._card(gpu)
        return Mig(())

    def unsupported(self, gpu: Gpu) -> dict[str, str]:
        """Return nothing: it supports all calls."""
        self._card(gpu)
        return {}

    def watch_xids(self, stop: threading.Event, on_xid: OnXid) -> None:
        """Call `on_xid` for every error since the simulation's start, until `stop` is set."""
        while True:
            for key, (count, _) in self.xids().items():
                for _ in range(self._told.get(key, 0), count):
                    on_xid(*key)
                self._told[key] = count
            if stop.wait(_POLL_SECONDS):
                return

    def xids(self) -> Counted:
        """Return by GPU and XID how often it came by now and the Unix time of the last one."""
        reported = self._cards()[0].xids
        return {(self._gpus[index], xid): told for (index, xid), told in reported.items()}

    def _cards(self) -> tuple[State, list[Card]]:
        """Return the state and its GPUs, worked out once for all questions about it."""
        state = self._view.asked("gpu")
        kept = self._kept
        if kept is None or kept[0] is not state:
            kept = self._kept = state, _cards(state, self._plan)
        return kept

    def _card(self, gpu: Gpu) -> Card:
        """Return a GPU that answers.

        Raises:
            GpuLostError: When it is lost.
            SourceError: When calls about it fail.
        """
        card = self._cards()[1][gpu.index]
        if "gpu_lost" in card.broken:
            message = "the scenario has it fall off the bus"
            raise GpuLostError(message)
        if "gpu_hang" in card.broken:
            message = "the scenario lets calls about it fail"
            raise SourceError(message)
        return card


class SimulatedXids(Xids):
    """Counts the XIDs of simulated GPUs up to the very moment, whether anybody watches or not."""

    def __init__(self, source: SimulatedGpus) -> None:
        """Count those of `source`; who watches has a log line for each, too."""
        super().__init__(source)
        self._simulated = source

    def counted(self, gpus: Iterable[Gpu]) -> Counted:
        """Return by GPU and XID how often it came and the Unix time of the last one."""
        return super().counted(gpus) | self._simulated.xids()


def _cards(state: State, plan: Plan) -> list[Card]:
    """Return the GPUs in plain numbers, by their indexes."""
    columns = [getattr(state.gpus, name)[View.row].tolist() for name in Card._fields[1:]]
    return [
        Card(broken, *values)
        for broken, *values in zip(_broken(state, plan), *columns, strict=True)
    ]


def _broken(state: State, plan: Plan) -> list[frozenset[str]]:
    """Return by GPU the kinds of faults that befall it, those that befall no GPU among them."""
    faults = state.forces.faults
    return [frozenset(fault.fault for fault in faults if fault.befalls(gpu)) for gpu in plan.gpus]


def _clock(hertz: float) -> float:
    """Return the nearest frequency that the hardware can have."""
    return round(hertz / _CLOCK_STEP) * _CLOCK_STEP
