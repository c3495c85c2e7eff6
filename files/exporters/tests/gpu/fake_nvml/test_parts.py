"""What the fake library keeps lists of: processes, MIG devices, samples, events."""

import time

import pytest

from exporter_testing.gpu.nvml import FakeNvml, Process
from exporter_testing.gpu.session import Later, NvmlError, Ref, Session
from exporter_testing.process import wait_for

GIB = 1 << 30
MIB = 1 << 20
NONE = 0xFFFFFFFF
XID = 8


def pids(nvml: Session, gpu: Ref) -> list[int]:
    return [one["pid"] for one in nvml.ask("nvmlDeviceGetComputeRunningProcesses", gpu)]


def test_processes(fake: FakeNvml, nvml: Session) -> None:
    gpu = nvml.gpu(2)
    worker = Process(4711, memory=30 * GIB, sm=45, memory_utilization=12, name="/opt/vLLM \\ x")
    fake.processes(2, [worker, Process(4712, memory=None), Process(9, graphics=True)])
    assert nvml.ask("nvmlDeviceGetComputeRunningProcesses", gpu) == [
        {"pid": pid, "usedGpuMemory": memory, "gpuInstanceId": NONE, "computeInstanceId": NONE}
        for pid, memory in ((4711, 30 * GIB), (4712, None))
    ]
    assert [one["pid"] for one in nvml.ask("nvmlDeviceGetGraphicsRunningProcesses", gpu)] == [9]
    assert nvml.ask("nvmlSystemGetProcessName", 4711) == "/opt/vLLM \\ x"
    with pytest.raises(NvmlError, match="NotFound"):
        nvml.ask("nvmlSystemGetProcessName", 1)
    assert pids(nvml, nvml.gpu(1)) == []
    fake.processes(2, [])
    assert pids(nvml, gpu) == []


@pytest.mark.parametrize(
    "function", ["nvmlDeviceGetProcessUtilization", "nvmlDeviceGetProcessesUtilizationInfo"]
)
def test_only_who_uses_the_gpu_has_a_utilization(
    fake: FakeNvml, nvml: Session, function: str
) -> None:
    gpu = nvml.gpu(0)
    with pytest.raises(NvmlError, match="NotFound"):
        nvml.ask(function, gpu, 0)
    fake.processes(0, [Process(1, sm=45, memory_utilization=12), Process(2), Process(3, sm=5)])
    samples = nvml.ask(function, gpu, 0)
    assert [(one["pid"], one["smUtil"], one["memUtil"]) for one in samples] == [
        (1, 45, 12),
        (3, 5, 0),
    ]
    assert abs(samples[0]["timeStamp"] / 1e6 - time.time()) < 10
    with pytest.raises(NvmlError, match="NotFound"):
        nvml.ask(function, gpu, int(time.time() * 1e6) + 10_000_000)


def test_2000_processes(fake: FakeNvml, nvml: Session) -> None:
    fake.processes(0, [Process(pid, memory=pid * MIB, sm=1) for pid in range(1, 2001)])
    gpu = nvml.gpu(0)
    assert pids(nvml, gpu) == list(range(1, 2001))
    assert len(nvml.ask("nvmlDeviceGetProcessUtilization", gpu, 0)) == 2000
    assert len(nvml.ask("nvmlDeviceGetProcessesUtilizationInfo", gpu, 0)) == 2000


def test_processes_that_end_or_begin_while_they_are_asked_for(
    fake: FakeNvml, nvml: Session
) -> None:
    gpu = nvml.gpu(0)
    fake.processes(0, [Process(pid, sm=1) for pid in (1, 2, 3)])
    fake.set("gpu.0.process_drift", -1)
    assert pids(nvml, gpu) == [1, 2]
    assert len(nvml.ask("nvmlDeviceGetProcessUtilization", gpu, 0)) == 2
    fake.set("gpu.0.process_drift", -9)
    assert pids(nvml, gpu) == []
    fake.set("gpu.0.process_drift", 4)
    assert len(pids(nvml, gpu)) == 7
    fake.set("gpu.0.process_drift", 40)
    with pytest.raises(NvmlError, match="InsufficientSize"):
        pids(nvml, gpu)


def test_mig(fake: FakeNvml, nvml: Session) -> None:
    fake.update({"model": "a100", "count": 2, "gpu.0.process.7.mig": 1, "gpu.0.process.8.sm": 5})
    gpu = nvml.gpu(0)
    assert nvml.ask("nvmlDeviceGetMigMode", gpu) == [1, 1]
    assert nvml.ask("nvmlDeviceGetMaxMigDeviceCount", gpu) == 7
    one = nvml.ask("nvmlDeviceGetMigDeviceHandleByIndex", gpu, 1)
    assert nvml.ask("nvmlDeviceIsMigDeviceHandle", one) == 1
    assert nvml.ask("nvmlDeviceGetName", one) == "NVIDIA A100-SXM4-40GB MIG 3g.20gb"
    assert nvml.ask("nvmlDeviceGetUUID", one) == "MIG-fa4e0000-0000-4000-8000-000000000001"
    assert nvml.ask("nvmlDeviceGetGpuInstanceId", one) == 2
    assert nvml.ask("nvmlDeviceGetComputeInstanceId", one) == 0
    attributes = nvml.ask("nvmlDeviceGetAttributes", one)
    assert attributes["memorySizeMB"] == 19968
    assert attributes["gpuInstanceSliceCount"] == 3
    memory = nvml.ask("nvmlDeviceGetMemoryInfo", one, 0x02000028)
    assert (memory["total"], memory["used"]) == (19968 * MIB, 512 * MIB)
    assert nvml.ask("nvmlDeviceGetMemoryInfo", one)["used"] == 512 * MIB
    parent = nvml.ask("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", one)
    assert nvml.ask("nvmlDeviceGetIndex", parent) == 0
    by_uuid = nvml.ask("nvmlDeviceGetHandleByUUID", "MIG-fa4e0000-0000-4000-8000-000000000100")
    parent = nvml.ask("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", by_uuid)
    assert nvml.ask("nvmlDeviceGetIndex", parent) == 1
    assert pids(nvml, gpu) == [7, 8]
    (process,) = nvml.ask("nvmlDeviceGetComputeRunningProcesses", one)
    assert (process["pid"], process["gpuInstanceId"], process["computeInstanceId"]) == (7, 2, 0)


def test_what_mig_devices_and_their_gpus_do_not_tell(fake: FakeNvml, nvml: Session) -> None:
    fake.set("model", "a100")
    gpu = nvml.gpu(0)
    one = nvml.ask("nvmlDeviceGetMigDeviceHandleByIndex", gpu, 0)
    for device in (gpu, one):
        with pytest.raises(NvmlError, match="NotSupported"):
            nvml.ask("nvmlDeviceGetUtilizationRates", device)
        with pytest.raises(NvmlError, match="NotSupported"):
            nvml.ask("nvmlDeviceGetProcessUtilization", device, 0)
    with pytest.raises(NvmlError, match="NotSupported"):
        nvml.ask("nvmlDeviceGetPowerUsage", one)
    with pytest.raises(NvmlError, match="InvalidArgument"):
        nvml.ask("nvmlDeviceGetGpuInstanceId", gpu)
    with pytest.raises(NvmlError, match="NotFound"):
        nvml.ask("nvmlDeviceGetMigDeviceHandleByIndex", gpu, 2)
    fake.set("gpu.0.mig_mode", 0)
    assert nvml.ask("nvmlDeviceGetMaxMigDeviceCount", gpu) == 0
    with pytest.raises(NvmlError, match="InvalidArgument"):
        nvml.ask("nvmlDeviceGetName", one)


def test_an_h200_can_be_cut_too(fake: FakeNvml, nvml: Session) -> None:
    fake.update(
        {
            "gpu.1.mig_mode": 1,
            "gpu.1.mig.0.profile": "1g.18gb",
            "gpu.1.mig.3.profile": "2g.35gb",
            "gpu.1.mig.3.gpu_instance": 5,
            "gpu.1.mig.3.memory_total": "33GiB",
            "gpu.1.mig.3.uuid": "MIG-x",
            "gpu.1.mig.3.gpm.2": 12.5,
        }
    )
    gpu = nvml.gpu(1)
    first, other = (nvml.ask("nvmlDeviceGetMigDeviceHandleByIndex", gpu, index) for index in (0, 3))
    assert nvml.ask("nvmlDeviceGetMemoryInfo", first)["total"] == 18_000_000_000
    assert nvml.ask("nvmlDeviceGetMemoryInfo", other)["total"] == 33 * GIB
    assert nvml.ask("nvmlDeviceGetUUID", other) == "MIG-x"
    samples = [nvml.ask("nvmlGpmSampleAlloc") for _ in range(2)]
    nvml.ask("nvmlGpmMigSampleGet", gpu, 5, samples[0])
    wait_for(lambda: later_sample(nvml, gpu, samples, instance=5) == [12.5, 52.5])


def later_sample(
    nvml: Session, gpu: Ref, samples: list[Ref], instance: int | None = None
) -> list[object]:
    """Take the second sample, and return metrics 2 and 5 between the two."""
    if instance is None:
        nvml.ask("nvmlGpmSampleGet", gpu, samples[1])
    else:
        nvml.ask("nvmlGpmMigSampleGet", gpu, instance, samples[1])
    found: list[object] = nvml.ask("gpm", *samples, [2, 5])
    return found


def test_gpm(fake: FakeNvml, nvml: Session) -> None:
    gpu = nvml.gpu(0)
    assert nvml.ask("nvmlGpmQueryDeviceSupport", gpu)["isSupportedDevice"] == 1
    samples = [nvml.ask("nvmlGpmSampleAlloc") for _ in range(2)]
    with pytest.raises(NvmlError, match="InvalidArgument"):
        nvml.ask("gpm", *samples, [2])
    nvml.ask("nvmlGpmSampleGet", gpu, samples[0])
    wait_for(lambda: later_sample(nvml, gpu, samples) == [88.5, 52.5])
    assert nvml.ask("gpm", samples[0], samples[0], [2, 5]) == ["21", "21"]
    assert nvml.ask("gpm", samples[1], samples[0], [2]) == ["21"]
    fake.update({"gpu.0.gpm.2": 99.25, "gpu.0.gpm.20": "NO_PERMISSION"})
    asked = [2, 3, 5, 10, 11, 12, 13, 20, 21, 0, 476]
    found = [99.25, 41.25, 52.5, 61.75, 0.0, 9.5, 4.25, "4", 256.0, "3", "3"]
    assert nvml.ask("gpm", *samples, asked) == found
    nvml.ask("nvmlGpmSampleGet", nvml.gpu(1), samples[1])
    with pytest.raises(NvmlError, match="InvalidArgument"):
        nvml.ask("gpm", *samples, [2])
    nvml.ask("nvmlGpmSampleFree", samples[1])
    with pytest.raises(NvmlError, match="InvalidArgument"):
        nvml.ask("nvmlGpmSampleFree", samples[1])


def test_who_never_frees_samples_gets_no_more(nvml: Session) -> None:
    for _ in range(256):
        nvml.ask("nvmlGpmSampleAlloc")
    with pytest.raises(NvmlError, match="Memory"):
        nvml.ask("nvmlGpmSampleAlloc")


def listen(nvml: Session, *gpus: int) -> Ref:
    """Return an event set that waits for the XID errors of the GPUs."""
    events = nvml.ask("nvmlEventSetCreate")
    for gpu in gpus:
        nvml.ask("nvmlDeviceRegisterEvents", nvml.gpu(gpu), XID, events)
    assert isinstance(events, Ref)
    return events


def next_event(nvml: Session, events: Ref) -> tuple[int, int]:
    """Return an event that has happened: its GPU's index and its XID."""
    event = nvml.ask("nvmlEventSetWait", events, 5000)
    assert event["eventType"] == XID
    assert event["gpuInstanceId"] == event["computeInstanceId"] == NONE
    return nvml.ask("nvmlDeviceGetIndex", event["device"]), event["eventData"]


def test_xid_errors_repeat_and_keep_their_order(fake: FakeNvml, nvml: Session) -> None:
    fake.xid(3, 48)
    events = listen(nvml, 2, 3)
    fake.xid(3, 31, times=2)
    fake.xid(1, 13)
    fake.xid(2, 79)
    late = listen(nvml, 2, 3)
    fake.xid(3, 31)
    assert [next_event(nvml, events) for _ in range(4)] == [(3, 31), (3, 31), (2, 79), (3, 31)]
    assert next_event(nvml, late) == (3, 31)
    for one in (events, late):
        with pytest.raises(NvmlError, match="Timeout"):
            nvml.ask("nvmlEventSetWait", one, 0)


def test_1000_xid_errors_at_once(fake: FakeNvml, nvml: Session) -> None:
    events = listen(nvml, 3)
    fake.xid(3, 31, times=1000)
    for _ in range(1000):
        assert nvml.ask("nvmlEventSetWait", events, 0)["eventData"] == 31
    with pytest.raises(NvmlError, match="Timeout"):
        nvml.ask("nvmlEventSetWait", events, 0)


def waiting(fake: FakeNvml, nvml: Session, events: Ref) -> Later:
    """Wait for an event in another thread of the session, and return once it waits."""
    before = fake.calls()["nvmlEventSetWait_v2"]
    future = nvml.later("nvmlEventSetWait", events, 60_000)
    wait_for(lambda: fake.calls()["nvmlEventSetWait_v2"] > before)
    return future


def test_an_event_wakes_who_waits_for_it(fake: FakeNvml, nvml: Session) -> None:
    events = listen(nvml, 3)
    future = waiting(fake, nvml, events)
    assert nvml.ask("nvmlDeviceGetTemperature", nvml.gpu(3), 0) == 52
    fake.xid(2, 1)
    fake.set("gpu.0.temperature", 60)
    fake.xid(3, 94)
    assert future.result(5)["eventData"] == 94


def test_a_timeout_is_kept(nvml: Session) -> None:
    events = listen(nvml, 0)
    began = time.monotonic()
    with pytest.raises(NvmlError, match="Timeout"):
        nvml.ask("nvmlEventSetWait", events, 300)
    assert 0.3 <= time.monotonic() - began < 3


def test_who_waits_learns_of_a_driver_that_is_reloaded(fake: FakeNvml, nvml: Session) -> None:
    future = waiting(fake, nvml, listen(nvml, 0))
    fake.reload_driver()
    with pytest.raises(NvmlError, match="DriverNotLoaded"):
        future.result(5)


def test_events_that_may_not_be_registered(fake: FakeNvml, nvml: Session) -> None:
    events = nvml.ask("nvmlEventSetCreate")
    fake.update({"gpu.1.event_types": 0x10, "gpu.2.event_types": "NOT_SUPPORTED"})
    for gpu in (1, 2):
        with pytest.raises(NvmlError, match="NotSupported"):
            nvml.ask("nvmlDeviceRegisterEvents", nvml.gpu(gpu), XID, events)
    fake.fail("nvmlDeviceRegisterEvents", "NO_PERMISSION")
    with pytest.raises(NvmlError, match="NoPermission"):
        nvml.ask("nvmlDeviceRegisterEvents", nvml.gpu(0), XID, events)
    nvml.ask("nvmlEventSetFree", events)
    with pytest.raises(NvmlError, match="InvalidArgument"):
        nvml.ask("nvmlEventSetWait", events, 0)


def test_event_sets_can_be_made_again_and_again(nvml: Session) -> None:
    for _ in range(200):
        nvml.ask("nvmlEventSetFree", listen(nvml, 0))
