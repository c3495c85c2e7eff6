"""The fake library through the real binding: does it answer as GPUs do, and as it is told to?"""

import re

import pytest

from exporter_testing.gpu.nvml import SOURCES, FakeNvml
from exporter_testing.gpu.session import NvmlError, Session
from exporter_testing.process import wait_for

MIB = 1 << 20
ALL_LINKS = 0xFFFFFFFF


# What calls answer that take nothing but the handle, of GPU 3.
BUSY_H200 = {
    "nvmlDeviceGetName": "NVIDIA H200",
    "nvmlDeviceGetUUID": "GPU-fa4e0000-0000-4000-8000-000000000003",
    "nvmlDeviceGetSerial": "1650023000003",
    "nvmlDeviceGetVbiosVersion": "96.00.A5.00.03",
    "nvmlDeviceGetIndex": 3,
    "nvmlDeviceGetMinorNumber": 3,
    "nvmlDeviceGetBrand": 14,
    "nvmlDeviceGetArchitecture": 9,
    "nvmlDeviceGetCudaComputeCapability": [9, 0],
    "nvmlDeviceGetUtilizationRates": {"gpu": 97, "memory": 38},
    "nvmlDeviceGetEncoderUtilization": [0, 167000],
    "nvmlDeviceGetDecoderUtilization": [0, 167000],
    "nvmlDeviceGetPowerUsage": 627_400,
    "nvmlDeviceGetPowerManagementLimit": 700_000,
    "nvmlDeviceGetPowerManagementDefaultLimit": 700_000,
    "nvmlDeviceGetPowerManagementLimitConstraints": [200_000, 700_000],
    "nvmlDeviceGetEnforcedPowerLimit": 700_000,
    "nvmlDeviceGetMarginTemperature": 35,
    "nvmlDeviceGetCurrentClocksEventReasons": 0,
    "nvmlDeviceGetCurrentClocksThrottleReasons": 0,
    "nvmlDeviceGetSupportedClocksEventReasons": 511,
    "nvmlDeviceGetPerformanceState": 0,
    "nvmlDeviceGetPowerState": 0,
    "nvmlDeviceGetComputeMode": 0,
    "nvmlDeviceGetPersistenceMode": 1,
    "nvmlDeviceGetDisplayMode": 0,
    "nvmlDeviceGetDisplayActive": 0,
    "nvmlDeviceGetEccMode": [1, 1],
    "nvmlDeviceGetRemappedRows": [0, 0, 0, 0],
    "nvmlDeviceGetPcieReplayCounter": 0,
    "nvmlDeviceGetCurrPcieLinkGeneration": 5,
    "nvmlDeviceGetMaxPcieLinkGeneration": 5,
    "nvmlDeviceGetGpuMaxPcieLinkGeneration": 5,
    "nvmlDeviceGetCurrPcieLinkWidth": 16,
    "nvmlDeviceGetMaxPcieLinkWidth": 16,
    "nvmlDeviceGetMigMode": [0, 0],
    "nvmlDeviceGetMaxMigDeviceCount": 0,
    "nvmlDeviceIsMigDeviceHandle": 0,
    "nvmlDeviceGetComputeRunningProcesses": [],
    "nvmlDeviceGetGraphicsRunningProcesses": [],
    "nvmlDeviceGetMPSComputeRunningProcesses": [],
    "nvmlDeviceGetSupportedEventTypes": 0x19F,
}


def test_a_busy_h200(nvml: Session) -> None:
    gpu = nvml.gpu(3)
    assert {name: nvml.ask(name, gpu) for name in BUSY_H200} == BUSY_H200
    assert [nvml.ask("nvmlDeviceGetClockInfo", gpu, domain) for domain in range(4)] == [
        *(1980, 1980, 3201, 1545)
    ]
    assert [nvml.ask("nvmlDeviceGetMaxClockInfo", gpu, domain) for domain in range(4)] == [
        *(1980, 1980, 3201, 1545)
    ]
    assert nvml.ask("nvmlDeviceGetTemperature", gpu, 0) == 52
    assert nvml.ask("nvmlDeviceGetTemperatureV", gpu, 0) == 52
    thresholds = [nvml.ask("nvmlDeviceGetTemperatureThreshold", gpu, kind) for kind in range(4)]
    assert thresholds == [92, 89, 95, 87]
    errors = [nvml.ask("nvmlDeviceGetTotalEccErrors", gpu, i // 2, i % 2) for i in range(4)]
    assert errors == [0, 0, 0, 0]
    assert nvml.ask("nvmlDeviceGetPciInfo", gpu) == {
        "busIdLegacy": "0000:61:00.0",
        "domain": 0,
        "bus": 0x61,
        "device": 0,
        "pciDeviceId": 0x233510DE,
        "pciSubSystemId": 0x18BE10DE,
        "busId": "00000000:61:00.0",
    }


def test_what_no_h200_has(nvml: Session) -> None:
    gpu = nvml.gpu(0)
    for name in ("nvmlDeviceGetFanSpeed", "nvmlDeviceGetDriverModel", "nvmlDeviceGetAttributes"):
        with pytest.raises(NvmlError, match=r"NotSupported|InvalidArgument"):
            nvml.ask(name, gpu)
    with pytest.raises(NvmlError, match="NotSupported"):
        nvml.ask("nvmlDeviceGetTemperatureThreshold", gpu, 4)


def test_the_system(fake: FakeNvml, nvml: Session) -> None:
    assert nvml.ask("nvmlSystemGetDriverVersion") == "590.48.01"
    assert nvml.ask("nvmlSystemGetNVMLVersion") == "13.590.48.01"
    assert nvml.ask("nvmlSystemGetCudaDriverVersion_v2") == 13010
    assert nvml.ask("nvmlDeviceGetCount") == 8
    fake.update({"driver": "550.1", "cuda": 12.4, "count": 16})
    assert nvml.ask("nvmlSystemGetDriverVersion") == "550.1"
    assert nvml.ask("nvmlSystemGetCudaDriverVersion") == 12040
    assert nvml.ask("nvmlDeviceGetCount") == 16
    uuids = {nvml.ask("nvmlDeviceGetUUID", nvml.gpu(index)) for index in range(16)}
    buses = {nvml.ask("nvmlDeviceGetPciInfo", nvml.gpu(index))["busId"] for index in range(16)}
    assert len(uuids) == len(buses) == 16
    fake.set("count", 0)
    assert nvml.ask("nvmlDeviceGetCount") == 0
    with pytest.raises(NvmlError, match="InvalidArgument"):
        nvml.gpu(0)


def test_memory(fake: FakeNvml, nvml: Session) -> None:
    fake.set("gpu.1.memory_used", "1000MiB")
    gpu = nvml.gpu(1)
    version_2 = 0x02000028
    total, reserved, used = 143771 * MIB, 614 * MIB, 1000 * MIB
    assert nvml.ask("nvmlDeviceGetMemoryInfo", gpu, version_2) == {
        "version": version_2,
        "total": total,
        "reserved": reserved,
        "free": total - reserved - used,
        "used": used,
    }
    assert nvml.ask("nvmlDeviceGetMemoryInfo", gpu) == {
        "total": total,
        "free": total - reserved - used,
        "used": used + reserved,
    }
    with pytest.raises(NvmlError, match="ArgumentVersionMismatch"):
        nvml.ask("nvmlDeviceGetMemoryInfo", gpu, 0x01000028)
    bar1 = nvml.ask("nvmlDeviceGetBAR1MemoryInfo", gpu)
    assert bar1["bar1Total"] == bar1["bar1Free"] + bar1["bar1Used"]


def test_ways_to_a_device(fake: FakeNvml, nvml: Session) -> None:
    fake.update({"gpu.5.uuid": "GPU-x", "gpu.6.pci_bus_id": "00000002:0A:1F.0"})
    by_uuid = nvml.ask("nvmlDeviceGetHandleByUUID", "GPU-x")
    assert nvml.ask("nvmlDeviceGetIndex", by_uuid) == 5
    by_bus = nvml.ask("nvmlDeviceGetHandleByPciBusId", "00000002:0A:1F.0")
    assert nvml.ask("nvmlDeviceGetIndex", by_bus) == 6
    pci = nvml.ask("nvmlDeviceGetPciInfo", by_bus)
    assert (pci["domain"], pci["bus"], pci["device"]) == (2, 0x0A, 0x1F)
    for way in ("nvmlDeviceGetHandleByUUID", "nvmlDeviceGetHandleByPciBusId"):
        with pytest.raises(NvmlError, match="NotFound"):
            nvml.ask(way, "nobody")


def test_every_change_is_seen_at_once(fake: FakeNvml, nvml: Session) -> None:
    gpu = nvml.gpu(0)
    for celsius in [*range(30, 90), 31]:
        fake.set("gpu.0.temperature", celsius)
        assert nvml.ask("nvmlDeviceGetTemperature", gpu, 0) == celsius
        assert nvml.ask("nvmlDeviceGetMarginTemperature", gpu) == 87 - celsius


def test_a_star_is_every_gpu_and_later_lines_win(fake: FakeNvml, nvml: Session) -> None:
    fake.update({"gpu.2.temperature": 70, "gpu.*.temperature": 60, "gpu.3.temperature": 80})
    found = [nvml.ask("nvmlDeviceGetTemperature", nvml.gpu(index), 0) for index in range(8)]
    assert found == [60, 60, 60, 80, 60, 60, 60, 60]


def test_energy_is_what_power_makes_of_time(fake: FakeNvml, nvml: Session) -> None:
    gpu = nvml.gpu(0)

    def joules() -> float:
        return float(nvml.ask("nvmlDeviceGetTotalEnergyConsumption", gpu)) / 1000

    before = joules()
    fake.set("gpu.0.power", 1_000_000)
    wait_for(lambda: joules() > before + 100_000)
    grown = joules()
    fake.set("gpu.0.power", 0)
    assert joules() >= grown
    fake.set("gpu.0.energy", 12.5)
    assert nvml.ask("nvmlDeviceGetTotalEnergyConsumption", gpu) == 12_500


def test_counters_that_grow_by_themselves_survive_other_changes(
    fake: FakeNvml, nvml: Session
) -> None:
    gpu = nvml.gpu(0)
    fake.set("gpu.0.throttle_power_cap", "5 + 1000/s")
    wait_for(lambda: nvml.fields(gpu, 74) > [6_000_000_000])
    before = nvml.fields(gpu, 74)
    fake.set("gpu.0.temperature", 60)
    assert nvml.fields(gpu, 74) >= before
    fake.set("gpu.0.throttle_power_cap", 7.5)
    assert nvml.fields(gpu, 74) == [7_500_000_000]


def test_fields(fake: FakeNvml, nvml: Session) -> None:
    fake.update(
        {
            "gpu.0.throttle_power_cap": 1.5,
            "gpu.0.throttle_sync_boost": 2,
            "gpu.0.throttle_sw_thermal": 3,
            "gpu.0.throttle_hw_thermal": 4,
            "gpu.0.throttle_power_brake": 5,
            "gpu.0.energy": 1,
            "gpu.0.recovery_action": 2,
            "gpu.0.power_average": 500.5,
        }
    )
    gpu = nvml.gpu(0)
    seconds = [1_500_000_000, 2_000_000_000, 3_000_000_000, 4_000_000_000, 5_000_000_000]
    assert nvml.fields(gpu, 74, 76, 269, 270, 271) == seconds
    assert nvml.fields(gpu, 82, 83, 91, 94, 230) == [40, 1000, 18, 0, 2]
    assert nvml.fields(gpu, [185, 0], [186, 0]) == [500_500, 626_260]
    assert nvml.fields(gpu, [185, 1], [186, 1]) == ["3", "3"]
    assert nvml.fields(gpu, [185, 2], [186, 2]) == [84_500, 85_100]
    assert nvml.fields(gpu, [185, 3], 4711) == ["2", "3"]
    assert nvml.fields(gpu, 142, 143, 144, 145) == [0, 0, 0, 0]
    assert nvml.fields(gpu, 187, 188, 189, 190) == [200_000, 700_000, 700_000, 700_000]


def test_links(fake: FakeNvml, nvml: Session) -> None:
    fake.update(
        {
            "gpu.0.link.*.transmit": "2KiB",
            "gpu.0.link.*.receive": "1MiB",
            "gpu.0.link.3.receive": "2MiB",
            "gpu.0.link.3.active": 0,
            "gpu.0.link.4.replays": 5,
            "gpu.0.link.4.recoveries": 6,
            "gpu.0.link.4.crc_errors": 7,
        }
    )
    gpu = nvml.gpu(0)
    assert nvml.fields(gpu, [138, ALL_LINKS], [139, ALL_LINKS]) == [36, 19 * 1024]
    assert nvml.fields(gpu, [138, 0], [139, 3], [139, 17], [139, 18]) == [2, 2048, 1024, "2"]
    assert nvml.fields(gpu, [161, 4], [162, 4], [163, 4], [161, 5]) == [5, 6, 7, 0]
    assert nvml.fields(gpu, [165, 2], [165, 3], [161, ALL_LINKS]) == [1, 0, "2"]
    states = [nvml.ask("nvmlDeviceGetNvLinkState", gpu, link) for link in range(18)]
    assert states == [1, 1, 1, 0, *[1] * 14]
    with pytest.raises(NvmlError, match="InvalidArgument"):
        nvml.ask("nvmlDeviceGetNvLinkState", gpu, 18)


def test_the_fabric(fake: FakeNvml, nvml: Session) -> None:
    fake.set("gpu.1.fabric_state", 2)
    healthy = {"status": 0, "cliqueId": 0, "state": 3, "healthMask": 0x1AA}
    assert healthy.items() <= nvml.ask("fabric", nvml.gpu(0), 2).items()
    newest = nvml.ask("fabric", nvml.gpu(0), 3)
    assert {**healthy, "healthSummary": 1}.items() <= newest.items()
    assert nvml.ask("fabric", nvml.gpu(1), 3)["state"] == 2
    with pytest.raises(NvmlError, match="ArgumentVersionMismatch"):
        nvml.ask("fabric", nvml.gpu(0), 4)


def test_errors_that_memory_counts(fake: FakeNvml, nvml: Session) -> None:
    kinds = ("corrected_volatile", "corrected_aggregate")
    kinds += ("uncorrected_volatile", "uncorrected_aggregate")
    fake.update({f"gpu.0.ecc_{kind}": number for number, kind in enumerate(kinds, 1)})
    fake.update({"gpu.0.remapped_correctable": 5, "gpu.0.remapped_uncorrectable": 6})
    fake.update({"gpu.0.remapped_pending": 1, "gpu.0.remapped_failure": 1})
    gpu = nvml.gpu(0)
    found = [nvml.ask("nvmlDeviceGetTotalEccErrors", gpu, i // 2, i % 2) for i in range(4)]
    assert found == [1, 2, 3, 4]
    assert nvml.ask("nvmlDeviceGetRemappedRows", gpu) == [5, 6, 1, 1]
    fake.set("gpu.0.ecc_mode", 0)
    with pytest.raises(NvmlError, match="NotSupported"):
        nvml.ask("nvmlDeviceGetTotalEccErrors", gpu, 0, 0)


def test_pcie_throughput_takes_its_time(nvml: Session) -> None:
    gpu = nvml.gpu(0)
    assert nvml.ask("nvmlDeviceGetPcieThroughput", gpu, 0) == 512 * 1024
    assert nvml.ask("nvmlDeviceGetPcieThroughput", gpu, 1) == 256 * 1024


def test_a_consumers_card(fake: FakeNvml, nvml: Session) -> None:
    fake.update({"model": "consumer", "count": 1})
    gpu = nvml.gpu(0)
    assert nvml.ask("nvmlDeviceGetName", gpu) == "NVIDIA GeForce RTX 4090"
    assert nvml.ask("nvmlDeviceGetFanSpeed", gpu) == 45
    assert nvml.fields(gpu, 82, 91, [138, ALL_LINKS], 230) == ["3", 0, "3", "3"]
    assert nvml.ask("nvmlGpmQueryDeviceSupport", gpu)["isSupportedDevice"] == 0
    unsupported = {
        "nvmlDeviceGetSerial": (),
        "nvmlDeviceGetEccMode": (),
        "nvmlDeviceGetTotalEccErrors": (0, 0),
        "nvmlDeviceGetRemappedRows": (),
        "nvmlDeviceGetMigMode": (),
        "nvmlDeviceGetNvLinkState": (0,),
        "fabric": (3,),
    }
    for name, arguments in unsupported.items():
        with pytest.raises(NvmlError, match="NotSupported"):
            nvml.ask(name, gpu, *arguments)


def test_models_side_by_side(fake: FakeNvml, nvml: Session) -> None:
    fake.update({"gpu.1.model": "a100", "gpu.1.temperature": 44})
    assert nvml.ask("nvmlDeviceGetName", nvml.gpu(0)) == "NVIDIA H200"
    assert nvml.ask("nvmlDeviceGetName", nvml.gpu(1)) == "NVIDIA A100-SXM4-40GB"
    assert nvml.ask("nvmlDeviceGetTemperature", nvml.gpu(1), 0) == 44


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b"A \xff\xfe", repr(b"A \xff\xfe")),
        ('A "quoted" \\ name\nin two lines', 'A "quoted" \\ name\nin two lines'),
        ("Ünïcode ✓", "Ünïcode ✓"),
    ],
)
def test_names_that_nobody_expects(
    fake: FakeNvml, nvml: Session, given: str | bytes, expected: str
) -> None:
    fake.set("gpu.0.name", given)
    try:
        found = nvml.ask("nvmlDeviceGetName", nvml.gpu(0))
    except NvmlError as error:
        found = str(error)
    assert found == expected


def expanded(text: str) -> set[str]:
    """Return what `a_{b,c}` stands for."""
    braces = re.search(r"\{([^}]*)\}", text)
    if braces is None:
        return {text}
    choices = [text.replace(braces[0], choice, 1) for choice in braces[1].split(",")]
    return set().union(*map(expanded, choices))


def test_every_key_is_documented() -> None:
    readme = (SOURCES / "README.md").read_text().partition("## The state file")[2]
    spans = re.findall(r"`([^`]+)`", readme)
    documented = set().union(*(expanded(span.removeprefix("mig.K")) for span in spans))
    header = (SOURCES / "state.h").read_text()
    tables = dict(re.findall(r"#define ((?:GPU|LINK|MIG)_\w+)\(X\)((?:.*\\\n)*.*)", header))
    assert len(tables) == 5
    prefixes = {"GPU": "", "LINK": "link.L.", "MIG": "."}
    for table, text in tables.items():
        prefix = prefixes[table.partition("_")[0]]
        assert {prefix + key for key in re.findall(r"X\((\w+)", text)} - documented == set()
