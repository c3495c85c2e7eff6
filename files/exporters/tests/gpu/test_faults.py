"""What goes wrong with GPUs and drivers, on a running exporter."""

import json
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from exporter_testing.gpu.nvml import FakeNvml, Process
from exporter_testing.gpu.scrape import Scrape
from exporter_testing.process import Running, wait_for
from gpu.conftest import StartGpu

ALL = set(range(8))
HUNG = "nvmlDeviceGetTemperature"


def threads(running: Running) -> int:
    return len(os.listdir(f"/proc/{running.process.pid}/task"))


def log(running: Running, event: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in running.output.read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


def test_a_lost_gpu_ends_its_own_series_and_comes_back(fake: FakeNvml, start_gpu: StartGpu) -> None:
    running = start_gpu(fake)
    assert Scrape(running).one("gpus") == 8
    fake.lose(3)
    wait_for(lambda: Scrape(running).one("gpus") == 7)
    scrape = Scrape(running)
    for name in ("utilization_ratio", "power_watts", "energy_joules_total", "responding"):
        assert scrape.gpus(name) == ALL - {3}, name
    assert scrape.one("gpus_expected") == 8
    assert not scrape.failing()
    assert [line["gpu"] for line in log(running, "GPU lost")] == [3]
    fake.bring_back(3)
    wait_for(lambda: Scrape(running).one("gpus") == 8)
    assert Scrape(running).gpus("power_watts") == ALL
    assert [line["gpu"] for line in log(running, "GPU found")] == [3]


def test_errors_of_a_lost_gpu_stay_counted(fake: FakeNvml, start_gpu: StartGpu) -> None:
    """What brought it down is what an operator asks for when it has gone."""
    running = start_gpu(fake)
    fake.xid(3, 79)
    wait_for(lambda: Scrape(running).one("xid_errors_total", gpu=3, xid=79) == 1)
    fake.lose(3)
    wait_for(lambda: Scrape(running).one("gpus") == 7)
    assert Scrape(running).one("xid_errors_total", gpu=3, xid=79) == 1
    fake.xid(5, 31)
    wait_for(lambda: Scrape(running).one("xid_errors_total", gpu=5, xid=31) == 1, 20)


def test_the_last_gpu_that_is_lost_leaves_what_brought_it_down(
    fake: FakeNvml, start_gpu: StartGpu
) -> None:
    fake.set("count", 1)
    running = start_gpu(fake)
    wait_for(lambda: fake.calls().get("nvmlEventSetWait_v2", 0) > 0)
    fake.xid(0, 79)
    wait_for(lambda: Scrape(running).one("xid_errors_total", gpu=0, xid=79) == 1)
    fake.lose(0)
    wait_for(lambda: Scrape(running).one("gpus") == 0)
    scrape = Scrape(running)
    assert scrape.one("gpus_expected") == 1
    assert scrape.one("xid_errors_total", gpu=0, xid=79) == 1
    assert scrape.one("up") == 1
    assert {"power", "load"} <= scrape.failing()
    assert not {"presence", "xid"} & scrape.failing()
    fake.bring_back(0)
    wait_for(lambda: Scrape(running).gpus("power_watts") == {0})


def test_the_expected_number_can_be_set(fake: FakeNvml, start_gpu: StartGpu) -> None:
    fake.set("count", 7)
    scrape = Scrape(start_gpu(fake, GPU__EXPECTED="8"))
    assert (scrape.one("gpus"), scrape.one("gpus_expected")) == (7, 8)


def test_a_library_that_comes_later_is_found(
    fake: FakeNvml, start_gpu: StartGpu, tmp_path: Path
) -> None:
    folder = tmp_path / "driver"
    folder.mkdir()
    running = start_gpu(fake, library=folder)
    scrape = Scrape(running)
    assert scrape.one("up") == 0
    assert scrape.one("gpus") is None
    assert "presence" in scrape.failing()
    assert running.get("/health").status_code == 200
    assert "libnvidia-ml.so.1 is not there" in running.output.read_text()
    answer = running.get("/api/v1/gpus")
    assert answer.status_code == 503
    assert "libnvidia-ml.so.1 is not there" in answer.json()["error"]
    shutil.copy(fake.library / "libnvidia-ml.so.1", folder / "half")
    (folder / "half").rename(folder / "libnvidia-ml.so.1")
    wait_for(lambda: Scrape(running).one("up") == 1, 20)
    assert Scrape(running).one("gpus") == 8


def test_a_driver_without_gpus_is_a_failure(fake: FakeNvml, start_gpu: StartGpu) -> None:
    fake.set("count", 0)
    running = start_gpu(fake)
    assert Scrape(running).one("up") == 0
    assert "the driver gives access to no GPU" in running.output.read_text()


def test_a_driver_that_is_not_loaded(fake: FakeNvml, start_gpu: StartGpu) -> None:
    fake.fail("nvmlInitWithFlags", "DRIVER_NOT_LOADED")
    running = start_gpu(fake)
    assert Scrape(running).one("up") == 0
    assert "the NVIDIA driver is not loaded on the host" in running.output.read_text()
    fake.fail("nvmlInitWithFlags", "SUCCESS")
    wait_for(lambda: Scrape(running).one("up") == 1, 20)


def test_the_exporter_survives_a_driver_reload(fake: FakeNvml, start_gpu: StartGpu) -> None:
    fake.update({"gpu.*.energy": 5000, "gpu.*.ecc_corrected_volatile": 9})
    running = start_gpu(fake)
    counters = {
        "energy_joules_total": {},
        "ecc_errors_total": {"kind": "corrected", "counter": "volatile"},
    }
    before = {name: Scrape(running).one(name, gpu=1, **labels) for name, labels in counters.items()}
    assert before == {"energy_joules_total": 5000, "ecc_errors_total": 9}
    fake.reload_driver()
    # A driver that has just been loaded counts from 0.
    fake.update({"gpu.*.energy": 10, "gpu.*.ecc_corrected_volatile": 1})
    wait_for(lambda: Scrape(running).gpus("power_watts") == ALL, 20)
    wait_for(lambda: Scrape(running).one("energy_joules_total", gpu=1) == 5010)
    wait_for(
        lambda: Scrape(running).one("ecc_errors_total", gpu=1, **counters["ecc_errors_total"]) == 10
    )
    assert Scrape(running).one("up") == 1
    assert len(log(running, "NVML is open")) == 2
    # The watcher of XIDs is back as well.
    wait_for(lambda: Scrape(running).one("collector_success", collector="xid_events") == 1, 30)
    fake.xid(6, 94)
    wait_for(lambda: Scrape(running).one("xid_errors_total", gpu=6, xid=94) == 1)


def test_all_that_wait_for_a_driver_try_it_once(fake: FakeNvml, start_gpu: StartGpu) -> None:
    """Waiting for events keeps the library in use, and more and more collectors wait for that."""
    fake.hang("nvmlEventSetWait_v2", 1)
    running = start_gpu(fake)
    wait_for(lambda: fake.calls().get("nvmlEventSetWait_v2", 0) > 0)
    Scrape(running)
    opened = fake.calls()["nvmlInitWithFlags"]
    fake.update({"generation": 2, "init.error": "DRIVER_NOT_LOADED"})
    wait_for(lambda: Scrape(running).one("up") == 0)
    # One try for all that waited for the wait to end, and one of whoever came after the pause.
    assert 1 <= fake.calls()["nvmlInitWithFlags"] - opened <= 2
    fake.set("init.error", None)
    wait_for(lambda: Scrape(running).one("up") == 1, 10)


def test_a_hanging_call_takes_one_gpu_and_nothing_else(fake: FakeNvml, start_gpu: StartGpu) -> None:
    running = start_gpu(fake, GPU__PATIENCE="500ms")
    Scrape(running)
    settled = threads(running)
    fake.hang(HUNG, 60, gpu=3)
    begun = time.monotonic()
    scrape = Scrape(running)
    assert time.monotonic() - begun < 3
    assert scrape.gpus("temperature_celsius", sensor="die") == ALL - {3}
    wait_for(lambda: Scrape(running).one("responding", gpu=3) == 0)
    assert not Scrape(running).failing()
    assert Scrape(running).one("responding", gpu=4) == 1
    calls = fake.calls()[HUNG]
    grown = threads(running)
    for _ in range(120):
        # As many scrapes as an hour has at one in 30 s.
        begun = time.monotonic()
        scrape = Scrape(running)
        assert time.monotonic() - begun < 3
        assert scrape.gpus("power_watts") == ALL - {3}
    # Seven GPUs a scrape, and never a second call to the one that hangs.
    assert fake.calls()[HUNG] - calls == 120 * 7
    wait_for(lambda: threads(running) <= grown)
    assert grown <= settled + 4
    assert running.get("/health").status_code == 200
    told = running.get("/api/v1/gpus").json()
    assert [gpu["index"] for gpu in told if gpu["trouble"]] == [3]
    assert "has not answered" in told[3]["trouble"]["load"]
    assert "power_watts" not in told[3]
    assert told[4]["power_watts"] == pytest.approx(627.4)
    fake.hang(HUNG, 0, gpu=3)
    wait_for(lambda: Scrape(running).one("responding", gpu=3) == 1)
    assert Scrape(running).gpus("temperature_celsius", sensor="die") == ALL
    assert {line["gpu"] for line in log(running, "GPU could not be read")} == {3}


def test_a_library_that_hangs_as_it_is_opened(fake: FakeNvml, start_gpu: StartGpu) -> None:
    fake.hang("nvmlInitWithFlags", 60)
    running = start_gpu(fake)
    begun = time.monotonic()
    answer = running.get(x_prometheus_scrape_timeout_seconds="3")
    assert time.monotonic() - begun < 8
    assert "llm_monitor_gpu_up 0" in answer.text
    settled = threads(running)
    for _ in range(5):
        running.get(x_prometheus_scrape_timeout_seconds="3")
    assert threads(running) <= settled
    fake.hang("nvmlInitWithFlags", 0)
    wait_for(lambda: Scrape(running).one("up") == 1, 20)


@pytest.mark.parametrize("error", ["NOT_SUPPORTED", "UNKNOWN"])
def test_a_link_that_goes_down_brings_no_errors_of_others(
    fake: FakeNvml, start_gpu: StartGpu, error: str
) -> None:
    """The sum without it is lower, and must not look like a counter that began anew."""
    fake.set("gpu.1.link.*.replays", 100)
    running = start_gpu(fake)
    assert Scrape(running).one("nvlink_errors_total", gpu=1, kind="replay") == 1800
    fake.set("gpu.1.link.5.replays", error)
    for _ in range(3):
        assert Scrape(running).one("nvlink_errors_total", gpu=1, kind="replay") == 1800
    fake.set("gpu.1.link.4.replays", 103)
    assert Scrape(running).one("nvlink_errors_total", gpu=1, kind="replay") == 1803


def test_a_failing_call_costs_only_what_it_gives(fake: FakeNvml, start_gpu: StartGpu) -> None:
    fake.fail("nvmlDeviceGetEnforcedPowerLimit", "UNKNOWN", gpu=2)
    running = start_gpu(fake)
    scrape = Scrape(running)
    assert scrape.gpus("power_limit_watts") == ALL - {2}
    assert scrape.gpus("power_watts") == ALL
    wait_for(lambda: Scrape(running).one("responding", gpu=2) == 0)
    assert "nvmlDeviceGetEnforcedPowerLimit: Unknown Error" in running.output.read_text()
    fake.fail("nvmlDeviceGetEnforcedPowerLimit", "SUCCESS", gpu=2)
    wait_for(lambda: Scrape(running).one("responding", gpu=2) == 1)


def test_processes_that_are_not_told_are_not_none(fake: FakeNvml, start_gpu: StartGpu) -> None:
    fake.processes(0, [])
    fake.fail("nvmlDeviceGetComputeRunningProcesses_v3", gpu=1)
    fake.fail("nvmlDeviceGetComputeRunningProcesses_v3", "UNKNOWN", gpu=2)
    running = start_gpu(fake)
    scrape = Scrape(running)
    assert scrape.gpus("processes") == ALL - {1, 2}
    assert scrape.one("processes", gpu=0) == 0
    assert running.get("/api/v1/processes").status_code == 200


def test_an_older_driver_lacks_functions(tmp_path: Path, start_gpu: StartGpu) -> None:
    missing = [
        "nvmlDeviceGetMarginTemperature",
        "nvmlGpmQueryDeviceSupport",
        "nvmlDeviceGetGpuFabricInfoV",
    ]
    running = start_gpu(FakeNvml(tmp_path, missing=missing))
    scrape = Scrape(running)
    assert (
        not {
            "llm_monitor_gpu_temperature_margin_celsius",
            "llm_monitor_gpu_sm_active_ratio",
            "llm_monitor_gpu_fabric_state",
        }
        & scrape.names()
    )
    assert scrape.gpus("power_watts") == ALL
    assert scrape.one("responding", gpu=0) == 1
    assert not scrape.failing()
    unsupported = running.get("/api/v1/gpus").json()[0]["unsupported"]
    assert unsupported["nvmlDeviceGetMarginTemperature"] == "Function Not Found"
    # They are called as NVML calls them, not as functions of this exporter.
    assert set(missing) <= unsupported.keys()
    assert all(name.startswith(("nvml", "field(", "GPM metric(")) for name in unsupported)


def test_xids_repeat_and_are_counted(fake: FakeNvml, start_gpu: StartGpu) -> None:
    running = start_gpu(fake)
    wait_for(lambda: fake.calls().get("nvmlEventSetWait_v2", 0) > 0)
    fake.xid(2, 31)
    wait_for(lambda: Scrape(running).one("xid_errors_total", gpu=2, xid=31) == 1)
    fake.xid(2, 31, times=2)
    fake.xid(0, 48)
    wait_for(lambda: Scrape(running).one("xid_errors_total", gpu=2, xid=31) == 3)
    scrape = Scrape(running)
    assert scrape.by("xid", "xid_errors_total", gpu=0)["48"] == 1
    last = scrape.one("xid_last_timestamp_seconds", gpu=2, xid=31)
    assert last == pytest.approx(time.time(), abs=30)
    assert scrape.one("xid_last_timestamp_seconds", gpu=1, xid=48) is None
    # One line for the same error within a minute.
    assert [(line["gpu"], line["xid"]) for line in log(running, "XID error")] == [(2, 31), (0, 48)]


def test_a_thousand_xids_at_once_are_all_counted(fake: FakeNvml, start_gpu: StartGpu) -> None:
    running = start_gpu(fake)
    wait_for(lambda: fake.calls().get("nvmlEventSetWait_v2", 0) > 0)
    fake.xid(4, 13, times=1000)
    wait_for(lambda: Scrape(running).one("xid_errors_total", gpu=4, xid=13) == 1000)
    assert Scrape(running).one("xid_errors_total", gpu=5, xid=13) is None


def test_xids_that_can_not_be_watched_are_told(fake: FakeNvml, start_gpu: StartGpu) -> None:
    fake.fail("nvmlDeviceRegisterEvents", "NO_PERMISSION")
    running = start_gpu(fake)
    wait_for(lambda: "xid_events" in Scrape(running).failing())
    assert Scrape(running).gpus("power_watts") == ALL
    assert "no GPU lets its XIDs be watched" in running.output.read_text()


def test_many_processes_that_come_and_go(fake: FakeNvml, start_gpu: StartGpu) -> None:
    fake.processes(0, [Process(100_000 + n, memory=1 << 20) for n in range(500)])
    running = start_gpu(fake)
    assert Scrape(running).one("processes", gpu=0) == 500
    assert len(running.get("/api/v1/processes").json()) == 500
    stop = threading.Event()

    def shuffle() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            alive = range(number * 37 % 400)
            fake.processes(0, [Process(200_000 + n, memory=1 << 20) for n in alive])

    thread = threading.Thread(target=shuffle)
    thread.start()
    try:
        for _ in range(30):
            scrape = Scrape(running)
            assert scrape.one("processes", gpu=0) is not None
            assert scrape.one("responding", gpu=0) == 1
    finally:
        stop.set()
        thread.join()


def test_names_that_are_no_utf_8(fake: FakeNvml, start_gpu: StartGpu) -> None:
    fake.update(
        {
            "gpu.1.name": b'Bad\xff\xfe "quoted"\n\\',
            "gpu.1.serial": b"\xc3\x28",
            "gpu.1.vbios": b"\x80",
            "gpu.1.pci_bus_id": b"00000000:\xff1:00.0",
        }
    )
    running = start_gpu(fake, GPU__SERIAL="true")
    scrape = Scrape(running)
    assert scrape.one("gpus") == 8
    assert scrape.gpus("power_watts") == ALL
    (name,) = {
        dict(labels)["name"]
        for series, labels in scrape.series
        if series == "llm_monitor_gpu_info" and dict(labels)["gpu"] == "1"
    }
    assert name == 'Bad\\xff\\xfe "quoted"\n\\'
    assert running.get("/api/v1/gpus").json()[1]["name"] == name
