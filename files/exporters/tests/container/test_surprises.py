"""What no one expects of kernels, engines and containers."""

import os
import shutil
from pathlib import Path

import pytest

from container.conftest import MakeHost
from exporter_testing.containers import Host, number

KERNELS = (
    "cpu_usage_seconds_total",
    "memory_usage_bytes",
    "network_receive_bytes_total",
    "fs_reads_bytes_total",
    "processes",
    "oom_events_total",
)
HUGE = "9" * 30
# Files of either version, the collector that reads each, and what it loses.
FILES = {
    "v2": [
        ("cpu.stat", "cpu", "cpu_usage_seconds_total"),
        ("memory.current", "memory", "memory_usage_bytes"),
        ("memory.stat", "memory", "memory_rss_bytes"),
        ("memory.swap.current", "memory", "memory_swap_bytes"),
        ("memory.max", "limits", "spec_memory_limit_bytes"),
        ("cpu.max", "limits", "spec_cpu_quota"),
        ("io.stat", "disk", "fs_reads_bytes_total"),
    ],
    "v1": [
        ("cpuacct.usage", "cpu", "cpu_usage_seconds_total"),
        ("cpuacct.stat", "cpu", "cpu_user_seconds_total"),
        ("cpu.stat", "cpu", "cpu_cfs_periods_total"),
        ("cpu.cfs_quota_us", "limits", "spec_cpu_quota"),
        ("memory.usage_in_bytes", "memory", "memory_usage_bytes"),
        ("memory.limit_in_bytes", "limits", "spec_memory_limit_bytes"),
        ("memory.stat", "memory", "memory_rss_bytes"),
        ("blkio.throttle.io_service_bytes_recursive", "disk", "fs_reads_bytes_total"),
    ],
}
CASES = [(layout, *case) for layout, cases in FILES.items() for case in cases]


@pytest.mark.parametrize("text", ["\0\xff garbage", "8:0 Read -1\n", f"usage_usec {HUGE}", "x y"])
@pytest.mark.parametrize(("layout", "file", "collector", "lost"), CASES)
def test_a_garbled_file_costs_what_it_tells_and_is_told_once(
    make_host: MakeHost,
    capsys: pytest.CaptureFixture[str],
    layout: str,
    file: str,
    collector: str,
    lost: str,
    text: str,
) -> None:
    host = make_host(layout)
    one = host.run(1, "one")
    host.run(2, "two")
    path = host.kernel.file(one, file)
    right = path.read_text()
    path.write_bytes(text.encode("latin-1"))
    for _ in range(2):
        series = host.collect()
        assert "one" not in series.names(lost)
        for name in {lost, *KERNELS}:
            assert "two" in series.names(name)
    assert series.one("readable", container="one") == 0
    assert series.one("readable", container="two") == 1
    assert series.failing() == set()
    told = [line for line in capsys.readouterr().out.splitlines() if "could not be read" in line]
    assert sum(f"question={collector}" in line for line in told) == 1
    path.write_text(right)
    # What is kept for a minute is read again once the engine tells the container anew.
    host.collect()
    series = host.collect()
    assert "one" in series.names(lost)
    assert series.one("readable", container="one") == 1


def test_a_garbled_count_of_kills_costs_nothing_but_itself(host: Host) -> None:
    one = host.run(1, "one")
    host.kernel.file(one, "memory.events").write_text("oom_kill many\n")
    host.collect()
    series = host.collect()
    assert series.one("oom_events_total") == 0
    assert series.one("readable") == 0


@pytest.mark.parametrize(
    "text", ["", "no table", "Inter-| x\n face |bytes x\n  eth0: 1 2\n", f"eth0: {HUGE}"]
)
def test_a_garbled_network_costs_that_containers(host: Host, text: str) -> None:
    host.run(1, "one", network=text)
    host.run(2, "two")
    series = host.collect()
    assert series.names("network_receive_bytes_total") == {"two"}
    assert series.names("cpu_usage_seconds_total") == {"one", "two"}


def test_a_collector_fails_when_it_understands_no_container(host: Host) -> None:
    for index in (1, 2):
        container = host.run(index, f"c{index}")
        host.kernel.file(container, "cpu.stat").write_text("usage\n")
    series = host.collect()
    assert series.failing() == {"cpu"}
    assert series.names("memory_usage_bytes") == {"c1", "c2"}


@pytest.mark.parametrize("layout", ["v1", "v2"])
def test_a_container_that_ends_after_it_was_listed_costs_its_own_series(
    make_host: MakeHost, layout: str
) -> None:
    host = make_host(layout)
    one = host.run(1, "one")
    host.run(2, "two")
    host.collect()
    for folder in list(host.kernel.root.glob(f"cgroup/**/{one}")):
        shutil.rmtree(folder)
    shutil.rmtree(host.kernel.root / "proc/4201")
    series = host.collect()
    for name in KERNELS[:-1]:
        assert series.names(name) == {"two"}
    assert series.failing() == set()
    assert series.one("readable", container="one") == 1


def test_files_that_are_missing_cost_their_own_series(host: Host) -> None:
    one = host.run(1, "one")
    for name in ("memory.stat", "io.stat", "cgroup.procs", "memory.events"):
        host.kernel.file(one, name).unlink()
    (host.kernel.root / "proc/4201/net/dev").unlink()
    series = host.collect()
    assert series.names("cpu_usage_seconds_total") == {"one"}
    for name in ("memory_usage_bytes", "fs_reads_bytes_total", "network_receive_bytes_total"):
        assert series.one(name) is None


def test_another_process_that_got_the_number_is_not_the_containers(host: Host) -> None:
    host.run(1, "one")
    host.run(2, "two")
    groups = host.kernel.root / "proc/4201/cgroup"
    for text in (f"0::/docker/{number(2)}\n", "1:cpu:/\n0::/system.slice/ssh.service\n"):
        groups.write_text(text)
        assert host.collect().names("network_receive_bytes_total") == {"two"}


def test_a_container_can_not_pass_its_groups_off_as_anothers(make_host: MakeHost) -> None:
    """It may name groups below its own as it likes."""
    host = make_host(place="/a/very/deep/parent/{}")
    host.run(1, "one")
    two = host.run(2, "two")
    real = host.kernel.file(two, "cpu.stat").parent
    forged = host.kernel.root / f"cgroup/docker-{number(1)}" / two
    shutil.copytree(real, forged)
    (forged / "cpu.stat").write_text("usage_usec 1\nuser_usec 1\nsystem_usec 0\n")
    assert host.collect().one("cpu_usage_seconds_total", name="two") == 12.5


def test_names_and_labels_may_hold_anything(host: Host) -> None:
    name = 'a"b\\c\nd{e="f"} 1'
    labels = {"com.docker.compose.project": '"\n\\', "com.docker.compose.service": "\ud800"}
    host.run(1, name, Config={"Labels": labels, "Image": 'i"\n'})
    host.run(2, "two")
    series = host.collect()
    assert series.names("cpu_usage_seconds_total") == {name, "two"}
    project = {"compose_project": '"\n\\', "compose_service": "\\ud800"}
    assert series.one("info", container=name, image='i"\n', **project) == 1


def test_an_interface_may_be_called_anything(host: Host) -> None:
    table = "Inter-|  Receive\n face |bytes packets\n"
    rows = "".join(f' e"{n}\\: {n} 1 0 0 0 0 0 0 2 2 0 0 0 0 0 0\n' for n in range(500))
    host.run(1, "one", network=table + rows)
    host.run(2, "two")
    series = host.collect()
    received = series.each("network_receive_bytes_total")
    assert len(received) == 17
    assert series.one("network_receive_bytes_total", name="one", interface='e"3\\') == 3
    assert series.one("network_receive_bytes_total", name="two") == 1000


def test_an_engine_that_is_away_takes_only_what_it_tells(host: Host) -> None:
    one = host.run(1, "one")
    host.collect()
    address = Path(host.engine.address)
    address.rename(address.with_suffix(".away"))
    host.kernel.file(one, "memory.current").write_text("2000000\n")
    series = host.collect()
    assert series.failing() == {"presence", "events", "gpu"}
    assert series.one("memory_usage_bytes") == 2_000_000
    assert series.names("network_receive_bytes_total") == {"one"}
    assert series.each("state") == {}
    address.with_suffix(".away").rename(address)
    series = host.collect()
    assert series.failing() == set()
    assert series.one("state", state="running") == 1


def test_without_an_engine_from_the_start_every_collector_says_so(host: Host) -> None:
    os.rename(host.engine.address, f"{host.engine.address}.away")
    series = host.collect()
    # The watcher of events has not begun here.
    assert len(series.failing()) == len(series.each("collector_success")) - 1
    assert series.one("up") == 0
    os.rename(f"{host.engine.address}.away", host.engine.address)


@pytest.mark.parametrize("wrong", ["nowhere", "empty", "elsewhere"])
def test_control_groups_that_are_not_the_hosts_are_told(
    make_host: MakeHost, tmp_path: Path, wrong: str
) -> None:
    host = make_host()
    host.run(1, "one")
    cgroup = tmp_path / "cgroup"
    shutil.rmtree(cgroup)
    if wrong != "nowhere":
        cgroup.mkdir()
    if wrong == "elsewhere":
        (cgroup / "cgroup.controllers").write_text("cpu memory\n")
    series = host.collect()
    assert series.failing() == {"cpu", "memory", "limits", "oom", "network", "disk", "process"}
    assert series.one("state", state="running") == 1
    host.kernel.add(number(1), 4201)
    (cgroup / "cgroup.controllers").write_text("cpu memory io\n")


def test_a_missing_controller_is_told(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host("v1")
    host.run(1, "one")
    for name in ("memory", "blkio"):
        shutil.rmtree(tmp_path / "cgroup" / name)
    series = host.collect()
    # Without io there is nothing to tell; without memory something is wrong.
    assert {"memory"} <= series.failing()
    assert "disk" not in series.failing()
    assert series.names("network_receive_bytes_total") == {"one"}
