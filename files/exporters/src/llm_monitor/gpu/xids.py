"""The XIDs that the driver has reported since the exporter started."""

import threading
import time
from collections.abc import Iterable

import structlog

from llm_monitor.gpu.facts import Gpu
from llm_monitor.gpu.source import GpuSource

# What hardware reports; each of these starts at 0, so that its first rise is seen as one.
HARDWARE_XIDS = (48, 63, 64, 74, 79, 94, 95, 119, 120)
_QUIET_SECONDS = 60.0

_log = structlog.get_logger(__name__)

Counted = dict[tuple[Gpu, int], tuple[int, float | None]]


class Xids:
    """Watches the driver's errors in a thread of its own and counts them."""

    name = "xid_events"

    def __init__(self, source: GpuSource) -> None:
        """Watch the GPUs of `source`."""
        self._source = source
        self._counted: Counted = {}
        self._logged: dict[tuple[Gpu, int], float] = {}
        self._lock = threading.Lock()

    def watch(self, stop: threading.Event) -> None:
        """Count until `stop` is set."""
        self._source.watch_xids(stop, self.add)

    def add(self, gpu: Gpu, xid: int) -> None:
        """Count one error, with a log line unless the same was logged within the last minute."""
        now = time.time()
        with self._lock:
            count, _ = self._counted.get((gpu, xid), (0, None))
            self._counted[gpu, xid] = count + 1, now
        if now - self._logged.get((gpu, xid), 0) >= _QUIET_SECONDS:
            self._logged[gpu, xid] = now
            about = {"gpu": gpu.index, "gpu_uuid": gpu.uuid, "xid": xid}
            _log.warning("XID error", **about, count=count + 1)

    def counted(self, gpus: Iterable[Gpu]) -> Counted:
        """Return by GPU and XID how often it came and the Unix time of the last one.

        For each of `gpus`, the errors of hardware are among them that never came.
        """
        none: Counted = {(gpu, xid): (0, None) for gpu in gpus for xid in HARDWARE_XIDS}
        with self._lock:
            return none | self._counted
