"""The host's mounts, and which of them are worth watching."""

import re
from collections.abc import Iterable

from llm_monitor.node.facts import Mount

_OCTAL = re.compile(r"\\([0-7]{3})")


def parse_mounts(text: str, prefix: str) -> list[Mount]:
    """Return the mounts of a `mountinfo` file (proc_pid_mountinfo(5)).

    Args:
        text: The file's text.
        prefix: What comes before the host's own paths; mounts elsewhere are left out.

    Raises:
        ValueError: When a line is not as expected, or no mount is left: what runs has a root, and
            that is one.
    """
    mounts = []
    # Not splitlines: whoever may mount may put any other character that it takes for a line's end
    # in a path, and of all those the kernel escapes only this one.
    for line in text.removesuffix("\n").split("\n") if text else ():
        fields = line.split(" ")
        dash = fields.index("-", 6)
        mountpoint = _plain(fields[4])
        if mountpoint != prefix and not mountpoint.startswith(f"{prefix}/"):
            continue
        options = {*fields[5].split(","), *fields[dash + 3].split(",")}
        mounts.append(
            Mount(
                device=fields[2],
                root=_plain(fields[3]),
                mountpoint=mountpoint.removeprefix(prefix) or "/",
                fstype=fields[dash + 1],
                readonly="ro" in options,
            )
        )
    if not mounts:
        message = f"it has no mount at or below {prefix or '/'}"
        raise ValueError(message)
    return mounts


def choose(
    mounts: Iterable[Mount], types: re.Pattern[str], mountpoints: re.Pattern[str]
) -> list[Mount]:
    """Return the mounts to watch, one for each device, sorted by mount point.

    What lies under another mount at the same place is hidden by it. Of several mounts of one
    device the one of its whole file system is taken, then the one with the shortest path.

    Args:
        mounts: All mounts, in the order in which they were made.
        types: Types of file systems to leave out.
        mountpoints: Mount points to leave out.
    """
    visible = {mount.mountpoint: mount for mount in mounts}
    devices: dict[str, Mount] = {}
    for mount in visible.values():
        layered = mount.fstype == "overlay" and mount.mountpoint != "/"
        if layered or types.search(mount.fstype) or mountpoints.search(mount.mountpoint):
            continue
        known = devices.get(mount.device)
        if known is None or _rank(mount) < _rank(known):
            devices[mount.device] = mount
    return sorted(devices.values(), key=lambda mount: mount.mountpoint)


def _rank(mount: Mount) -> tuple[bool, int, str]:
    return mount.root != "/", len(mount.mountpoint), mount.mountpoint


def _plain(text: str) -> str:
    """Return a path without the octal escapes that the kernel puts for blanks and backslashes."""
    if "\\" not in text:
        return text
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
