"""The simulated GPUs through the GPU exporter's own collectors, against those over NVML."""

import threading
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter_testing.gpu.nvml import FakeNvml, Process
from exporter_testing.process import Start, wait_for
from exporter_testing.simulated import START, Life, Told, settings_of, tell
from llm_monitor.base.exporter import Exporter
from llm_monitor.gpu.exporter import Settings, build
from llm_monitor.gpu.facts import Gpu
from llm_monitor.gpu.xids import Xids
from llm_monitor.mock.identity import container_id, gpu_uuid
from llm_monitor.mock.sources.gpu import Card, SimulatedGpus, SimulatedXids
from llm_monitor.mock.sources.gpu_processes import SimulatedOwners
from llm_monitor.mock.world.gpus import Gpus

G = "llm_monitor_gpu_"
HOUR = 3600.0
# What differs from one server to the next; all else has to be the same.
VARYING = ("gpu_uuid", "container", "pci_bus_id", "python", "version")


def exporter(life: Life, server: int = 0) -> Exporter:
    view = life.view(server)
    source = SimulatedGpus(view)
    owners = SimulatedOwners(view.plan, server)
    return build(settings_of("gpu", Settings), source, owners, SimulatedXids(source))


def told(life: Life) -> Told:
    return tell(exporter(life))


@pytest.fixture(scope="module")
def usual() -> Told:
    return told(Life().go_on(2 * HOUR))


def test_families_labels_and_units_are_those_of_the_real_exporter(
    usual: Told, tmp_path: Path, start_exporter: Start
) -> None:
    fake = FakeNvml(tmp_path)
    for gpu in range(8):
        fake.processes(gpu, [Process(pid=4000 + gpu, sm=90)])
        folder = tmp_path / "proc" / str(4000 + gpu)
        folder.mkdir(parents=True)
        (folder / "cgroup").write_text(f"0::/docker/{gpu:064x}\n")
    variables = {"GPU__PROC": str(tmp_path / "proc"), "MIN_INTERVAL": "0"}
    running = start_exporter("gpu", variables, fake.environment())

    def ask() -> Told:
        return Told.of(running.get(Accept="application/openmetrics-text; version=1.0.0").text)

    # What GPUs' units do is known from the second time on.
    wait_for(lambda: ask().by(f"{G}sm_active_ratio", "gpu") != {})
    real = ask()
    assert usual.families == real.families
    assert usual.shapes(VARYING) == real.shapes(VARYING)


def test_the_gpus_are_one_whole(usual: Told) -> None:
    gpus = [str(index) for index in range(8)]
    assert usual.by(f"{G}memory_total_bytes", "gpu", "gpu_uuid").keys() == {
        (gpu, gpu_uuid(0, int(gpu))) for gpu in gpus
    }
    for gpu in gpus:
        parts = [usual.one(f"{G}memory_{p}_bytes", gpu=gpu) for p in ("used", "free", "reserved")]
        assert sum(parts) == usual.one(f"{G}memory_total_bytes", gpu=gpu)
        assert min(parts) > 0
        assert usual.one(f"{G}processes", gpu=gpu) == 1
        (container,) = usual.by(f"{G}container_memory_used_bytes", "container", gpu=gpu)
        held = usual.one(f"{G}container_memory_used_bytes", gpu=gpu)
        assert held == usual.one(f"{G}memory_used_bytes", gpu=gpu)
        assert container[0].startswith("vllm-")
        ratio = usual.one(f"{G}container_utilization_ratio", gpu=gpu)
        assert ratio == pytest.approx(usual.one(f"{G}utilization_ratio", gpu=gpu), abs=0.02)
        assert 118 <= usual.one(f"{G}power_watts", gpu=gpu) <= 700
        assert usual.one(f"{G}energy_joules_total", gpu=gpu) > 118 * 2 * HOUR * 0.9
        assert 25 < usual.one(f"{G}temperature_celsius", gpu=gpu, sensor="die") < 75
        active = usual.one(f"{G}sm_active_ratio", gpu=gpu)
        assert 0.02 < active <= usual.one(f"{G}utilization_ratio", gpu=gpu) + 0.01
    assert not any(usual.by(f"{G}xid_errors_total", "gpu", "xid").values())
    # A model on one GPU sends nothing to others.
    sent = usual.by(f"{G}nvlink_transmit_bytes_total", "gpu")
    assert {gpu for (gpu,), count in sent.items() if count} == {"0", "1", "2", "3", "4", "5"}


def test_each_server_has_gpus_and_processes_of_its_own() -> None:
    life = Life(servers=2).go_on(HOUR)
    first, second = (tell(exporter(life, server)) for server in (0, 1))

    uuids = [set(one.by(f"{G}info", "gpu_uuid")) for one in (first, second)]
    assert not uuids[0] & uuids[1]
    watts = [one.by(f"{G}power_watts", "gpu") for one in (first, second)]
    assert watts[0] != watts[1]


def test_processes_have_programs_and_containers() -> None:
    life = Life().go_on(HOUR)
    view = life.view()
    source, owners = SimulatedGpus(view), SimulatedOwners(view.plan, 0)
    pids = [[one.pid for one in source.processes(gpu).processes or ()] for gpu in source.gpus()]

    assert len({pid for each in pids for pid in each}) == 8
    found = owners.of([*pids[0], *pids[1], 1])
    assert {one.name for one in found.values()} == {"vllm-llama3-70b"}
    assert {one.id for one in found.values()} == {container_id(0, "vllm-llama3-70b")}
    assert [owners.program(each[0]) for each in (pids[0], pids[7])] == [
        "VLLM::Worker_TP",
        "VLLM::EngineCor",
    ]
    assert owners.program(1) == ""


def test_a_gpu_that_is_lost_takes_its_series_and_its_model_with_it() -> None:
    life = Life().go_on(HOUR)
    running = exporter(life)
    tell(running)
    life.befall("gpu_lost", "3").go_on(90)
    lost = tell(running)

    assert lost.one(f"{G}gpus") == 7
    assert lost.one(f"{G}gpus_expected") == 8
    assert lost.one(f"{G}up") == 1
    assert ("3",) not in lost.by(f"{G}responding", "gpu")
    assert lost.one(f"{G}xid_errors_total", gpu=3, xid=79) == 1
    moment = lost.one(f"{G}xid_last_timestamp_seconds", gpu=3, xid=79)
    assert START + HOUR <= moment <= START + HOUR + 30
    # Its model's other GPU has nothing to do any more.
    assert lost.one(f"{G}processes", gpu=2) == 0
    assert lost.one(f"{G}sm_active_ratio", gpu=2) == 0
    assert lost.one(f"{G}xid_errors_total", gpu=2, xid=79) == 0

    life.heal().go_on(HOUR)
    back = tell(running)
    assert back.one(f"{G}gpus") == 8
    assert back.one(f"{G}xid_errors_total", gpu=3, xid=79) == 1
    assert back.one(f"{G}processes", gpu=2) == 1


def test_when_all_gpus_are_lost_the_exporter_is_not_down() -> None:
    life = Life().go_on(HOUR)
    running = exporter(life)
    tell(running)
    life.befall("gpu_lost").go_on(90)

    assert tell(running).one(f"{G}gpus") == 0


def test_a_gpu_that_hangs_is_there_but_does_not_respond() -> None:
    found = told(Life().go_on(HOUR).befall("gpu_hang", "5").go_on(60))

    assert found.one(f"{G}gpus") == 8
    assert found.by(f"{G}responding", "gpu") == {(str(gpu),): float(gpu != 5) for gpu in range(8)}
    assert ("5",) not in found.by(f"{G}power_watts", "gpu")
    assert found.one(f"{G}collector_success", collector="power") == 1


def test_a_driver_that_does_not_answer_is_a_failure_of_the_source() -> None:
    found = told(Life().go_on(HOUR).befall("collector_failing", "gpu").go_on(60))

    assert found.one(f"{G}up") == 0
    assert not found.by(f"{G}gpus")
    # A fault of another exporter's is none of this one.
    assert told(Life().befall("collector_failing", "node").go_on(60)).one(f"{G}up") == 1


def test_xids_come_once_a_minute_until_they_end() -> None:
    life = Life().go_on(HOUR).befall("xid", "2", 31)
    counts = [told(life.go_on(60)).one(f"{G}xid_errors_total", gpu=2, xid=31) for _ in range(10)]
    life.heal()
    ended = [told(life.go_on(600)) for _ in range(2)]

    assert counts == sorted(counts)
    assert counts[-1] - counts[0] == 9
    last, later = (one.one(f"{G}xid_errors_total", gpu=2, xid=31) for one in ended)
    assert counts[-1] <= last == later <= 11
    moment = ended[-1].one(f"{G}xid_last_timestamp_seconds", gpu=2, xid=31)
    assert START + HOUR + 540 <= moment <= START + HOUR + 630
    assert set(ended[-1].by(f"{G}xid_errors_total", "gpu", xid=31)) == {("2",)}


def test_xids_that_were_never_asked_for_are_counted_all_the_same() -> None:
    life = Life().befall("xid", "2", 31)
    assert told(life.go_on(3 * HOUR)).one(f"{G}xid_errors_total", gpu=2, xid=31) in (180, 181)


def test_when_a_fault_began_is_no_matter_of_microseconds() -> None:
    life = Life().go_on(HOUR)
    life.befall("gpu_lost", "3").befall("xid", "2", 31)
    began = list(life.faults)
    for step in range(20):
        # A scenario works this out anew for each moment, as far as floating point goes.
        life.faults[:] = [
            fault.__class__(fault.fault, fault.target, fault.value, fault.since + step % 3 * 2.4e-7)
            for fault in began
        ]
        life.go_on(30)

    found = told(life)
    assert found.one(f"{G}xid_errors_total", gpu=3, xid=79) == 1
    assert found.one(f"{G}xid_errors_total", gpu=2, xid=31) in (10, 11)


def test_whoever_watches_is_told_the_same_xids() -> None:
    life = Life().befall("xid", "2", 31).go_on(300)
    source = SimulatedGpus(life.view())
    watched, stop = Xids(source), threading.Event()
    thread = threading.Thread(target=watched.watch, args=(stop,))
    thread.start()
    gpu = Gpu(2, gpu_uuid(0, 2))

    def count() -> int:
        return watched.counted([gpu]).get((gpu, 31), (0, None))[0]

    try:
        wait_for(lambda: count() == source.xids()[gpu, 31][0])
        before = count()
        life.go_on(600)
        wait_for(lambda: count() == before + 10)
    finally:
        stop.set()
        thread.join()
    assert count() == source.xids()[gpu, 31][0]
    # A thread that begins anew tells nothing twice.
    watched.watch(stop)
    assert count() == source.xids()[gpu, 31][0]


@pytest.mark.parametrize(
    ("kind", "name", "labels", "rise"),
    [
        ("ecc", "ecc_errors_total", {"kind": "uncorrected", "counter": "volatile"}, 6),
        ("ecc_corrected", "ecc_errors_total", {"kind": "corrected", "counter": "aggregate"}, 60),
        ("nvlink_errors", "nvlink_errors_total", {"kind": "replay"}, 18000),
        ("pcie_replays", "pcie_replays_total", {}, 7200),
    ],
)
def test_errors_are_counted_on_the_gpu_that_has_them(
    kind: str, name: str, labels: dict[str, str], rise: float
) -> None:
    found = told(Life().befall(kind, "1").go_on(HOUR))

    assert found.one(f"{G}{name}", gpu=1, **labels) == pytest.approx(rise, rel=0.05, abs=1)
    assert found.one(f"{G}{name}", gpu=0, **labels) == 0


def test_rows_that_wait_for_a_reset_and_rows_that_cannot_be_replaced() -> None:
    found = told(Life().befall("row_remap", "1").befall("row_remap_failure", "2").go_on(60))

    assert [found.one(f"{G}remap_pending", gpu=gpu) for gpu in range(3)] == [0, 1, 0]
    assert [found.one(f"{G}remap_failure", gpu=gpu) for gpu in range(3)] == [0, 0, 1]
    assert found.one(f"{G}remapped_rows", gpu=1, cause="uncorrectable") == 1
    assert found.one(f"{G}xid_errors_total", gpu=1, xid=63) == 1
    assert found.one(f"{G}xid_errors_total", gpu=2, xid=64) == 1
    assert found.one(f"{G}recovery_action", gpu=1) == 4


def test_a_registration_that_fails_is_a_fault_of_the_fabric() -> None:
    found = told(Life().befall("fabric", "4").go_on(60))

    unhealthy = found.by(f"{G}fabric_unhealthy", "gpu", "aspect")
    assert [key for key, value in unhealthy.items() if value] == [("4", "registration_failed")]


def test_heat_raises_temperatures_and_then_holds_clocks_down() -> None:
    life = Life().befall("overheat", "0", 60).befall("model_overload", "llama3-70b", 4).go_on(HOUR)
    hot = told(life)
    later = told(life.go_on(300))

    assert hot.one(f"{G}temperature_celsius", gpu=0, sensor="die") > 85
    assert hot.one(f"{G}temperature_margin_celsius", gpu=0) <= 5
    assert hot.one(f"{G}throttle_active", gpu=0, reason="sw_thermal") == 1
    held = [
        one.one(f"{G}throttle_seconds_total", gpu=0, reason="sw_thermal") for one in (hot, later)
    ]
    assert (held[1] - held[0]) / 300 > 0.05
    assert hot.one(f"{G}clock_hertz", gpu=0, domain="sm") < 1980e6
    assert hot.one(f"{G}clock_hertz", gpu=0, domain="memory") == 3201e6
    assert hot.one(f"{G}throttle_active", gpu=6, reason="sw_thermal") == 0
    assert hot.one(f"{G}clock_hertz", gpu=6, domain="sm") == 1980e6


def test_the_power_supply_can_hold_clocks_down() -> None:
    life = Life().befall("power_brake", "6").go_on(600)
    found = told(life)

    held = found.one(f"{G}throttle_seconds_total", gpu=6, reason="hw_power_brake")
    assert held == pytest.approx(0.3 * 600, rel=0.1)
    assert found.one(f"{G}throttle_active", gpu=6, reason="hw_slowdown") == 1
    assert found.one(f"{G}throttle_active", gpu=5, reason="hw_slowdown") == 0


def test_another_container_can_fill_the_memory() -> None:
    found = told(Life().befall("gpu_memory_leak", "7").go_on(HOUR))

    used, total = (found.one(f"{G}memory_{what}_bytes", gpu=7) for what in ("used", "total"))
    assert used / total > 0.98
    assert found.one(f"{G}memory_free_bytes", gpu=7) >= 0
    held = found.by(f"{G}container_memory_used_bytes", "container", gpu=7)
    assert held.keys() == {("vllm-phi3-mini",), ("embeddings",)}
    assert sum(held.values()) == pytest.approx(used, rel=0.001)
    assert found.one(f"{G}processes", gpu=7) == 2


def test_a_model_that_nobody_asks_leaves_its_gpu_idle_with_memory_held() -> None:
    found = told(Life().befall("model_idle", "phi3-mini").go_on(2 * HOUR))

    assert found.one(f"{G}sm_active_ratio", gpu=7) < 0.02
    assert found.one(f"{G}memory_used_bytes", gpu=7) > 0.1 * found.one(
        f"{G}memory_total_bytes", gpu=7
    )


def test_every_field_of_the_simulated_gpus_reaches_the_source() -> None:
    assert set(Card._fields[1:]) == set(Gpus.__slots__)


@settings(max_examples=15, deadline=None)
@given(
    pauses=st.lists(st.integers(1, 900), min_size=2, max_size=6),
    faults=st.lists(
        st.tuples(
            st.sampled_from(["gpu_lost", "xid", "ecc", "overheat", "gpu_memory_leak", "gpu_hang"]),
            st.sampled_from(["", "0", "5"]),
        ),
        max_size=3,
    ),
)
def test_counters_rise_and_memory_adds_up_whatever_happens(
    pauses: list[int], faults: list[tuple[str, str]]
) -> None:
    life = Life()
    running = exporter(life)
    seen = []
    for number, pause in enumerate(pauses):
        if number < len(faults):
            life.befall(*faults[number])
        seen.append(tell(running))
        life.go_on(pause)
    for before, after in pairwise(seen):
        for series, value in after.series.items():
            if series[0].endswith("_total"):
                assert value >= before.series.get(series, 0), series
    for one in seen:
        for gpu in one.by(f"{G}memory_total_bytes", "gpu"):
            parts = [
                one.one(f"{G}memory_{part}_bytes", gpu=gpu[0])
                for part in ("used", "free", "reserved")
            ]
            assert sum(parts) == one.one(f"{G}memory_total_bytes", gpu=gpu[0])
            assert min(parts) >= 0
