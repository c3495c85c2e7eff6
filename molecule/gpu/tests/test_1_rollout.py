"""What a rollout onto a bare server with GPUs leaves there."""

from __future__ import annotations

import json
from collections.abc import Callable

from ansible_collections.llmops.monitoring.molecule.gpu.installed import KEY, PACKAGES, SOURCES
from ansible_collections.llmops.monitoring.molecule.shared.rollout import Box, recaps


def test_rehearsals_and_runs_agree() -> None:
    bare, first, second, deployed = [recap for recap in recaps() if recap["playbook"] == "site.yml"][:4]
    assert (bare["check"], first["check"], second["check"], deployed["check"]) == (True, False, False, True)
    assert bare["hosts"]["h200"]["failures"] == 0
    assert bare["hosts"]["h200"]["changed"] > 0
    assert first["hosts"]["h200"]["changed"] > 0
    assert second["hosts"]["h200"]["changed"] == 0
    assert deployed["hosts"]["h200"]["changed"] == 0


def test_toolkit_is_the_pinned_release_of_the_signed_repository(h200: Box) -> None:
    versions = h200.run("dpkg-query --show --showformat '${Version} ' " + " ".join(PACKAGES)).split()
    assert versions == ["1.20.1-1"] * 4
    assert h200.os.file(KEY).mode == 0o644
    assert h200.run(f"cat {KEY}") == h200.run("cat /srv/nvidia/gpgkey")
    assert f"Signed-By: {KEY}" in h200.os.file(SOURCES).content_string


def test_runtime_is_registered_beside_what_was_there(h200: Box) -> None:
    config = json.loads(h200.os.file("/etc/docker/daemon.json").content_string)
    assert config == {
        "cgroup-parent": "/llm-monitor-molecule-gpu",
        "runtimes": {"nvidia": {"path": "nvidia-container-runtime", "args": []}},
    }
    runtimes = json.loads(h200.run("docker info --format '{{json .Runtimes}}'"))
    assert runtimes["nvidia"]["path"] == "nvidia-container-runtime"
    assert h200.run("docker info --format '{{.DefaultRuntime}}'") == "runc"


def test_only_containers_that_ask_for_gpus_get_them(h200: Box, image: str) -> None:
    ask = f"--entrypoint nvidia-smi {image} -q -x"
    given = h200.run(f"docker run --rm --runtime nvidia --env NVIDIA_VISIBLE_DEVICES=all {ask}")
    assert given.count("<gpu id=") == 8
    assert h200.os.run(f"docker run --rm --runtime nvidia {ask}").rc == 127
    assert h200.os.run(f"docker run --rm {ask}").rc == 127


def test_gpu_exporter_gets_the_gpus_and_no_power(h200: Box, gpus_watched: Callable[[], str]) -> None:
    exporters = {f"{name}-exporter" for name in ("node", "gpu", "container", "vllm")}
    assert set(h200.containers()) == {"docker_socket_proxy", *exporters}
    assert gpus_watched() == "8"
    container = h200.containers()["gpu-exporter"]
    host, environment = container["HostConfig"], container["Config"]["Env"]
    assert host["Runtime"] == "nvidia"
    assert {"NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=utility"} <= set(environment)
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    status = h200.run(f"cat /proc/{container['State']['Pid']}/status")
    assert "Uid:\t65532\t" in status
    assert "CapEff:\t0000000000000000" in status
