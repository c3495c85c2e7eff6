"""The monitor of a process: what it measures by, delivers with and keeps in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import RLock
from typing import TYPE_CHECKING, Final

from llmops_monitoring.config import MonitorConfig
from llmops_monitoring.instrumentation.active import ACTIVE
from llmops_monitoring.instrumentation.making import EventMaker
from llmops_monitoring.instrumentation.problems import Problems, logger
from llmops_monitoring.instrumentation.recorder import Recorder
from llmops_monitoring.storage.base import StorageBackend
from llmops_monitoring.storage.finding import BackendError, backend_class
from llmops_monitoring.transport import lifecycle
from llmops_monitoring.transport.base import Transport, TransportStats
from llmops_monitoring.transport.worker import InProcessTransport

if TYPE_CHECKING:
    from llmops_monitoring.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Health:
    """How monitoring is doing.

    `counters` are calls: `enqueued = written + dropped + queued + spilled` at every moment; those
    that the sample leaves out, or for which the stack had no room, were never enqueued. `dropped`
    is by reason, and `problems` counts errors of this library by place.
    """

    running: bool = False
    queue_size: int = 0
    buffer_size: int = 0
    backend_healthy: bool | None = None
    last_error: str | None = None
    last_flush: datetime | None = None
    counters: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    problems: Mapping[str, int] = field(default_factory=dict)


class Monitor:
    """Measures by one configuration, from `start` to `stop`."""

    def __init__(
        self,
        config: MonitorConfig,
        *,
        backend: StorageBackend | None = None,
        transport: Transport | None = None,
    ) -> None:
        """Build everything, begin nothing.

        Raises:
            BackendError: When the configured backend or transport can't be had.
        """
        self.config = config
        self._problems = Problems()
        self._maker = EventMaker(config, self._problems)
        self._transport = transport or self._configured(backend)
        self._metrics = _metrics(self._transport) if config.expose_metrics else None
        self._recorder = Recorder(config, self._transport.put, self._problems)

    def _configured(self, backend: StorageBackend | None) -> InProcessTransport:
        storage = self.config.storage
        if self.config.transport == "redis" and backend is None:
            # An extra, like the backends' packages.
            try:
                from llmops_monitoring.transport.redis import RedisTransport
            except ImportError as error:
                message = f"{error}; is llmops-monitoring[redis] installed?"
                raise BackendError(message) from error
            return RedisTransport(self.config, self._maker.make)
        made = backend_class(storage.backend)(storage) if backend is None else backend
        return InProcessTransport(made, self.config, self._maker.make)

    def start(self) -> None:
        """Deliver, and have decorated functions report here."""
        # First, since it fails where somebody else has metrics of these names.
        if self._metrics is not None:
            self._metrics.register()
        try:
            self._transport.start()
        except Exception:
            if self._metrics is not None:
                self._metrics.unregister()
            raise
        lifecycle.attach(self)
        ACTIVE.recorder = self._recorder

    def stop(self, timeout: float | None = None) -> bool:
        """End; return whether all was delivered within `timeout` seconds.

        The configured ones hold where none are given.
        """
        if ACTIVE.recorder is self._recorder:
            ACTIVE.recorder = None
        lifecycle.detach(self)
        if self._metrics is not None:
            self._metrics.unregister()
        seconds = self.config.shutdown_timeout_seconds if timeout is None else timeout
        delivered = self._transport.stop(seconds)
        self._maker.close()
        return delivered

    def flush(self, timeout: float) -> bool:
        """Return whether all calls so far are written or spilled within `timeout` seconds.

        It is False, once, when a call was dropped since the last flush, too.
        """
        return self._transport.flush(timeout)

    def stats(self) -> TransportStats:
        """Return what became of all calls so far."""
        return self._transport.stats()

    def health(self) -> Health:
        """Return how it is doing now, without asking the backend anything."""
        stats = self._transport.stats()
        counters = {
            "enqueued": stats.enqueued,
            "written": stats.written,
            "dropped": sum(stats.dropped.values()),
            "queued": stats.queued,
            "spilled": stats.spilled,
            "retried": stats.retried,
            "sampled_out": self._recorder.sampled_out,
            "missed": self._recorder.missed,
        }
        return Health(
            running=stats.running,
            queue_size=stats.queued,
            buffer_size=stats.buffered,
            backend_healthy=stats.healthy,
            last_error=stats.last_error or self._problems.last,
            last_flush=stats.last_flush,
            counters=counters,
            dropped=dict(stats.dropped),
            problems=self._problems.counts(),
        )

    def end(self) -> None:
        """Stop measuring, since the process ends; the transport delivers by itself."""
        if ACTIVE.recorder is self._recorder:
            ACTIVE.recorder = None

    def begin_anew(self) -> None:
        """Count from zero in a forked child."""
        _PROCESS.lock = RLock()
        self._problems.begin_anew()
        self._recorder.begin_anew()


def _metrics(transport: Transport) -> "Metrics":
    """Return the metrics of a transport; of one that shows no events only those of delivery."""
    # An extra: who doesn't ask for metrics needs no prometheus-client.
    try:
        from llmops_monitoring.metrics import Metrics
    except ImportError as error:
        message = f"{error}; is llmops-monitoring[prometheus] installed?"
        raise BackendError(message) from error
    metrics = Metrics(transport.stats)
    if isinstance(transport, InProcessTransport):
        transport.watch(metrics)
    return metrics


class _Process:
    """The monitor of this process, and why there is none."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.monitor: Monitor | None = None
        self.failure: str | None = None


_PROCESS: Final = _Process()


def initialize_monitoring(
    config: MonitorConfig | None = None,
    *,
    backend: StorageBackend | None = None,
    transport: Transport | None = None,
) -> Monitor | None:
    """Begin to measure by `config`, or by the environment; a monitor that ran before is stopped.

    Args:
        config: All settings.
        backend: A backend in place of the configured one.
        transport: A transport in place of the configured one.

    Returns:
        The monitor. None when it is switched off, or when it can't begin while `fail_silently`
        holds: then the log and `health_check` say why.

    Raises:
        pydantic.ValidationError: When the environment has a wrong setting.
        BackendError: When the backend can't be had, and `fail_silently` is false.
    """
    config = MonitorConfig.from_env() if config is None else config
    with _PROCESS.lock:
        # Within, or the monitor of another thread that begins now would go on unseen.
        shutdown()
        _PROCESS.failure = None
        if not config.enabled:
            return None
        try:
            monitor = Monitor(config, backend=backend, transport=transport)
            monitor.start()
        except Exception as error:
            if not config.fail_silently:
                raise
            _PROCESS.failure = f"monitoring is off: {error}"
            logger.exception("Monitoring can't begin, nothing is measured")
            return None
        _PROCESS.monitor = monitor
        return monitor


def shutdown(timeout: float | None = None) -> bool:
    """Stop measuring, and deliver what is left; return whether all of it was.

    Args:
        timeout: Seconds to wait, the configured ones when not given.
    """
    with _PROCESS.lock:
        monitor, _PROCESS.monitor = _PROCESS.monitor, None
    return monitor is None or monitor.stop(timeout)


def flush(timeout: float = 5.0) -> bool:
    """Return whether all calls so far are written or spilled within `timeout` seconds.

    It is False, once, when a call was dropped since the last flush, too.
    """
    monitor = _PROCESS.monitor
    return monitor is None or monitor.flush(timeout)


def health_check() -> Health:
    """Return how monitoring is doing now; it is quick, and nothing is asked over the network."""
    monitor = _PROCESS.monitor
    return Health(last_error=_PROCESS.failure) if monitor is None else monitor.health()
