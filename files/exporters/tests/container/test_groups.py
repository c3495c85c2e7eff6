"""What the kernel tells of containers, whatever the layout of its control groups."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from container.conftest import MakeHost
from exporter_testing.cgroups import GIB
from exporter_testing.containers import Host, number
from llm_monitor.base.errors import SourceError
from llm_monitor.container.cgroup import hierarchy
from llm_monitor.container.cgroup.hierarchy import Hierarchy, processes

PLACES = (
    "/docker/{}",
    "/system.slice/docker-{}.scope",
    "/machine.slice/libpod-{}.scope",
    "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{}.scope",
    "/llm/vllm/{}",
)
VALUES = {
    "cpu_usage_seconds_total": 12.5,
    "cpu_user_seconds_total": 10.25,
    "cpu_system_seconds_total": 2.25,
    "cpu_cfs_periods_total": 400,
    "cpu_cfs_throttled_periods_total": 100,
    "cpu_cfs_throttled_seconds_total": 3.5,
    "memory_usage_bytes": 1_000_000,
    "memory_working_set_bytes": 700_000,
    "memory_rss_bytes": 500_000,
    "memory_cache_bytes": 450_000,
    "memory_swap_bytes": 20_000,
    "memory_rss": 500_000,
    "memory_cache": 450_000,
    "memory_swap": 20_000,
    "oom_events_total": 2,
    "processes": 3,
    "spec_memory_limit_bytes": GIB,
    "spec_cpu_quota": 150_000,
    "spec_cpu_period": 100_000,
}
TRAFFIC = {
    "network_receive_bytes_total": 1000,
    "network_receive_packets_total": 10,
    "network_receive_errors_total": 1,
    "network_receive_packets_dropped_total": 2,
    "network_transmit_bytes_total": 2000,
    "network_transmit_packets_total": 20,
    "network_transmit_errors_total": 3,
    "network_transmit_packets_dropped_total": 4,
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("layout", ["v1", "v2", "hybrid", "mixed"])
def test_every_layout_and_driver_tells_the_same(
    make_host: MakeHost, layout: str, place: str
) -> None:
    host = make_host(layout, place)
    container = host.run(1, "one")
    series = host.collect()
    labels = {
        "id": place.replace("{}", container),
        "name": "one",
        "image": "vllm/vllm-openai:v0.32",
    }
    assert {name: series.one(name, **labels) for name in VALUES} == VALUES
    assert {name: series.one(name, interface="eth0", **labels) for name in TRAFFIC} == TRAFFIC
    devices = {"/dev/sda": (4096, 8192), "259:7": (1, 0)}
    for device, (read, written) in devices.items():
        assert series.one("fs_reads_bytes_total", device=device, **labels) == read
        assert series.one("fs_writes_bytes_total", device=device, **labels) == written
    assert len(series.each("fs_reads_bytes_total")) == len(devices)
    assert series.one("start_time_seconds", **labels) == series.one("started_timestamp_seconds")
    assert series.one("last_seen", **labels) is not None
    assert series.one("readable", container="one") == 1
    assert series.failing() == set()


def test_podmans_monitor_of_a_container_is_not_taken_for_it(tmp_path: Path) -> None:
    one = "1a" * 32
    slice_ = "/user.slice/user-1000.slice/user@1000.service/user.slice"
    (tmp_path / f"{slice_[1:]}/libpod-conmon-{one}.scope").mkdir(parents=True)
    tree = Hierarchy(str(tmp_path), unified=True)
    tree.locate({one}, {one: 1})
    assert tree.paths == {}
    (tmp_path / f"{slice_[1:]}/libpod-{one}.scope").mkdir()
    tree.locate({one}, {one: 2})
    assert tree.paths == {one: f"{slice_}/libpod-{one}.scope"}


def exhausted(path: str) -> None:
    """Stand in for `os.scandir` in a process that has no file descriptor left."""
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)


def test_a_search_that_failed_is_done_again_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = "1a" * 32
    (tmp_path / f"llm/vllm/{one}").mkdir(parents=True)
    tree = Hierarchy(str(tmp_path), unified=True)
    with monkeypatch.context() as broken:
        broken.setattr(os, "scandir", exhausted)
        tree.locate({one}, {one: 1})
    tree.locate({one}, {one: 1})
    assert tree.paths == {}, "the whole tree was searched again at once"
    monkeypatch.setattr(hierarchy, "_MISSED_SECONDS", 0.0)
    tree.locate({one}, {one: 1})
    assert tree.paths == {one: f"/llm/vllm/{one}"}


def test_what_has_no_group_is_searched_for_once_in_a_while_and_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches: list[int] = []
    clock = SimpleNamespace(now=0, monotonic=lambda: clock.now)
    monkeypatch.setattr(hierarchy, "time", clock)
    monkeypatch.setattr(hierarchy, "folders", lambda _: searches.append(clock.now) or [])
    tree = Hierarchy(str(tmp_path), unified=True)
    running: dict[str, int] = {}
    for clock.now in range(0, 150, 10):
        if clock.now < 50:
            running[f"{clock.now:064}"] = 1
        tree.locate(running, running)
    assert searches == [0, 10, 20, 30, 40, 60, 120]


def test_processes_that_could_not_all_be_counted_are_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cgroup.procs").write_text("")
    monkeypatch.setattr(os, "scandir", exhausted)
    with pytest.raises(SourceError, match=os.strerror(errno.EMFILE)):
        processes(str(tmp_path))


def test_interfaces_that_every_network_namespace_has_are_left_out(host: Host) -> None:
    host.run(1, "one")
    assert len(host.collect().each("network_receive_bytes_total")) == 1


def test_other_interfaces_can_be_left_out(make_host: MakeHost) -> None:
    host = make_host(network_exclude="^(lo|eth.*|tunl0)$")
    host.run(1, "one")
    (only,) = host.collect().each("network_receive_bytes_total")
    assert ("interface", "veth12") in only


@pytest.mark.parametrize("layout", ["v1", "v2"])
def test_what_has_no_limit_has_none(make_host: MakeHost, layout: str) -> None:
    host = make_host(layout)
    one = host.run(1, "one")
    texts = {
        "v1": {"cpu.cfs_quota_us": "-1\n", "memory.limit_in_bytes": "9223372036854771712\n"},
        "v2": {"cpu.max": "max 100000\n", "memory.max": "max\n"},
    }
    for name, text in texts[layout].items():
        host.kernel.file(one, name).write_text(text)
    series = host.collect()
    for name in ("spec_memory_limit_bytes", "spec_cpu_quota", "cpu_cfs_periods_total"):
        assert series.one(name) is None
    assert series.one("spec_cpu_period") == 100_000
    assert series.one("cpu_usage_seconds_total") == 12.5


def test_a_kernel_without_swap_accounting_or_cpu_limits_tells_the_rest(host: Host) -> None:
    one = host.run(1, "one")
    for name in ("memory.swap.current", "cpu.max"):
        host.kernel.file(one, name).unlink()
    series = host.collect()
    assert series.one("memory_swap_bytes") is None
    assert series.one("spec_cpu_period") is None
    assert series.one("memory_usage_bytes") == 1_000_000
    assert series.one("cpu_usage_seconds_total") == 12.5
    assert series.failing() == set()


def test_an_old_kernel_tells_what_it_has(make_host: MakeHost) -> None:
    host = make_host("v1")
    one = host.run(1, "one")
    host.kernel.file(one, "blkio.throttle.io_service_bytes_recursive").unlink()
    control = host.kernel.file(one, "memory.oom_control")
    control.write_text("oom_kill_disable 0\nunder_oom 0\n")
    series = host.collect()
    assert series.one("fs_reads_bytes_total") == 5
    assert series.one("oom_events_total") == 0


def test_the_working_set_is_never_below_zero(host: Host) -> None:
    """The two numbers are not read at one moment."""
    one = host.run(1, "one")
    host.kernel.file(one, "memory.current").write_text("200000\n")
    assert host.collect().one("memory_working_set_bytes") == 0


def test_processes_in_groups_of_the_containers_own_making_are_counted(host: Host) -> None:
    """As systemd does in a container, or Podman for it."""
    one = host.run(1, "one")
    procs = host.kernel.file(one, "cgroup.procs")
    procs.write_text("")
    for name, pids in (("container", "1\n2\n"), ("container/deep", "3\n"), ("other", "")):
        (procs.parent / name).mkdir()
        (procs.parent / name / "cgroup.procs").write_text(pids)
    assert host.collect().one("processes") == 3


def test_processes_that_can_not_be_seen_are_not_told_to_be_none(host: Host) -> None:
    one = host.run(1, "one")
    host.kernel.file(one, "cgroup.procs").write_text("")
    series = host.collect()
    assert series.one("processes") is None
    assert series.one("last_seen") is not None


def test_a_network_is_counted_once(host: Host) -> None:
    one = host.run(1, "one")
    host.run(2, "sidecar", HostConfig={"NetworkMode": f"container:{one}"})
    host.run(3, "on-the-host", HostConfig={"NetworkMode": "host"})
    series = host.collect()
    assert series.names("network_receive_bytes_total") == {"one"}
    assert series.names("cpu_usage_seconds_total") == {"one", "sidecar", "on-the-host"}


def test_a_container_sees_its_own_groups_as_the_root(host: Host) -> None:
    """The exporter's own container, with a cgroup namespace of its own."""
    host.run(1, "one")
    (host.kernel.root / "proc/4201/cgroup").write_text("0::/\n")
    assert host.collect().one("network_receive_bytes_total") == 1000


def test_many_containers_are_within_the_limits(host: Host) -> None:
    for index in range(100):
        host.run(index, f"vllm-{index}", State={"Health": {"Status": "healthy"}})
    series = host.collect()
    for name in ("cpu_usage_seconds_total", "network_receive_bytes_total", "info"):
        assert len(series.names(name)) == 100
    assert len(series.each("state")) == 700
    assert series.each("series_dropped_total") == {}
    assert len(series.all) > 5000
    assert series.names("info") == {f"vllm-{index}" for index in range(100)}
    assert series.one("info", container="vllm-99", id=number(99)) == 1
