"""The names of what a simulated server has, alike in all its sources and the same in every run."""

import hashlib
import uuid

_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://github.com/llmops/monitoring")
# The kernel's own processes and the host's services come first.
_FIRST_PID = 4000
_PIDS_A_CONTAINER = 200
# So that no two servers next to each other have the same processes; all stay below the 4,194,304
# that the kernel counts to.
_PIDS_A_SERVER = 16_411
_SERVERS = 200
# Where eight GPUs on one board sit on the PCI bus; others follow in domains of their own.
_BUSES = (0x18, 0x2A, 0x3A, 0x5D, 0x9A, 0xAB, 0xBA, 0xDB)
# The first address of the containers' network is the gateway's.
_FIRST_ADDRESS = 2


def gpu_uuid(server: int, index: int) -> str:
    """Return the UUID of a GPU, in NVML's form."""
    return f"GPU-{uuid.uuid5(_SPACE, f'{server}/gpu/{index}')}"


def pci_place(index: int) -> tuple[int, int]:
    """Return the PCI domain and bus of a GPU."""
    domain, place = divmod(index, len(_BUSES))
    return domain, _BUSES[place]


def container_id(server: int, name: str) -> str:
    """Return the id of the container called `name`: 64 hexadecimal digits."""
    return hashlib.sha256(f"{_SPACE}/{server}/container/{name}".encode()).hexdigest()


def address(container: int) -> str:
    """Return the IP address of a container, by its place among all of its server."""
    return f"172.18.0.{_FIRST_ADDRESS + container}"


def pid(server: int, container: int, process: int) -> int:
    """Return the number of a process of a container as the host counts.

    Args:
        server: The server.
        container: The container's place among all of the server.
        process: The process' place in its container; 0 is the container's first one.
    """
    within = container * _PIDS_A_CONTAINER + process
    return _FIRST_PID + server % _SERVERS * _PIDS_A_SERVER + within
