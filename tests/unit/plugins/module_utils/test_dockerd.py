"""What dockerd makes of its daemon.json."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils._dockerd import (
    clashing_flags,
    needing_restart,
    running_arguments,
    structure_errors,
)

HELP_20_10 = """
  -D, --debug                                   Enable debug mode
      --default-address-pool pool-options       Default address pools
      --dns list                                DNS server to use
      --label list                              Set key=value labels to the daemon
      --log-opt map                             Default log driver options
"""


@pytest.mark.parametrize(
    ("changed", "after", "restart"),
    [
        ("debug", {"debug": False}, False),
        ("labels", {"labels": []}, False),
        ("insecure-registries", {"insecure-registries": ["r:5000"]}, False),
        ("registry-mirrors", {"registry-mirrors": []}, False),
        ("live-restore", {"live-restore": True}, False),
        ("runtimes.nvidia.path", {"runtimes": {"nvidia": {"path": "x"}}}, False),
        ("runtimes.kata", {"runtimes": {"nvidia": {"path": "x"}}}, False),
        ("default-runtime", {"default-runtime": "nvidia"}, False),
        ("shutdown-timeout", {"shutdown-timeout": 60}, False),
        ("max-concurrent-downloads", {}, False),
        ("authorization-plugins", {}, False),
        ("features.buildkit", {"features": {"buildkit": True}}, False),
        ("debug", {}, True),
        ("insecure-registries", {}, True),
        ("runtimes", {}, True),
        ("features.containerd-snapshotter", {"features": {"containerd-snapshotter": True}}, True),
        ("features.cdi", {"features": {"cdi": True}}, True),
        ("features", {}, True),
        ("log-opts.max-size", {"log-opts": {"max-size": "1m"}}, True),
        ("data-root", {"data-root": "/x"}, True),
        ("proxies.http-proxy", {"proxies": {"http-proxy": "x"}}, True),
        ("setting-of-the-future", {"setting-of-the-future": 1}, True),
    ],
)
def test_a_reload_takes_up_some_settings_and_others_need_a_restart(changed: str, after: Any, restart: bool) -> None:
    assert needing_restart([changed], after) == ([changed] if restart else [])


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({"debug": "true"}, 'debug must be true or false, but is "true"'),
        ({"mtu": True}, "mtu must be a whole number, but is true"),
        ({"mtu": "1500"}, 'mtu must be a whole number, but is "1500"'),
        ({"log-driver": 1}, "log-driver must be a string, but is 1"),
        ({"dns": "1.1.1.1"}, 'dns must be a list of strings, but is "1.1.1.1"'),
        ({"dns": [1]}, "dns must be a list of strings, but is [1]"),
        ({"log-opts": {"max-file": 3}}, "log-opts.max-file must be a string, but is 3"),
        ({"log-opts": ["max-file=3"]}, 'log-opts must be an object of strings, but is ["max-file=3"]'),
        ({"features": {"cdi": 1}}, "features.cdi must be true or false, but is 1"),
        ({"runtimes": []}, "runtimes must be an object, but is []"),
        ({"default-address-pools": ["x"]}, 'default-address-pools must be a list of objects, but is ["x"]'),
        ({"default-shm-size": []}, "default-shm-size must be a string or a whole number, but is []"),
        (
            {"registry-mirorrs": []},
            "registry-mirorrs is a setting that no engine from 20.10 to 29 knows, and an unknown one keeps the engine "
            "from starting",
        ),
    ],
)
def test_what_dockerd_would_refuse_is_told(config: Any, error: str) -> None:
    assert structure_errors(config, config, None) == [error]


def test_a_sound_configuration_has_no_errors() -> None:
    config = {
        "builder": {"gc": {"enabled": True}},
        "default-address-pools": [{"base": "10.0.0.0/8", "size": 24}],
        "default-shm-size": "1G",
        "default-ulimits": {"memlock": {"Name": "memlock", "Hard": -1, "Soft": -1}},
        "features": {"buildkit": True},
        "live-restore": True,
        "log-driver": "json-file",
        "log-opts": {"max-size": "50m"},
        "mtu": 1400,
        "proxies": {"http-proxy": "http://p:3128"},
        "registry-mirrors": ["https://m"],
        "runtimes": {"nvidia": {"path": "nvidia-container-runtime", "args": []}},
    }
    assert structure_errors(config, config, None) == []


def test_only_the_named_keys_are_judged() -> None:
    assert structure_errors({"debug": 1, "mtu": 1500}, ["mtu", "gone"], None) == []


def test_dockerds_own_help_tells_which_settings_it_knows() -> None:
    config = {
        "debug": True,
        "labels": ["a=b"],
        "default-address-pools": [],
        "features": {},
        "cluster-store": "x",
        "proxies": {},
        "dns-opts": [],
    }
    errors = structure_errors(config, config, HELP_20_10)
    assert [error.split(" ", 1)[0] for error in errors] == ["dns-opts", "proxies"]
    assert "this host's dockerd does not know" in errors[0]


@pytest.mark.parametrize(
    ("arguments", "clashing"),
    [
        (["-H", "fd://", "--containerd=/run/containerd/containerd.sock"], ["hosts"]),
        (["-Hunix:///x"], ["hosts"]),
        (["--host=fd://", "--label", "a=b"], ["hosts", "labels"]),
        (["-D", "--log-opt", "max-size=1m"], ["debug", "log-opts"]),
        (["--add-runtime", "x=/y"], []),
        (["--storage-driver=vfs", "--config-file", "/x", "-"], []),
        ([], []),
    ],
)
def test_a_setting_given_as_a_flag_too_clashes(arguments: list[str], clashing: list[str]) -> None:
    assert clashing_flags(["hosts", "labels", "debug", "log-opts", "runtimes", "mtu"], arguments) == clashing


def test_the_arguments_of_a_running_dockerd_are_read(tmp_path: Path) -> None:
    pidfile = tmp_path / "docker.pid"
    pidfile.write_text("4711\n")
    process = tmp_path / "proc" / "4711"
    process.mkdir(parents=True)
    (process / "cmdline").write_bytes(b"/usr/sbin/dockerd\0-H\0fd://\0")
    assert running_arguments(str(pidfile), str(tmp_path / "proc")) == ["-H", "fd://"]


def test_another_process_under_an_old_pid_is_no_dockerd(tmp_path: Path) -> None:
    pidfile = tmp_path / "docker.pid"
    pidfile.write_text(str(os.getpid()))
    assert running_arguments(str(pidfile)) == []


@pytest.mark.parametrize("content", ["", "no number", "999999999"])
def test_no_running_dockerd_has_no_arguments(tmp_path: Path, content: str) -> None:
    pidfile = tmp_path / "docker.pid"
    assert running_arguments(str(pidfile)) == []
    pidfile.write_text(content)
    assert running_arguments(str(pidfile)) == []
