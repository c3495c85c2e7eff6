import os
import re
import threading
from pathlib import Path

import pytest
import structlog

from exporter_testing.node.hosts import collect, node_settings
from llm_monitor.base.errors import SourceMissingError
from llm_monitor.node.facts import Mount, Usage
from llm_monitor.node.mounts import choose, parse_mounts
from llm_monitor.node.source import HostSource

N = "llm_monitor_node_"
NEVER = re.compile("$^")


def mount(
    mountpoint: str,
    fstype: str = "ext4",
    device: str = "1:1",
    root: str = "/",
    readonly: bool = False,
) -> Mount:
    return Mount(device, root, mountpoint, fstype, readonly)


def chosen(*mounts: Mount) -> list[str]:
    """Return the mount points that the default settings keep."""
    own = node_settings()
    types, points = own.filesystem_types_exclude, own.mountpoints_exclude
    return [one.mountpoint for one in choose(mounts, types, points)]


def test_one_mount_of_each_device_as_df_does() -> None:
    assert chosen(mount("/"), mount("/var/lib/docker"), mount("/srv", device="1:2")) == [
        "/",
        "/srv",
    ]


def test_the_whole_file_system_before_a_part_of_it() -> None:
    assert chosen(mount("/a", root="/part"), mount("/long/way")) == ["/long/way"]
    assert chosen(mount("/var/lib/docker", root="/volumes/x"), mount("/var/x", root="/y")) == [
        "/var/x"
    ]


def test_what_lies_above_hides_what_lies_below() -> None:
    hidden, shown = mount("/data", "ext4", "1:1"), mount("/data", "xfs", "1:2")
    (one,) = choose([hidden, shown], NEVER, NEVER)
    assert one.fstype == "xfs"


@pytest.mark.parametrize(
    "one",
    [
        mount("/var/lib/docker/overlay2/abc/merged", "overlay"),
        mount("/elsewhere/merged", "overlay"),
        mount("/run/docker/netns/abc", "nsfs"),
        mount("/var/lib/docker/containers/abc/mounts/shm", "tmpfs"),
        mount("/sys/fs/cgroup", "tmpfs"),
        mount("/dev/shm", "tmpfs"),
        mount("/snap/core/1", "squashfs"),
        mount("/run/user/1000", "tmpfs"),
        mount("/etc/resolv.conf", "ext4", root="/var/lib/docker/containers/abc/resolv.conf"),
    ],
)
def test_pseudo_file_systems_and_containers_are_left_out(one: Mount) -> None:
    assert chosen(one) == []


@pytest.mark.parametrize(
    "one",
    [
        mount("/", "overlay"),
        mount("/var/lib/docker", "xfs"),
        mount("/run", "tmpfs"),
        mount("/processes", "ext4"),
        mount("/mnt/models", "nfs4"),
        mount("/mnt/lustre", "lustre"),
        mount("/tank", "zfs"),
    ],
)
def test_real_file_systems_stay(one: Mount) -> None:
    assert chosen(one) == [one.mountpoint]


def test_mountinfo_lines() -> None:
    text = (
        "36 35 98:0 /m /mnt/two\\040words\\134 rw,noatime master:1 shared:2 - ext3 /dev/a ro\n"
        "37 35 98:1 / /b rw - xfs /dev/b rw,errors=continue\n"
    )
    assert parse_mounts(text, "") == [
        Mount("98:0", "/m", "/mnt/two words\\", "ext3", readonly=True),
        Mount("98:1", "/", "/b", "xfs", readonly=False),
    ]


@pytest.mark.parametrize("character", "\r\x0b\x0c\x1c\x85\u2028")
def test_a_path_may_hold_what_python_takes_for_the_end_of_a_line(character: str) -> None:
    text = f"36 35 98:0 / /a{character}b rw - xfs /dev/a rw\n37 35 98:1 / /c rw - xfs /dev/b ro\n"
    assert parse_mounts(text, "") == [
        Mount("98:0", "/", f"/a{character}b", "xfs", readonly=False),
        Mount("98:1", "/", "/c", "xfs", readonly=True),
    ]


class HangingHost(HostSource):
    """The real host, but for one mount whose server does not answer."""

    def __init__(self) -> None:
        super().__init__("/")
        self.reading, self.writing = os.pipe()
        self.asked = 0

    def mounts(self) -> list[Mount]:
        return [
            mount("/", device="1:1"),
            mount("/hung", "nfs4", "1:2"),
            mount("/var", device="1:3"),
        ]

    def usage(self, mountpoint: str) -> Usage:
        if mountpoint == "/hung":
            self.asked += 1
            os.read(self.reading, 1)
        return super().usage(mountpoint)


def test_a_mount_that_hangs_loses_only_itself() -> None:
    source = HangingHost()
    found = collect("/", source, mount_timeout="1s")
    assert found[f"{N}filesystem_error", "/hung", "nfs4"] == 1
    assert (f"{N}filesystem_size_bytes", "/hung", "nfs4") not in found
    for mountpoint in ("/", "/var"):
        assert found[f"{N}filesystem_error", mountpoint, "ext4"] == 0
        assert found[f"{N}filesystem_size_bytes", mountpoint, "ext4"] > 0
    assert found[f"{N}collector_success", "filesystem"] == 1
    assert found[f"{N}memory_total_bytes",] > 0
    os.write(source.writing, b"x")


def test_what_this_user_may_not_see_is_absent_and_told_once() -> None:
    class Closed(HostSource):
        def usage(self, mountpoint: str) -> Usage:
            if mountpoint == "/var":
                message = "/var: Permission denied"
                raise SourceMissingError(message)
            return super().usage(mountpoint)

        def mounts(self) -> list[Mount]:
            return [mount("/"), mount("/var", device="1:3")]

    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            found = collect("/", Closed("/"))
    assert (f"{N}filesystem_error", "/var", "ext4") not in found
    assert found[f"{N}collector_success", "filesystem"] == 1
    assert [line["subject"] for line in lines if line["event"] == "file system left out"] == [
        "/var"
    ]


def test_hung_threads_do_not_pile_up() -> None:
    source = HangingHost()
    before = threading.active_count()
    for _ in range(3):
        collect("/", source, mount_timeout="1s")
    assert source.asked == 3, "one for each exporter, which knows nothing of the others"
    assert threading.active_count() <= before + 12
    os.write(source.writing, b"xxx")


def test_usage_of_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceMissingError, match="/nowhere"):
        HostSource(str(tmp_path)).usage("/nowhere")
