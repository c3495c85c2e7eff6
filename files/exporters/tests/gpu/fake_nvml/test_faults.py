"""What goes wrong with the fake library when a test says so, and what must not."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exporter_testing.gpu.nvml import SOURCES, FakeNvml, Process, library
from exporter_testing.gpu.session import NvmlError, Session, session
from exporter_testing.process import plain_environment, wait_for


def exported(folder: Path) -> set[str]:
    """Return the functions that a library exports."""
    command = ["nm", "-D", "--defined-only", str(folder / "libnvidia-ml.so.1")]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {line.split()[2] for line in listed.splitlines()}


def test_a_lost_gpu_fails_in_every_call_until_it_is_back(fake: FakeNvml, nvml: Session) -> None:
    gpu, other = nvml.gpu(3), nvml.gpu(4)
    sample = nvml.ask("nvmlGpmSampleAlloc")
    events = nvml.ask("nvmlEventSetCreate")
    fake.lose(3)
    for name, *arguments in (
        ("nvmlDeviceGetName",),
        ("nvmlDeviceGetTemperature", 0),
        ("nvmlDeviceGetFieldValues", [82]),
        ("nvmlDeviceGetComputeRunningProcesses",),
        ("nvmlGpmSampleGet", sample),
        ("nvmlDeviceRegisterEvents", 8, events),
    ):
        with pytest.raises(NvmlError, match="GpuIsLost"):
            nvml.ask(name, gpu, *arguments)
    with pytest.raises(NvmlError, match="GpuIsLost"):
        nvml.gpu(3)
    assert nvml.ask("nvmlDeviceGetCount") == 8
    assert nvml.ask("nvmlDeviceGetTemperature", other, 0) == 52
    fake.bring_back(3)
    assert nvml.ask("nvmlDeviceGetTemperature", gpu, 0) == 52


def test_a_gpu_that_is_gone_is_not_counted(fake: FakeNvml, nvml: Session) -> None:
    gone = nvml.gpu(3)
    fake.set("gpu.3.present", 0)
    assert nvml.ask("nvmlDeviceGetCount") == 7
    moved = nvml.gpu(3)
    assert nvml.ask("nvmlDeviceGetIndex", moved) == 3
    assert nvml.ask("nvmlDeviceGetUUID", moved).endswith("04")
    with pytest.raises(NvmlError, match="GpuIsLost"):
        nvml.ask("nvmlDeviceGetName", gone)
    with pytest.raises(NvmlError, match="InvalidArgument"):
        nvml.gpu(7)


def test_a_session_must_be_open(nvml: Session) -> None:
    gpu = nvml.gpu(0)
    nvml.ask("nvmlInit")
    nvml.ask("nvmlShutdown")
    assert nvml.ask("nvmlDeviceGetIndex", gpu) == 0
    nvml.ask("nvmlShutdown")
    for name, *arguments in (("nvmlDeviceGetCount",), ("nvmlDeviceGetIndex", gpu)):
        with pytest.raises(NvmlError, match="Uninitialized"):
            nvml.ask(name, *arguments)
    with pytest.raises(NvmlError, match="Uninitialized"):
        nvml.ask("nvmlShutdown")


def test_no_driver_and_then_one(fake: FakeNvml, nvml: Session) -> None:
    nvml.ask("nvmlShutdown")
    for error, expected in {
        "DRIVER_NOT_LOADED": "DriverNotLoaded",
        "LIB_RM_VERSION_MISMATCH": "LibRmVersionMismatch",
    }.items():
        fake.set("init.error", error)
        with pytest.raises(NvmlError, match=expected):
            nvml.ask("nvmlInit")
    fake.set("init.error", None)
    nvml.ask("nvmlInit")
    assert nvml.ask("nvmlDeviceGetCount") == 8


def test_a_driver_that_is_reloaded(fake: FakeNvml, nvml: Session) -> None:
    old = nvml.gpu(0)
    events = nvml.ask("nvmlEventSetCreate")
    nvml.ask("nvmlInit")
    fake.reload_driver()
    nvml.ask("nvmlShutdown")
    nvml.ask("nvmlInit")
    with pytest.raises(NvmlError, match="DriverNotLoaded"):
        nvml.ask("nvmlDeviceGetIndex", old)
    for _ in range(2):
        nvml.ask("nvmlShutdown")
    nvml.ask("nvmlInit")
    assert nvml.ask("nvmlDeviceGetIndex", nvml.gpu(0)) == 0
    for name, *arguments in (("nvmlDeviceGetIndex", old), ("nvmlEventSetWait", events, 0)):
        with pytest.raises(NvmlError, match="InvalidArgument"):
            nvml.ask(name, *arguments)


def test_any_function_may_fail_for_all_or_one(fake: FakeNvml, nvml: Session) -> None:
    gpu, other = nvml.gpu(1), nvml.gpu(2)
    fake.fail("nvmlDeviceGetPowerUsage", "NO_PERMISSION", gpu=1)
    with pytest.raises(NvmlError, match="NoPermission"):
        nvml.ask("nvmlDeviceGetPowerUsage", gpu)
    assert nvml.ask("nvmlDeviceGetPowerUsage", other) == 627_400
    fake.fail("nvmlDeviceGetPowerUsage")
    with pytest.raises(NvmlError, match="NotSupported"):
        nvml.ask("nvmlDeviceGetPowerUsage", other)
    fake.fail("nvmlDeviceGetPowerUsage", "SUCCESS")
    assert nvml.ask("nvmlDeviceGetPowerUsage", other) == 627_400


def test_any_number_may_be_an_error(fake: FakeNvml, nvml: Session) -> None:
    gpu = nvml.gpu(0)
    fake.update({"gpu.0.memory_temperature": "NO_PERMISSION", "gpu.0.power_instant": "UNKNOWN"})
    assert nvml.fields(gpu, 82, [185, 0], [186, 0]) == ["4", 627_400, "999"]


def test_functions_that_an_older_driver_lacks(tmp_path: Path) -> None:
    missing = ["nvmlDeviceGetMarginTemperature", "nvmlDeviceGetGpuFabricInfoV"]
    fake = FakeNvml(tmp_path, missing=missing)
    with session(fake) as nvml:
        with pytest.raises(NvmlError, match="FunctionNotFound"):
            nvml.ask("nvmlDeviceGetMarginTemperature", nvml.gpu(0))
        assert nvml.ask("nvmlDeviceGetTemperature", nvml.gpu(0), 0) == 52
    assert exported(library()) - exported(fake.library) == set(missing)


def test_a_call_that_hangs_holds_up_no_other(fake: FakeNvml, nvml: Session) -> None:
    gpu, other = nvml.gpu(3), nvml.gpu(4)
    fake.hang("nvmlDeviceGetPowerUsage", 60, gpu=3)
    hung = nvml.later("nvmlDeviceGetPowerUsage", gpu)
    wait_for(lambda: fake.calls()["nvmlDeviceGetPowerUsage"] == 1)
    assert nvml.ask("nvmlDeviceGetPowerUsage", other) == 627_400
    assert nvml.ask("nvmlDeviceGetTemperature", gpu, 0) == 52
    fake.set("gpu.3.power", 100)
    assert not hung.done()
    fake.hang("nvmlDeviceGetPowerUsage", 0, gpu=3)
    assert hung.result(5) == 100_000


def test_a_hang_ends_by_itself(fake: FakeNvml, nvml: Session) -> None:
    fake.hang("nvmlSystemGetDriverVersion", 0.3)
    began = time.monotonic()
    assert nvml.ask("nvmlSystemGetDriverVersion") == "590.48.01"
    assert 0.3 <= time.monotonic() - began < 5


@pytest.mark.parametrize("microseconds", [50, 1500])
def test_a_delay_is_kept_by_every_call(fake: FakeNvml, nvml: Session, microseconds: int) -> None:
    gpu = nvml.gpu(0)
    fake.set("delay_us", microseconds)
    calls = 200
    seconds = nvml.ask("took", calls, "nvmlDeviceGetTemperature", gpu, 0)
    assert seconds >= calls * microseconds / 1e6


def test_calls_are_counted(fake: FakeNvml, nvml: Session) -> None:
    gpu = nvml.gpu(0)
    for _ in range(3):
        nvml.ask("nvmlDeviceGetPowerUsage", gpu)
    with pytest.raises(NvmlError, match="NotSupported"):
        nvml.ask("nvmlDeviceGetFanSpeed", gpu)
    counts = fake.calls()
    assert counts.keys() == exported(fake.library)
    assert counts["nvmlDeviceGetPowerUsage"] == 3
    assert counts["nvmlDeviceGetFanSpeed"] == counts["nvmlInitWithFlags"] == 1
    assert counts["nvmlDeviceGetName"] == 0
    with session(fake) as second:
        second.ask("nvmlDeviceGetPowerUsage", second.gpu(0))
    assert fake.calls()["nvmlDeviceGetPowerUsage"] == 4


GARBAGE = [
    ("nonsense", "unknown key or value: nonsense"),
    ("nonsense = 1", "unknown key or value: nonsense"),
    ("= 1", "not of the form key = value"),
    ("count = 17", "expected a count from 0 to 16: 17"),
    ("count = many", "expected a count from 0 to 16: many"),
    ("model = h300", "expected the model h200, a100 or consumer: h300"),
    ("gpu.0.temperature = hot", "unknown key or value: gpu.0.temperature"),
    ("gpu.0.temperature = 1 2", "unknown key or value: gpu.0.temperature"),
    ("gpu.0.temperature = nan", "unknown key or value: gpu.0.temperature"),
    ("gpu.0.temperature = auto", "unknown key or value: gpu.0.temperature"),
    ("gpu.0.temperature = 1 + 2", "unknown key or value: gpu.0.temperature"),
    ("gpu.0.temperature =", "unknown key or value: gpu.0.temperature"),
    ("gpu.8.temperature = 1", "unknown key or value: gpu.8.temperature"),
    ("gpu.-1.temperature = 1", "unknown key or value: gpu.-1.temperature"),
    ("gpu. = 1", "unknown key or value: gpu."),
    ("gpu.0 = 1", "unknown key or value: gpu.0"),
    ("gpu.0.error = BROKEN", "unknown key or value: gpu.0.error"),
    ("gpu.0.link.36.active = 1", "unknown key or value: gpu.0.link.36.active"),
    ("gpu.0.link.3 = 1", "unknown key or value: gpu.0.link.3"),
    ("gpu.0.gpm.100 = 1", "unknown key or value: gpu.0.gpm.100"),
    ("gpu.0.mig.7.profile = 1g.10gb", "unknown key or value: gpu.0.mig.7.profile"),
    ("gpu.0.process.x.sm = 1", "unknown key or value: gpu.0.process.x.sm"),
    ("gpu.0.process.7.sm = -1", "unknown key or value: gpu.0.process.7.sm"),
    ("gpu.0.process.7.memory = -1", "unknown key or value: gpu.0.process.7.memory"),
    ("gpu.0.process.7.kind = art", "unknown key or value: gpu.0.process.7.kind"),
    ("gpu.0.call.nvmlMakeCoffee.hang = 1", "key or value: gpu.0.call.nvmlMakeCoffee.hang"),
    ("call.nvmlInit.hang = 1", "unknown key or value: call.nvmlInit.hang"),
    (f"gpu.0.name = {'x' * 300}", "unknown key or value: gpu.0.name"),
    ("cuda = 13", "unknown key or value: cuda"),
    ("\xff\xfe = \x01", "unknown key or value"),
]


def test_garbage_in_the_state_file_is_named_and_left_out(fake: FakeNvml, nvml: Session) -> None:
    gpu = nvml.gpu(0)
    lines = ["# A comment.", "", "gpu.0.power = 100", *(line for line, _ in GARBAGE)]
    staged = fake.state.with_suffix(".garbage")
    staged.write_text("\n".join([*lines, "gpu.0.temperature = 60"]), encoding="latin-1")
    staged.replace(fake.state)
    assert nvml.ask("nvmlDeviceGetTemperature", gpu, 0) == 60
    assert nvml.ask("nvmlDeviceGetPowerUsage", gpu) == 100_000
    said = nvml.complaints().splitlines()
    for number, (_, problem) in enumerate(GARBAGE, 4):
        wanted = problem if "=" in GARBAGE[number - 4][0] else "not of the form key = value"
        assert [line for line in said if f"line {number}: " in line and wanted in line], problem


def test_garbage_among_the_events_is_named_and_left_out(fake: FakeNvml, nvml: Session) -> None:
    events = nvml.ask("nvmlEventSetCreate")
    nvml.ask("nvmlDeviceRegisterEvents", nvml.gpu(0), 8, events)
    with fake.events.open("a") as file:
        file.write("what\n\n99 31\n0 48\n0 6")
    assert nvml.ask("nvmlEventSetWait", events, 0)["eventData"] == 48
    with pytest.raises(NvmlError, match="Timeout"):
        nvml.ask("nvmlEventSetWait", events, 0)
    with fake.events.open("a") as file:
        file.write("3\n")
    assert nvml.ask("nvmlEventSetWait", events, 0)["eventData"] == 63
    assert "no such event: 99 31" in nvml.complaints()


def test_threads_that_look_while_the_state_changes(fake: FakeNvml, nvml: Session) -> None:
    looks = [nvml.later("look_around", 300) for _ in range(8)]
    rounds = 0
    while not all(look.done() for look in looks):
        rounds += 1
        fake.processes(0, [Process(pid, sm=1) for pid in range(1, 1 + rounds % 50)])
        fake.update({"gpu.*.temperature": 30 + rounds % 60, "count": 8 - rounds % 3})
        fake.xid(1, 31)
    # A GPU beyond the count; more processes than the binding has made room for.
    expected = {"InvalidArgument", "InsufficientSize"}
    assert {error for look in looks for error in look.result()} <= expected
    assert rounds > 10


def test_built_for_a_demo(tmp_path: Path) -> None:
    subprocess.run([SOURCES / "build.sh", tmp_path / "lib"], check=True)
    state = tmp_path / "lib/state"
    state.write_text(state.read_text() + "gpu.0.temperature = 77\n")
    script = (
        "import pynvml as n; n.nvmlInit(); print(n.nvmlDeviceGetCount(), "
        "n.nvmlDeviceGetTemperature(n.nvmlDeviceGetHandleByIndex(0), 0))"
    )
    environment = {**plain_environment(), "LD_LIBRARY_PATH": str(tmp_path / "lib")}
    command = [sys.executable, "-c", script]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert (answer.stdout, answer.stderr) == ("8 77\n", "")
    subprocess.run([SOURCES / "build.sh", tmp_path / "lib"], check=True)
    assert "77" in state.read_text()
    state.unlink()
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout == "8 52\n"
    assert os.access(tmp_path / "lib/libnvidia-ml.so.1", os.R_OK)
