"""What docker_engine_info says of a played engine and a played docker command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils import _programs
from ansible_collections.llmops.monitoring.plugins.modules import docker_engine_info


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a docker command that comes first on the path and knows Compose."""
    command = tmp_path / "docker"
    command.write_text("#!/bin/sh\necho v2.24.6\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return command


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder in which programs are looked for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(_programs, "_SBIN", [])
    return tmp_path


def program(path: Path, script: str = "") -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def ask(run_module: Any, fake_engine: Any, **options: Any) -> dict[str, Any]:
    fake_engine.info = {"DockerRootDir": "/data/docker"}
    result: dict[str, Any] = run_module(
        docker_engine_info.main, {"socket_path": fake_engine.socket_path, **options}, check_mode=True
    )
    return result


@pytest.mark.usefixtures("docker")
def test_an_engine_tells_what_it_lacks(run_module: Any, fake_engine: Any) -> None:
    fake_engine.images = {"a:1"}
    found = ask(run_module, fake_engine, images=["a:1", "b:1"])
    assert (found["running"], found["version"], found["data_root"]) == (True, "28.2.2", "/data/docker")
    assert found["missing_images"] == ["b:1"]
    assert found["compose_version"] == "2.24.6"


def test_a_docker_command_without_compose_has_none(run_module: Any, fake_engine: Any, docker: Path) -> None:
    docker.write_text("#!/bin/sh\necho \"docker: 'compose' is not a docker command.\" >&2\nexit 1\n")
    assert ask(run_module, fake_engine)["compose_version"] is None


def test_no_engine_is_an_answer(run_module: Any, fake_engine: Any, tmp_path: Path) -> None:
    found = ask(run_module, fake_engine, socket_path=str(tmp_path / "none"), images=["a:1"])
    assert (found["failed"], found["running"], found["missing_images"]) == (False, False, ["a:1"])
    assert "no Docker engine's socket" in found["problem"]


def test_running_containers_that_use_a_gpu_are_named(run_module: Any, fake_engine: Any) -> None:
    fake_engine.running = [{"Id": "a1", "Labels": {}}, {"Id": "b2", "Labels": {}}]
    fake_engine.inspections = {
        "a1": {"Id": "a1", "Name": "/web", "HostConfig": {"Runtime": "runc"}},
        "b2": {
            "Id": "b2",
            "Name": "/vllm",
            "HostConfig": {"Runtime": "nvidia"},
            "Config": {"Env": ["NVIDIA_VISIBLE_DEVICES=all"]},
        },
    }
    assert ask(run_module, fake_engine)["gpu_containers"] == [
        {"name": "vllm", "id": "b2", "gpu": "runtime nvidia with NVIDIA_VISIBLE_DEVICES=all"}
    ]


def test_an_engine_that_refuses_a_reference_still_runs(run_module: Any, fake_engine: Any) -> None:
    fake_engine.refused = {"UPPER:1"}
    found = ask(run_module, fake_engine, images=["UPPER:1"])
    assert found["failed"]
    assert "inspect the image UPPER:1 (status 400): invalid reference format" in found["msg"]
    assert "running" not in found


def test_a_program_is_told_with_the_package_that_brought_it(
    run_module: Any, fake_engine: Any, bin_folder: Path
) -> None:
    dockerd = program(bin_folder / "dockerd")
    program(
        bin_folder / "dpkg-query",
        f"""
        echo "diversion by somebody from: {dockerd}"
        test "$*" = "--search {dockerd}" && echo "docker-ce:amd64: {dockerd}" """,
    )
    found = ask(run_module, fake_engine)
    assert (found["installed"], found["program"], found["package"]) == (True, dockerd, "docker-ce")


def test_a_program_behind_a_link_is_of_the_package_of_its_target(
    run_module: Any, fake_engine: Any, bin_folder: Path
) -> None:
    target = program(bin_folder / "dockerd-of-somebody")
    (bin_folder / "dockerd").symlink_to(target)
    program(bin_folder / "dpkg-query", f'test "$2" = {target} && echo "docker.io: $2"')
    found = ask(run_module, fake_engine)
    assert (found["program"], found["package"]) == (str(bin_folder / "dockerd"), "docker.io")


@pytest.mark.parametrize("says", ["", "echo dpkg-query: no path found matching pattern >&2; exit 1"])
def test_a_program_may_belong_to_no_package(run_module: Any, fake_engine: Any, bin_folder: Path, says: str) -> None:
    dockerd = program(bin_folder / "dockerd")
    program(bin_folder / "dpkg-query", says)
    found = ask(run_module, fake_engine)
    assert (found["program"], found["package"]) == (dockerd, None)


@pytest.mark.parametrize(
    ("says", "package"), [("echo docker-ce", "docker-ce"), ("echo file is not owned by any package; exit 1", None)]
)
def test_rpm_is_asked_where_there_is_no_dpkg(
    run_module: Any, fake_engine: Any, bin_folder: Path, says: str, package: str | None
) -> None:
    program(bin_folder / "dockerd")
    program(bin_folder / "rpm", says)
    assert ask(run_module, fake_engine)["package"] == package


def test_where_there_is_no_program_there_is_no_package(
    run_module: Any, fake_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_programs, "find", lambda _module, _name: None)
    found = ask(run_module, fake_engine)
    assert (found["installed"], found["program"], found["package"]) == (False, None, None)
