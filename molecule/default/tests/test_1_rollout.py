"""What a rollout onto one bare server leaves there."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.molecule.shared.rollout import (
    EXPORTER,
    GPU_EXPORTER,
    PROMETHEUS,
    Box,
    eventually,
    recaps,
)

TOKEN = "molecule-5c1f0d8e7b"
EVENT_STORE_SECRETS = ("owner_password", "writer_password", "reader_password")
EXPORTERS_SECRETS = (
    "bearer_token",
    "vllm_api_key",
    "litellm_api_key",
    "langfuse_public_key",
    "langfuse_secret_key",
    "llmops_database",
)
PROXY = "docker_socket_proxy"
SERVICES = {
    "prometheus": 65534,
    "alertmanager": 65534,
    PROXY: 65532,
    "event_store": 999,
    "event-store-keeper": 999,
    "node-exporter": 65532,
    "gpu-exporter": 65532,
    "container-exporter": 65532,
    "vllm-exporter": 65532,
    "litellm-exporter": 65532,
    "langfuse-exporter": 65532,
    "llmops-exporter": 65532,
}
JOBS = ("prometheus", "alertmanager", "node", "gpu", "container", "vllm", "litellm", "langfuse", "llmops")


@pytest.fixture(scope="module")
def containers(box: Box) -> dict[str, dict[str, Any]]:
    return box.containers()


@pytest.fixture(scope="module")
def sample(box: Box) -> Callable[[str], float]:
    """Values of the node exporter's samples, collected after what the tests read first."""
    asked = time.time()

    def metrics() -> str:
        answer = box.fetch(f"{EXPORTER}/metrics", {"Authorization": f"Bearer {TOKEN}"})
        assert answer.status == 200
        return answer.body

    def is_new() -> bool:
        successes = re.findall(r"^\S+_last_success_timestamp_seconds\S+ (\S+)$", metrics(), re.MULTILINE)
        return min(map(float, successes)) > asked

    # A younger collection may be served again (min_interval is 5 s).
    assert eventually(is_new)
    body = metrics()

    def value(series: str) -> float:
        found = re.search(rf"^{re.escape(series)} (\S+)$", body, re.MULTILINE)
        assert found, f"{series} is not in:\n{body}"
        return float(found[1])

    return value


def site_recaps() -> list[dict[str, Any]]:
    return [recap for recap in recaps() if recap["playbook"] == "site.yml"][:4]


# ---------------------------------------------------------------- the runs before these tests


def test_rehearsal_on_the_bare_host_finds_work_and_no_obstacle() -> None:
    rehearsal = site_recaps()[0]
    assert rehearsal["check"]
    assert rehearsal["hosts"]["box"]["failures"] == 0
    assert rehearsal["hosts"]["box"]["changed"] > 0


def test_second_run_changes_nothing_in_at_most_90_tasks() -> None:
    first, second = site_recaps()[1:3]
    assert (first["check"], second["check"]) == (False, False)
    assert second["hosts"]["box"]["changed"] == 0
    assert second["hosts"]["box"]["ok"] + second["hosts"]["box"]["skipped"] <= 90


def test_rehearsal_on_the_deployed_host_would_change_nothing() -> None:
    rehearsal = site_recaps()[3]
    assert rehearsal["check"]
    assert rehearsal["hosts"]["box"]["changed"] == 0


# ---------------------------------------------------------------- the engine


def test_engine_is_the_distributions_and_has_our_settings(box: Box) -> None:
    assert box.os.package("docker.io").is_installed
    assert box.run("docker info --format '{{.ServerVersion}}'").startswith("26.")
    config = box.os.file("/etc/docker/daemon.json")
    assert "/llm-monitor-molecule-default" in config.content_string
    assert config.mode == 0o644


def test_compose_shows_the_whole_system(box: Box) -> None:
    shown = box.run("cd /opt/llm-monitor && docker compose ps --format '{{.Service}} {{.Health}}'")
    assert sorted(shown.splitlines()) == sorted(f"{service} healthy" for service in SERVICES)


def test_all_state_is_in_named_volumes(box: Box) -> None:
    # The proxy's socket is in memory.
    data = {"llm-monitor_prometheus-data", "llm-monitor_alertmanager-data", "llm-monitor_event-store-data"}
    assert box.volumes() == {*data, "llm-monitor_docker-socket-proxy"}


# ---------------------------------------------------------------- network


def test_only_loopback_is_listened_on(box: Box) -> None:
    listeners = {line.split()[3] for line in box.run("ss -Hltn").splitlines()}
    ports = (9100, 9445, 8080, 9901, 9902, 9903, 9904, 23001, 23003, 23005)
    assert listeners == {f"127.0.0.1:{port}" for port in ports}


# ---------------------------------------------------------------- files


def test_folders_and_files_have_their_modes(box: Box) -> None:
    found = box.run("find /opt/llm-monitor -not -path '*/.last-good/*' -printf '%m %U %P\n'")
    modes = {path: (mode, int(owner)) for mode, owner, path in (line.split(" ") for line in found.splitlines())}
    assert modes[""] == ("755", 0)
    assert modes["compose.yaml"] == ("644", 0)
    assert modes[".last-good"] == ("700", 0)
    assert modes["secrets"] == ("700", 0)
    for service in ("prometheus", "alertmanager", "exporters", "event_store", PROXY):
        assert modes[service] == ("755", 0)
        assert modes[f"{service}/compose.yaml"] == ("644", 0)
    secrets = {path: mode for path, mode in modes.items() if path.startswith("secrets/")}
    owners = {"alertmanager": 65534, PROXY: 0, "event_store": 999, "exporters": 65532, "prometheus": 65534}
    folders = {path: mode for path, mode in secrets.items() if path.count("/") == 1}
    assert folders == {f"secrets/{service}": ("700", owner) for service, owner in owners.items()}
    files = {path: mode for path, mode in secrets.items() if path not in folders}
    assert files == {
        "secrets/alertmanager/operations-webhook_configs-0-url": ("600", 65534),
        **{f"secrets/event_store/{name}": ("600", 999) for name in EVENT_STORE_SECRETS},
        **{f"secrets/exporters/{name}": ("600", 65532) for name in EXPORTERS_SECRETS},
        "secrets/prometheus/exporters_bearer_token": ("600", 65534),
    }


# ---------------------------------------------------------------- containers


@pytest.mark.parametrize("service", SERVICES)
def test_container_is_contained(containers: dict[str, dict[str, Any]], service: str) -> None:
    container = containers[service]
    host, config = container["HostConfig"], container["Config"]
    assert host["ReadonlyRootfs"]
    assert not host["Privileged"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    # The engine adds the label to what shares the host's process namespace.
    sees_processes = service in {"gpu-exporter", "container-exporter"}
    labels = ["label=disable"] if sees_processes else []
    assert host["SecurityOpt"] == ["no-new-privileges:true", *labels]
    assert host["Memory"] > 0
    assert host["NanoCpus"] > 0
    assert host["PidsLimit"] > 0
    assert host["PidMode"] == ("host" if sees_processes else "")
    assert host["UTSMode"] == ""
    assert not host["Devices"]
    assert not host["DeviceRequests"]
    assert host["NetworkMode"] == ("none" if service == PROXY else "llm-monitor_default")
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["LogConfig"]["Config"]["max-size"]
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert container["State"]["Health"]["Status"] == "healthy"
    assert container["RestartCount"] == 0
    mounts = {mount["Destination"]: mount for mount in container["Mounts"]}
    sockets = [mount for mount in mounts.values() if mount["Source"].endswith("docker.sock")]
    assert len(sockets) == (1 if service == PROXY else 0)
    writable = {"/prometheus", "/alertmanager", "/var/lib/postgresql/data"}
    writable = writable if service != PROXY else {"/run/docker-proxy"}
    assert {path for path, mount in mounts.items() if mount["RW"]} <= writable


@pytest.mark.parametrize(("service", "user"), SERVICES.items())
def test_process_has_no_power(box: Box, containers: dict[str, dict[str, Any]], service: str, user: int) -> None:
    status = box.run(f"cat /proc/{containers[service]['State']['Pid']}/status")
    fields = {
        name: value.split() for name, _separator, value in (line.partition(":\t") for line in status.splitlines())
    }
    assert set(fields["Uid"]) == {str(user)}
    assert fields["CapEff"] == fields["CapPrm"] == fields["CapBnd"] == ["0000000000000000"]
    assert fields["NoNewPrivs"] == ["1"]
    assert fields["Seccomp"] == ["2"]


# ---------------------------------------------------------------- what it is for


def test_every_target_is_up_under_its_inventory_name(box: Box) -> None:
    expected = {(job, "box", "up") for job in JOBS}
    assert eventually(lambda: box.targets() == expected), box.targets()


def test_rules_are_loaded_and_none_fails(box: Box) -> None:
    groups = box.fetch(f"{PROMETHEUS}/api/v1/rules").json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["name"] for rule in rules} >= {"HostDown", "HostCpuHigh", "TargetDown", "Watchdog"}
    assert [rule for rule in rules if rule["health"] == "err"] == []


def test_figures_are_the_hosts(box: Box, sample: Callable[[str], float]) -> None:
    meminfo = re.search(r"MemTotal: +(\d+) kB", box.run("cat /proc/meminfo"))
    boot = re.search(r"btime (\d+)", box.run("cat /proc/stat"))
    assert meminfo
    assert boot
    assert sample("llm_monitor_node_memory_total_bytes") == int(meminfo[1]) * 1024
    assert sample("llm_monitor_node_boot_time_seconds") == int(boot[1])
    assert sample("llm_monitor_node_cpus") == int(box.run("nproc"))


def test_file_systems_are_the_hosts(box: Box, sample: Callable[[str], float]) -> None:
    mountpoint, size, kind = box.run("df --block-size=1 --output=target,size,fstype /var/lib/docker").split()[-3:]
    series = f'llm_monitor_node_filesystem_size_bytes{{mountpoint="{mountpoint}",fstype="{kind}"}}'
    assert sample(series) == int(size)


def test_network_counters_are_the_hosts(box: Box, sample: Callable[[str], float]) -> None:
    after = box.run("cat /sys/class/net/eth0/statistics/rx_bytes")
    own = box.run("docker exec llm-monitor-node-exporter-1 cat /sys/class/net/eth0/statistics/rx_bytes")
    seen = sample('llm_monitor_node_network_receive_bytes_total{device="eth0"}')
    assert int(own) < seen <= int(after)


def test_prometheus_holds_the_figures(box: Box) -> None:
    total = re.search(r"MemTotal: +(\d+) kB", box.run("cat /proc/meminfo"))
    assert total
    held = box.value('llm_monitor_node_memory_total_bytes{instance="box",job="node"}')
    assert held == int(total[1]) * 1024


def test_prometheus_holds_the_simulated_gpus(box: Box) -> None:
    assert box.value('llm_monitor_gpu_gpus{instance="box",job="gpu"}') == 8
    assert box.value('count(llm_monitor_gpu_info{name="NVIDIA H200"})') == 8
    assert box.value("min(llm_monitor_gpu_collector_success)") == 1


def test_gpu_exporter_tells_of_gpus_as_json_too(box: Box) -> None:
    answer = box.fetch(f"{GPU_EXPORTER}/api/v1/gpus", {"Authorization": f"Bearer {TOKEN}"})
    assert [gpu["index"] for gpu in answer.json()] == list(range(8))
    assert box.fetch(f"{GPU_EXPORTER}/api/v1/gpus").status == 401


def test_prometheus_holds_what_litellm_has_counted(box: Box) -> None:
    labels = 'instance="box",job="litellm"'
    assert box.value(f"llm_monitor_litellm_up{{{labels}}}") == 1
    # As the recording has it, that the stand-in shows: nothing goes through it after the exporter's start.
    assert box.value(f'llm_monitor_litellm_model_context_tokens{{model="llama3-8b",{labels}}}') == 512
    assert box.value(f'llm_monitor_litellm_requests_total{{model="llama3-8b",{labels}}}') == 0


def test_prometheus_holds_what_langfuse_has_counted(box: Box) -> None:
    labels = 'instance="box",job="langfuse"'
    assert box.value(f"llm_monitor_langfuse_up{{{labels}}}") == 1
    # Of the stand-in's project, where time passes.
    assert 0 < box.value(f'llm_monitor_langfuse_traces{{window="24h",{labels}}}') <= 120


def test_event_store_has_days_for_what_applications_report(box: Box) -> None:
    query = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'public.metric_events'::regclass"
    told = box.run("docker exec llm-monitor-event_store-1 psql --username=postgres -tAc %s llmops", query)
    # Today and three days more; another one when midnight has passed since.
    assert int(told) in (4, 5)
