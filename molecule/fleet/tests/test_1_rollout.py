"""A monitoring host that watches another host over the network."""

from __future__ import annotations

import pytest
from ansible_collections.llmops.monitoring.molecule.shared.rollout import (
    Box,
    eventually,
    recaps,
)

TOKEN = "molecule-5c1f0d8e7b"
REGISTRY = "llm-monitor-molecule-registry:5000"


def images(box: Box) -> set[str]:
    return set(box.run("docker images --format '{{.Repository}}:{{.Tag}}'").split())


def test_second_run_changes_nothing_in_at_most_90_tasks_a_host() -> None:
    second = [recap for recap in recaps() if recap["playbook"] == "site.yml"][1]
    assert set(second["hosts"]) == {"gpu-01", "watch-01", "localhost"}
    for host in second["hosts"].values():
        assert host["changed"] == 0
        assert host["ok"] + host["skipped"] <= 90


# ---------------------------------------------------------------- the engine


def test_compose_comes_from_where_the_engine_came(watch: Box) -> None:
    assert watch.run("dpkg-query --search $(command -v dockerd)").startswith("docker.io:")
    assert watch.os.package("docker-compose").is_installed
    assert not watch.os.file("/usr/local/lib/docker/cli-plugins/docker-compose").exists


def test_engine_that_no_package_brought_gets_compose_from_pypi(gpu: Box) -> None:
    assert gpu.run("readlink /proc/$(cat /run/llm-monitor-dockerd.pid)/exe").strip() == "/usr/bin/dockerd"
    assert not gpu.os.package("docker-compose").is_installed
    assert "/usr/local/lib/llm-monitor" in gpu.run("readlink /usr/local/lib/docker/cli-plugins/docker-compose")


@pytest.mark.parametrize("host", ["gpu", "watch"])
def test_engine_is_the_one_that_was_there(request: pytest.FixtureRequest, host: str) -> None:
    box: Box = request.getfixturevalue(host)
    assert "docker.io" not in box.run("grep -E ' (upgrade|remove) ' /var/log/dpkg.log || true")


# ---------------------------------------------------------------- images


def test_pinned_images_come_from_the_mirror(watch: Box) -> None:
    assert images(watch) >= {
        f"{REGISTRY}/prom/prometheus:v3.14.0",
        f"{REGISTRY}/prom/alertmanager:v0.28.1",
        f"{REGISTRY}/library/haproxy:3.2.25",
        f"{REGISTRY}/library/python:3.13.14-slim-trixie",
    }


def test_gpu_host_has_only_what_it_runs(gpu: Box) -> None:
    assert not [image for image in images(gpu) if "/prom/" in image]
    exporters = {f"{name}-exporter" for name in ("node", "gpu", "container", "vllm")}
    assert set(gpu.containers()) == {"docker_socket_proxy", *exporters}
    assert gpu.volumes() == {"llm-monitor_docker-socket-proxy"}


def test_every_host_builds_the_same_exporters(gpu: Box, watch: Box) -> None:
    used = {box.containers()["node-exporter"]["Config"]["Image"] for box in (gpu, watch)}
    assert len(used) == 1
    assert used.pop().startswith("llm-monitor/exporters:")


# ---------------------------------------------------------------- network


def test_only_exporters_listen_on_the_network(gpu: Box, watch: Box) -> None:
    def listeners(box: Box) -> set[str]:
        # Docker's name server for the host itself is not ours.
        return {line.split()[3] for line in box.run("ss -Hltn").splitlines() if "127.0.0.11:" not in line}

    assert listeners(gpu) == {f"0.0.0.0:{port}" for port in (9100, 9445, 8080, 9902)}
    assert listeners(watch) == {"0.0.0.0:9100", "0.0.0.0:8080", "127.0.0.1:23001", "127.0.0.1:23003"}


EXPORTERS = [("gpu", 9100), ("gpu", 9445), ("gpu", 8080), ("gpu", 9902), ("watch", 9100), ("watch", 8080)]


@pytest.mark.parametrize(("host", "port"), EXPORTERS)
def test_stranger_gets_no_metrics(stranger: Box, host: str, port: int) -> None:
    exporter = f"http://llm-monitor-molecule-{host}:{port}"
    authorizations = {
        "": 401,
        "Bearer wrong": 401,
        f"Bearer {TOKEN[:-1]}": 401,
        f"Basic {TOKEN}": 401,
        f"Bearer {TOKEN}": 200,
    }
    for path in ("/metrics", "/docs"):
        for authorization, expected in authorizations.items():
            headers = {"Authorization": authorization} if authorization else {}
            answer = stranger.fetch(exporter + path, headers)
            assert answer.status == expected, (path, authorization)
            assert answer.status == 200 or "llm_monitor" not in answer.body
    assert stranger.fetch(f"{exporter}/health").status == 200


@pytest.mark.parametrize("port", [23001, 23003])
def test_stranger_does_not_reach_what_has_no_login(stranger: Box, port: int) -> None:
    assert stranger.fetch(f"http://llm-monitor-molecule-watch:{port}/").status == 0


# ---------------------------------------------------------------- what it is for


def test_targets_are_the_inventorys_hosts_under_their_names(watch: Box) -> None:
    expected = {
        ("node", "gpu-01", "up"),
        ("gpu", "gpu-01", "up"),
        ("container", "gpu-01", "up"),
        ("vllm", "gpu-01", "up"),
        ("node", "watch-01", "up"),
        ("container", "watch-01", "up"),
        ("prometheus", "watch-01", "up"),
        ("alertmanager", "watch-01", "up"),
    }
    assert eventually(lambda: watch.targets() == expected), watch.targets()


def test_gpus_are_those_of_the_gpu_host(watch: Box) -> None:
    assert [(one["metric"]["instance"], one["value"][1]) for one in watch.query("llm_monitor_gpu_gpus")] == [
        ("gpu-01", "8")
    ]


def test_figures_are_those_of_the_host_that_they_name(gpu: Box, watch: Box) -> None:
    for box, instance in ((gpu, "gpu-01"), (watch, "watch-01")):
        received = f'llm_monitor_node_network_receive_bytes_total{{device="eth0",instance="{instance}"}}'
        seen = watch.value(received)
        before = watch.value(f"{received} offset 20s")
        now = int(box.run("cat /sys/class/net/eth0/statistics/rx_bytes"))
        assert before <= seen <= now
        # The hosts have received different images, so this is no other host's figure.
        assert now - seen < 0.2 * now
