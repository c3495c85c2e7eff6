"""The container exporter's metric families.

Those that begin with `container_` have cAdvisor's names, labels and meanings, so that dashboards
made for it work: `id` is the path of the control group, `name` and `image` are Docker's. The files
named are those of control groups v2; in brackets stand those of v1 where they differ.
"""

from llm_monitor.base.metrics.family import COUNTER, GAUGE, Family, Kind

STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
HEALTHS = ("starting", "healthy", "unhealthy")
ACTIONS = ("start", "die", "oom", "kill", "health_status")


def _group(name: str, kind: Kind, text: str, *labels: str, unit: str = "") -> Family:
    """Return a family of cAdvisor's, with a series for each running container."""
    return Family(f"container_{name}", kind, text, ("id", "name", "image", *labels), unit)


def _own(name: str, kind: Kind, text: str, *labels: str, unit: str = "") -> Family:
    """Return a family of our own, with a series for each container."""
    return Family(f"llm_monitor_container_{name}", kind, text, ("container", *labels), unit)


CPU_USAGE = _group(
    "cpu_usage_seconds_total",
    COUNTER,
    "CPU time used (usage_usec in cpu.stat; cpuacct.usage).",
    unit="seconds",
)
CPU_USER = _group(
    "cpu_user_seconds_total",
    COUNTER,
    "CPU time in user mode (user_usec in cpu.stat; user in cpuacct.stat).",
    unit="seconds",
)
CPU_SYSTEM = _group(
    "cpu_system_seconds_total",
    COUNTER,
    "CPU time in the kernel (system_usec in cpu.stat; system in cpuacct.stat).",
    unit="seconds",
)
CFS_PERIODS = _group(
    "cpu_cfs_periods_total",
    COUNTER,
    "Periods of the CPU limit that have passed (nr_periods in cpu.stat), absent without a limit.",
)
CFS_THROTTLED_PERIODS = _group(
    "cpu_cfs_throttled_periods_total",
    COUNTER,
    "Periods in which the CPU limit was reached (nr_throttled in cpu.stat), absent without one.",
)
CFS_THROTTLED = _group(
    "cpu_cfs_throttled_seconds_total",
    COUNTER,
    "Time for which threads were held back by the CPU limit (throttled_usec in cpu.stat; "
    "throttled_time), absent without one.",
    unit="seconds",
)

MEMORY_USAGE = _group(
    "memory_usage_bytes",
    GAUGE,
    "Memory used, the page cache included (memory.current; memory.usage_in_bytes).",
    unit="bytes",
)
MEMORY_WORKING_SET = _group(
    "memory_working_set_bytes",
    GAUGE,
    "Memory used less inactive_file in memory.stat (total_inactive_file): what can't be freed "
    "without harm.",
    unit="bytes",
)
_RSS = "Anonymous memory (anon in memory.stat; total_rss)"
_CACHE = "Page cache (file in memory.stat; total_cache)"
_SWAP = "Swap space used (memory.swap.current; total_swap in memory.stat)"
MEMORY_RSS = _group("memory_rss_bytes", GAUGE, f"{_RSS}.", unit="bytes")
MEMORY_CACHE = _group("memory_cache_bytes", GAUGE, f"{_CACHE}.", unit="bytes")
MEMORY_SWAP = _group("memory_swap_bytes", GAUGE, f"{_SWAP}.", unit="bytes")
# cAdvisor names these three without their unit. Its dashboards ask for them so.
CADVISOR_RSS = _group("memory_rss", GAUGE, f"{_RSS}, in bytes; cAdvisor's name.")
CADVISOR_CACHE = _group("memory_cache", GAUGE, f"{_CACHE}, in bytes; cAdvisor's name.")
CADVISOR_SWAP = _group("memory_swap", GAUGE, f"{_SWAP}, in bytes; cAdvisor's name.")
OOM_EVENTS = _group(
    "oom_events_total",
    COUNTER,
    "Times that memory ran out: the most that the control group (oom_kill in memory.events; "
    "memory.oom_control), the engine's events or its OOMKilled tell.",
)

_DEV = "(/proc/PID/net/dev of its first process); absent with the host's network"
NETWORK_RECEIVE_BYTES = _group(
    "network_receive_bytes_total", COUNTER, f"Bytes received {_DEV}.", "interface", unit="bytes"
)
NETWORK_RECEIVE_PACKETS = _group(
    "network_receive_packets_total", COUNTER, f"Packets received {_DEV}.", "interface"
)
NETWORK_RECEIVE_ERRORS = _group(
    "network_receive_errors_total", COUNTER, f"Packets received with errors {_DEV}.", "interface"
)
NETWORK_RECEIVE_DROPPED = _group(
    "network_receive_packets_dropped_total",
    COUNTER,
    f"Packets dropped on receipt {_DEV}.",
    "interface",
)
NETWORK_TRANSMIT_BYTES = _group(
    "network_transmit_bytes_total", COUNTER, f"Bytes sent {_DEV}.", "interface", unit="bytes"
)
NETWORK_TRANSMIT_PACKETS = _group(
    "network_transmit_packets_total", COUNTER, f"Packets sent {_DEV}.", "interface"
)
NETWORK_TRANSMIT_ERRORS = _group(
    "network_transmit_errors_total", COUNTER, f"Packets that could not be sent {_DEV}.", "interface"
)
NETWORK_TRANSMIT_DROPPED = _group(
    "network_transmit_packets_dropped_total",
    COUNTER,
    f"Packets dropped instead of sent {_DEV}.",
    "interface",
)

FS_READS = _group(
    "fs_reads_bytes_total",
    COUNTER,
    "Bytes read from the device (rbytes in io.stat; blkio.throttle.io_service_bytes).",
    "device",
    unit="bytes",
)
FS_WRITES = _group(
    "fs_writes_bytes_total",
    COUNTER,
    "Bytes written to the device (wbytes in io.stat; blkio.throttle.io_service_bytes).",
    "device",
    unit="bytes",
)

PROCESSES = _group(
    "processes",
    GAUGE,
    "Processes (cgroup.procs).",
)
_KEPT = "kept a minute unless the container has an event"
MEMORY_LIMIT = _group(
    "spec_memory_limit_bytes",
    GAUGE,
    f"The memory limit (memory.max; memory.limit_in_bytes), absent without one; {_KEPT}.",
    unit="bytes",
)
CPU_QUOTA = _group(
    "spec_cpu_quota",
    GAUGE,
    "Microseconds of CPU time allowed in a period (cpu.max; cpu.cfs_quota_us), absent without "
    f"a limit; {_KEPT}.",
)
CPU_PERIOD = _group(
    "spec_cpu_period",
    GAUGE,
    f"Microseconds in a period of the CPU limit (cpu.max; cpu.cfs_period_us); {_KEPT}.",
)
START_TIME = _group(
    "start_time_seconds",
    GAUGE,
    "Unix time at which the container started (State.StartedAt).",
    unit="seconds",
)
LAST_SEEN = _group(
    "last_seen",
    GAUGE,
    "Unix time at which the container's control group was read.",
)

INFO = _own(
    "info",
    GAUGE,
    "1, with what a container is (GET /containers/ID/json, kept up to date by events).",
    *("id", "image", "image_id", "compose_project", "compose_service"),
)
STATE = _own(
    "state",
    GAUGE,
    "1 for the state that the container is in, 0 for each other (State.Status).",
    "state",
)
HEALTH = _own(
    "health",
    GAUGE,
    "1 for the result of the health check, 0 for each other (State.Health.Status); absent without "
    "a health check.",
    "status",
)
RESTARTS = _own(
    "restarts_total",
    COUNTER,
    "Restarts by the engine's restart policy (RestartCount); a start by hand sets it to 0.",
)
EXIT_CODE = _own(
    "exit_code",
    GAUGE,
    "Exit status of the container's last run (State.ExitCode), absent while it runs.",
)
OOM_KILLED = _own(
    "oom_killed",
    GAUGE,
    "1 when the container's last run met the end of its memory (State.OOMKilled), else 0.",
)
READABLE = _own(
    "readable",
    GAUGE,
    "1 when all files of the container's could be read and understood the last time, else 0.",
)
STARTED = _own(
    "started_timestamp_seconds",
    GAUGE,
    "Unix time at which the container last started (State.StartedAt).",
    unit="seconds",
)
EVENTS = _own(
    "events_total",
    COUNTER,
    "Events of the container that this exporter has seen (GET /events).",
    "action",
)
GPU_ASSIGNED = _own(
    "gpu_assigned",
    GAUGE,
    "1 for each GPU that the container uses or was given: by its processes, else device requests, "
    "else NVIDIA_VISIBLE_DEVICES.",
    "gpu_uuid",
)

FAMILIES = (
    INFO,
    STATE,
    HEALTH,
    RESTARTS,
    EXIT_CODE,
    OOM_KILLED,
    READABLE,
    STARTED,
    EVENTS,
    GPU_ASSIGNED,
    LAST_SEEN,
    START_TIME,
    CPU_USAGE,
    CPU_USER,
    CPU_SYSTEM,
    CFS_PERIODS,
    CFS_THROTTLED_PERIODS,
    CFS_THROTTLED,
    MEMORY_USAGE,
    MEMORY_WORKING_SET,
    MEMORY_RSS,
    MEMORY_CACHE,
    MEMORY_SWAP,
    CADVISOR_RSS,
    CADVISOR_CACHE,
    CADVISOR_SWAP,
    OOM_EVENTS,
    NETWORK_RECEIVE_BYTES,
    NETWORK_RECEIVE_PACKETS,
    NETWORK_RECEIVE_ERRORS,
    NETWORK_RECEIVE_DROPPED,
    NETWORK_TRANSMIT_BYTES,
    NETWORK_TRANSMIT_PACKETS,
    NETWORK_TRANSMIT_ERRORS,
    NETWORK_TRANSMIT_DROPPED,
    FS_READS,
    FS_WRITES,
    PROCESSES,
    MEMORY_LIMIT,
    CPU_QUOTA,
    CPU_PERIOD,
)
