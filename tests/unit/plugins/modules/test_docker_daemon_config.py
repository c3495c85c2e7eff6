"""docker_daemon_config on real files, with an engine and a dockerd of our own."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmops.monitoring.plugins.modules import docker_daemon_config as module

VLLM = {
    "Id": "4f1c" * 16,
    "Name": "/vllm-llama",
    "HostConfig": {"DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]},
}
PROXY = {"Id": "5e2d" * 16, "Name": "/litellm", "HostConfig": {}}
NEEDS_RESTART = {"log-driver": "local"}
NEEDS_RELOAD = {"registry-mirrors": ["https://mirror.example"]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "docker" / "daemon.json"


@pytest.fixture(autouse=True)
def no_dockerd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the dockerd of the machine that runs the tests out of them."""
    monkeypatch.setattr(module, "DEFAULT_PIDFILE", str(tmp_path / "docker.pid"))
    monkeypatch.setattr(AnsibleModule, "get_bin_path", lambda *_arguments, **_options: None)


@pytest.fixture
def dockerd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that puts a dockerd on the machine: a script that shows a help and runs some shell."""

    def place(script: str, flags: str = "--debug --log-driver string --validate ") -> Path:
        program = tmp_path / "dockerd"
        program.write_text(f'#!/bin/sh\n[ "$1" = --help ] && {{ echo "{flags}"; exit 0; }}\n{script}\n')
        program.chmod(0o755)
        monkeypatch.setattr(AnsibleModule, "get_bin_path", lambda *_arguments, **_options: str(program))
        return program

    return place


@pytest.fixture
def configure(run_module: Any, path: Path, engine: Any) -> Callable[..., dict[str, Any]]:
    """Return a function that runs the module on `path`, with `settings` and any other option."""

    def run(settings: Any = None, *, check_mode: bool = False, **options: Any) -> dict[str, Any]:
        args = {"path": str(path), "settings": settings or {}, "docker_socket": engine.socket_path, **options}
        result: dict[str, Any] = run_module(module.main, args, check_mode=check_mode)
        return result

    return run


def write(path: Path, content: Any) -> str:
    path.parent.mkdir(exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text)
    return text


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# ------------------------------------------------------------ writing


def test_a_new_file_is_readable_by_all_whatever_the_umask(configure: Any, path: Path) -> None:
    old = os.umask(0o077)
    try:
        result = configure({"debug": True})
    finally:
        os.umask(old)

    assert (result["changed"], result["failed"]) == (True, False)
    assert path.read_text() == '{\n  "debug": true\n}\n'
    assert mode(path) == 0o644
    assert result["diff"]["before"] == ""
    assert "backup_file" not in result


def test_settings_of_others_stay_and_a_second_run_changes_nothing(configure: Any, path: Path) -> None:
    write(path, {"data-root": "/srv/docker", "log-opts": {"max-size": "1g", "tag": "x"}})
    settings = {"log-opts": {"max-size": "50m"}, **NEEDS_RELOAD}

    first = configure(settings)
    second = configure(settings)

    assert json.loads(path.read_text()) == {
        "data-root": "/srv/docker",
        "log-opts": {"max-size": "50m", "tag": "x"},
        "registry-mirrors": ["https://mirror.example"],
    }
    assert first["changed_keys"] == ["log-opts.max-size", "registry-mirrors"]
    assert (second["changed"], second["changed_keys"]) == (False, [])
    assert "diff" not in second
    assert "backup_file" not in second


def test_the_same_configuration_in_other_words_is_left_as_it_is(configure: Any, path: Path) -> None:
    text = write(path, '{"mtu":1400,\n\n   "debug" : true}')

    assert configure({"debug": True, "mtu": 1400})["changed"] is False
    assert path.read_text() == text


def test_owner_and_mode_of_a_file_stay(configure: Any, path: Path) -> None:
    write(path, {})
    path.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    owner = path.stat().st_uid

    result = configure({"debug": True})

    assert (mode(path), path.stat().st_uid) == (0o600, owner)
    backup = Path(result["backup_file"])
    assert (mode(backup), backup.stat().st_uid) == (0o600, owner)


def test_a_symbolic_link_stays_one(configure: Any, path: Path, tmp_path: Path) -> None:
    target = tmp_path / "managed.json"
    target.write_text("{}")
    path.parent.mkdir()
    path.symlink_to(target)

    result = configure({"debug": True})

    assert path.is_symlink()
    assert json.loads(target.read_text()) == {"debug": True}
    assert result["path"] == str(target)


def test_the_last_five_backups_are_kept_and_nothing_else_is_touched(configure: Any, path: Path) -> None:
    write(path, {"mtu": 1300})
    other = path.with_name("daemon.json.bak")
    other.write_text("mine")

    made = [configure({"mtu": 1400 + step}, allow_restart=True)["backup_file"] for step in range(7)]

    assert sorted(str(found) for found in path.parent.glob("daemon.json.2*.bak")) == made[2:]
    assert json.loads(Path(made[-1]).read_text()) == {"mtu": 1405}
    assert other.read_text() == "mine"


def test_no_backup_when_none_is_wanted(configure: Any, path: Path) -> None:
    write(path, {})
    assert "backup_file" not in configure({"debug": True}, backup=False)
    assert [found.name for found in path.parent.iterdir()] == ["daemon.json"]


def test_check_mode_tells_and_writes_nothing(configure: Any, path: Path) -> None:
    text = write(path, {"debug": False})

    result = configure({"debug": True}, check_mode=True)

    assert (result["changed"], result["changed_keys"], result["reload_sufficient"]) == (True, ["debug"], True)
    assert '"debug": true' in result["diff"]["after"]
    assert path.read_text() == text
    assert [found.name for found in path.parent.iterdir()] == ["daemon.json"]


def test_check_mode_on_a_bare_host_makes_no_folder(configure: Any, path: Path) -> None:
    assert configure({"debug": True}, check_mode=True)["changed"] is True
    assert not path.parent.exists()


def test_absent_removes_before_settings_are_merged(configure: Any, path: Path) -> None:
    write(path, {"insecure-registries": ["old:5000"], "debug": True, "features": {"buildkit": True}})

    configure({"insecure-registries": ["new:5000"]}, absent=["insecure-registries", "features.buildkit", "none"])

    assert json.loads(path.read_text()) == {"insecure-registries": ["new:5000"], "debug": True, "features": {}}


def test_lists_are_united_or_replaced(configure: Any, path: Path) -> None:
    write(path, {"registry-mirrors": ["https://theirs"]})
    configure({"registry-mirrors": ["https://ours"]})
    assert json.loads(path.read_text()) == {"registry-mirrors": ["https://theirs", "https://ours"]}

    configure({"registry-mirrors": ["https://ours"]}, lists="replace")
    assert json.loads(path.read_text()) == {"registry-mirrors": ["https://ours"]}


# ------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ('{\n  "debug": true,\n}', "line 3, column 1"),
        ("[]", "line 1, column 1: it holds a list instead of an object"),
        ('{"dns": [], "dns": []}', "dns comes more than once"),
    ],
)
def test_a_file_that_is_no_configuration_is_never_overwritten(
    configure: Any, path: Path, content: str, where: str
) -> None:
    write(path, content)

    result = configure({"debug": True})

    assert result["failed"]
    assert str(path) in result["msg"]
    assert where in result["msg"]
    assert "left as it is" in result["msg"]
    assert path.read_text() == content
    assert len(list(path.parent.iterdir())) == 1


def test_a_folder_in_the_files_place_is_an_error_and_no_traceback(configure: Any, path: Path) -> None:
    path.mkdir(parents=True)
    assert f"{path} can't be read: Is a directory" in configure({"debug": True})["msg"]


def test_a_folder_that_cannot_be_made_is_an_error_and_no_traceback(configure: Any, path: Path) -> None:
    path.parent.write_text("a file where /etc/docker should be")
    assert f"{path} can't be read: Not a directory" in configure({"debug": True})["msg"]


def test_null_is_refused(configure: Any, path: Path) -> None:
    text = write(path, {"debug": True})
    result = configure({"debug": None})
    assert "debug is null; to remove it, name it in `absent`" in result["msg"]
    assert path.read_text() == text


# ------------------------------------------------------------ validation


def test_without_a_dockerd_the_structure_is_checked(configure: Any, path: Path) -> None:
    result = configure({"log-opts": {"max-file": 3}, "registry-mirorrs": []})

    assert result["msg"].splitlines()[1:] == [
        "- log-opts.max-file must be a string, but is 3",
        "- registry-mirorrs is a setting that no engine from 20.10 to 29 knows, and an unknown one keeps the engine "
        "from starting",
    ]
    assert result["validated_by"] == "structure"
    assert not path.exists()


def test_what_others_wrote_is_not_judged(configure: Any, path: Path) -> None:
    write(path, {"setting-of-the-future": 1})
    assert configure({"debug": True})["failed"] is False


def test_a_dockerd_that_can_validates_the_staged_file(configure: Any, path: Path, dockerd: Any, tmp_path: Path) -> None:
    write(path, {"ip": "::"})
    dockerd(f'cp "$3" {tmp_path}/seen; echo "$1 $2" > {tmp_path}/asked')

    result = configure({"debug": True})

    assert result["validated_by"] == "dockerd"
    assert json.loads((tmp_path / "seen").read_text()) == {"ip": "::", "debug": True}
    assert (tmp_path / "asked").read_text() == "--validate --config-file\n"


@pytest.mark.parametrize("check_mode", [False, True])
def test_dockerds_own_words_are_passed_on(configure: Any, path: Path, dockerd: Any, check_mode: bool) -> None:
    text = write(path, {"ip": "::"})
    dockerd('echo "unable to configure the Docker daemon with file $3: invalid log format: x" >&2; exit 1')

    result = configure({"log-format": "x"}, check_mode=check_mode)

    assert result["msg"] == (
        f"dockerd refuses the settings for {path}, which is left as it is: "
        f"unable to configure the Docker daemon with file {path}: invalid log format: x"
    )
    assert path.read_text() == text


def test_an_older_dockerd_tells_by_its_help_what_it_knows(configure: Any, dockerd: Any) -> None:
    dockerd("exit 9", flags="--debug --log-driver string")

    assert configure({"debug": True})["validated_by"] == "structure"
    result = configure({"proxies": {"http-proxy": "http://p:3128"}})
    assert "proxies is a setting that this host's dockerd does not know" in result["msg"]


def test_validation_can_be_switched_off(configure: Any, dockerd: Any) -> None:
    dockerd("exit 1")
    assert configure({"setting-of-the-future": 1}, validate=False, allow_restart=True)["validated_by"] == "none"


def test_a_setting_that_is_a_flag_of_the_running_dockerd_is_refused(
    configure: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "running_arguments", lambda _pidfile: ["-H", "fd://"])

    result = configure({"hosts": ["fd://", "tcp://127.0.0.1:2375"]}, validate=False)

    assert "The running dockerd was given hosts as a flag too" in result["msg"]
    assert not path.exists()
    assert configure({"debug": True})["failed"] is False


# ------------------------------------------------------------ reload, restart and GPUs


def test_a_reload_is_enough_for_some_settings_and_asks_no_engine(configure: Any, engine: Any) -> None:
    engine.runs(VLLM)

    result = configure(NEEDS_RELOAD)

    assert (result["restart_required"], result["reload_sufficient"], result["restart_keys"]) == (False, True, [])
    assert engine.requests == []
    assert "gpu_containers" not in result


def test_others_need_a_restart_which_is_fine_without_gpus(configure: Any, engine: Any) -> None:
    engine.runs(PROXY)

    result = configure({**NEEDS_RESTART, **NEEDS_RELOAD})

    assert (result["restart_required"], result["reload_sufficient"]) == (True, False)
    assert result["restart_keys"] == ["log-driver"]
    assert result["gpu_containers"] == []
    assert engine.asked("POST") == []


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_running_gpu_container_stops_a_change_that_needs_a_restart(
    configure: Any, path: Path, engine: Any, check_mode: bool
) -> None:
    text = write(path, {"debug": True})
    engine.runs(PROXY, VLLM)

    result = configure(NEEDS_RESTART, check_mode=check_mode)

    assert (result["failed"], result["changed"]) == (True, False)
    assert "Changing log-driver needs a restart" in result["msg"]
    assert "vllm-llama (device request for all GPUs)" in result["msg"]
    assert "litellm" not in result["msg"]
    assert "llm_monitor_allow_docker_restart" in result["msg"]
    assert [container["name"] for container in result["gpu_containers"]] == ["vllm-llama"]
    assert path.read_text() == text
    assert [found.name for found in path.parent.iterdir()] == ["daemon.json"]


def test_the_operator_may_allow_the_restart(configure: Any, path: Path, engine: Any) -> None:
    engine.runs(VLLM)

    result = configure(NEEDS_RESTART, allow_restart=True)

    assert (result["failed"], result["restart_required"]) == (False, True)
    assert [container["name"] for container in result["gpu_containers"]] == ["vllm-llama"]
    assert json.loads(path.read_text()) == NEEDS_RESTART


def test_nothing_to_change_is_fine_while_gpus_are_busy(configure: Any, path: Path, engine: Any) -> None:
    write(path, NEEDS_RESTART)
    engine.runs(VLLM)
    result = configure(NEEDS_RESTART)
    assert (result["changed"], result["restart_required"], result["reload_sufficient"]) == (False, False, False)


def test_where_no_engine_runs_nothing_needs_protecting(configure: Any, tmp_path: Path) -> None:
    result = configure(NEEDS_RESTART, docker_socket=str(tmp_path / "none.sock"))
    assert (result["failed"], result["gpu_containers"]) == (False, [])


def test_an_engine_that_will_not_tell_is_not_taken_for_idle(
    configure: Any, path: Path, engine: Any, answer: Any
) -> None:
    engine.answers["GET", "/containers/json"] = answer(500, {"message": "database is locked"})

    result = configure(NEEDS_RESTART)
    assert "whether a container that uses a GPU runs can't be told" in result["msg"]
    assert "database is locked" in result["msg"]
    assert not path.exists()

    assert configure(NEEDS_RESTART, allow_restart=True)["failed"] is False


# ------------------------------------------------------------ secrets


def test_secrets_never_come_back(configure: Any, path: Path) -> None:
    write(path, {"log-opts": {"splunk-token": "0ld-t0ken"}, "proxies": {"http-proxy": "http://u:0ld-pass@p:3128"}})

    result = configure(
        {"log-opts": {"splunk-token": "n3w-t0ken"}, "proxies": {"http-proxy": "http://u:n3w-pass@p:3128"}},
        check_mode=True,
    )

    text = json.dumps(result)
    for secret in ("0ld-t0ken", "0ld-pass", "n3w-t0ken", "n3w-pass"):
        assert secret not in text
    assert result["changed_keys"] == ["log-opts.splunk-token", "proxies.http-proxy"]
    assert "********" in result["diff"]["before"]
    assert "(changed)" in result["diff"]["after"]
    assert "@p:3128" in result["diff"]["after"]
