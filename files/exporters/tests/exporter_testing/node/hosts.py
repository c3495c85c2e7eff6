"""A host made of files, and the node exporter over it."""

import asyncio
from pathlib import Path

from exporter_testing.scraping import Values, ask
from llm_monitor.base import registry
from llm_monitor.base.collection.engine import Engine, Limits
from llm_monitor.base.config.load import check
from llm_monitor.base.config.reader import read
from llm_monitor.node.exporter import Settings, build
from llm_monitor.node.source import NodeSource

FILES = {
    "proc/stat": (
        "cpu  1000 20 300 40000 50 6 7 8 900 0\n"
        "cpu0 600 10 200 20000 25 3 4 4 450 0\n"
        "cpu1 400 10 100 20000 25 3 3 4 450 0\n"
        "intr 123456 1 2 3\nctxt 654321\nbtime 1700000000\nprocesses 99\n"
    ),
    "proc/loadavg": "1.25 2.50 3.75 2/345 6789\n",
    "proc/meminfo": (
        "MemTotal: 1000 kB\nMemFree: 400 kB\nMemAvailable: 800 kB\nBuffers: 10 kB\n"
        "Cached: 300 kB\nSlab: 20 kB\nSwapTotal: 50 kB\nSwapFree: 30 kB\nHugePages_Total: 0\n"
    ),
    "proc/vmstat": "nr_free_pages 7\noom_kill_disable 5\noom_kill 3\n",
    "proc/diskstats": (
        " 259 0 nvme0n1 10 0 80 2000 20 0 160 3000 0 4000 5000 0 0 0 0\n"
        " 259 1 nvme0n1p1 1 0 8 1 1 0 8 1 0 1 2\n"
        "   7 0 loop0 1 0 8 1 1 0 8 1 0 1 2\n"
        " 253 0 dm-0 5 0 8 1 1 0 8 1 0 1 2\n"
    ),
    "proc/1/net/dev": (
        "Inter-|   Receive                          |  Transmit\n"
        " face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop\n"
        "    lo: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0\n"
        "  eth0: 1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0\n"
        "veth1a: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0\n"
        "   lan: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0\n"
        "   ib0:18446744073709551615 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n"
    ),
    "sys/class/net/eth0/operstate": "up\n",
    "sys/class/net/eth0/speed": "10000\n",
    "sys/class/net/ib0/operstate": "down\n",
    "sys/class/net/ib0/speed": "-1\n",
    "sys/class/net/lan/bridge/bridge_id": "8000\n",
    "proc/pressure/cpu": (
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    ),
    "proc/pressure/memory": (
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=3000000\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=250000\n"
    ),
    "proc/1/stat": "1 (init) S 0 1 1\n",
    "proc/42/stat": "42 (evil) R (name) Z 1 42\n",
    "proc/43/stat": "43 (worker) R 1 43\n",
    "proc/44/stat": "",
    "proc/sys/fs/file-nr": "2048\t0\t9223372036854775807\n",
    "proc/sys/kernel/osrelease": "6.12.0-test\n",
    "etc/os-release": 'PRETTY_NAME="Testix 13"\nID=testix\n',
    "sys/class/hwmon/hwmon0/name": "coretemp\n",
    "sys/class/hwmon/hwmon0/temp1_input": "45500\n",
    "sys/class/hwmon/hwmon0/temp1_label": "Package id 0\n",
    "sys/class/hwmon/hwmon0/temp2_input": "-1000\n",
    "sys/class/hwmon/hwmon1/name": "nvme\n",
    "sys/class/hwmon/hwmon1/temp1_input": "30000\n",
    "sys/class/hwmon/hwmon1/temp1_label": "Sensor\n",
    "sys/class/hwmon/hwmon1/temp2_input": "31000\n",
    "sys/class/hwmon/hwmon1/temp2_label": "Sensor\n",
    "sys/class/hwmon/hwmon1/temp3_input": "broken\n",
    "sys/devices/system/node/node0/meminfo": "Node 0 MemTotal: 600 kB\nNode 0 MemFree: 100 kB\n",
    "sys/devices/system/node/node1/meminfo": "Node 1 MemTotal: 400 kB\nNode 1 MemFree: 300 kB\n",
    "proc/1/mountinfo": (
        "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
        "23 22 0:21 / /proc rw - proc proc rw\n"
        "24 22 0:30 / /data\\040one ro,relatime shared:1 - xfs /dev/vdb rw\n"
        "25 22 0:31 / /gone rw - nfs4 server:/x rw\n"
    ),
    "data one/file": "",
    "dev/shm/file": "",
}


def make_host(root: Path) -> Path:
    """Write the files of a host below `root`, and return that."""
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for number, device in enumerate(("coretemp.0", "nvme3")):
        (root / f"sys/class/hwmon/hwmon{number}/device").symlink_to(f"../../../{device}")
    return root


def node_settings(**settings: object) -> Settings:
    raw = read({})
    raw["node"] = {**raw["node"], **settings}
    _, sections = check(raw, {"node": Settings}, registry.names())
    section = sections["node"]
    assert isinstance(section, Settings)
    return section


def collect(root: Path | str, source: NodeSource | None = None, **settings: object) -> Values:
    """Return what one collection over `root` gives, by names and labels' values."""

    async def run() -> Values:
        exporter = build(node_settings(host_root=str(root), **settings), source)
        return await ask(Engine(exporter, Limits(min_interval=0)), 8)

    return asyncio.run(run())


def without(values: Values, *names: str) -> Values:
    return {key: value for key, value in values.items() if key[0] not in names}
