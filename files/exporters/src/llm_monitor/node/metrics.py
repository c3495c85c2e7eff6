"""The node exporter's metric families."""

from llm_monitor.base.metrics.family import COUNTER, GAUGE, Family

INFO = Family(
    "llm_monitor_node_info",
    GAUGE,
    "1, with the kernel (/proc/sys/kernel/osrelease), system (os-release) and architecture.",
    labels=("kernel", "os", "architecture"),
)
BOOT_TIME = Family(
    "llm_monitor_node_boot_time_seconds",
    GAUGE,
    "Unix time of the boot (btime in /proc/stat).",
    unit="seconds",
)
TIME = Family(
    "llm_monitor_node_time_seconds",
    GAUGE,
    "Unix time on the host when it was collected (clock_gettime).",
    unit="seconds",
)
CLOCK_OFFSET = Family(
    "llm_monitor_node_clock_offset_seconds",
    GAUGE,
    "Offset of the clock from its reference (adjtimex), absent while it is not synchronised.",
    unit="seconds",
)
CLOCK_SYNCHRONIZED = Family(
    "llm_monitor_node_clock_synchronized",
    GAUGE,
    "1 when the kernel's clock is kept synchronised (adjtimex), else 0.",
)

CPU_SECONDS = Family(
    "llm_monitor_node_cpu_seconds_total",
    COUNTER,
    "CPU time by mode, summed over all CPUs (/proc/stat); guests' time is part of user and nice.",
    labels=("mode",),
    unit="seconds",
)
CPU_CORE_SECONDS = Family(
    "llm_monitor_node_cpu_core_seconds_total",
    COUNTER,
    "CPU time by CPU and mode (/proc/stat), only with the setting node.per_cpu.",
    labels=("cpu", "mode"),
    unit="seconds",
)
CPUS = Family(
    "llm_monitor_node_cpus",
    GAUGE,
    "Number of CPUs that are online (/proc/stat).",
)
LOAD1 = Family(
    "llm_monitor_node_load1",
    GAUGE,
    "Load average over one minute (/proc/loadavg).",
)
LOAD5 = Family(
    "llm_monitor_node_load5",
    GAUGE,
    "Load average over five minutes (/proc/loadavg).",
)
LOAD15 = Family(
    "llm_monitor_node_load15",
    GAUGE,
    "Load average over fifteen minutes (/proc/loadavg).",
)
CONTEXT_SWITCHES = Family(
    "llm_monitor_node_context_switches_total",
    COUNTER,
    "Context switches of all CPUs (ctxt in /proc/stat).",
)
INTERRUPTS = Family(
    "llm_monitor_node_interrupts_total",
    COUNTER,
    "Interrupts served (intr in /proc/stat).",
)

MEMORY_TOTAL = Family(
    "llm_monitor_node_memory_total_bytes",
    GAUGE,
    "Memory that the kernel can use (MemTotal in /proc/meminfo).",
    unit="bytes",
)
MEMORY_AVAILABLE = Family(
    "llm_monitor_node_memory_available_bytes",
    GAUGE,
    "Memory that programs could get without swapping (MemAvailable in /proc/meminfo).",
    unit="bytes",
)
MEMORY_FREE = Family(
    "llm_monitor_node_memory_free_bytes",
    GAUGE,
    "Memory that nothing uses (MemFree in /proc/meminfo).",
    unit="bytes",
)
MEMORY_BUFFERS = Family(
    "llm_monitor_node_memory_buffers_bytes",
    GAUGE,
    "Memory for block device buffers (Buffers in /proc/meminfo).",
    unit="bytes",
)
MEMORY_CACHED = Family(
    "llm_monitor_node_memory_cached_bytes",
    GAUGE,
    "Memory for the page cache (Cached in /proc/meminfo).",
    unit="bytes",
)
MEMORY_SLAB = Family(
    "llm_monitor_node_memory_slab_bytes",
    GAUGE,
    "Memory for the kernel's own structures (Slab in /proc/meminfo).",
    unit="bytes",
)
SWAP_TOTAL = Family(
    "llm_monitor_node_swap_total_bytes",
    GAUGE,
    "Size of the swap space (SwapTotal in /proc/meminfo).",
    unit="bytes",
)
SWAP_USED = Family(
    "llm_monitor_node_swap_used_bytes",
    GAUGE,
    "Swap space in use (SwapTotal less SwapFree in /proc/meminfo).",
    unit="bytes",
)
SHM_SIZE = Family(
    "llm_monitor_node_shm_size_bytes",
    GAUGE,
    "Size of /dev/shm (statvfs), which tensor-parallel workers share.",
    unit="bytes",
)
SHM_USED = Family(
    "llm_monitor_node_shm_used_bytes",
    GAUGE,
    "Shared memory in use in /dev/shm (statvfs).",
    unit="bytes",
)
OOM_KILLS = Family(
    "llm_monitor_node_oom_kills_total",
    COUNTER,
    "Processes that the kernel killed for memory (oom_kill in /proc/vmstat).",
)
NUMA_MEMORY_TOTAL = Family(
    "llm_monitor_node_numa_memory_total_bytes",
    GAUGE,
    "Memory of a NUMA node (/sys/devices/system/node/node*/meminfo).",
    labels=("node",),
    unit="bytes",
)
NUMA_MEMORY_FREE = Family(
    "llm_monitor_node_numa_memory_free_bytes",
    GAUGE,
    "Free memory of a NUMA node (/sys/devices/system/node/node*/meminfo).",
    labels=("node",),
    unit="bytes",
)

FILESYSTEM_SIZE = Family(
    "llm_monitor_node_filesystem_size_bytes",
    GAUGE,
    "Size of the file system (statvfs), as df shows it.",
    labels=("mountpoint", "fstype"),
    unit="bytes",
)
FILESYSTEM_AVAIL = Family(
    "llm_monitor_node_filesystem_avail_bytes",
    GAUGE,
    "Space that users other than root can still fill (statvfs).",
    labels=("mountpoint", "fstype"),
    unit="bytes",
)
FILESYSTEM_FILES = Family(
    "llm_monitor_node_filesystem_files",
    GAUGE,
    "Files (inodes) that the file system can hold (statvfs), absent where it has no limit.",
    labels=("mountpoint", "fstype"),
)
FILESYSTEM_FILES_FREE = Family(
    "llm_monitor_node_filesystem_files_free",
    GAUGE,
    "Files (inodes) that can still be made (statvfs), absent where there is no limit.",
    labels=("mountpoint", "fstype"),
)
FILESYSTEM_READONLY = Family(
    "llm_monitor_node_filesystem_readonly",
    GAUGE,
    "1 when the file system is mounted read-only (/proc/1/mountinfo), else 0.",
    labels=("mountpoint", "fstype"),
)
FILESYSTEM_ERROR = Family(
    "llm_monitor_node_filesystem_error",
    GAUGE,
    "1 when the file system failed to answer or did not answer in time (statvfs), else 0.",
    labels=("mountpoint", "fstype"),
)

DISK_READ_BYTES = Family(
    "llm_monitor_node_disk_read_bytes_total",
    COUNTER,
    "Bytes read from the device (/proc/diskstats).",
    labels=("device",),
    unit="bytes",
)
DISK_WRITTEN_BYTES = Family(
    "llm_monitor_node_disk_written_bytes_total",
    COUNTER,
    "Bytes written to the device (/proc/diskstats).",
    labels=("device",),
    unit="bytes",
)
DISK_READS = Family(
    "llm_monitor_node_disk_reads_total",
    COUNTER,
    "Reads that the device completed (/proc/diskstats).",
    labels=("device",),
)
DISK_WRITES = Family(
    "llm_monitor_node_disk_writes_total",
    COUNTER,
    "Writes that the device completed (/proc/diskstats).",
    labels=("device",),
)
DISK_IO_TIME = Family(
    "llm_monitor_node_disk_io_time_seconds_total",
    COUNTER,
    "Time in which the device had anything to do (/proc/diskstats).",
    labels=("device",),
    unit="seconds",
)
DISK_READ_TIME = Family(
    "llm_monitor_node_disk_read_time_seconds_total",
    COUNTER,
    "Time that all reads took together (/proc/diskstats).",
    labels=("device",),
    unit="seconds",
)
DISK_WRITE_TIME = Family(
    "llm_monitor_node_disk_write_time_seconds_total",
    COUNTER,
    "Time that all writes took together (/proc/diskstats).",
    labels=("device",),
    unit="seconds",
)

NETWORK_RECEIVE_BYTES = Family(
    "llm_monitor_node_network_receive_bytes_total",
    COUNTER,
    "Bytes received (/proc/1/net/dev).",
    labels=("device",),
    unit="bytes",
)
NETWORK_RECEIVE_PACKETS = Family(
    "llm_monitor_node_network_receive_packets_total",
    COUNTER,
    "Packets received (/proc/1/net/dev).",
    labels=("device",),
)
NETWORK_RECEIVE_ERRORS = Family(
    "llm_monitor_node_network_receive_errors_total",
    COUNTER,
    "Packets received with errors (/proc/1/net/dev).",
    labels=("device",),
)
NETWORK_RECEIVE_DROPS = Family(
    "llm_monitor_node_network_receive_drops_total",
    COUNTER,
    "Packets dropped on receipt (/proc/1/net/dev).",
    labels=("device",),
)
NETWORK_TRANSMIT_BYTES = Family(
    "llm_monitor_node_network_transmit_bytes_total",
    COUNTER,
    "Bytes sent (/proc/1/net/dev).",
    labels=("device",),
    unit="bytes",
)
NETWORK_TRANSMIT_PACKETS = Family(
    "llm_monitor_node_network_transmit_packets_total",
    COUNTER,
    "Packets sent (/proc/1/net/dev).",
    labels=("device",),
)
NETWORK_TRANSMIT_ERRORS = Family(
    "llm_monitor_node_network_transmit_errors_total",
    COUNTER,
    "Packets that could not be sent (/proc/1/net/dev).",
    labels=("device",),
)
NETWORK_TRANSMIT_DROPS = Family(
    "llm_monitor_node_network_transmit_drops_total",
    COUNTER,
    "Packets dropped instead of sent (/proc/1/net/dev).",
    labels=("device",),
)
NETWORK_UP = Family(
    "llm_monitor_node_network_up",
    GAUGE,
    "1 when the device is up or has no such state, else 0 (/sys/class/net/*/operstate).",
    labels=("device",),
)
NETWORK_SPEED = Family(
    "llm_monitor_node_network_speed_bytes_per_second",
    GAUGE,
    "Speed of the device (/sys/class/net/*/speed), absent where it has none.",
    labels=("device",),
    unit="bytes_per_second",
)

PRESSURE_WAITING = Family(
    "llm_monitor_node_pressure_waiting_seconds_total",
    COUNTER,
    "Time in which some work waited for the resource (/proc/pressure, some).",
    labels=("resource",),
    unit="seconds",
)
PRESSURE_STALLED = Family(
    "llm_monitor_node_pressure_stalled_seconds_total",
    COUNTER,
    "Time in which all work waited for the resource (/proc/pressure, full).",
    labels=("resource",),
    unit="seconds",
)
PROCESSES = Family(
    "llm_monitor_node_processes",
    GAUGE,
    "Processes by state (/proc/*/stat).",
    labels=("state",),
)
OPEN_FILES = Family(
    "llm_monitor_node_open_files",
    GAUGE,
    "Open file handles of the whole host (/proc/sys/fs/file-nr).",
)
HWMON_TEMPERATURE = Family(
    "llm_monitor_node_hwmon_temperature_celsius",
    GAUGE,
    "Temperature that a sensor reads (/sys/class/hwmon; the list of sensors is kept a minute).",
    labels=("chip", "sensor"),
    unit="celsius",
)

FAMILIES = (
    INFO,
    BOOT_TIME,
    TIME,
    CLOCK_OFFSET,
    CLOCK_SYNCHRONIZED,
    CPU_SECONDS,
    CPU_CORE_SECONDS,
    CPUS,
    LOAD1,
    LOAD5,
    LOAD15,
    CONTEXT_SWITCHES,
    INTERRUPTS,
    MEMORY_TOTAL,
    MEMORY_AVAILABLE,
    MEMORY_FREE,
    MEMORY_BUFFERS,
    MEMORY_CACHED,
    MEMORY_SLAB,
    SWAP_TOTAL,
    SWAP_USED,
    SHM_SIZE,
    SHM_USED,
    OOM_KILLS,
    NUMA_MEMORY_TOTAL,
    NUMA_MEMORY_FREE,
    FILESYSTEM_SIZE,
    FILESYSTEM_AVAIL,
    FILESYSTEM_FILES,
    FILESYSTEM_FILES_FREE,
    FILESYSTEM_READONLY,
    FILESYSTEM_ERROR,
    DISK_READ_BYTES,
    DISK_WRITTEN_BYTES,
    DISK_READS,
    DISK_WRITES,
    DISK_IO_TIME,
    DISK_READ_TIME,
    DISK_WRITE_TIME,
    NETWORK_RECEIVE_BYTES,
    NETWORK_RECEIVE_PACKETS,
    NETWORK_RECEIVE_ERRORS,
    NETWORK_RECEIVE_DROPS,
    NETWORK_TRANSMIT_BYTES,
    NETWORK_TRANSMIT_PACKETS,
    NETWORK_TRANSMIT_ERRORS,
    NETWORK_TRANSMIT_DROPS,
    NETWORK_UP,
    NETWORK_SPEED,
    PRESSURE_WAITING,
    PRESSURE_STALLED,
    PROCESSES,
    OPEN_FILES,
    HWMON_TEMPERATURE,
)
