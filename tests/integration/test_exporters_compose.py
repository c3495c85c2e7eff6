# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""How the exporters' containers get at what they ask, as Compose itself reads what the role has written."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml

Place = Callable[..., Any]
Services = Callable[..., dict[str, dict[str, Any]]]
SOCKET = "/var/run/docker.sock"
SIMULATED = "/srv/fake-nvml"
SECRETS = {
    "exporters_bearer_token": "sw0rdfish-token",
    "exporters_vllm_api_key": "sw0rdfish-vllm",
    "exporters_litellm_api_key": "sw0rdfish-litellm",
    "exporters_langfuse_public_key": "sw0rdfish-langfuse-public",
    "exporters_langfuse_secret_key": "sw0rdfish-langfuse",
    "exporters_llmops_database": "postgresql://reader:sw0rdfish-events@events-db:5432/events",
}
WHERE = {
    "exporters_litellm_url": "http://litellm:4000",
    "exporters_langfuse_url": "https://langfuse.example.com",
}


def composed(placed: Any) -> dict[str, Any]:
    """Return what Compose makes of a placed folder."""
    command = ["docker", "compose", "--project-name=test", "--file=compose.yaml", "config", "--format=json"]
    done = subprocess.run(command, cwd=placed.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


@pytest.fixture
def gpu_exporter(place: Place) -> Callable[..., dict[str, Any]]:
    """Return a function that gives the service as it is with the given variables."""

    def run(**variables: Any) -> dict[str, Any]:
        service: dict[str, Any] = composed(place("exporters", **variables))["services"]["gpu-exporter"]
        return service

    return run


def mounts(service: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    return {volume["target"]: (volume["source"], volume.get("read_only", False)) for volume in service["volumes"]}


def test_simulated_gpus_need_no_access_to_real_ones(gpu_exporter: Callable[..., dict[str, Any]]) -> None:
    service = gpu_exporter(llm_monitor_gpu_library=SIMULATED)
    assert not {"runtime", "deploy", "devices", "group_add"} & set(service)
    assert mounts(service)["/opt/simulated-gpus"] == (SIMULATED, True)
    assert service["environment"]["LD_LIBRARY_PATH"] == "/opt/simulated-gpus"
    assert not [name for name in service["environment"] if name.startswith("NVIDIA")]


def test_nvidias_runtime_gives_access(gpu_exporter: Callable[..., dict[str, Any]]) -> None:
    service = gpu_exporter(llm_monitor_gpu_library="")
    assert service["runtime"] == "nvidia"
    assert service["environment"]["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert service["environment"]["NVIDIA_DRIVER_CAPABILITIES"] == "utility"
    assert "LD_LIBRARY_PATH" not in service["environment"]
    assert set(mounts(service)) == {"/etc/llm-monitor", "/run/docker-proxy"}
    assert "deploy" not in service


def test_cdi_gives_access(gpu_exporter: Callable[..., dict[str, Any]]) -> None:
    service = gpu_exporter(llm_monitor_gpu_library="", llm_monitor_gpu_access="cdi")
    (request,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert (request["driver"], request["device_ids"]) == ("cdi", ["nvidia.com/gpu=all"])
    # Compose's own limits are not lost by what is reserved.
    assert (service["mem_limit"], service["cpus"]) == ("201326592", 0.5)
    assert "runtime" not in service
    assert not [name for name in service["environment"] if name.startswith("NVIDIA")]


def test_raw_socket_is_given_only_if_the_inventory_says_so(gpu_exporter: Callable[..., dict[str, Any]]) -> None:
    service = gpu_exporter(exporters_docker_socket=SOCKET, exporters_gpu_expected=8)
    assert mounts(service)["/run/docker.sock"] == (SOCKET, True)
    assert service["group_add"] == [str(os.stat(SOCKET).st_gid)]
    assert "/run/docker-proxy" not in mounts(service)


def test_socket_that_is_not_there_is_refused(gpu_exporter: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(AssertionError, match=r"exporters_docker_socket is /nowhere\.sock: no socket is there"):
        gpu_exporter(exporters_docker_socket="/nowhere.sock")


def test_docker_is_asked_through_the_proxy(place: Place) -> None:
    placed = place("exporters")
    settings, services = yaml.safe_load(placed.text("settings.yaml")), composed(placed)["services"]
    assert set(services) == {f"{name}-exporter" for name in ("node", "gpu", "container", "vllm")}
    for name in ("gpu", "container", "vllm"):
        assert mounts(services[f"{name}-exporter"])["/run/docker-proxy"] == ("docker-socket-proxy", True)
        assert settings[name]["docker"] == "/run/docker-proxy/docker.sock"
    assert "/run/docker-proxy" not in mounts(services["node-exporter"])
    assert not [one for one in services.values() if SOCKET in str(one)]


def test_without_the_proxy_nothing_asks_docker(place: Place) -> None:
    placed = place("exporters", llm_monitor_components=["exporters"])
    settings, read = yaml.safe_load(placed.text("settings.yaml")), composed(placed)
    assert set(read["services"]) == {"node-exporter", "gpu-exporter"}
    assert "docker" not in settings.get("gpu", {})
    assert "volumes" not in read


def test_each_exporter_sees_no_secret_but_its_own(place: Place) -> None:
    placed = place("exporters", **SECRETS, **WHERE)
    services = composed(placed)["services"]
    seen = {
        name: sorted(target.removeprefix("/run/secrets/") for target in mounts(service) if "/run/secrets" in target)
        for name, service in services.items()
    }
    assert seen == {
        "node-exporter": ["bearer_token"],
        "gpu-exporter": ["bearer_token"],
        "container-exporter": ["bearer_token"],
        "vllm-exporter": ["bearer_token", "vllm_api_key"],
        "litellm-exporter": ["bearer_token", "litellm_api_key"],
        "langfuse-exporter": ["bearer_token", "langfuse_public_key", "langfuse_secret_key"],
        "llmops-exporter": ["bearer_token", "llmops_database"],
    }
    assert all(is_read_only for service in services.values() for _source, is_read_only in mounts(service).values())
    written = "".join(path.read_text() for path in placed.folder.rglob("*") if path.is_file())
    assert "sw0rdfish" not in written + placed.printed
    assert {stat.S_IMODE(path.stat().st_mode) for path in placed.secrets.iterdir()} == {0o600}
    assert {path.read_text() for path in placed.secrets.iterdir()} == set(SECRETS.values())


def test_database_url_of_langfuse_is_a_secret(place: Place) -> None:
    placed = place("exporters", exporters_langfuse_database="postgresql+psycopg://reader:sw0rdfish@db/langfuse")
    settings = yaml.safe_load(placed.text("settings.yaml"))
    assert settings["langfuse"] == {"database_file": "/run/secrets/langfuse_database"}
    assert "sw0rdfish" not in placed.printed


def test_networks_of_others_are_joined_by_those_that_ask_them(place: Place) -> None:
    read = composed(place("exporters", exporters_networks=["llm_default", "obs.net"], **SECRETS, **WHERE))
    joined = {name for name, network in read["networks"].items() if network.get("external")}
    assert {read["networks"][name]["name"] for name in joined} == {"llm_default", "obs.net"}
    for name in ("vllm", "litellm", "langfuse", "llmops"):
        service = read["services"][f"{name}-exporter"]
        assert set(service["networks"]) == {"default", *joined}
        assert service["extra_hosts"] == ["host.docker.internal=host-gateway"]
    assert set(read["services"]["container-exporter"]["networks"]) == {"default"}


MODEL = {
    "name": "mine",
    "path": "me/mine",
    "container": "vllm-mine",
    "gpus": [0],
    "parameters": 8.0,
    "token": 131072,
    "context": 8192,
    "requests": 2.0,
    "prompt": 600,
    "answer": 200,
    "input_price": 0.05,
    "output_price": 0.08,
}
FLEET: dict[str, Any] = {
    "gpu": {"count": 1},
    "disks": [{"device": "sda1", "mountpoint": "/", "size": 960, "used": 0.4}],
    "models": [MODEL],
}
OWN = {"rush": {"description": "Many users.", "load": 4, "events": [{"fault": "disk_fill", "target": "/"}]}}
MOCKED = ["gpu", "vllm", "litellm", "langfuse", "llmops"]


def test_mocked_exporters_have_one_container_that_reaches_nothing(place: Place) -> None:
    placed = place("exporters", exporters_mocked=MOCKED, exporters_networks=["llm"], **SECRETS)
    settings, read = yaml.safe_load(placed.text("settings.yaml")), composed(placed)
    services = read["services"]
    assert set(services) == {"node-exporter", "container-exporter", "mock-exporter"}
    ports = {"gpu": 9445, "vllm": 9902, "litellm": 9901, "langfuse": 9903, "llmops": 9904}
    assert settings["mock"]["exporters"] == ports
    # What real containers have to do with simulated GPUs is nothing.
    assert set(settings) == {"log_level", "container", "mock"}
    assert set(settings["container"]) == {"docker"}
    mock = services["mock-exporter"]
    assert {(one["host_ip"], int(one["published"]), one["target"]) for one in mock["ports"]} == {
        ("127.0.0.1", port, port) for port in (9910, *ports.values())
    }
    assert mock["healthcheck"]["test"][1:] == ["llm-monitor-healthcheck", "9910", *map(str, ports.values())]
    assert set(mounts(mock)) == {"/etc/llm-monitor", "/run/secrets/bearer_token"}
    assert not {"runtime", "pid", "group_add", "extra_hosts"} & set(mock)
    assert set(mock["networks"]) == {"default"} == set(read["networks"])
    assert {path.name for path in placed.secrets.iterdir()} == {"bearer_token"}


def test_the_mock_alone_plays_everything_on_its_own_port(place: Place) -> None:
    placed = place("exporters", exporters_enabled=["mock"], exporters_settings={"mock": {"scenario": "gpu_lost"}})
    read = composed(placed)
    assert yaml.safe_load(placed.text("settings.yaml"))["mock"] == {"scenario": "gpu_lost"}
    assert [one["target"] for one in read["services"]["mock-exporter"]["ports"]] == [9910]
    assert "volumes" not in read


def test_the_mock_plays_the_inventory_s_own_server_and_scenarios(place: Place) -> None:
    chosen = {"mock": {"scenario": "rush", "seed": 7}}
    placed = place(
        "exporters",
        exporters_mocked=MOCKED,
        exporters_mock_fleet=FLEET,
        exporters_mock_scenarios=OWN,
        exporters_settings=chosen,
    )
    assert yaml.safe_load(placed.text("mock/fleet.yaml")) == FLEET
    assert yaml.safe_load(placed.text("mock/scenarios/rush.yaml")) == OWN["rush"]
    settings = yaml.safe_load(placed.text("settings.yaml"))["mock"]
    assert (settings["scenario"], settings["seed"]) == ("rush", 7)
    assert settings["fleet"] == "/etc/llm-monitor/mock/fleet.yaml"
    assert settings["scenarios"] == "/etc/llm-monitor/mock/scenarios"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"exporters_settings": {"mock": {"scenario": "doom"}}}, "mock.scenario: 'doom' is no scenario; expected one"),
        ({"exporters_mock_fleet": {**FLEET, "gpus": 3}}, r"mock/fleet\.yaml:\d+: gpus: there is no such key"),
        (
            {"exporters_mock_scenarios": {"rush": {**OWN["rush"], "load": "much"}}},
            r"mock/scenarios/rush\.yaml:\d+: load: 'much' is not allowed; expected",
        ),
    ],
)
def test_what_the_mock_can_t_play_changes_nothing(place: Place, variables: dict[str, Any], words: str) -> None:
    with pytest.raises(AssertionError, match=words) as refusal:
        place("exporters", exporters_mocked=MOCKED, **variables)
    assert "changed=0" in str(refusal.value)


def test_settings_that_an_exporter_refuses_change_nothing(place: Place) -> None:
    with pytest.raises(AssertionError, match="url needs public_key and secret_key") as refusal:
        place("exporters", exporters_langfuse_url="https://langfuse.example.com")
    assert "changed=0" in str(refusal.value)
