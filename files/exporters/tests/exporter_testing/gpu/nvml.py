"""The fake `libnvidia-ml.so.1`: built once a process, driven by a file.

`tests/fake_nvml/README.md` lists the keys.
"""

import atexit
import functools
import os
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2] / "fake_nvml"
RECORD = struct.Struct("56sQ")


@dataclass(frozen=True, slots=True)
class Process:
    """A process on a GPU.

    Attributes:
        pid: Its id on the host.
        memory: Bytes of the GPU's memory, or None where the driver can't tell.
        sm: Percent of the time that it kept multiprocessors busy.
        memory_utilization: Percent of the time that it kept the memory busy.
        name: What nvmlSystemGetProcessName gives.
        graphics: Whether it is listed among the graphics processes instead of the compute ones.
        mig: The index of the MIG device that it runs on.
    """

    pid: int
    memory: int | None = 1 << 30
    sm: int = 0
    memory_utilization: int = 0
    name: str = "python3"
    graphics: bool = False
    mig: int | None = None

    def settings(self) -> dict[str, object]:
        """Return the keys that say this, without the GPU's prefix."""
        values: dict[str, object] = {
            "memory": "unavailable" if self.memory is None else self.memory,
            "sm": self.sm,
            "memory_utilization": self.memory_utilization,
            "name": self.name,
            "kind": "graphics" if self.graphics else "compute",
        }
        if self.mig is not None:
            values["mig"] = self.mig
        return {f"process.{self.pid}.{key}": value for key, value in values.items()}


@functools.cache
def library(missing: frozenset[str] = frozenset()) -> Path:
    """Return a folder with the fake library, built without the functions named in `missing`."""
    folder = Path(tempfile.mkdtemp(prefix="fake-nvml-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # Containers and other users load it too.
    folder.chmod(0o755)
    subprocess.run([SOURCES / "build.sh", folder, *sorted(missing)], check=True)
    return folder


class FakeNvml:
    """GPUs that a test drives while a program looks at them.

    Every change is visible to the next NVML call of any process that was started with
    `environment()`.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, object] | None = None,
        *,
        missing: Iterable[str] = (),
    ) -> None:
        """Start with 8 busy H200s.

        Args:
            folder: Where the state file goes, in a folder of its own.
            settings: What differs from the H200s, as for `update`.
            missing: Functions that the library hasn't, as that of an older driver.
        """
        self.folder = folder / "nvml"
        self.folder.mkdir()
        self.library = library(frozenset(missing))
        self.state = self.folder / "state"
        self.events = self.folder / "state.events"
        self._calls = self.folder / "calls"
        self._settings: dict[str, object] = {}
        self.events.touch()
        self.update(settings or {})

    def environment(self) -> dict[str, str]:
        """Return the variables that make a program find the fake library and this state."""
        return {
            "LD_LIBRARY_PATH": str(self.library),
            "FAKE_NVML_STATE": str(self.state),
            "FAKE_NVML_CALLS": str(self._calls),
        }

    def set(self, key: str, value: object) -> None:
        """Write one key; a `*` in it overrules what was written for single GPUs before."""
        self.update({key: value})

    def update(self, settings: Mapping[str, object]) -> None:
        """Write several keys at once; None takes a key back to its default."""
        for key, value in settings.items():
            self._settings.pop(key, None)
            if value is not None:
                self._settings[key] = value
        lines = [f"{key} = {spelled(value)}\n" for key, value in self._settings.items()]
        staged = self.state.with_suffix(".new")
        staged.write_bytes(b"".join(line.encode("utf-8", "surrogateescape") for line in lines))
        # The kernel's own timestamps are coarser than two changes may be apart.
        os.utime(staged, ns=(time.time_ns(), time.time_ns()))
        staged.replace(self.state)

    def xid(self, gpu: int, xid: int, times: int = 1) -> None:
        """Raise XID errors; every event set that exists by now sees each of them."""
        with self.events.open("a") as events:
            events.write(f"{gpu} {xid}\n" * times)

    def lose(self, gpu: int) -> None:
        """Let a GPU fall off the bus."""
        self.set(f"gpu.{gpu}.error", "GPU_IS_LOST")

    def bring_back(self, gpu: int) -> None:
        """Undo `lose`."""
        self.set(f"gpu.{gpu}.error", None)

    def processes(self, gpu: int, processes: Iterable[Process]) -> None:
        """Let exactly these processes run on a GPU."""
        prefix = f"gpu.{gpu}."
        changes: dict[str, object] = {
            key: None for key in self._settings if key.startswith(f"{prefix}process.")
        }
        for process in processes:
            changes |= {prefix + key: value for key, value in process.settings().items()}
        self.update(changes)

    def fail(self, function: str, error: str = "NOT_SUPPORTED", gpu: int | None = None) -> None:
        """Let a function return an error, for one GPU or always; `SUCCESS` undoes it."""
        self.set(f"{call(function, gpu)}.error", error)

    def hang(self, function: str, seconds: float, gpu: int | None = None) -> None:
        """Let every call of a function last so long; 0 ends those that hang now, too."""
        self.set(f"{call(function, gpu)}.hang", seconds)

    def reload_driver(self) -> None:
        """Let a new driver run: sessions and handles of the old one are of no more use."""
        generation = self._settings.get("generation", 1)
        assert isinstance(generation, int)
        self.set("generation", generation + 1)

    def calls(self) -> dict[str, int]:
        """Return how often each function was called so far, in all processes together."""
        if not self._calls.exists():
            return {}
        records = RECORD.iter_unpack(self._calls.read_bytes())
        return {name.rstrip(b"\0").decode(): count for name, count in records}


def call(function: str, gpu: int | None) -> str:
    """Return the key of a function, of one GPU or of all."""
    return f"call.{function}" if gpu is None else f"gpu.{gpu}.call.{function}"


def spelled(value: object) -> str:
    """Return how the state file writes a value."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, bytes):
        return "".join(f"\\x{byte:02x}" for byte in value)
    text = str(value).replace("\\", "\\\\") if isinstance(value, str) else str(value)
    return text.replace("\n", "\\n")
