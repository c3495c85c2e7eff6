"""The engine's client against a real engine, with a small image made of this machine's own programs."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils._docker import (
    ApiError,
    DockerClient,
    NotFound,
    RunTimeout,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_containers import gpu_use
from ansible_collections.llmops.monitoring.tests.integration.tiny_image import imported


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """Return an image that holds a shell and a few programs, and remove it in the end."""
    with imported("programs", ("sh", "cat", "id", "sleep", "touch")) as reference:
        yield reference


@pytest.fixture(autouse=True)
def nothing_is_left(client: DockerClient, image: str) -> Iterator[None]:
    """Whatever a test does, no container of its image may be left behind."""
    yield
    left = client.containers(include_stopped=True, filters={"ancestor": [image]})
    assert [container["Names"] for container in left] == []


def shell(client: DockerClient, image: str, script: str, **options: Any) -> tuple[int, str]:
    return client.run(image, ["-c", script], entrypoint=["/bin/sh"], **options)


def test_the_engine_tells_its_version_and_state(client: DockerClient) -> None:
    assert re.fullmatch(r"1\.\d+", client.ping())
    assert client.version()["ApiVersion"] == client.ping()
    assert Path(client.info()["DockerRootDir"]).is_absolute()


def test_an_image_is_inspected(client: DockerClient, image: str) -> None:
    assert client.inspect_image(image)["RepoTags"] == [image]
    with pytest.raises(NotFound):
        client.inspect_image("llm-monitor-test/none:1")


def test_exit_code_and_output_come_back(client: DockerClient, image: str) -> None:
    code, output = shell(client, image, "echo one; echo two >&2; echo drei ü; exit 3")
    assert code == 3
    assert output == "one\ntwo\ndrei ü\n"


def test_a_one_shot_container_has_the_least_privilege(client: DockerClient, image: str) -> None:
    script = "id -u; touch /x; touch /tmp/x && echo writable; cat /proc/net/dev; cat /proc/self/status"

    code, output = shell(client, image, script, user="65534")

    assert code == 0
    lines = output.splitlines()
    assert lines[0] == "65534"
    assert any("Read-only file system" in line for line in lines)
    assert "writable" in lines
    assert "lo:" in output
    assert "eth0" not in output
    assert "CapBnd:\t0000000000000000" in lines
    assert "NoNewPrivs:\t1" in lines


def test_a_folder_is_mounted_read_only(client: DockerClient, image: str, tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text("scrape: true\n")

    code, output = shell(client, image, "cat /c/config.yml; touch /c/x", binds=[f"{tmp_path}:/c:ro"])

    assert code != 0
    assert output.startswith("scrape: true\n")
    assert "Read-only file system" in output
    assert [found.name for found in tmp_path.iterdir()] == ["config.yml"]


def test_a_mount_that_is_not_there_is_refused_and_not_made(client: DockerClient, image: str, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(ApiError, match="bind source path does not exist"):
        shell(client, image, "exit 0", binds=[f"{missing}:/c:ro"])
    assert not missing.exists()


def test_what_does_not_end_is_removed_and_its_output_kept(client: DockerClient, image: str) -> None:
    start = time.monotonic()
    with pytest.raises(RunTimeout, match="did not end within 5 s") as caught:
        shell(client, image, "echo started; sleep 60", timeout=5)
    assert caught.value.output == "started\n"
    assert time.monotonic() - start < 20


def test_an_image_that_is_not_there_is_not_pulled(client: DockerClient) -> None:
    with pytest.raises(NotFound, match="No such image: llm-monitor-test/none:1"):
        client.run("llm-monitor-test/none:1", ["true"])


def test_a_program_that_the_image_does_not_have_is_told(client: DockerClient, image: str) -> None:
    with pytest.raises(ApiError, match="promtool"):
        client.run(image, ["check"], entrypoint=["/bin/promtool"])


def test_both_outputs_come_in_the_order_of_writing(client: DockerClient, image: str) -> None:
    script = "for number in 1 2 3 4 5 6 7 8 9; do echo out $number; echo err $number >&2; done"
    expected = "".join(f"out {number}\nerr {number}\n" for number in range(1, 10))
    assert shell(client, image, script) == (0, expected)


def test_a_signal_reaches_a_running_container(client: DockerClient, image: str) -> None:
    script = "trap 'echo reloaded; exit 7' HUP; echo ready; while :; do sleep 0.1; done"
    name = client.create_container(
        f"llm-monitor-test-{uuid.uuid4().hex[:8]}", {"Image": image, "Entrypoint": ["/bin/sh", "-c", script]}
    )
    try:
        client.start_container(name)
        client.start_container(name)
        deadline = time.monotonic() + 20
        while "ready" not in client.container_output(name) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert name in [container["Id"] for container in client.containers(filters={"ancestor": [image]})]
        client.kill_container(name, "SIGHUP")
        assert client.wait_container(name, 20) == 7
        assert client.container_output(name).endswith("reloaded\n")
    finally:
        client.remove_container(name)
    client.remove_container(name)
    with pytest.raises(NotFound):
        client.inspect_container(name)


@pytest.mark.parametrize(
    ("host", "environment", "use"),
    [
        (
            {"DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]},
            [],
            "device request for all GPUs",
        ),
        (
            {"DeviceRequests": [{"Driver": "nvidia", "DeviceIDs": ["0", "GPU-1f"], "Capabilities": [["gpu"]]}]},
            [],
            "device request for 0, GPU-1f",
        ),
        ({"Devices": [{"PathOnHost": "/dev/nvidia0"}]}, [], "device /dev/nvidia0"),
        ({}, ["NVIDIA_VISIBLE_DEVICES=all"], None),
    ],
)
def test_the_engines_inspection_tells_who_uses_a_gpu(
    client: DockerClient, image: str, host: Any, environment: list[str], use: str | None
) -> None:
    config = {"Image": image, "Entrypoint": ["/bin/sh"], "Env": environment, "HostConfig": host}
    name = client.create_container(f"llm-monitor-test-{uuid.uuid4().hex[:8]}", config)
    try:
        assert gpu_use(client.inspect_container(name)) == use
    finally:
        client.remove_container(name)
