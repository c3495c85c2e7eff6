"""Every family of a running exporter over 8 fake H200s: its value, right to the unit."""

import time

import pytest

from exporter_testing.gpu.nvml import FakeNvml
from exporter_testing.gpu.scrape import Scrape
from exporter_testing.process import Running, wait_for
from gpu.conftest import StartGpu
from llm_monitor.gpu.metrics import FAMILIES

MIB = 1 << 20
UUID = "GPU-fa4e0000-0000-4000-8000-000000000003"

# What GPU 3 is told to be, so that no two values are alike.
STATE: dict[str, object] = {
    "gpu.3.utilization": 63,
    "gpu.3.memory_utilization": 27,
    "gpu.3.memory_used": "100000MiB",
    "gpu.3.energy": 1234.567,
    "gpu.3.power": 501.5,
    "gpu.3.power_average": 503.25,
    "gpu.3.memory_power_average": 91.5,
    "gpu.3.power_limit_enforced": 650,
    "gpu.3.temperature": 61,
    "gpu.3.memory_temperature": 72,
    "gpu.3.temperature_margin": 23,
    "gpu.3.threshold_slowdown": 88,
    "gpu.3.threshold_shutdown": 93,
    "gpu.3.threshold_memory_max": 96,
    "gpu.3.clock_sm": 1755,
    "gpu.3.clock_memory": 3201,
    "gpu.3.clock_graphics": 1740,
    "gpu.3.clock_video": 1500,
    "gpu.3.clock_max_sm": 1981,
    "gpu.3.clock_event_reasons": 0x64,
    "gpu.3.throttle_power_cap": 1.5,
    "gpu.3.throttle_sync_boost": 2.5,
    "gpu.3.throttle_sw_thermal": 3.5,
    "gpu.3.throttle_hw_thermal": 4.5,
    "gpu.3.throttle_power_brake": 5.5,
    "gpu.3.performance_state": 2,
    "gpu.3.gpm.2": 81.5,
    "gpu.3.gpm.3": 33.25,
    "gpu.3.gpm.5": 44.5,
    "gpu.3.gpm.10": 55.5,
    "gpu.3.gpm.11": 1.5,
    "gpu.3.gpm.12": 9.25,
    "gpu.3.gpm.13": 4.75,
    "gpu.3.gpm.20": 300,
    "gpu.3.gpm.21": 200,
    "gpu.3.pcie_generation": 4,
    "gpu.3.pcie_width": 8,
    "gpu.3.pcie_replays": 7,
    "gpu.3.link.*.transmit": "10MiB",
    "gpu.3.link.*.receive": "20MiB",
    "gpu.3.link.2.active": 0,
    "gpu.3.link.5.replays": 3,
    "gpu.3.link.6.replays": 4,
    "gpu.3.link.6.recoveries": 5,
    "gpu.3.link.7.crc_errors": 6,
    "gpu.3.ecc_corrected_volatile": 11,
    "gpu.3.ecc_corrected_aggregate": 12,
    "gpu.3.ecc_uncorrected_volatile": 13,
    "gpu.3.ecc_uncorrected_aggregate": 14,
    "gpu.3.remapped_correctable": 15,
    "gpu.3.remapped_uncorrectable": 16,
    "gpu.3.remapped_pending": 1,
    "gpu.3.remapped_failure": 1,
    "gpu.3.recovery_action": 2,
    "gpu.3.fabric_state": 2,
    # Degraded bandwidth, and insufficient NVLinks; no route is unhealthy, the rest is as it is.
    "gpu.3.fabric_health": 0x5A9,
    "gpu.3.persistence_mode": 0,
    "gpu.3.compute_mode": 3,
}

EXPECTED: list[tuple[str, dict[str, str], float]] = [
    ("responding", {}, 1),
    ("utilization_ratio", {}, 0.63),
    ("memory_controller_utilization_ratio", {}, 0.27),
    ("memory_total_bytes", {}, 143_771 * MIB),
    ("memory_used_bytes", {}, 100_000 * MIB),
    ("memory_reserved_bytes", {}, 614 * MIB),
    ("memory_free_bytes", {}, (143_771 - 100_000 - 614) * MIB),
    ("energy_joules_total", {}, 1234.567),
    ("power_watts", {}, 503.25),
    ("memory_power_watts", {}, 91.5),
    ("power_limit_watts", {}, 650),
    ("temperature_celsius", {"sensor": "die"}, 61),
    ("temperature_celsius", {"sensor": "memory"}, 72),
    ("temperature_margin_celsius", {}, 23),
    ("temperature_limit_celsius", {"threshold": "slowdown"}, 88),
    ("temperature_limit_celsius", {"threshold": "shutdown"}, 93),
    ("temperature_limit_celsius", {"threshold": "memory_max"}, 96),
    ("clock_hertz", {"domain": "sm"}, 1.755e9),
    ("clock_hertz", {"domain": "memory"}, 3.201e9),
    ("clock_hertz", {"domain": "graphics"}, 1.74e9),
    ("clock_hertz", {"domain": "video"}, 1.5e9),
    ("clock_max_hertz", {"domain": "sm"}, 1.981e9),
    ("throttle_seconds_total", {"reason": "sw_power_cap"}, 1.5),
    ("throttle_seconds_total", {"reason": "sync_boost"}, 2.5),
    ("throttle_seconds_total", {"reason": "sw_thermal"}, 3.5),
    ("throttle_seconds_total", {"reason": "hw_thermal"}, 4.5),
    ("throttle_seconds_total", {"reason": "hw_power_brake"}, 5.5),
    ("throttle_active", {"reason": "sw_power_cap"}, 1),
    ("throttle_active", {"reason": "sw_thermal"}, 1),
    ("throttle_active", {"reason": "hw_thermal"}, 1),
    ("throttle_active", {"reason": "hw_power_brake"}, 0),
    ("throttle_active", {"reason": "hw_slowdown"}, 0),
    ("throttle_active", {"reason": "sync_boost"}, 0),
    ("throttle_active", {"reason": "applications_clocks"}, 0),
    ("performance_state", {}, 2),
    ("sm_active_ratio", {}, 0.815),
    ("sm_occupancy_ratio", {}, 0.3325),
    ("tensor_active_ratio", {}, 0.445),
    ("dram_active_ratio", {}, 0.555),
    ("fp64_active_ratio", {}, 0.015),
    ("fp32_active_ratio", {}, 0.0925),
    ("fp16_active_ratio", {}, 0.0475),
    ("pcie_transmit_bytes_per_second", {}, 300 * MIB),
    ("pcie_receive_bytes_per_second", {}, 200 * MIB),
    ("pcie_link_generation", {"kind": "current"}, 4),
    ("pcie_link_generation", {"kind": "max"}, 5),
    ("pcie_link_width", {"kind": "current"}, 8),
    ("pcie_link_width", {"kind": "max"}, 16),
    ("pcie_replays_total", {}, 7),
    ("nvlink_transmit_bytes_total", {}, 180 * MIB),
    ("nvlink_receive_bytes_total", {}, 360 * MIB),
    ("nvlink_errors_total", {"kind": "replay"}, 7),
    ("nvlink_errors_total", {"kind": "recovery"}, 5),
    ("nvlink_errors_total", {"kind": "crc"}, 6),
    ("nvlink_links_active", {}, 17),
    ("ecc_mode_enabled", {}, 1),
    ("ecc_errors_total", {"kind": "corrected", "counter": "volatile"}, 11),
    ("ecc_errors_total", {"kind": "corrected", "counter": "aggregate"}, 12),
    ("ecc_errors_total", {"kind": "uncorrected", "counter": "volatile"}, 13),
    ("ecc_errors_total", {"kind": "uncorrected", "counter": "aggregate"}, 14),
    ("remapped_rows", {"cause": "correctable"}, 15),
    ("remapped_rows", {"cause": "uncorrectable"}, 16),
    ("remap_pending", {}, 1),
    ("remap_failure", {}, 1),
    ("recovery_action", {}, 2),
    ("fabric_state", {}, 2),
    ("fabric_unhealthy", {"aspect": "degraded_bandwidth"}, 1),
    ("fabric_unhealthy", {"aspect": "route_recovery"}, 0),
    ("fabric_unhealthy", {"aspect": "route_unhealthy"}, 0),
    ("fabric_unhealthy", {"aspect": "access_timeout_recovery"}, 0),
    ("fabric_unhealthy", {"aspect": "incorrect_configuration"}, 1),
    ("persistence_mode_enabled", {}, 0),
    ("compute_mode", {}, 3),
    ("processes", {}, 0),
    ("xid_errors_total", {"xid": "79"}, 0),
]

# What only GPUs have that are cut into MIG devices, or that containers use, or that had an error.
ELSEWHERE = {
    "llm_monitor_gpu_container_memory_used_bytes",
    "llm_monitor_gpu_container_utilization_ratio",
    "llm_monitor_gpu_xid_last_timestamp_seconds",
}


def settled(running: Running) -> Scrape:
    """Return a scrape that has GPM's ratios, which take two samples."""
    wait_for(lambda: Scrape(running).one("sm_active_ratio", gpu=3) is not None)
    return Scrape(running)


@pytest.fixture
def scrape(fake: FakeNvml, start_gpu: StartGpu) -> Scrape:
    fake.update(STATE)
    return settled(start_gpu(fake))


def test_every_value_is_right_to_the_unit(scrape: Scrape) -> None:
    found = [(name, labels, scrape.one(name, gpu=3, **labels)) for name, labels, _ in EXPECTED]
    assert found == [(n, labels, pytest.approx(v, rel=1e-12)) for n, labels, v in EXPECTED]


def test_every_family_is_there_for_every_gpu(scrape: Scrape) -> None:
    expected = {one for one in FAMILIES if "_mig_" not in one.name and one.name not in ELSEWHERE}
    assert {one.name for one in expected} <= scrape.names()
    tested = {f"llm_monitor_gpu_{name}" for name, _, _ in EXPECTED}
    told = {"llm_monitor_gpu_info", "llm_monitor_gpu_gpus", "llm_monitor_gpu_gpus_expected"}
    assert {one.name for one in expected} == tested | told
    for family in expected:
        if "gpu" in family.labels:
            series = {dict(labels)["gpu"] for name, labels in scrape.series if name == family.name}
            assert series == set("01234567"), family.name
    assert not scrape.failing()
    assert scrape.one("up") == 1
    assert scrape.one("gpus") == scrape.one("gpus_expected") == 8


def test_text_is_on_the_info_series_alone(scrape: Scrape) -> None:
    line = next(one for one in scrape.text.splitlines() if UUID in one and "gpu_info{" in one)
    assert line == (
        f'llm_monitor_gpu_info{{gpu="3",gpu_uuid="{UUID}",name="NVIDIA H200",driver="590.48.01",'
        'cuda="13.1",vbios="96.00.A5.00.03",pci_bus_id="00000000:61:00.0"} 1'
    )
    assert scrape.text.count("NVIDIA H200") == 8


def test_series_stay_within_the_budget(scrape: Scrape) -> None:
    assert len(scrape.series) <= 1000


def test_serial_numbers_and_links_are_given_on_request(fake: FakeNvml, start_gpu: StartGpu) -> None:
    fake.update({"count": 2, "gpu.1.serial": "1653021001234", "gpu.1.link.4.transmit": "3MiB"})
    running = start_gpu(fake, GPU__SERIAL="true", GPU__PER_LINK="true")
    scrape = Scrape(running)
    assert 'serial="1653021001234"' in scrape.text
    links = scrape.by("link", "nvlink_transmit_bytes_total", gpu=1)
    assert set(links) == {str(link) for link in range(18)}
    assert links["4"] == 3 * MIB


def test_links_that_go_down_are_seen_in_one_call_a_gpu(fake: FakeNvml, start_gpu: StartGpu) -> None:
    fake.update({"count": 2})
    running = start_gpu(fake)
    assert Scrape(running).by("gpu", "nvlink_links_active") == {"0": 18, "1": 18}
    calls = fake.calls()["nvmlDeviceGetNvLinkState"]
    fake.update({"gpu.0.link.4.active": 0, "gpu.0.link.5.active": 0})
    assert Scrape(running).by("gpu", "nvlink_links_active") == {"0": 16, "1": 18}
    fake.update({"gpu.0.link.4.active": 1})
    assert Scrape(running).by("gpu", "nvlink_links_active") == {"0": 17, "1": 18}
    assert fake.calls()["nvmlDeviceGetNvLinkState"] == calls


def test_links_whose_field_says_otherwise_are_asked_one_by_one(
    fake: FakeNvml, start_gpu: StartGpu
) -> None:
    fake.update({"count": 2, "gpu.0.link.*.field_state": 0})
    fake.update({"gpu.1.link.*.field_state": "NOT_SUPPORTED", "gpu.0.link.3.active": 0})
    running = start_gpu(fake)
    assert Scrape(running).by("gpu", "nvlink_links_active") == {"0": 17, "1": 18}
    fake.update({"gpu.0.link.3.active": 1, "gpu.1.link.7.active": 0})
    assert Scrape(running).by("gpu", "nvlink_links_active") == {"0": 18, "1": 17}


def timed_energy(running: Running) -> tuple[float, tuple[float, float]]:
    """Return what the first GPU has used, joules, and when the scrape began and ended."""
    begun = time.monotonic()
    energy = Scrape(running).one("energy_joules_total", gpu=0)
    assert energy is not None
    return energy, (begun, time.monotonic())


def test_energy_is_the_integral_of_power(fake: FakeNvml, start_gpu: StartGpu) -> None:
    fake.update({"gpu.*.power": 600, "gpu.*.energy": "1000 + auto"})
    running = start_gpu(fake)
    first, begun = timed_energy(running)
    wait_for(lambda: timed_energy(running)[0] >= first + 600)
    last, ended = timed_energy(running)
    # Each was read at some time within its scrape.
    assert 600 * (ended[0] - begun[1] - 0.3) <= last - first <= 600 * (ended[1] - begun[0] + 0.3)


def test_what_a_consumer_card_lacks_is_absent(fake: FakeNvml, start_gpu: StartGpu) -> None:
    fake.update({"model": "consumer", "count": 1})
    scrape = Scrape(start_gpu(fake))
    lacking = {
        "ecc_mode_enabled",
        "ecc_errors_total",
        "fabric_state",
        "nvlink_links_active",
        "nvlink_errors_total",
        "sm_active_ratio",
        "remapped_rows",
    }
    assert not {f"llm_monitor_gpu_{name}" for name in lacking} & scrape.names()
    assert scrape.one("power_watts", gpu=0) is not None
    assert scrape.one("responding", gpu=0) == 1
    assert not scrape.failing()


def test_a_registration_with_the_fabric_that_failed(fake: FakeNvml, start_gpu: StartGpu) -> None:
    fake.update({"gpu.1.fabric_status": 999, "gpu.2.fabric_state": 1, "gpu.2.fabric_status": 999})
    scrape = Scrape(start_gpu(fake))
    failed = scrape.by("gpu", "fabric_unhealthy", aspect="registration_failed")
    # Of one that has not come to its end, the state tells.
    assert failed == {gpu: int(gpu == "1") for gpu in "0134567"}


def test_without_ecc_there_are_no_errors_to_count(fake: FakeNvml, start_gpu: StartGpu) -> None:
    fake.update({"count": 2, "gpu.1.ecc_mode": 0})
    scrape = Scrape(start_gpu(fake))
    assert scrape.one("ecc_mode_enabled", gpu=1) == 0
    assert scrape.gpus("ecc_errors_total", kind="corrected", counter="volatile") == {0}
    assert scrape.one("responding", gpu=1) == 1


def test_unsupported_calls_are_not_repeated(fake: FakeNvml, start_gpu: StartGpu) -> None:
    fake.update({"model": "consumer", "count": 2})
    running = start_gpu(fake)
    # The second collection makes the calls that need a first one, too.
    for _ in range(2):
        Scrape(running)
    before = fake.calls()
    Scrape(running)
    repeated = {name for name, count in fake.calls().items() if count > before.get(name, 0)}
    assert "nvmlDeviceGetTemperature" in repeated
    refused = {
        "nvmlDeviceGetEccMode",
        "nvmlDeviceGetNvLinkState",
        "nvmlDeviceGetRemappedRows",
        "nvmlDeviceGetTotalEccErrors",
        "nvmlGpmQueryDeviceSupport",
        "nvmlGpmSampleGet",
    }
    assert not refused & repeated


def test_mig_devices(fake: FakeNvml, start_gpu: StartGpu) -> None:
    fake.update(
        {
            "count": 2,
            "gpu.1.mig_mode": 1,
            "gpu.1.mig.0.profile": "3g.71gb",
            "gpu.1.mig.0.memory_total": "71000MiB",
            "gpu.1.mig.0.memory_used": "1000MiB",
            "gpu.1.mig.0.gpm.1": 42,
            "gpu.1.mig.1.profile": "1g.18gb",
        }
    )
    running = start_gpu(fake)
    first = "MIG-fa4e0000-0000-4000-8000-000000000100"
    wait_for(
        lambda: Scrape(running).one("mig_utilization_ratio", gpu=1, mig_uuid=first) is not None
    )
    scrape = Scrape(running)
    assert scrape.by("profile", "mig_info", gpu=1, mig_uuid=first, gpu_instance=1) == {"3g.71gb": 1}
    assert set(scrape.by("mig_uuid", "mig_memory_total_bytes", gpu=1)) == {first, f"{first[:-1]}1"}
    assert scrape.one("mig_memory_total_bytes", gpu=1, mig_uuid=first) == 71_000 * MIB
    assert scrape.one("mig_memory_used_bytes", gpu=1, mig_uuid=first) == 1000 * MIB
    assert scrape.one("mig_utilization_ratio", gpu=1, mig_uuid=first) == pytest.approx(0.42)
    # With MIG on, the driver does not say how busy the whole GPU is.
    assert scrape.gpus("utilization_ratio") == {0}
    assert scrape.gpus("power_watts") == {0, 1}
    assert not scrape.failing()
