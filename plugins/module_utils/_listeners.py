# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who listens on which TCP port of this host, read from /proc.

Facts: proc_net_tcp.rst in the kernel's documentation, proc(5).
Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_LISTEN = "0A"
_WORD = 4
_SOCKET_LINK = re.compile(r"socket:\[(\d+)\]")
_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Listener:
    """A listening socket; what holds it is unknown where that is another user's or another PID namespace's."""

    address: str
    port: int
    inode: int
    pid: int | None = None
    process: str | None = None
    container: str | None = None


def listeners(ports: Iterable[int], proc: str = "/proc") -> list[Listener]:
    """Return who listens on some ports, in the network namespace of this process."""
    wanted = set(ports)
    found = [
        listener
        for table in ("tcp", "tcp6")
        for listener in _table(os.path.join(proc, "net", table))
        if listener.port in wanted
    ]
    holders = _holders({listener.inode for listener in found}, proc) if found else {}
    return [_with_holder(listener, holders.get(listener.inode), proc) for listener in found]


def clash(one: str, other: str) -> bool:
    """Tell whether sockets on two addresses get in each other's way on the same port."""
    first, second = _plain_address(one), _plain_address(other)
    if first == second:
        return True
    # A socket on :: usually takes IPv4 too.
    dual = any(address.version == 6 and address.is_unspecified for address in (first, second))
    return dual or (first.version == second.version and (first.is_unspecified or second.is_unspecified))


def _plain_address(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(address)
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def _table(path: str) -> Iterator[Listener]:
    """Yield the listening sockets of /proc/net/tcp or tcp6; nothing where the kernel has no such table."""
    try:
        with open(path, encoding="ascii") as file:
            lines = file.readlines()[1:]
    except FileNotFoundError:
        return
    for line in lines:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTEN:
            address, port = fields[1].split(":")
            yield Listener(_address(address), int(port, 16), int(fields[9]))


def _address(text: str) -> str:
    """Return the address of hexadecimal words, each in the byte order of the host (little-endian on x86 and arm64)."""
    raw = bytes.fromhex(text)
    words = [raw[start : start + _WORD][::-1] for start in range(0, len(raw), _WORD)]
    return str(ipaddress.ip_address(b"".join(words)))


def _holders(inodes: set[int], proc: str) -> dict[int, int]:
    """Return socket inode → the lowest process id that has it open, of processes that this user may look into."""
    found: dict[int, int] = {}
    for pid in sorted(int(name) for name in os.listdir(proc) if name.isdigit()):
        for inode in _sockets(os.path.join(proc, str(pid), "fd")) & inodes:
            found.setdefault(inode, pid)
        if len(found) == len(inodes):
            break
    return found


def _sockets(folder: str) -> set[int]:
    """Return the inodes of the sockets that a process has open; none of another user's, or of one that just ended."""
    found: set[int] = set()
    try:
        names = os.listdir(folder)
    except OSError:
        return found
    for name in names:
        try:
            match = _SOCKET_LINK.fullmatch(os.readlink(os.path.join(folder, name)))
        except OSError:
            # Closed since it was listed.
            continue
        if match:
            found.add(int(match[1]))
    return found


def _with_holder(listener: Listener, pid: int | None, proc: str) -> Listener:
    if pid is None:
        return listener
    container = _CONTAINER_ID.search(_text(os.path.join(proc, str(pid), "cgroup")))
    return Listener(
        listener.address,
        listener.port,
        listener.inode,
        pid,
        _text(os.path.join(proc, str(pid), "comm")).strip() or None,
        container[0] if container else None,
    )


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
