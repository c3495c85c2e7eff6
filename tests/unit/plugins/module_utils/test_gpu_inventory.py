"""What is read from the reports of several GPUs and drivers, and from what is none."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_inventory import (
    Gpu,
    Inventory,
    MigDevice,
    Pcie,
    inventory,
    with_mig_names,
    with_nvlinks,
)

MIB = 1024**2
NO_HANDLE = "Unable to determine the device handle for "


def error_of(found: Inventory) -> list[str | None]:
    return [gpu.error for gpu in found.gpus]


# ------------------------------------------------------------ whole reports


def test_eight_h200(smi_text: Any) -> None:
    found = inventory(0, smi_text("h200_8.xml"))
    assert (found.source, found.driver_version, found.cuda_version) == ("nvidia-smi", "590.48.01", "13.1")
    assert (len(found.gpus), found.problem, found.usable) == (8, None, found.gpus)
    assert found.gpus[3] == Gpu(
        index=3,
        uuid="GPU-7bae0f25-1cca-f30e-0002-d1f7c3b82879",
        name="NVIDIA H200",
        memory_total_bytes=143771 * MIB,
        pci_bus_id="00000000:61:00.0",
        serial="1650724010411",
        vbios="96.00.A5.00.03",
        ecc_enabled=True,
        mig_enabled=False,
        persistence_enabled=True,
        power_limit_watts=700.0,
        pcie=Pcie(5, 5, 16, 16),
        fabric_state="Completed",
        fabric_status="Success",
        fabric_health="Healthy",
    )


def test_a_split_a100_beside_a_whole_one(smi_text: Any) -> None:
    split, whole = with_mig_names(inventory(0, smi_text("a100_mig.xml")), smi_text("a100_mig_list.txt")).gpus
    assert (split.mig_enabled, whole.mig_enabled, whole.mig_devices) == (True, False, ())
    assert split.mig_devices == (
        MigDevice(0, "MIG-afd5c9a7-d6c9-c927-e478-6b6c51516f49", "3g.20gb", 2, 19968 * MIB),
        MigDevice(1, "MIG-682b3859-680c-3877-7337-ce8aa2445137", "2g.10gb", 3, 9984 * MIB),
        MigDevice(2, "MIG-2d68671f-1810-7dc9-d168-33899d5a796f", "2g.10gb", 5, 9984 * MIB),
    )
    assert (split.persistence_enabled, split.power_limit_watts, split.fabric_state) == (False, 400.0, None)


def test_without_a_listing_mig_devices_have_no_names(smi_text: Any) -> None:
    split, _whole = with_mig_names(inventory(0, smi_text("a100_mig.xml")), "No devices found.\n").gpus
    assert [(device.uuid, device.profile) for device in split.mig_devices] == [(None, None)] * 3


def test_a_consumer_card_tells_little(smi_text: Any) -> None:
    (card,) = inventory(0, smi_text("rtx4090.xml")).gpus
    assert (card.name, card.memory_total_bytes) == ("NVIDIA GeForce RTX 4090", 24564 * MIB)
    untold = (card.serial, card.ecc_enabled, card.mig_enabled, card.fabric_state, card.fabric_health, card.error)
    assert untold == (None,) * 6
    assert card.pcie == Pcie(1, 4, 16, 16)


def test_a_gpu_keeps_its_values_as_a_dictionary(smi_text: Any) -> None:
    found = with_mig_names(inventory(0, smi_text("a100_mig.xml")), smi_text("a100_mig_list.txt"))
    assert tuple(Gpu.from_dict(gpu) for gpu in found.facts()["gpus"]) == found.gpus


def test_newer_and_older_names_of_elements_are_known() -> None:
    gpu = "<gpu id='00000000:01:00.0'><power_readings><enforced_power_limit>300.00 W</enforced_power_limit>"
    found = inventory(
        0,
        "<nvidia_smi_log><kmd_version>610.57.04</kmd_version><cuda_umd_version>13.3</cuda_umd_version>"
        f"{gpu}</power_readings></gpu></nvidia_smi_log>",
    )
    assert (found.driver_version, found.cuda_version) == ("610.57.04", "13.3")
    assert (found.gpus[0].power_limit_watts, found.gpus[0].pci_bus_id) == (300.0, "00000000:01:00.0")


@pytest.mark.parametrize(
    ("health", "told"),
    [
        ("", None),
        ("<summary>N/A</summary><bandwidth>N/A</bandwidth>", None),
        ("<bandwidth>Full</bandwidth><route_unhealthy>False</route_unhealthy>", "Healthy"),
        ("<summary>Limited Capacity</summary><bandwidth>Full</bandwidth>", "Limited Capacity"),
        ("<summary>Unhealthy</summary>", "Unhealthy"),
        (
            "<summary>Unhealthy</summary><bandwidth>Degraded</bandwidth><route_unhealthy>True</route_unhealthy>",
            "Unhealthy (bandwidth: Degraded, route_unhealthy: True)",
        ),
    ],
)
def test_the_fabrics_health_is_one_word_or_names_what_is_wrong(health: str, told: str | None) -> None:
    report = f"<nvidia_smi_log><gpu><fabric><health>{health}</health></fabric></gpu></nvidia_smi_log>"
    assert inventory(0, report).gpus[0].fabric_health == told


# ------------------------------------------------------------ GPUs that are lost


def test_a_lost_gpu_has_an_error_and_what_is_still_known(smi_text: Any) -> None:
    found = inventory(15, smi_text("h200_lost.xml"))
    assert error_of(found) == [None, "GPU is lost", None]
    lost = found.gpus[1]
    assert (lost.name, lost.pci_bus_id, lost.memory_total_bytes) == ("NVIDIA H200", "00000000:43:00.0", None)
    assert (lost.serial, lost.vbios, lost.ecc_enabled, lost.pcie) == (None, None, None, Pcie(None, 5, None, 16))
    assert found.problem is None


def test_a_name_that_a_user_gave_to_a_process_is_no_error(smi_text: Any) -> None:
    text = smi_text("h200_8.xml").replace("VLLM::Worker &lt;0&gt; — GPU is lost", "GPU is lost")
    assert set(error_of(inventory(0, text))) == {None}


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("GPU3: 0000:61:00.0: Unknown Error", "Unknown Error"),
        ("GPU 0000:61:00.0: GPU is lost.  Reboot the system to recover this GPU", "GPU is lost. Reboot the system"),
        ("gpu 0000:61:00.0: GPU is lost.  Reboot the system to recover this GPU", "GPU is lost. Reboot the system"),
        ("GPU0000:61:00.0: Unknown Error", "Unknown Error"),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_a_gpu_without_handle_is_put_where_it_was(smi_text: Any, line: str, error: str, before: bool) -> None:
    report = smi_text("h200_8.xml", without=[3])
    found = inventory(0, f"{NO_HANDLE}{line}\r\n{report}" if before else f"{report}\n{NO_HANDLE}{line}\n")
    assert [gpu.index for gpu in found.gpus] == list(range(8))
    assert [gpu.pci_bus_id for gpu in found.gpus][2:5] == ["00000000:52:00.0", "00000000:61:00.0", "00000000:9D:00.0"]
    lost = found.gpus[3]
    assert lost.error is not None
    assert lost.error.startswith(error)
    assert (len(found.usable), lost.words, found.problem) == (7, "GPU 3 (00000000:61:00.0)", None)


@pytest.mark.parametrize(("line", "index"), [("GPU1: Unknown Error", 1), ("GPU: Unknown Error", 7)])
def test_a_gpu_without_handle_and_address_is_put_by_its_number_or_last(smi_text: Any, line: str, index: int) -> None:
    found = inventory(0, f"{NO_HANDLE}{line}\n{smi_text('h200_8.xml', without=[1])}")
    assert [gpu.index for gpu in found.gpus if gpu.error == "Unknown Error"] == [index]
    assert found.gpus[index].words == f"GPU {index} (without UUID)"


def test_two_lost_gpus_are_both_found(smi_text: Any) -> None:
    lines = [f"{NO_HANDLE}GPU0: 0000:1B:00.0: Unknown Error", f"{NO_HANDLE}GPU7: 0000:DF:00.0: Unknown Error"]
    found = inventory(0, "\n".join([*lines, smi_text("h200_8.xml", without=[0, 7])]))
    assert [gpu.index for gpu in found.gpus if gpu.error] == [0, 7]
    assert [gpu.index for gpu in found.usable] == list(range(1, 7))


def test_a_gpu_that_is_reported_and_complained_of_is_one(smi_text: Any) -> None:
    found = inventory(15, f"{NO_HANDLE}GPU1: 0000:43:00.0: Unknown Error\n{smi_text('h200_lost.xml')}")
    assert error_of(found) == [None, "GPU is lost", None]


def test_a_lost_gpu_that_silences_the_report_is_a_problem_too() -> None:
    found = inventory(255, f"{NO_HANDLE}GPU 0000:05:00.0: GPU is lost.  Reboot the system to recover this GPU\n")
    assert found.problem is not None
    assert found.problem.kind == "lost"
    assert [(gpu.index, gpu.pci_bus_id) for gpu in found.gpus] == [(0, "00000000:05:00.0")]
    assert "nvidia-smi tells nothing of the others (exit code 255: Unable to determine" in found.problem.text


@pytest.mark.parametrize(
    ("inside", "error"),
    [
        ("<uuid>GPU-1</uuid><fb_memory_usage><total>Unknown Error</total></fb_memory_usage>", "Unknown Error at fb_"),
        ("<uuid>Unknown Error</uuid>", "Unknown Error at uuid"),
        ("<ecc_mode><current_ecc>GPU requires reset</current_ecc></ecc_mode>", "GPU requires reset"),
        ("<gpu_recovery_action>Reset</gpu_recovery_action>", "The driver asks for a reset of this GPU"),
        ("<gpu_recovery_action>Reboot</gpu_recovery_action>", "The driver asks for a reboot of the host"),
        ("<gpu_recovery_action>Drain P2P</gpu_recovery_action>", None),
        ("<voltage><graphics_volt>Unknown Error</graphics_volt></voltage>", None),
        ("<uuid>Insufficient Permissions</uuid>", None),
    ],
)
def test_what_makes_a_gpu_useless(inside: str, error: str | None) -> None:
    (gpu,) = inventory(0, f"<nvidia_smi_log><gpu>{inside}</gpu></nvidia_smi_log>").gpus
    assert (gpu.error or "").startswith(error or "")
    assert (gpu.error is None) == (error is None)


# ------------------------------------------------------------ no report

COMPLAINTS = [
    (9, "not_loaded.txt", "not_loaded", "The NVIDIA driver is installed, but not loaded into the kernel (exit code 9:"),
    (18, "mismatch.txt", "mismatch", "of another version than its programs and libraries (exit code 18: Failed to"),
]
SENTENCES = [
    (6, "No devices were found\n", "no_gpu", "finds no GPU (exit code 6: No devices were found)."),
    (0, "No devices were found\n", "no_gpu", "finds no GPU (exit code 0: No devices were found)."),
    (4, "", "forbidden", "This user may not ask the NVIDIA driver (exit code 4)."),
    (255, "Failed to initialize NVML: Insufficient Permissions", "forbidden", "This user may not ask"),
    (255, "Failed to initialize NVML: Unknown Error\n", "no_access", "can't be asked (exit code 255: Failed to init"),
    (12, "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.", "no_library", "libnvidia-ml.so is miss"),
    (127, "nvidia-smi: error while loading shared libraries: libnvidia-ml.so.1: cannot open", "no_library", "missing"),
    (139, "Segmentation fault\x1b[0m\n", "failed", "nvidia-smi failed (exit code 139: Segmentation fault [0m)."),
    (0, "", "unreadable", "nvidia-smi -q -x is not understood: it printed nothing."),
    (0, "hello\n", "unreadable", "it printed no report but 'hello'."),
    (0, "\xff\x00<nvidia_smi_log>\x00</nvidia_smi_log>", "unreadable", "its report is no XML, not well-formed"),
    (0, "<nvidia_smi_log><gpu>", "unreadable", "its report breaks off."),
    (0, "<nvidia_smi_log><gpu></nvidia_smi_log>", "unreadable", "its report is no XML, mismatched tag"),
    (0, "<nvidia_smi_log></nvidia_smi_log>", "no_gpu", "The NVIDIA driver is loaded, but finds no GPU."),
]


@pytest.mark.parametrize(("code", "name", "kind", "sentence"), COMPLAINTS, ids=lambda value: str(value)[:20])
def test_a_driver_that_can_not_be_asked_is_a_problem(
    smi_text: Any, code: int, name: str, kind: str, sentence: str
) -> None:
    problem_is(inventory(code, smi_text(name)), kind, sentence)


@pytest.mark.parametrize(("code", "text", "kind", "sentence"), SENTENCES, ids=lambda value: str(value)[:20])
def test_what_is_no_report_is_a_problem(code: int, text: str, kind: str, sentence: str) -> None:
    problem_is(inventory(code, text), kind, sentence)


def problem_is(found: Inventory, kind: str, sentence: str) -> None:
    assert found.gpus == ()
    assert found.problem is not None
    assert found.problem.kind == kind
    assert sentence in found.problem.text
    assert "\n" not in found.problem.text
    assert found.problem.text.endswith(".")
    assert found.problem.hint


@pytest.mark.parametrize("part", [0.01, 0.3, 0.9, 0.999])
def test_a_report_that_breaks_off_is_a_problem(smi_text: Any, part: float) -> None:
    text = smi_text("h200_8.xml")
    found = inventory(0, text[: int(len(text) * part)])
    assert found.gpus == ()
    assert found.problem is not None
    assert found.problem.kind == "unreadable"


def test_entities_are_never_expanded(smi_text: Any) -> None:
    start = time.process_time()
    found = inventory(0, smi_text("laughs.xml"))
    assert time.process_time() - start < 1
    problem_is(found, "unreadable", "its report is no XML, undefined entity")


@pytest.mark.parametrize("part", ["<gpu/>", "<a>", f"{NO_HANDLE}GPU0: 0000:1B:00.0: Unknown Error\n"])
def test_a_report_that_only_shall_keep_us_busy_is_given_up(part: str) -> None:
    start = time.process_time()
    found = inventory(0, f"<nvidia_smi_log>{part * 100_000}</nvidia_smi_log>")
    assert time.process_time() - start < 5
    assert found.usable == ()
    assert found.problem or [gpu.error for gpu in found.gpus] == ["Unknown Error"]


def test_a_file_of_the_host_can_not_be_drawn_in() -> None:
    text = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><nvidia_smi_log><gpu>&f;</gpu></nvidia_smi_log>'
    problem_is(inventory(0, text), "unreadable", "undefined entity")


def test_an_exit_code_that_no_gpu_explains_is_a_problem_beside_the_gpus(smi_text: Any) -> None:
    warning = "WARNING: infoROM is corrupted at gpu 0000:1B:00.0"
    found = inventory(14, f"{smi_text('h200_8.xml')}\n{warning}\n")
    assert len(found.usable) == 8
    assert found.problem is not None
    assert found.problem.text == f"A GPU's infoROM is damaged (exit code 14: {warning})."


def test_a_long_complaint_is_cut() -> None:
    found = inventory(1, "x" * 100_000)
    assert found.problem is not None
    assert len(found.problem.text) < 400


# ------------------------------------------------------------ NVLinks


def test_active_links_are_counted_per_gpu(smi_text: Any) -> None:
    found = with_nvlinks(inventory(0, smi_text("h200_8.xml")), smi_text("h200_8_nvlink.txt"))
    assert [gpu.nvlinks_active for gpu in found.gpus] == [18, 18, 18, 18, 18, 16, 18, 18]


@pytest.mark.parametrize(
    ("status", "links"),
    [
        ("", None),
        ("GPU 0: NVIDIA GeForce RTX 4090 (UUID: GPU-dbcb0d45-5a9d-b7b3-49f1-ea3d9dc3f3f0)\n", None),
        ("GPU 0: NVIDIA GeForce RTX 4090\n\t Link 0: 14.062 GB/s\r\n\t Link 1: 14.062 GB/s\r\n", 2),
        ("GPU 0: NVIDIA GeForce RTX 4090\n\t Link 0: <inactive>\n\t Link 1: Unknown Error\n", 0),
        ("GPU 0: NVIDIA GeForce RTX 4090\nNVML: Unable to retrieve NVLink information as all links are inActive\n", 0),
        ("GPU 1: another (UUID: GPU-0)\n\t Link 0: 25 GB/s\n", None),
        ("Device does not have or support Nvlink\n", None),
    ],
)
def test_only_a_link_with_a_speed_is_active(smi_text: Any, status: str, links: int | None) -> None:
    found = with_nvlinks(inventory(0, smi_text("rtx4090.xml")), status)
    assert found.gpus[0].nvlinks_active == links
