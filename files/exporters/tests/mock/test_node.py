"""The simulated machine through the node exporter's own collectors, against real ones."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter_testing.node.hosts import make_host
from exporter_testing.process import Start
from exporter_testing.simulated import START, Life, Told, settings_of, tell
from llm_monitor.base.errors import SourceMissingError
from llm_monitor.base.exporter import Exporter
from llm_monitor.mock.fleet.layout import Disk
from llm_monitor.mock.fleet.reading import usual_fleet
from llm_monitor.mock.sources.node import SimulatedHost
from llm_monitor.node.exporter import Settings, build

N = "llm_monitor_node_"
HOUR = 3600.0
# What each host has of its own; all other labels have to have the same values.
VARYING = (
    *("kernel", "os", "architecture", "python", "version"),
    *("mountpoint", "fstype", "device", "chip", "sensor", "node"),
)
# Where a host has what not every host has, by the beginning of the families' names.
OPTIONAL = {
    "hwmon_": "sys/class/hwmon/hwmon*/temp*_input",
    "numa_": "sys/devices/system/node/node*/meminfo",
    "pressure_": "proc/pressure/memory",
    "shm_": "dev/shm",
    "disk_": "sys/block/[hsvx]*d*",
}


def exporter(life: Life, server: int = 0) -> Exporter:
    return build(settings_of("node", Settings), SimulatedHost(life.view(server)))


def told(life: Life) -> Told:
    return tell(exporter(life))


@pytest.fixture(scope="module")
def usual() -> Told:
    return told(Life().go_on(2 * HOUR))


def lacking_here(real: Told) -> tuple[str, ...]:
    """Return how the names of families begin for which this host has nothing to read."""
    found = [name for name, place in OPTIONAL.items() if not any(Path("/").glob(place))]
    # The kernel knows an offset only of a clock that something keeps synchronised.
    found += ["clock_offset_"] if not real.one(f"{N}clock_synchronized") else []
    # Virtual network devices have no speed.
    found += ["network_speed_"] if not any(speeds()) else []
    return tuple(f"{N}{name}" for name in found)


def speeds() -> list[bool]:
    """Return for each network device that counts and tells its speed whether it has one."""
    exclude = settings_of("node", Settings).network_exclude
    found = []
    for path in Path("/sys/class/net").glob("*/speed"):
        if exclude.search(path.parent.name):
            continue
        try:
            found.append(int(path.read_text()) > 0)
        except OSError:
            continue
    return found


def test_families_labels_and_units_are_those_of_this_host(usual: Told, start_node: Start) -> None:
    running = start_node(MIN_INTERVAL="0")
    real = Told.of(running.get(Accept="application/openmetrics-text; version=1.0.0").text)

    only = usual.families.keys() - real.families.keys()
    assert {name for name in only if not name.startswith(lacking_here(real))} == set()
    assert real.families == {name: usual.families[name] for name in real.families}
    here = {shape for shape in usual.shapes(VARYING) if not shape[0].startswith(tuple(only))}
    assert here == real.shapes(VARYING)


def test_families_labels_and_units_are_those_of_a_host_that_has_everything(
    usual: Told, tmp_path: Path
) -> None:
    real = tell(build(settings_of("node", Settings, host_root=str(make_host(tmp_path)))))
    # Its clock is that of this host, which need not be synchronised.
    apart = (f"{N}clock_offset_seconds",)

    def families(one: Told) -> dict[str, tuple[str, str, str]]:
        return {name: told for name, told in one.families.items() if name not in apart}

    assert families(usual) == families(real)


def test_the_machine_is_that_of_the_fleet(usual: Told) -> None:
    assert usual.one(f"{N}cpus") == 192
    total = usual.one(f"{N}memory_total_bytes")
    assert total == 2164e9
    assert usual.one(f"{N}memory_free_bytes") < usual.one(f"{N}memory_available_bytes") < total
    numa = usual.by(f"{N}numa_memory_total_bytes", "node")
    assert numa.keys() == {("0",), ("1",)}
    assert sum(numa.values()) == total
    assert usual.by(f"{N}filesystem_size_bytes", "mountpoint", "fstype").keys() == {
        ("/", "ext4"),
        ("/data", "xfs"),
    }
    assert not any(usual.by(f"{N}filesystem_error", "mountpoint").values())
    # What partitions do is told of their disks.
    assert set(usual.by(f"{N}disk_written_bytes_total", "device")) == {("nvme0n1",), ("nvme1n1",)}
    assert usual.by(f"{N}network_speed_bytes_per_second", "device") == {("eth0",): 12.5e9}
    assert usual.one(f"{N}time_seconds") == START + 2 * HOUR
    # Alerts that leave a host alone after its boot do so no more, nor does it start after those
    # that run on it.
    assert usual.one(f"{N}boot_time_seconds") == START - 1200


def test_cpu_time_is_the_time_that_all_cpus_had() -> None:
    life = Life().go_on(HOUR)
    running = exporter(life)
    before = tell(running)
    after = tell(exporter(life.go_on(300)))

    modes = seconds(before, after, "cpu_seconds_total", "mode")
    assert sum(modes.values()) == pytest.approx(192 * 300, rel=1e-4)
    assert min(modes.values()) >= 0
    assert 0.02 < 1 - modes["idle"] / sum(modes.values()) < 0.5


def seconds(before: Told, after: Told, name: str, label: str) -> dict[str, float]:
    """Return by how much the series of a counter have risen, by a label."""
    earlier = before.by(f"{N}{name}", label)
    return {one: now - earlier[one,] for (one,), now in after.by(f"{N}{name}", label).items()}


def test_each_cpu_can_be_told_apart() -> None:
    life = Life().go_on(HOUR)
    chosen = {"per_cpu": True}
    found = tell(build(settings_of("node", Settings, **chosen), SimulatedHost(life.view())))

    # The exporter's caps hold for simulated series too: eight modes of 192 CPUs are more.
    assert len(found.by(f"{N}cpu_core_seconds_total", "cpu", "mode")) == 200


def test_what_is_not_mounted_is_not_there() -> None:
    with pytest.raises(SourceMissingError, match="/nowhere is not there"):
        SimulatedHost(Life().view()).usage("/nowhere")


def test_disks_are_listed_with_their_partitions() -> None:
    disks = [
        Disk(device=device, mountpoint=f"/{device}", size=100, used=0.1, fstype=fstype, growth=1e6)
        for device, fstype in (
            *(("sda1", "ext4"), ("sda2", "xfs"), ("nvme0n1", "xfs"), ("mmcblk0p1", "ext4")),
            *(("md0", "ext4"), ("dm-0", "xfs"), ("memory", "tmpfs")),
        )
    ]
    fleet = usual_fleet().model_copy(update={"disks": tuple(disks)})
    source = SimulatedHost(Life(fleet).go_on(HOUR).view())

    found = {one.device: one.written_bytes for one in source.disks()}
    whole = ["sda", "nvme0n1", "mmcblk0", "md0", "dm-0"]
    assert found.keys() == {*whole, "sda1", "sda2", "mmcblk0p1"}
    assert found["sda"] == found["sda1"] + found["sda2"] > 0
    assert {one.chip for one in source.temperatures()} >= {f"nvme nvme{n}" for n in range(5)}


def test_a_host_that_does_not_answer_is_a_failure_of_the_source() -> None:
    found = told(Life().befall("collector_failing", "node").go_on(60))

    assert found.one(f"{N}up") == 0
    assert not any(found.by(f"{N}collector_success", "collector").values())


@pytest.mark.parametrize(
    ("kind", "modes", "least"),
    [("cpu_busy", ("user", "system", "softirq"), 0.9), ("io_wait", ("iowait",), 0.2)],
)
def test_cpus_can_be_kept_busy_or_waiting(kind: str, modes: tuple[str, ...], least: float) -> None:
    life = Life().go_on(HOUR).befall(kind).go_on(60)
    before = told(life)
    spent = seconds(before, told(life.go_on(300)), "cpu_seconds_total", "mode")

    assert sum(spent[mode] for mode in modes) / sum(spent.values()) > least


def test_waiting_for_disks_shows_in_processes_and_pressure() -> None:
    life = Life().go_on(HOUR).befall("io_wait").go_on(60)
    before = told(life)
    after = told(life.go_on(300))

    assert after.one(f"{N}processes", state="uninterruptible") > 50
    assert seconds(before, after, "pressure_waiting_seconds_total", "resource")["io"] > 60


def test_memory_can_be_taken() -> None:
    found = told(Life().befall("memory_busy").go_on(60))

    assert found.one(f"{N}memory_available_bytes") / found.one(f"{N}memory_total_bytes") < 0.1
    assert found.one(f"{N}memory_free_bytes") >= 0


def test_work_can_stall_for_want_of_memory() -> None:
    life = Life().befall("memory_stalled").go_on(60)
    before = told(life)
    risen = seconds(before, told(life.go_on(300)), "pressure_stalled_seconds_total", "resource")

    assert risen == {"cpu": 0, "io": pytest.approx(0.36, abs=0.3), "memory": pytest.approx(60)}


def test_the_kernel_kills_processes_in_containers_and_elsewhere() -> None:
    life = Life().befall("oom_kill", value=3).go_on(HOUR)
    elsewhere = told(life).one(f"{N}oom_kills_total")
    assert elsewhere in (2, 3)
    life.heal().befall("container_oom", "redis", 60).go_on(HOUR)

    killed = life.view().state().containers.kills.sum()
    assert killed > 20
    assert told(life).one(f"{N}oom_kills_total") == elsewhere + killed


@pytest.mark.parametrize("share", [0.95, 1.0])
def test_shared_memory_can_fill_up(share: float) -> None:
    found = told(Life().befall("shm_busy", value=share).go_on(60))

    size = found.one(f"{N}shm_size_bytes")
    assert 0.9 < found.one(f"{N}shm_used_bytes") / size <= 1


def ratio(found: Told, mountpoint: str, part: str, whole: str) -> float:
    values = [found.one(f"{N}filesystem_{name}", mountpoint=mountpoint) for name in (part, whole)]
    return values[0] / values[1]


def test_a_file_system_can_fill_up_over_hours() -> None:
    life = Life().befall("disk_fill", "/", 30)
    early, late = told(life.go_on(60)), told(life.go_on(10 * HOUR))

    left = [one.one(f"{N}filesystem_avail_bytes", mountpoint="/") for one in (early, late)]
    assert left[0] - left[1] == pytest.approx(300e9, rel=0.01)
    assert ratio(late, "/data", "avail_bytes", "size_bytes") > 0.4


def test_a_file_system_can_be_full_or_out_of_inodes() -> None:
    found = told(Life().befall("disk_used", "/").befall("inodes_used", "/data").go_on(60))

    assert ratio(found, "/", "avail_bytes", "size_bytes") < 0.1
    assert ratio(found, "/", "files_free", "files") > 0.9
    assert ratio(found, "/data", "files_free", "files") < 0.05


def test_a_file_system_can_become_read_only_and_then_fills_no_more() -> None:
    life = Life().befall("disk_fill", "/data").go_on(60)
    assert set(told(life).by(f"{N}filesystem_readonly", "mountpoint").values()) == {0}
    life.befall("disk_readonly", "/data").go_on(60)
    before, after = told(life), told(life.go_on(600))

    assert after.by(f"{N}filesystem_readonly", "mountpoint") == {("/",): 0, ("/data",): 1}
    left = [one.one(f"{N}filesystem_avail_bytes", mountpoint="/data") for one in (before, after)]
    assert left[0] == left[1]


def test_on_every_server_of_several_the_disks_are_broken() -> None:
    life = Life(servers=2).befall("disk_readonly", "/data").befall("inodes_used", "/").go_on(60)
    for server in (0, 1):
        found = tell(exporter(life, server))
        assert found.by(f"{N}filesystem_readonly", "mountpoint") == {("/",): 0, ("/data",): 1}
        assert ratio(found, "/", "files_free", "files") < 0.05


def test_the_clock_can_be_off() -> None:
    life = Life().go_on(HOUR)
    assert abs(told(life).one(f"{N}clock_offset_seconds")) < 0.01
    found = told(life.befall("clock_skew").go_on(60))

    assert found.one(f"{N}clock_offset_seconds") == pytest.approx(0.3, abs=0.01)
    assert found.one(f"{N}clock_synchronized") == 1


def test_packets_can_come_in_broken() -> None:
    life = Life().go_on(HOUR).befall("network_errors").go_on(60)
    before = told(life)
    after = told(life.go_on(300))

    errors = seconds(before, after, "network_receive_errors_total", "device")["eth0"]
    packets = seconds(before, after, "network_receive_packets_total", "device")["eth0"]
    assert 0.01 < errors / (packets + errors) < 0.1
    assert packets / 300 > 10
    assert seconds(before, after, "network_transmit_errors_total", "device")["eth0"] == 0


@settings(max_examples=15, deadline=None)
@given(
    pauses=st.lists(st.integers(1, 900), min_size=2, max_size=6),
    faults=st.lists(
        st.sampled_from(
            ["cpu_busy", "io_wait", "memory_busy", "shm_busy", "disk_fill", "network_errors"]
        ),
        max_size=3,
    ),
)
def test_counters_rise_and_nothing_is_below_zero_whatever_happens(
    pauses: list[int], faults: list[str]
) -> None:
    life = Life()
    running = exporter(life)
    seen = []
    for number, pause in enumerate(pauses):
        if number < len(faults):
            life.befall(faults[number])
        seen.append(tell(running))
        life.go_on(pause)
    for before, after in pairwise(seen):
        for series, value in after.series.items():
            if series[0].endswith("_total"):
                assert value >= before.series[series], series
    for one in seen:
        below = {name for (name, _), value in one.series.items() if value < 0}
        assert below <= {f"{N}clock_offset_seconds"}
