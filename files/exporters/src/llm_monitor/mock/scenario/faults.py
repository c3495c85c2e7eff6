"""The kinds of faults that a scenario can bring about."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

# A limited container is one with a limit of CPU.
Target = Literal["gpu", "model", "container", "limited container", "mountpoint", "exporter", "none"]


class Kind(NamedTuple):
    """A kind of fault.

    Attributes:
        target: What it befalls; without a target named it befalls all of them.
        means: What happens.
        value: What its value is, with the unit; empty where it has none.
        usual: The value unless another is given.
        least: The smallest value.
        most: The greatest value.
    """

    target: Target
    means: str
    value: str = ""
    usual: float = 1.0
    least: float = 0.0
    most: float = 1.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is broken.

    Attributes:
        fault: Its kind, one of KINDS.
        target: What it befalls: a GPU's index, or a name; empty for all.
        value: How much, in the unit of its kind.
        since: Since when, Unix time in seconds.
    """

    fault: str
    target: str
    value: float
    since: float

    def befalls(self, name: str) -> bool:
        """Return whether it befalls the GPU, model or whatever has that name."""
        return self.target in ("", name)


_SHARE = "a ratio from 0 to 1"

KINDS: dict[str, Kind] = {
    # GPUs
    "gpu_lost": Kind("gpu", "it falls off the bus with XID 79; what runs on it dies"),
    "gpu_hang": Kind("gpu", "calls about it fail"),
    "xid": Kind("gpu", "the driver reports an XID once a minute", "the XID", 31, 1, 200),
    "ecc": Kind("gpu", "uncorrectable memory errors", "errors an hour", 6, 0, 1e6),
    "ecc_corrected": Kind("gpu", "memory errors are corrected", "errors an hour", 60, 0, 1e6),
    "row_remap": Kind("gpu", "a row of memory waits for a reset to be replaced"),
    "row_remap_failure": Kind("gpu", "a row of memory can't be replaced"),
    "overheat": Kind("gpu", "its cooling is worse", "degrees Celsius above usual", 40, 0, 80),
    "power_brake": Kind("gpu", "the power supply slows it down", f"for {_SHARE} of the time", 0.3),
    "gpu_memory_leak": Kind("gpu", "another container fills its memory", "GB an hour", 20, 0, 1e3),
    "nvlink_errors": Kind("gpu", "NVLink repeats what it sends", "errors a second", 5, 0, 1e6),
    "pcie_replays": Kind("gpu", "PCIe repeats what it sends", "replays a second", 2, 0, 1e6),
    "fabric": Kind("gpu", "its registration with the NVLink fabric fails"),
    # The host
    "cpu_busy": Kind("none", "something keeps CPUs busy", _SHARE, 0.95),
    "io_wait": Kind("none", "CPUs wait for disks", _SHARE, 0.3),
    "memory_busy": Kind("none", "something takes memory", f"of all, {_SHARE}", 0.9),
    "memory_stalled": Kind("none", "all work waits for memory", f"of the time, {_SHARE}", 0.2),
    "oom_kill": Kind("none", "the kernel kills processes", "kills an hour", 12, 0, 1e4),
    "shm_busy": Kind("none", "shared memory fills up", f"of all, {_SHARE}", 0.95),
    "disk_fill": Kind("mountpoint", "something fills it", "GB an hour", 100, 0, 1e5),
    "disk_used": Kind("mountpoint", "it is full", f"of all, {_SHARE}", 0.95),
    "inodes_used": Kind("mountpoint", "its inodes are taken", f"of all, {_SHARE}", 0.97),
    "disk_readonly": Kind("mountpoint", "it is mounted read-only"),
    "clock_skew": Kind("none", "the clock is off", "seconds", 0.3, -10, 10),
    "network_errors": Kind("none", "packets are broken", f"of all packets, {_SHARE}", 0.05),
    # Containers
    "container_stop": Kind("container", "it ends and stays down", "exit code", 1, 0, 255),
    "restart_loop": Kind("container", "it crashes again and again", "seconds of a run", 45, 5, 1e4),
    "container_oom": Kind("container", "it is killed for memory", "kills an hour", 4, 0, 60),
    "unhealthy": Kind("container", "its health check fails"),
    "cpu_throttled": Kind("limited container", "its CPU limit holds it down", _SHARE, 0.5),
    # Models
    "model_down": Kind("model", "vLLM answers no more, though its container runs"),
    "model_idle": Kind("model", "nobody asks it"),
    "model_overload": Kind("model", "it is asked for more than it can do", "times", 2.5, 1, 100),
    "admission_stalled": Kind("model", "requests wait and none is let in"),
    "no_progress": Kind("model", "requests run and give no tokens"),
    "slow": Kind("model", "everything takes longer", "times", 4, 1, 1000),
    "long_prompts": Kind("model", "prompts are longer and fill the KV cache", "times", 8, 1, 100),
    "unrouted": Kind("model", "LiteLLM does not know it"),
    "unserved": Kind("model", "LiteLLM routes to it, but no vLLM serves it"),
    # LiteLLM and Langfuse
    "litellm_down": Kind("none", "LiteLLM does not answer"),
    "litellm_database_down": Kind("none", "LiteLLM's database does not answer"),
    "provider_errors": Kind("model", "its requests fail", _SHARE, 0.3),
    "spend": Kind("model", "requests cost more", "times", 10, 1, 1000),
    "langfuse_down": Kind("none", "Langfuse does not answer"),
    "langfuse_stale": Kind("none", "Langfuse gets no traces"),
    # What asks
    "exporter_down": Kind("exporter", "the exporter does not answer"),
    "collector_failing": Kind("exporter", "what the exporter asks does not answer"),
}
