"""Who listens, from the real /proc and from one that is made up."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils import _listeners


@pytest.fixture(params=["127.0.0.1", "::1", "0.0.0.0", "::"])
def listening(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.create_server((request.param, 0), family=family) as server:
        yield request.param, server.getsockname()[1]


def test_a_real_listener_is_found_with_its_process(listening: tuple[str, int]) -> None:
    address, port = listening
    (found,) = _listeners.listeners([port])
    assert (found.address, found.port, found.pid) == (address, port, os.getpid())
    assert found.process == Path("/proc/self/comm").read_text().strip()


def test_a_connection_is_no_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert _listeners.listeners([client.getsockname()[1]]) == []


HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ROW = "   0: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0   0 {inode} 1 0\n"


def table(*rows: tuple[str, int, str, int]) -> str:
    lines = [ROW.format(address=address, port=port, state=state, inode=inode) for address, port, state, inode in rows]
    return HEADER + "".join(lines)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "net").mkdir()
    rows = [("0100007F", 80, "0A", 11), ("00000000", 80, "06", 12), ("0101A8C0", 81, "0A", 13)]
    (tmp_path / "net/tcp").write_text(table(*rows) + "torn line\n")
    folder = tmp_path / "812/fd"
    folder.mkdir(parents=True)
    (folder / "3").symlink_to("socket:[11]")
    (folder / "4").symlink_to("/dev/null")
    (tmp_path / "812/comm").write_text("nginx\n")
    (tmp_path / "812/cgroup").write_text(f"0::/system.slice/docker-{'ab' * 32}.scope\n")
    return tmp_path


def test_holder_and_container_are_read(proc: Path) -> None:
    (found,) = _listeners.listeners([80], str(proc))
    assert found == _listeners.Listener("127.0.0.1", 80, 11, 812, "nginx", "ab" * 32)


def test_a_holder_may_be_unknown(proc: Path) -> None:
    (found,) = _listeners.listeners([81], str(proc))
    assert (found.address, found.pid, found.process, found.container) == ("192.168.1.1", None, None, None)


def test_a_kernel_without_ipv6_has_one_table(proc: Path) -> None:
    (proc / "net/tcp6").write_text(table(("0" * 24 + "01000000", 80, "0A", 14)))
    assert [found.address for found in _listeners.listeners([80], str(proc))] == ["127.0.0.1", "::1"]


CLASHES = [
    ("127.0.0.1", "127.0.0.1", True),
    ("127.0.0.1", "0.0.0.0", True),
    ("0.0.0.0", "127.0.0.1", True),
    ("127.0.0.1", "::", True),
    ("::", "10.0.0.1", True),
    ("127.0.0.1", "::ffff:127.0.0.1", True),
    ("::1", "::", True),
    ("127.0.0.1", "10.0.0.1", False),
    ("127.0.0.1", "::1", False),
    ("::1", "0.0.0.0", False),
]


@pytest.mark.parametrize(("one", "other", "expected"), CLASHES)
def test_clash(one: str, other: str, expected: bool) -> None:
    assert _listeners.clash(one, other) is expected
