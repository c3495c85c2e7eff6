"""GPUs are not taken away from a running container, unless that is allowed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ansible_collections.llmops.monitoring.molecule.shared.rollout import Box, Rollout

CONFIG = "/etc/docker/daemon.json"
SPEC = "/etc/cdi/nvidia.yaml"
QUERY = "/usr/share/stand-in-gpus/query.xml"


def config(h200: Box) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(h200.os.file(CONFIG).content_string)
    return found


def is_running(h200: Box, container: str) -> bool:
    return container in h200.run("docker ps --quiet --no-trunc").split()


def test_restart_is_refused_before_anything_changes(h200: Box, roll_out: Rollout, vllm: str) -> None:
    engine, before = h200.engine(), config(h200)
    said = roll_out.fails("site.yml", llm_monitor_gpu_access="cdi")
    assert "Changing features needs a restart of the Docker engine" in said
    # The GPU exporter has GPUs too, but may lose them.
    assert "these are running: vllm (runtime nvidia with NVIDIA_VISIBLE_DEVICES=all)" in said
    assert "set llm_monitor_allow_docker_restart to true if they may stop now" in said
    assert (h200.engine(), config(h200)) == (engine, before)
    assert is_running(h200, vllm)
    assert not h200.os.file(SPEC).exists


def test_runtime_is_registered_without_disturbing_it(h200: Box, roll_out: Rollout, vllm: str) -> None:
    engine = h200.engine()
    h200.run(f"echo %s > {CONFIG}", json.dumps({"cgroup-parent": "/llm-monitor-molecule-gpu"}))
    roll_out.succeeds("site.yml")
    assert "nvidia" in config(h200)["runtimes"]
    assert h200.engine() == engine
    assert is_running(h200, vllm)


def test_restart_goes_on_when_it_is_allowed(h200: Box, roll_out: Rollout, vllm: str) -> None:
    engine = h200.engine()
    roll_out.succeeds("site.yml", llm_monitor_gpu_access="cdi", llm_monitor_allow_docker_restart=True)
    assert config(h200)["features"] == {"cdi": True}
    assert "nvidia" in config(h200)["runtimes"]
    assert h200.engine() != engine
    assert not is_running(h200, vllm)
    assert h200.os.file(SPEC).mode == 0o644


def test_containers_get_gpus_by_cdi(h200: Box, image: str, gpus_watched: Callable[[], str]) -> None:
    given = h200.run(f"docker run --rm --device nvidia.com/gpu=all --entrypoint nvidia-smi {image} -q -x")
    assert given.count("<gpu id=") == 8
    watcher = h200.containers()["gpu-exporter"]["HostConfig"]
    assert watcher["Runtime"] == "runc"
    assert watcher["DeviceRequests"][0]["DeviceIDs"] == ["nvidia.com/gpu=all"]
    assert gpus_watched() == "8"


def test_specification_and_exporter_follow_the_driver(h200: Box, roll_out: Rollout) -> None:
    assert "STAND_IN_DRIVER=590.48.01" in h200.os.file(SPEC).content_string
    h200.run(f"sed -i s/590.48.01/595.10.02/ {QUERY}")
    before = h200.started()
    roll_out.succeeds("site.yml", llm_monitor_gpu_access="cdi")
    assert "STAND_IN_DRIVER=595.10.02" in h200.os.file(SPEC).content_string
    after = h200.started()
    assert {service for service in after if after[service] != before[service]} == {"gpu-exporter"}
    # What CDI adds is the process' own, and no part of what the engine knows of the container.
    pid = h200.containers()["gpu-exporter"]["State"]["Pid"]
    assert "STAND_IN_DRIVER=595.10.02" in h200.run(f"tr '\\0' ' ' < /proc/{pid}/environ")
