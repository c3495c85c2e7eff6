"""gpu_assert with an nvidia-smi that prints what was recorded, on the host and in the containers of a played engine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmops.monitoring.plugins.module_utils import _gpu_nvml, _programs
from ansible_collections.llmops.monitoring.plugins.modules import gpu_assert

Run = Any
IMAGE = "llm-monitor/exporters:1"
READY = {
    "count": 8,
    "name": "H200",
    "min_memory_bytes": 150_000_000_000,
    "min_driver_version": "570.86",
    "ecc": True,
    "mig": False,
    "persistence": True,
    "fabric": True,
}


class Containers:
    """What nvidia-smi prints in a container, by its arguments; what else it is asked has no answer."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.prints: dict[str, tuple[int, str]] = {}
        engine.images = {IMAGE}
        engine.checker = self.check

    def check(self, config: Mapping[str, Any]) -> tuple[int, str]:
        assert config["Entrypoint"] == ["nvidia-smi"]
        return self.prints[" ".join(config["Cmd"])]

    @property
    def configs(self) -> list[dict[str, Any]]:
        return list(self.engine.created.values())


@pytest.fixture
def containers(fake_engine: Any) -> Containers:
    return Containers(fake_engine)


@pytest.fixture
def h200(nvidia_smi: Any, smi_text: Any) -> Any:
    """Return a host with eight H200 that are all well but for two NVLinks."""
    nvidia_smi.has_pci_gpus(8)
    nvidia_smi.says("-q -x", smi_text("h200_8.xml"))
    nvidia_smi.says("nvlink -s", smi_text("h200_8_nvlink.txt"))
    return nvidia_smi


@pytest.fixture
def check(run_module: Any, nvidia_smi: Any, fake_engine: Any) -> Run:
    """Return a function that runs the module with these expectations."""

    def run(*, check_mode: bool = False, **options: Any) -> Any:
        given = {"nvidia_smi": nvidia_smi.path, "socket_path": fake_engine.socket_path, **options}
        return run_module(gpu_assert.main, given, check_mode=check_mode)

    return run


@pytest.fixture
def check_container(check: Run, h200: Any, containers: Containers) -> Run:
    """Return a function that runs the module for a container on the host with eight H200."""

    def run(**options: Any) -> Any:
        return check(**{"where": "container", "image": IMAGE, **options})

    return run


def lines(result: Mapping[str, Any]) -> list[str]:
    """Return the message's lines with single spaces."""
    return [" ".join(line.split()) for line in result["msg"].splitlines()]


def uuid(smi_text: Any, index: int) -> str:
    return str(smi_text("h200_8.xml").split("<uuid>")[index + 1].split("<")[0])


# ------------------------------------------------------------ the host


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_host_that_is_ready(check: Run, h200: Any, fake_engine: Any, check_mode: bool) -> None:
    result = check(**READY, nvlinks=16, check_mode=check_mode)
    assert (result["failed"], result["changed"], "msg" in result) == (False, False, False)
    assert (len(result["gpus"]), result["driver_version"], result["pci_gpus"]) == (8, "590.48.01", 8)
    assert {one["ok"] for one in result["checks"]} == {True}
    assert result["checks"][2] == {
        "check": "count",
        "where": "host",
        "gpus": [],
        "expected": "8",
        "found": "8",
        "ok": True,
        "hint": None,
    }
    assert fake_engine.created == {}


def test_seven_of_eight(check: Run, h200: Any, smi_text: Any) -> None:
    h200.says("-q -x", smi_text("h200_8.xml", without=[3]))
    result = check(**READY)
    assert result["failed"]
    assert lines(result) == [
        "The GPUs of the host are not as expected, 1 of 10 checks failed:",
        "CHECK WHERE EXPECTED FOUND",
        "count host 8 7",
        "What to do:",
        "- count: The PCI bus shows 8 NVIDIA GPUs, so the driver lacks some: `dmesg | grep -i xid` tells why, and "
        "`lspci -d 10de:` lists what is there.",
    ]
    assert [one["check"] for one in result["checks"] if not one["ok"]] == ["count"]
    assert len(result["gpus"]) == 7


def test_a_lost_gpu(check: Run, nvidia_smi: Any, smi_text: Any) -> None:
    nvidia_smi.has_pci_gpus(3)
    nvidia_smi.says("-q -x", smi_text("h200_lost.xml"), code=15)
    nvidia_smi.says("nvlink -s", "Unable to determine the device handle for GPU1: 0000:43:00.0: GPU is lost\n", code=15)
    result = check(count=3)
    assert f"health host, GPU 1 ({uuid(smi_text, 1)}) usable GPU is lost" in lines(result)
    assert "count host 3 2" in lines(result)
    assert "XID 79" in result["msg"]


def test_a_wrong_model_and_an_old_driver_are_two_lines(check: Run, nvidia_smi: Any, smi_text: Any) -> None:
    nvidia_smi.says("-q -x", smi_text("a100_mig.xml"))
    nvidia_smi.says("-L", smi_text("a100_mig_list.txt"))
    nvidia_smi.says("nvlink -s")
    result = check(name="H200", min_driver_version="570.86.15")
    assert "2 of 4 checks failed" in lines(result)[0]
    assert "name host, all 2 GPUs matches H200 NVIDIA A100-SXM4-40GB" in lines(result)
    assert "min_driver_version host 570.86.15 or later 535.216.03" in lines(result)
    assert "- name: Another model is built in" in result["msg"]
    assert "- min_driver_version: Upgrade the driver" in result["msg"]


def test_links_that_are_down_are_named(check: Run, h200: Any, smi_text: Any) -> None:
    result = check(nvlinks=18)
    assert f"nvlinks host, GPU 5 ({uuid(smi_text, 5)}) at least 18 active 16 active" in lines(result)
    assert "`nvidia-smi nvlink -s -i 5`" in result["msg"]
    assert [one["gpus"] for one in result["checks"] if not one["ok"]] == [[5]]


@pytest.mark.parametrize(
    ("name", "code", "found", "hint"),
    [
        ("not_loaded.txt", 9, "is installed, but not loaded into the kernel (exit code 9", "`modprobe nvidia`"),
        ("mismatch.txt", 18, "of another version than its programs", "The driver was updated without a reboot"),
    ],
)
def test_a_driver_that_does_not_answer(
    check: Run, nvidia_smi: Any, smi_text: Any, name: str, code: int, found: str, hint: str
) -> None:
    nvidia_smi.says("-q -x", err=smi_text(name), code=code)
    result = check(**READY)
    assert "1 of 1 checks failed" in lines(result)[0]
    assert lines(result)[2].startswith("driver host answers The NVIDIA driver ")
    assert found in lines(result)[2]
    assert hint in lines(result)[-1]
    assert (result["gpus"], result["problem"] in result["msg"]) == ([], True)


def test_no_driver(run_module: Any, nvidia_smi: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_programs, "find", lambda _module, _name: None)
    monkeypatch.setattr(_gpu_nvml, "is_there", lambda: False)
    nvidia_smi.has_pci_gpus(8)
    result = run_module(gpu_assert.main, {"count": 8})
    assert "driver host answers The PCI bus has NVIDIA GPUs (8), but no driver is installed:" in lines(result)[2]
    assert "- driver: Install the NVIDIA driver and reboot" in result["msg"]


def test_no_gpu_where_none_is_expected(run_module: Any, nvidia_smi: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_programs, "find", lambda _module, _name: None)
    monkeypatch.setattr(_gpu_nvml, "is_there", lambda: False)
    for where in ("host", "container"):
        result = run_module(gpu_assert.main, {"count": 0, "where": where, "image": IMAGE})
        assert (result["failed"], [one["check"] for one in result["checks"]]) == (False, ["count"])


def test_a_driver_that_hangs(check: Run, nvidia_smi: Any) -> None:
    nvidia_smi.says("-q -x", first="sleep 60")
    start = time.monotonic()
    result = check(timeout=1, **READY)
    assert time.monotonic() - start < 10
    assert "did not end within 1 s: the driver or a GPU hangs." in lines(result)[2]
    assert "as a rule only a reboot helps" in result["msg"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "H[200"}, "name is 'H[200', which is no regular expression: unterminated character set"),
        ({"min_driver_version": "latest"}, "min_driver_version is 'latest'; it must be a version such as 570.86.15."),
        ({"where": "container"}, "where is container but all of the following are missing: image"),
        ({"gpu_access": "magic"}, "value of gpu_access must be one of: runtime, cdi, device_request, got: magic"),
    ],
)
def test_bad_options_are_named(check: Run, h200: Any, options: dict[str, Any], words: str) -> None:
    result = check(**options)
    assert result["failed"]
    assert words in result["msg"]


# ------------------------------------------------------------ a container


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_container_that_sees_all(
    check_container: Run, containers: Containers, smi_text: Any, check_mode: bool
) -> None:
    containers.prints["-q -x"] = (0, smi_text("h200_8.xml"))
    result = check_container(**READY, check_mode=check_mode)
    assert (result["failed"], result["changed"], len(result["gpus"])) == (False, False, 8)
    checks = [(one["check"], one["where"]) for one in result["checks"]]
    assert checks[:2] == [("driver", "host"), ("health", "host, all 8 GPUs")]
    assert checks[2:5] == [("driver", "container"), ("health", "container, all 8 GPUs"), ("count", "container")]
    assert checks[-1] == ("same_gpus", "container")
    assert "not_checked" not in result
    assert [config["Cmd"] for config in containers.configs] == [["-q", "-x"]]
    assert containers.engine.removed == list(containers.engine.created)


def test_the_container_gets_the_least_privilege(check_container: Run, containers: Containers, smi_text: Any) -> None:
    containers.prints["-q -x"] = (0, smi_text("h200_8.xml"))
    check_container()
    (config,) = containers.configs
    host = config["HostConfig"]
    assert (config["NetworkDisabled"], host["NetworkMode"], host["ReadonlyRootfs"]) == (True, "none", True)
    assert (host["CapDrop"], host["SecurityOpt"], host["Memory"]) == (["ALL"], ["no-new-privileges"], 512 * 1024**2)
    assert config["Labels"] == {"llm-monitor.run": "one-shot"}


@pytest.mark.parametrize(
    ("access", "environment", "host_config"),
    [
        (
            "runtime",
            ["NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=utility"],
            {"Runtime": "nvidia"},
        ),
        ("cdi", [], {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=all"]}]}),
        (
            "device_request",
            [],
            {"DeviceRequests": [{"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu", "utility"]]}]},
        ),
    ],
)
def test_gpus_come_by_the_way_that_is_chosen(
    check_container: Run,
    containers: Containers,
    smi_text: Any,
    access: str,
    environment: list[str],
    host_config: dict[str, Any],
) -> None:
    containers.prints["-q -x"] = (0, smi_text("h200_8.xml"))
    assert not check_container(gpu_access=access)["failed"]
    (config,) = containers.configs
    assert config["Env"] == environment
    ways = {name: config["HostConfig"][name] for name in ("Runtime", "DeviceRequests") if name in config["HostConfig"]}
    assert ways == host_config


def test_nvlinks_are_asked_for_in_a_container_only_if_they_are_expected(
    check_container: Run, containers: Containers, smi_text: Any
) -> None:
    containers.prints = {"-q -x": (0, smi_text("h200_8.xml")), "nvlink -s": (0, smi_text("h200_8_nvlink.txt"))}
    result = check_container(nvlinks=18)
    assert f"nvlinks container, GPU 5 ({uuid(smi_text, 5)}) at least 18 active 16 active" in lines(result)
    assert [config["Cmd"] for config in containers.configs] == [["-q", "-x"], ["nvlink", "-s"]]
    assert len(containers.engine.removed) == 2


def test_a_container_that_lacks_a_gpu(check_container: Run, containers: Containers, smi_text: Any) -> None:
    containers.prints["-q -x"] = (0, smi_text("h200_8.xml", without=[7]))
    result = check_container(count=8, gpu_access="cdi")
    assert lines(result)[0] == (
        f"The GPUs of the container of {IMAGE} (gpu_access: cdi) are not as expected, 2 of 6 checks failed:"
    )
    assert "count container 8 7" in lines(result)
    assert f"same_gpus container the host's 8 7, without GPU 7 ({uuid(smi_text, 7)})" in lines(result)
    assert "`nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`" in result["msg"]


@pytest.mark.parametrize(
    ("code", "text", "found"),
    [
        (9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", "not loaded into the ker"),
        (255, "Failed to initialize NVML: Unknown Error\r\n", "The NVIDIA driver can't be asked (exit code 255:"),
        (6, "No devices were found", "The NVIDIA driver is loaded, but finds no GPU (exit code 6"),
        (12, "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.", "libnvidia-ml.so is missing"),
        (0, "Usage: nvidia-smi", "nvidia-smi -q -x is not understood: it printed no report but 'Usage: nvidia-smi'."),
    ],
)
def test_a_container_without_gpus_points_at_how_it_gets_them(
    check_container: Run, containers: Containers, code: int, text: str, found: str
) -> None:
    containers.prints["-q -x"] = (code, text)
    result = check_container(**READY)
    assert "1 of 3 checks failed" in lines(result)[0]
    assert lines(result)[2].startswith("driver container answers ")
    assert found in lines(result)[2]
    assert "The host's driver answers, so look at how the container gets its GPUs: `docker info` must" in result["msg"]


REFUSALS = [
    ("runtime", "unknown or invalid runtime name: nvidia", "does not know the runtime nvidia", "systemctl reload dock"),
    ("runtime", "Unknown runtime specified nvidia", "does not know the runtime nvidia", "systemctl reload docker"),
    ("cdi", 'could not select device driver "cdi" with capabilities: []', "knows no CDI", "needs Docker 25 or later"),
    (
        "cdi",
        "could not apply required modification to OCI specification: error modifying OCI spec: failed to inject CDI "
        "devices: unresolvable CDI devices nvidia.com/gpu=all: unknown",
        "No CDI specification names the GPUs",
        "nvidia-ctk cdi list",
    ),
    (
        "device_request",
        'could not select device driver "nvidia" with capabilities: [[gpu utility]]',
        "finds no container toolkit",
        "Install nvidia-container-toolkit",
    ),
    (
        "runtime",
        "error running prestart hook #0: exit status 1, stderr: Auto-detected mode as 'legacy'\nnvidia-container-cli: "
        "initialization error: nvml error: driver not loaded",
        "NVIDIA's container toolkit can't give GPUs",
        "nvidia-container-cli info",
    ),
    (
        "runtime",
        'exec: "nvidia-smi": executable file not found in $PATH: unknown',
        "did not get into the container",
        "docker info",
    ),
    ("cdi", "no space left on device", "does not start a container with GPUs (no space left on device).", "nvidia-ctk"),
]


@pytest.mark.parametrize(("access", "words", "found", "hint"), REFUSALS, ids=lambda value: value[:30])
def test_an_engine_that_can_not_give_gpus(
    check_container: Run, containers: Containers, access: str, words: str, found: str, hint: str
) -> None:
    containers.engine.refuses_to_start = words
    result = check_container(count=8, gpu_access=access)
    assert result["failed"]
    assert lines(result)[2].startswith("driver container answers ")
    assert found in lines(result)[2]
    assert hint in lines(result)[-1]
    assert containers.engine.removed == list(containers.engine.created)


def test_a_container_that_hangs_is_removed(check_container: Run, containers: Containers) -> None:
    containers.prints = {"-q -x": (0, "")}
    containers.engine.may_end.clear()
    result = check_container(timeout=1)
    containers.engine.may_end.set()
    assert "nvidia-smi -q -x in a container did not end within 1 s." in lines(result)[2]
    assert containers.engine.removed == list(containers.engine.created)


def test_a_host_without_a_driver_starts_no_container(
    check_container: Run, h200: Any, containers: Containers, smi_text: Any
) -> None:
    h200.says("-q -x", smi_text("not_loaded.txt"), code=9)
    result = check_container(count=8)
    assert lines(result)[2].startswith("driver host answers ")
    assert containers.configs == []


def test_a_gpu_that_the_host_has_lost_fails_in_a_container_too(
    check_container: Run, h200: Any, containers: Containers, smi_text: Any
) -> None:
    h200.says("-q -x", smi_text("h200_lost.xml"), code=15)
    containers.prints["-q -x"] = (0, smi_text("h200_8.xml", without=[1, *range(3, 8)]))
    result = check_container()
    assert [(one["check"], one["where"]) for one in result["checks"] if not one["ok"]] == [
        ("health", f"host, GPU 1 ({uuid(smi_text, 1)})")
    ]


def test_an_image_that_is_not_there_is_not_pulled(check_container: Run) -> None:
    result = check_container(image="nobody/nothing:1")
    assert result["failed"]
    assert (
        "could not be checked: The Docker engine refuses to create a container from the image nobody/nothing:1"
        in (result["msg"])
    )
    assert result["msg"].endswith("Nothing is pulled: bring the image onto this host first.")


def test_no_engine_is_told(check_container: Run, tmp_path: Path) -> None:
    result = check_container(socket_path=str(tmp_path / "none"))
    assert result["failed"]
    assert "could not be checked: There is no Docker engine's socket at" in result["msg"]


@pytest.mark.parametrize(
    ("options", "refusal", "reason"),
    [
        ({"image": "nobody/nothing:1"}, "", "No such image: nobody/nothing:1"),
        ({"socket_path": "/nowhere/docker.sock"}, "", "There is no Docker engine's socket at /nowhere/docker.sock"),
        ({}, "unknown or invalid runtime name: nvidia", "The Docker engine does not know the runtime nvidia"),
    ],
)
def test_check_mode_says_when_no_container_could_be_asked(
    check_container: Run,
    containers: Containers,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    refusal: str,
    reason: str,
) -> None:
    warned: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda self, text: warned.append(text))
    containers.engine.refuses_to_start = refusal
    result = check_container(check_mode=True, count=8, **options)
    assert (result["failed"], len(result["gpus"])) == (False, 8)
    assert reason in result["not_checked"]
    assert {one["where"] for one in result["checks"]} == {"host", "host, all 8 GPUs"}
    assert warned == [f"The GPUs in a container were not checked: {result['not_checked']}"]
