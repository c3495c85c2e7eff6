"""The check for machines with GPUs, over the fake library and a stand-in for nvidia-smi."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exporter_testing.gpu.nvml import FakeNvml
from exporter_testing.process import TESTS, plain_environment
from hardware.compare import Pair, agrees, compare
from hardware.exporter import parsed
from hardware.report import Verdict
from hardware.smi import Smi, SmiError, Told

GPU = "GPU-fa4e0000-0000-4000-8000-000000000000"
INFO = {"name": "NVIDIA H200", "driver": "590", "cuda": "13.1", "vbios": "96", "pci_bus_id": "1B"}
REST = {
    "count": 1,
    "gpu.0.utilization": 0,
    "gpu.0.power": 75,
    "gpu.0.memory_used": "0MiB",
    "gpu.0.temperature": 30,
    # What grows by itself is another amount in each process that looks.
    "gpu.0.link.*.transmit": "4096GiB",
    "gpu.0.link.*.receive": "4096GiB",
    **{f"gpu.0.gpm.{metric}": 0 for metric in (2, 3, 5, 10)},
}
# What computes in PyTorch's place: it writes what the GPU then says, and ends with its input.
LOAD = """#!/bin/sh
cat >> "$FAKE_NVML_STATE" <<END
gpu.0.utilization = 100
gpu.0.power = 690
gpu.0.memory_used = 8192MiB
gpu.0.temperature = 55
gpu.0.gpm.2 = 95
gpu.0.gpm.3 = 25
gpu.0.gpm.5 = 80
gpu.0.gpm.10 = 20
gpu.0.process.$$.memory = 5368709120
END
echo '{"pid": '$$', "bytes": 4294967296, "gpu_uuid": "GPU-fa4e0000-0000-4000-8000-000000000000"}'
cat > /dev/null
"""


def program(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def check(
    folder: Path, *arguments: str, lies: dict[str, str] | None = None, load: str = "exit 3"
) -> subprocess.CompletedProcess[str]:
    """Run the check over one GPU at rest."""
    fake = FakeNvml(folder, REST)
    smi = program(
        folder / "smi", f'#!/bin/sh\nexec "{sys.executable}" -m exporter_testing.gpu.smi "$@"\n'
    )
    python = program(folder / "python", load)
    environment = {**plain_environment(), **fake.environment(), "SMI_LIES": json.dumps(lies or {})}
    quick = ("--rounds", "1", "--pause", "0", "--seconds", "0.3")
    return subprocess.run(
        [sys.executable, "-m", "hardware", "--smi", smi, "--python", python, *quick, *arguments],
        env=environment,
        cwd=TESTS,
        capture_output=True,
        text=True,
        check=False,
    )


def verdicts(document: str, subject: str) -> list[str]:
    """Return the verdict of each row about a subject."""
    rows = [line.strip("| ").split(" | ") for line in document.splitlines()]
    return [row[3] for row in rows if row[0] == subject]


def test_all_that_agrees_is_supported_at_rest_and_under_load(tmp_path: Path) -> None:
    output = tmp_path / "hardware.md"
    done = check(tmp_path, "--output", str(output), load=LOAD)
    assert done.returncode == 0, done.stdout + done.stderr
    assert output.read_text() == done.stdout
    # At rest, moved by the load, and under load.
    assert verdicts(done.stdout, "power_watts") == ["supported"] * 3
    assert verdicts(done.stdout, "memory_used_bytes") == ["supported"] * 3
    assert verdicts(done.stdout, "tensor_active_ratio") == [
        *("not compared", "supported", "not compared")
    ]
    assert verdicts(done.stdout, "/api/v1/processes: the load's own process") == ["supported"]
    assert verdicts(done.stdout, "mig_info") == ["unsupported"] * 2
    assert verdicts(done.stdout, "nvlink_transmit_bytes_total") == ["supported"] * 2
    assert "**wrong**" not in done.stdout
    for question in ("FI 185 (average), module | Not Supported", "RegisterEvents | Success"):
        assert question in done.stdout


def test_what_contradicts_nvidia_smi_is_wrong_and_what_it_has_not_is_doubtful(
    tmp_path: Path,
) -> None:
    lies = {
        "gpu_power_readings/average_power_draw": "120.00 W",
        "fb_memory_usage/used": "77 MiB",
        "temperature/memory_temp": "N/A",
    }
    done = check(tmp_path, lies=lies, load="#!/bin/sh\necho 'No module named torch' >&2; exit 1\n")
    assert done.returncode == 1, done.stdout + done.stderr
    assert verdicts(done.stdout, "power_watts") == ["**wrong**"]
    assert verdicts(done.stdout, "memory_used_bytes") == ["**wrong**"]
    assert verdicts(done.stdout, "temperature_celsius{memory}") == ["doubtful"]
    assert verdicts(done.stdout, "memory_free_bytes") == ["supported"]
    assert "Not checked: No module named torch." in done.stdout


def test_without_nvidia_smi_nothing_is_compared(tmp_path: Path) -> None:
    done = check(tmp_path, "--smi", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert "nowhere -q -x can't be run" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'NVIDIA-SMI has failed'; exit 9", "failed with 9: NVIDIA-SMI has failed"),
        ("echo GPU 0", "prints no XML"),
    ],
)
def test_an_nvidia_smi_that_fails_is_quoted(tmp_path: Path, script: str, words: str) -> None:
    smi = Smi(program(tmp_path / "smi", f"#!/bin/sh\n{script}\n"))
    with pytest.raises(SmiError, match=words):
        smi.ask()


def pair(ours: str, theirs: float | None, later: str = "") -> Pair:
    """Return what both say of the power."""
    before, after = (
        parsed(f'llm_monitor_gpu_power_watts{{gpu="0",gpu_uuid="{GPU}"}} {watts}\n', 0, 0)
        for watts in (ours, later or ours)
    )
    return Pair(before, {GPU: Told(INFO, {("power_watts",): theirs}, None)}, after)


@pytest.mark.parametrize(
    ("pairs", "verdict", "note"),
    [
        ([pair("100", 103)], Verdict.SUPPORTED, ""),
        ([pair("100", 400, later="500")], Verdict.SUPPORTED, ""),
        ([pair("100", 150)], Verdict.WRONG, "agreed in 0 of 1 comparisons"),
        ([pair("100", 150), pair("150", 150)], Verdict.DOUBTFUL, "agreed in 1 of 2 comparisons"),
        ([pair("100", None)], Verdict.DOUBTFUL, "nvidia-smi says N/A"),
    ],
)
def test_a_family_is_wrong_only_where_it_never_agreed(
    pairs: list[Pair], verdict: Verdict, note: str
) -> None:
    [row] = [row for row in compare(pairs) if row.subject == "power_watts"]
    assert (row.verdict, row.note) == (verdict, note)


def test_what_the_exporter_leaves_out_though_nvidia_smi_tells_it_is_wrong() -> None:
    told = {GPU: Told(INFO, {("temperature_celsius", "memory"): 40.0}, None)}
    nothing = parsed("", time.monotonic(), 0)
    rows = {row.subject: row for row in compare([Pair(nothing, told, nothing)])}
    assert rows["temperature_celsius{memory}"].verdict == Verdict.WRONG
    assert rows["gpus"].verdict == Verdict.WRONG
    assert rows["sm_active_ratio"].verdict == Verdict.UNSUPPORTED


def test_numbers_that_are_counted_have_to_be_the_same() -> None:
    assert agrees(("remapped_rows", "correctable"), (2, 2), 2)
    assert not agrees(("remapped_rows", "correctable"), (2, 2), 3)
