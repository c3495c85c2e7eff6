"""What no one expects of drivers, on a running exporter."""

import time

from exporter_testing.gpus import Scrape
from exporter_testing.nvml import FakeNvml, Process
from exporter_testing.process import wait_for
from gpu.conftest import StartGpu

ALL = set(range(8))
COUNT = "nvmlDeviceGetCount_v2"


def test_errors_that_are_queued_when_a_gpu_is_lost_are_counted(
    fake: FakeNvml, start_gpu: StartGpu
) -> None:
    """The last of them says why it was lost."""
    running = start_gpu(fake)
    wait_for(lambda: fake.calls().get("nvmlEventSetWait_v2", 0) > 0)
    fake.xid(3, 31, times=3000)
    fake.xid(3, 79)
    fake.lose(3)
    wait_for(lambda: Scrape(running).one("gpus") == 7)
    wait_for(lambda: Scrape(running).one("xid_errors_total", gpu=3, xid=79) == 1)
    assert Scrape(running).one("xid_errors_total", gpu=3, xid=31) == 3000


def test_a_wait_for_xids_that_fails_is_neither_repeated_in_a_hurry_nor_left_open(
    fake: FakeNvml, start_gpu: StartGpu
) -> None:
    running = start_gpu(fake)
    wait_for(lambda: fake.calls().get("nvmlEventSetWait_v2", 0) > 0)
    fake.fail("nvmlEventSetWait_v2", "UNKNOWN")
    wait_for(lambda: "xid_events" in Scrape(running).failing())
    assert fake.calls()["nvmlEventSetFree"] == fake.calls()["nvmlEventSetCreate"]
    # It says that there is none, without having waited.
    fake.fail("nvmlEventSetWait_v2", "TIMEOUT")
    wait_for(lambda: "xid_events" not in Scrape(running).failing())
    waits = fake.calls()["nvmlEventSetWait_v2"]
    time.sleep(0.5)
    assert fake.calls()["nvmlEventSetWait_v2"] <= waits + 1


def test_gpus_whose_indexes_change_stay_who_they_are(fake: FakeNvml, start_gpu: StartGpu) -> None:
    running = start_gpu(fake)
    uuids = [gpu["uuid"] for gpu in running.get("/api/v1/gpus").json()]
    fake.update({"gpu.0.present": 0, "gpu.1.power_average": 333})
    wait_for(lambda: Scrape(running).gpus("power_watts") == ALL - {7})
    told = running.get("/api/v1/gpus").json()
    assert [gpu["uuid"] for gpu in told] == uuids[1:]
    assert [gpu["index"] for gpu in told] == list(range(7))
    assert Scrape(running).one("power_watts", gpu=0) == 333
    fake.update({"gpu.0.present": None})
    wait_for(lambda: Scrape(running).gpus("power_watts") == ALL)
    assert [gpu["uuid"] for gpu in running.get("/api/v1/gpus").json()] == uuids


def test_gpus_that_are_known_are_asked_though_they_can_not_be_counted(
    fake: FakeNvml, start_gpu: StartGpu
) -> None:
    running = start_gpu(fake)
    calls = fake.calls()[COUNT]
    fake.fail(COUNT, "UNKNOWN")
    wait_for(lambda: Scrape(running).gpus("power_watts") == ALL and fake.calls()[COUNT] > calls + 1)
    assert not Scrape(running).failing()
    assert "GPUs can't be counted" in running.output.read_text()
    fake.lose(5)
    wait_for(lambda: Scrape(running).one("gpus") == 7)
