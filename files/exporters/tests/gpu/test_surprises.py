"""What no one expects of drivers, on a running exporter."""

import time

from exporter_testing.gpu.nvml import FakeNvml
from exporter_testing.gpu.scrape import Scrape
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


def test_what_a_gpu_lacks_while_it_is_divided_comes_back(
    fake: FakeNvml, start_gpu: StartGpu
) -> None:
    running = start_gpu(fake)
    assert Scrape(running).gpus("utilization_ratio") == ALL
    fake.update({"gpu.1.mig_mode": 1, "gpu.1.mig.0.profile": "3g.71gb"})
    wait_for(lambda: "llm_monitor_gpu_mig_info" in Scrape(running).names())
    assert Scrape(running).gpus("utilization_ratio") == ALL - {1}
    fake.set("gpu.1.mig_mode", 0)
    wait_for(lambda: Scrape(running).gpus("utilization_ratio") == ALL)
    assert "llm_monitor_gpu_mig_info" not in Scrape(running).names()


def test_numbers_that_no_counter_holds_are_passed_over(fake: FakeNvml, start_gpu: StartGpu) -> None:
    """All bits set is how NVML says that a value is not available."""
    counters = {"gpu.1.pcie_replays": 7, "gpu.1.ecc_corrected_volatile": 3}
    fake.update({**counters, "gpu.1.link.*.transmit": "1MiB"})
    running = start_gpu(fake)
    sent = Scrape(running).one("nvlink_transmit_bytes_total", gpu=1)
    absurd = {"gpu.1.pcie_replays": 2**32 - 1, "gpu.1.ecc_corrected_volatile": 2**64 - 1}
    fake.update({**absurd, "gpu.1.link.*.transmit": 2**70, "gpu.1.utilization": 2**32 - 1})
    for _ in range(3):
        scrape = Scrape(running)
        assert scrape.gpus("pcie_replays_total") == ALL - {1}
        assert scrape.gpus("utilization_ratio") == ALL - {1}
    fake.update({**counters, "gpu.1.link.*.transmit": "1MiB"})
    for _ in range(3):
        scrape = Scrape(running)
        assert scrape.one("pcie_replays_total", gpu=1) == 7
        assert scrape.one("ecc_errors_total", gpu=1, kind="corrected", counter="volatile") == 3
        assert scrape.one("nvlink_transmit_bytes_total", gpu=1) == sent
