"""Every family over a host made of files, and what happens when those vanish or are garbled."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter_testing.node.hosts import FILES, collect
from exporter_testing.scraping import Values
from llm_monitor.base.errors import SourceError
from llm_monitor.node.metrics import FAMILIES
from llm_monitor.node.source import HostSource, NodeSource

N = "llm_monitor_node_"


NEVER = re.compile("$^")
NET_DEV_HEADER = FILES["proc/1/net/dev"].partition("    lo:")[0]
TICK = 1 / os.sysconf("SC_CLK_TCK")
EXPECTED: Values = {
    ("cpu_seconds_total", "user"): 1000 * TICK,
    ("cpu_seconds_total", "steal"): 8 * TICK,
    ("cpus",): 2,
    ("load1",): 1.25,
    ("load5",): 2.5,
    ("load15",): 3.75,
    ("memory_total_bytes",): 1000 * 1024,
    ("memory_available_bytes",): 800 * 1024,
    ("memory_free_bytes",): 400 * 1024,
    ("memory_buffers_bytes",): 10 * 1024,
    ("memory_cached_bytes",): 300 * 1024,
    ("memory_slab_bytes",): 20 * 1024,
    ("swap_total_bytes",): 50 * 1024,
    ("swap_used_bytes",): 20 * 1024,
    ("filesystem_readonly", "/", "ext4"): 0,
    ("filesystem_readonly", "/data one", "xfs"): 1,
    ("filesystem_error", "/data one", "xfs"): 0,
    ("disk_read_bytes_total", "nvme0n1"): 80 * 512,
    ("disk_written_bytes_total", "nvme0n1"): 160 * 512,
    ("disk_reads_total", "nvme0n1"): 10,
    ("disk_writes_total", "nvme0n1"): 20,
    ("disk_read_time_seconds_total", "nvme0n1"): 2,
    ("disk_write_time_seconds_total", "nvme0n1"): 3,
    ("disk_io_time_seconds_total", "nvme0n1"): 4,
    ("disk_reads_total", "dm-0"): 5,
    ("network_receive_bytes_total", "eth0"): 1000,
    ("network_receive_packets_total", "eth0"): 10,
    ("network_receive_errors_total", "eth0"): 1,
    ("network_receive_drops_total", "eth0"): 2,
    ("network_transmit_bytes_total", "eth0"): 2000,
    ("network_transmit_packets_total", "eth0"): 20,
    ("network_transmit_errors_total", "eth0"): 3,
    ("network_transmit_drops_total", "eth0"): 4,
    ("network_up", "eth0"): 1,
    ("network_up", "ib0"): 0,
    ("network_receive_bytes_total", "ib0"): 2**64 - 1,
    ("network_speed_bytes_per_second", "eth0"): 1.25e9,
    ("pressure_waiting_seconds_total", "cpu"): 1.5,
    ("pressure_stalled_seconds_total", "cpu"): 0,
    ("pressure_waiting_seconds_total", "memory"): 3,
    ("pressure_stalled_seconds_total", "memory"): 0.25,
    ("processes", "running"): 1,
    ("processes", "sleeping"): 1,
    ("processes", "zombie"): 1,
    ("processes", "stopped"): 0,
    ("open_files",): 2048,
    ("boot_time_seconds",): 1700000000,
    ("context_switches_total",): 654321,
    ("interrupts_total",): 123456,
    ("oom_kills_total",): 3,
    ("hwmon_temperature_celsius", "coretemp coretemp.0", "Package id 0"): 45.5,
    ("hwmon_temperature_celsius", "coretemp coretemp.0", "temp2"): -1,
    ("hwmon_temperature_celsius", "nvme nvme3", "Sensor temp1"): 30,
    ("hwmon_temperature_celsius", "nvme nvme3", "Sensor temp2"): 31,
    ("numa_memory_total_bytes", "0"): 600 * 1024,
    ("numa_memory_free_bytes", "1"): 300 * 1024,
    ("info", "6.12.0-test", "Testix 13", os.uname().machine): 1,
}


def test_every_value(host: Path) -> None:
    found = collect(host)
    shm = os.statvfs(host / "dev/shm")
    disk = os.statvfs(host)
    expected = EXPECTED | {
        ("shm_size_bytes",): shm.f_blocks * shm.f_frsize,
        ("filesystem_size_bytes", "/", "ext4"): disk.f_blocks * disk.f_frsize,
        ("filesystem_files", "/data one", "xfs"): disk.f_files,
    }
    assert {key: found.get((N + key[0], *key[1:])) for key in expected} == expected
    labels = {key[1] for key in found if len(key) > 1}
    assert not labels & {"lo", "veth1a", "lan", "loop0", "nvme0n1p1", "/proc", "/gone"}
    assert (f"{N}network_speed_bytes_per_second", "ib0") not in found
    assert (f"{N}pressure_waiting_seconds_total", "io") not in found
    success = f"{N}collector_success"
    assert {key[1] for key, value in found.items() if key[0] == success and value != 1} == set()


def test_every_family_is_given_by_some_host(host: Path) -> None:
    names = {key[0] for key in collect(host, per_cpu=True)}
    expected = {family.name for family in FAMILIES}
    assert expected - names <= {f"{N}clock_offset_seconds"}


def test_each_cpu_on_request(host: Path) -> None:
    found = collect(host, per_cpu=True)
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert found[f"{N}cpu_core_seconds_total", "1", "user"] == 400 * tick
    assert (f"{N}cpu_core_seconds_total", "1", "user") not in collect(host)


COLLECTORS = {
    "proc/stat": "stat",
    "proc/loadavg": "load",
    "proc/meminfo": "memory",
    "proc/diskstats": "disk",
    "proc/1/net/dev": "network",
    "proc/1/mountinfo": "filesystem",
    "proc/sys/fs/file-nr": "file",
    "proc/sys/kernel/osrelease": "system",
}
GARBAGE = ("", "nonsense", "\n\n", "cpu  x\n", "MemTotal\n", "\x00\xff")
LEGITIMATE = {
    ("proc/diskstats", ""): "it has no header, and a host without block devices has no lines",
}
OPTIONAL = {
    "proc/vmstat": ("oom", "oom_kills_total"),
    "proc/pressure": ("pressure", "pressure_waiting_seconds_total"),
    "sys/class/hwmon": ("hwmon", "hwmon_temperature_celsius"),
    "sys/devices/system/node": ("numa", "numa_memory_total_bytes"),
    "dev/shm": ("shm", "shm_size_bytes"),
}


def failing(root: Path) -> set[str]:
    key = f"{N}collector_success"
    return {name[1] for name, value in collect(root).items() if name[0] == key and value == 0}


@pytest.mark.parametrize(("file", "collector"), COLLECTORS.items())
def test_a_file_that_vanishes_costs_its_own_collector(
    host: Path, file: str, collector: str
) -> None:
    (host / file).unlink()
    assert failing(host) == {collector}


@pytest.mark.parametrize(("file", "collector"), COLLECTORS.items())
@pytest.mark.parametrize("text", GARBAGE)
def test_a_garbled_file_costs_its_own_collector(
    host: Path, file: str, collector: str, text: str
) -> None:
    (host / file).write_text(text, encoding="latin-1")
    assert failing(host) == (set() if (file, text) in LEGITIMATE else {collector})


@pytest.mark.parametrize(
    ("file", "collector"),
    {
        "proc/vmstat": "oom",
        "proc/pressure/memory": "pressure",
        "sys/devices/system/node/node1/meminfo": "numa",
    }.items(),
)
@pytest.mark.parametrize("text", GARBAGE)
def test_what_is_there_but_garbled_is_a_failure_even_of_what_is_optional(
    host: Path, file: str, collector: str, text: str
) -> None:
    (host / file).write_text(text, encoding="latin-1")
    assert failing(host) == {collector}


@pytest.mark.parametrize(
    ("file", "text", "reader", "problem"),
    [
        ("proc/meminfo", "", "memory", "no MemTotal, MemFree, MemAvailable"),
        ("proc/meminfo", "MemTotal: 9 kB\nMemFree: 1 kB\n", "memory", "no MemAvailable"),
        ("proc/meminfo", "MemFree: 1 kB\nMemAvailable: 5 kB\n", "memory", "no MemTotal"),
        ("proc/vmstat", "", "oom_kills", "does not begin with the numbers of pages"),
        ("proc/diskstats", "\n", "disks", "values to unpack"),
        ("proc/diskstats", " 259 0 nvme0n1 10 0 80\n", "disks", "values to unpack"),
        ("proc/1/mountinfo", "", "mounts", "no mount at or below /"),
        ("proc/pressure/cpu", "", "pressure", "neither `some` nor `full`"),
        ("proc/sys/kernel/osrelease", "\n", "system", "'' is no kernel release"),
        ("proc/sys/kernel/osrelease", "two words\n", "system", "'two words' is no kernel release"),
    ],
)
def test_the_error_names_the_file_and_what_is_wrong(
    host: Path, file: str, text: str, reader: str, problem: str
) -> None:
    (host / file).write_text(text)
    with pytest.raises(SourceError, match=f"^{host / file}: .*{problem}"):
        getattr(HostSource(str(host)), reader)()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "does not begin with the kernel's header"),
        ("  eth0: 1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0\n" * 3, "the kernel's header"),
        (NET_DEV_HEADER, "no device, not even the loopback"),
        (NET_DEV_HEADER + "  eth0: 1000 10 1\n", "Traffic"),
    ],
)
def test_network_devices_come_below_their_header(host: Path, text: str, problem: str) -> None:
    (host / "proc/1/net/dev").write_text(text)
    with pytest.raises(SourceError, match=f"^{host / 'proc/1/net/dev'}: .*{problem}"):
        HostSource(str(host)).networks(NEVER)


def test_a_host_without_block_devices_has_none(host: Path) -> None:
    (host / "proc/diskstats").write_text("")
    assert HostSource(str(host)).disks() == []
    found = collect(host)
    assert found[f"{N}collector_success", "disk"] == 1
    assert f"{N}disk_reads_total" not in {key[0] for key in found}


def test_a_host_without_processes_is_not_seen_whole(host: Path) -> None:
    for number in (1, 42, 43, 44):
        (host / f"proc/{number}/stat").unlink()
    with pytest.raises(SourceError, match=f"^{host / 'proc'}: .*no process"):
        HostSource(str(host)).processes()
    assert failing(host) == {"process"}


@pytest.mark.parametrize(("path", "what"), OPTIONAL.items())
def test_what_a_host_may_do_without_is_no_failure(
    host: Path, path: str, what: tuple[str, str]
) -> None:
    (host / path).rename(host / "elsewhere")
    found = collect(host)
    assert found[f"{N}collector_success", what[0]] == 1
    assert N + what[1] not in {key[0] for key in found}


def test_a_host_without_anything_still_answers(tmp_path: Path) -> None:
    found = collect(tmp_path)
    assert found[f"{N}up",] == 1
    assert (f"{N}time_seconds",) in found
    assert found[f"{N}collector_success", "stat"] == 0


def test_time_that_the_kernel_takes_back_is_no_new_start(host: Path) -> None:
    stat, source = host / "proc/stat", HostSource(str(host))
    hertz = os.sysconf("SC_CLK_TCK")

    def iowait(seconds: float) -> tuple[float, float]:
        ticks = f"100 0 100 900 {round(seconds * hertz)} 0 0 0 0 0"
        both = f"cpu  {ticks}\ncpu0 {ticks}\ncpu1 {ticks}\n"
        stat.write_text(f"{both}intr 1\nctxt 1\nbtime 1\n")
        found = source.stat()
        return found.modes["iowait"], found.cores["1"]["iowait"]

    assert [iowait(seconds) for seconds in (50, 48, 49.5, 51)] == [(50, 50)] * 3 + [(51, 51)]
    # What all CPUs together give back is more.
    assert iowait(47) == (51, 47)
    assert iowait(2) == (2, 2)


def test_process_1_hidden_from_this_user(host: Path) -> None:
    own = (
        "22 1 254:0 / {root} rw,relatime - ext4 /dev/vda rw\n"
        "23 1 254:1 / {root}/data\\040one rw,relatime - xfs /dev/vdb rw\n"
        "24 1 0:50 / / rw - overlay overlay rw\n"
    )
    (host / "proc/1/mountinfo").unlink()
    (host / "proc/self").mkdir()
    (host / "proc/self/mountinfo").write_text(own.format(root=host))
    found = collect(host)
    assert (f"{N}filesystem_size_bytes", "/", "ext4") in found
    assert (f"{N}filesystem_size_bytes", "/data one", "xfs") in found
    (host / "proc/self/mountinfo").write_text("24 1 0:50 / / rw - overlay overlay rw\n")
    with pytest.raises(SourceError, match=f"self/mountinfo: .*no mount at or below {host}"):
        HostSource(str(host)).mounts()


def test_os_release_elsewhere_or_missing(host: Path) -> None:
    (host / "etc/os-release").unlink()
    assert HostSource(str(host)).system().os == ""
    (host / "usr/lib").mkdir(parents=True)
    (host / "usr/lib/os-release").write_text("ID=testix\n")
    assert HostSource(str(host)).system().os == "testix"


# All that a source is asked for, but what it takes from the kernel itself and not from a file.
PARSERS = {name for name in vars(NodeSource) if not name.startswith("_")} - {"usage", "clock"}
ARGUMENTS = {"networks": (NEVER,)}
READ = [name for name in FILES if name.startswith(("proc/", "sys/", "etc/"))]


def test_the_parsers_are_those_of_the_protocol() -> None:
    assert {"stat", "networks", "processes", "open_files", "temperatures"} < PARSERS


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.sampled_from(READ), st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_garbage_never_raises_anything_but_a_source_error(
    host: Path, name: str, content: bytes
) -> None:
    path = host / name
    before = path.read_bytes()
    path.write_bytes(content)
    source = HostSource(str(host))
    try:
        for parser in sorted(PARSERS):
            try:
                getattr(source, parser)(*ARGUMENTS.get(parser, ()))
            except SourceError:
                continue
    finally:
        path.write_bytes(before)
