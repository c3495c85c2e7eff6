"""Control groups made of files, in all layouts, with the same numbers in each."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

GIB = 1 << 30
CONTROLLERS = ("cpu", "cpuacct", "memory", "blkio")

V2 = {
    "cpu.stat": (
        "usage_usec 12500000\nuser_usec 10250000\nsystem_usec 2250000\nnice_usec 0\n"
        "nr_periods 400\nnr_throttled 100\nthrottled_usec 3500000\nnr_bursts 0\nburst_usec 0\n"
    ),
    "cpu.max": "150000 100000\n",
    "memory.current": "1000000\n",
    "memory.swap.current": "20000\n",
    "memory.max": f"{GIB}\n",
    "memory.stat": "anon 500000\nfile 450000\nkernel 50000\ninactive_file 300000\nactive_file 1\n",
    "memory.events": "low 0\nhigh 0\nmax 7\noom 2\noom_kill 2\noom_group_kill 0\n",
    "io.stat": "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n259:0 \n"
    "7:0 7:1 259:7 rbytes=1 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n",
    "cgroup.procs": "4242\n4243\n4250\n",
}
V1 = {
    "cpuacct": {
        "cpuacct.usage": "12500000000\n",
        "cpuacct.stat": "user 1025\nsystem 225\n",
    },
    "cpu": {
        "cpu.stat": "nr_periods 400\nnr_throttled 100\nthrottled_time 3500000000\n",
        "cpu.cfs_quota_us": "150000\n",
        "cpu.cfs_period_us": "100000\n",
        "cgroup.procs": "4242\n4243\n4250\n",
    },
    "memory": {
        "memory.usage_in_bytes": "1000000\n",
        "memory.limit_in_bytes": f"{GIB}\n",
        "memory.stat": (
            "cache 1\nrss 2\nswap 3\ninactive_file 4\nhierarchical_memory_limit 5\n"
            "total_cache 450000\ntotal_rss 500000\ntotal_swap 20000\ntotal_inactive_file 300000\n"
        ),
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    },
    "blkio": {
        "blkio.throttle.io_service_bytes_recursive": (
            "8:0 Read 4096\n8:0 Write 8192\n8:0 Sync 1\n8:0 Async 2\n8:0 Discard 0\n8:0 Total 3\n"
            "259:7 Read 1\n259:7 Write 0\n259:7 Total 1\nTotal 4\n"
        ),
        "blkio.throttle.io_service_bytes": "8:0 Read 5\n8:0 Write 6\nTotal 11\n",
    },
}
NETWORK = (
    "Inter-|   Receive                          |  Transmit\n"
    " face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop\n"
    "    lo: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0\n"
    "  eth0:1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0\n"
    " tunl0: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0\n"
    "veth12: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0\n"
)


@dataclass
class Kernel:
    """What the kernel shows of containers, below a folder.

    Attributes:
        root: The folder, in which `proc` and `cgroup` are made.
        layout: v1, v2, hybrid, or mixed: memory and io in version 2, the CPU in version 1.
        place: The path of a container's groups, with its id for {}.
    """

    root: Path
    layout: str = "v2"
    place: str = "/docker/{}"

    def __post_init__(self) -> None:
        unified = {"v2": "cpuset cpu io memory pids", "hybrid": "hugetlb", "mixed": "io memory"}
        if self.layout in unified:
            self._write(f"{self._unified}/cgroup.controllers", unified[self.layout])
        for controller in self._first:
            self._write(f"cgroup/{controller}/cgroup.procs", "1\n")
        partitions = "major minor  #blocks  name\n\n   8        0  268435456 sda\n"
        self._write("proc/partitions", partitions)

    @property
    def settings(self) -> dict[str, str]:
        """The exporter's settings that make it read here."""
        return {"proc": str(self.root / "proc"), "cgroup": str(self.root / "cgroup")}

    @property
    def _unified(self) -> str:
        return "cgroup" if self.layout == "v2" else "cgroup/unified"

    @property
    def _first(self) -> tuple[str, ...]:
        """The controllers of version 1."""
        layouts = {"v2": (), "mixed": ("cpu", "cpuacct")}
        return layouts.get(self.layout, CONTROLLERS)

    def add(self, container: str, pid: int = 4242, network: str = NETWORK) -> None:
        """Make a container's groups, and its first process."""
        path = self.place.replace("{}", container)
        for controller in self._first:
            self._fill(f"cgroup/{controller}{path}", V1[controller])
        if self.layout != "v1":
            alone = self.layout == "hybrid"
            self._fill(f"{self._unified}{path}", {"cpu.stat": "usage_usec 1\n"} if alone else V2)
        self._write(f"proc/{pid}/cgroup", f"4:memory:{path}\n0::{path}\n")
        self._write(f"proc/{pid}/net/dev", network)

    def file(self, container: str, name: str) -> Path:
        """Return the path of a container's file of that name."""
        (found,) = self.root.glob(f"cgroup/**/*{container}*/{name}")
        return found

    def _fill(self, folder: str, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            self._write(f"{folder}/{name}", text)

    def _write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
