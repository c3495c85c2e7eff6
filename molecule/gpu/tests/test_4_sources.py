"""Where the toolkit comes from, and what keeps it from coming."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.llmops.monitoring.molecule.gpu.installed import KEY, PACKAGES, SOURCES
from ansible_collections.llmops.monitoring.molecule.shared.rollout import Box, Rollout

OTHER = "C95B321B61E88C1809C4F759DDCAE044F796ECB0"


@pytest.fixture(scope="module", autouse=True)
def without_toolkit(h200: Box) -> None:
    """Take off what the rollouts before have brought."""
    h200.run(f"dpkg --purge {' '.join(PACKAGES)} && rm {KEY} {SOURCES}")


def release(h200: Box) -> set[str]:
    """Return the versions of those of the toolkit's packages that are installed."""
    shown = h200.os.run("dpkg-query --show --showformat '${Version} ' " + " ".join(PACKAGES)).stdout
    return set(shown.split())


def test_wrong_key_is_refused_before_anything_changes(h200: Box, roll_out: Rollout) -> None:
    play = roll_out("site.yml", nvidia_toolkit_repository_fingerprint=OTHER)
    assert play.code != 0
    said = " ".join(play.output.split())
    assert "http://127.0.0.1:8099/gpgkey is not the key that is expected: its fingerprint is" in said
    assert f"not {OTHER}" in said
    assert play.recap["hosts"]["h200"]["changed"] == 0
    assert not h200.os.file(KEY).exists
    assert not h200.os.file(SOURCES).exists
    assert release(h200) == set()


def test_packages_of_the_users_are_installed(h200: Box, roll_out: Rollout) -> None:
    folder = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "packages")
    packages = sorted(str(path) for path in folder.iterdir())
    assert len(packages) == 4
    roll_out.succeeds("site.yml", nvidia_toolkit_source="packages", nvidia_toolkit_packages=packages)
    assert release(h200) == {"1.20.1-1"}
    assert not h200.os.file(SOURCES).exists
    assert h200.run("find /root/.ansible/tmp /tmp -name '*.deb'") == ""


def test_older_toolkit_is_upgraded_to_the_version_that_is_asked_for(h200: Box, roll_out: Rollout) -> None:
    for version in ("1.20.2", "1.20.3"):
        h200.run(f"/srv/stand-in/publish.sh {version}")
    # As NVIDIA's instructions leave it: another key for the same repository, at which apt would stop.
    old = "deb [signed-by=/usr/share/keyrings/nvidia.gpg] http://127.0.0.1:8099/stable/deb/$(ARCH) /"
    h200.run("echo %s > /etc/apt/sources.list.d/nvidia-container-toolkit.list", old)
    roll_out.succeeds("site.yml", llm_monitor_nvidia_toolkit_version="1.20.2")
    assert release(h200) == {"1.20.2-1"}


def test_host_without_gpus_is_left_as_it_is(h200: Box, roll_out: Rollout) -> None:
    h200.run("mv /usr/bin/nvidia-smi /srv")
    play = roll_out.succeeds("site.yml", nvidia_toolkit_expected={}, llm_monitor_nvidia_toolkit_version="1.20.3")
    assert "This host has no NVIDIA GPU, so it needs no container toolkit and gets no GPU exporter." in play.output
    assert set(h200.containers()) == {"docker_socket_proxy", "node-exporter", "container-exporter"}
    assert release(h200) == {"1.20.2-1"}
