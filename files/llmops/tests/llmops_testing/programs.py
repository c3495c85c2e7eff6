"""Debian's programs: those that tools/debian.sh unpacked, else those of this machine."""

import os
import socket
import subprocess
from pathlib import Path

Process = subprocess.Popen[bytes]

# Neither PostgreSQL nor Redis should run as root.
_NOBODY = 65534


def find(pattern: str) -> Path:
    """Return the newest program below usr/ that `pattern` matches."""
    tools = Path(os.environ.get("LLM_MONITOR_TOOLS", "/usr/bin")).parent
    unpacked = Path(__file__).parents[4] / ".cache/tools/usr"
    for root in (unpacked, tools, Path("/usr")):
        found = sorted(root.glob(pattern), reverse=True)
        if found:
            return found[0]
    message = f"{pattern} is neither beside LLM_MONITOR_TOOLS, nor in {unpacked}, nor in /usr"
    raise FileNotFoundError(message)


def start(program: Path, *arguments: str, folder: Path) -> Process:
    """Start a program in `folder`, as nobody where this is root."""
    usr = next(one for one in program.parents if one.name == "usr")
    libraries = ":".join(str(one) for one in usr.glob("lib/*-linux-gnu"))
    user = _NOBODY if os.geteuid() == 0 else None
    if user is not None:
        os.chown(folder, user, user)
    return subprocess.Popen(
        [str(program), *arguments],
        cwd=folder,
        user=user,
        group=user,
        extra_groups=[] if user else None,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "LD_LIBRARY_PATH": libraries},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


_HELD: list[socket.socket] = []


def free_port() -> int:
    """Return a port of loopback on which nobody listens, and that nobody else is given.

    It stays bound until the process ends. Who is told of it may listen there all the same, as
    servers do that set SO_REUSEADDR.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    _HELD.append(held)
    port: int = held.getsockname()[1]
    return port
