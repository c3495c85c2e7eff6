"""The node exporter as a real process on this machine, against what its own tools say."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter_testing.process import Running, Start, free_port, tool
from exporter_testing.scraping import Values
from llm_monitor.node.metrics import FAMILIES

N = "llm_monitor_node_"
FUSE = "exporter_testing.node.fuse"
DECLARED = {family.name: family for family in FAMILIES}


def values(node: Running) -> Values:
    families = parse_text(node.get().text)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def meminfo(name: str) -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def test_the_figures_are_those_of_the_host(start_node: Start) -> None:
    found = values(start_node())
    assert found[f"{N}memory_total_bytes",] == meminfo("MemTotal")
    stat = Path("/proc/stat").read_text().splitlines()
    assert found[f"{N}boot_time_seconds",] == next(
        int(line.split()[1]) for line in stat if line.startswith("btime")
    )
    assert found[f"{N}cpus",] == os.cpu_count()
    assert abs(found[f"{N}time_seconds",] - time.time()) < 10
    pids = sum(name.isdigit() for name in os.listdir("/proc"))
    processes = sum(value for key, value in found.items() if key[0] == f"{N}processes")
    assert 0.5 * pids < processes < 2 * pids
    uname = os.uname()
    (info,) = [key for key in found if key[0] == f"{N}info"]
    assert (info[1], info[3]) == (uname.release, uname.machine)


def test_file_systems_are_those_of_df(start_node: Start) -> None:
    found = values(start_node())
    sizes = {key[1]: value for key, value in found.items() if key[0] == f"{N}filesystem_size_bytes"}
    command = ["df", "--block-size=1", "--output=target,size,itotal"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    df = {line.rsplit(maxsplit=2)[0]: line.split()[-2:] for line in lines[1:]}
    assert "/" in sizes
    assert sizes == {mountpoint: int(df[mountpoint][0]) for mountpoint in sizes}
    ours = ("/dev", "/proc", "/sys", "/run", "/var/lib/docker/")
    missing = {point for point in df if not point.startswith(ours)} - set(sizes)
    assert not missing
    files = found.get((f"{N}filesystem_files", "/", fstype_of_root(found)), 0)
    assert files == int(df["/"][1])


def fstype_of_root(found: Values) -> str:
    return next(key[2] for key in found if key[:2] == (f"{N}filesystem_size_bytes", "/"))


def test_network_counters_are_those_of_process_1(start_node: Start) -> None:
    def received() -> dict[str, int]:
        lines = Path("/proc/1/net/dev").read_text().splitlines()[2:]
        pairs = (line.split(":") for line in lines)
        return {name.strip(): int(counts.split()[0]) for name, counts in pairs}

    before = received()
    found = values(start_node(MIN_INTERVAL="0"))
    after = received()
    devices = [key[1] for key in found if key[0] == f"{N}network_receive_bytes_total"]
    assert "lo" not in devices
    for device in devices:
        value = found[f"{N}network_receive_bytes_total", device]
        assert before[device] <= value <= after[device]


def test_counters_only_rise(start_node: Start) -> None:
    node = start_node(MIN_INTERVAL="0")
    last: Values = {}
    for _ in range(20):
        found = values(node)
        for key, value in found.items():
            if key[0].endswith("_total"):
                assert value >= last.get(key, 0), key
        last = found


def test_both_formats_hold_what_is_declared(start_node: Start) -> None:
    node = start_node()
    text = {f.name: f for f in parse_text(node.get().text)}
    answer = node.get(accept="application/openmetrics-text; version=1.0.0")
    openmetrics = {f.name: f for f in parse_openmetrics(answer.text)}
    assert set(text) == set(openmetrics)
    for family in openmetrics.values():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if declared := DECLARED.get(name):
            assert (family.type, family.unit) == (declared.kind, declared.unit)
            assert family.documentation == declared.help
            labels = {tuple(sample.labels) for sample in family.samples}
            assert labels == {declared.labels}
        else:
            assert family.name.startswith(N)


def test_promtool_has_nothing_to_object(start_node: Start) -> None:
    body = start_node().get().content
    command = [tool("promtool"), "check", "metrics"]
    check = subprocess.run(command, input=body, capture_output=True, check=False)
    assert (check.returncode, check.stdout, check.stderr) == (0, b"", b"")


def test_without_root_and_with_optimised_bytecode(start: Start) -> None:
    port = free_port()
    node = start(
        [sys.executable, "-OO", "-m", "exporter_testing.node.nobody"],
        port,
        {"LLM_MONITOR_NODE__PORT": str(port), "LLM_MONITOR_MIN_INTERVAL": "0"},
    )
    user = Path(f"/proc/{node.process.pid}/status").read_text().partition("Uid:\t")[2].split()[1]
    assert user != "0"
    found = [values(node) for _ in range(3)][-1]
    success = {key[1]: value for key, value in found.items() if key[0] == f"{N}collector_success"}
    assert set(success.values()) == {1}
    assert found[f"{N}memory_total_bytes",] == meminfo("MemTotal")
    assert any(key[0] == f"{N}network_receive_bytes_total" for key in found)
    assert (f"{N}filesystem_size_bytes", "/", fstype_of_root(found)) in found
    node.terminate()
    events = [line for line in node.output.read_text().splitlines() if "not available" in line]
    assert len(events) == len({line.partition("timestamp")[0] for line in events})


def test_a_fuse_mount_whose_daemon_never_answers(start: Start, host: Path) -> None:
    if os.geteuid() != 0 or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("mounting a FUSE file system needs root and /dev/fuse")
    (host / "hung").mkdir()
    with (host / "proc/1/mountinfo").open("a") as mounts:
        mounts.write("26 22 0:40 / /hung rw - fuse nobody rw\n")
    port = free_port()
    node = start(
        ["unshare", "--mount", sys.executable, "-m", FUSE, str(host / "hung")],
        port,
        {
            "LLM_MONITOR_NODE__PORT": str(port),
            "LLM_MONITOR_NODE__HOST_ROOT": str(host),
            "LLM_MONITOR_NODE__MOUNT_TIMEOUT": "300ms",
            "LLM_MONITOR_MIN_INTERVAL": "0",
        },
    )
    for _ in range(3):
        began = time.monotonic()
        found = values(node)
        assert time.monotonic() - began < 2
        assert found[f"{N}filesystem_error", "/hung", "fuse"] == 1
        assert (f"{N}filesystem_size_bytes", "/hung", "fuse") not in found
        assert found[f"{N}filesystem_size_bytes", "/", "ext4"] > 0
        assert found[f"{N}collector_success", "filesystem"] == 1
    assert node.terminate() < 5
