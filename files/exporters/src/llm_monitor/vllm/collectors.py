"""The vLLM exporter's collectors: what the servers say, and which GPUs they use."""

from collections.abc import Iterable, Iterator

from llm_monitor.base.collection.collector import Collector, Deadline
from llm_monitor.base.docker.gpus import GpuUseSource
from llm_monitor.base.metrics.family import Sample
from llm_monitor.vllm import metrics
from llm_monitor.vllm.facts import Reading
from llm_monitor.vllm.sharing import shares
from llm_monitor.vllm.source import VllmSource


def collectors(source: VllmSource, gpus: GpuUseSource) -> list[Collector]:
    """Return all collectors over `source`."""
    return [ServerCollector(source), GpuCollector(source, gpus)]


class ServerCollector:
    """Asks every server and gives what it says."""

    name = "servers"
    families = tuple(one for one in metrics.FAMILIES if one is not metrics.GPU_ASSIGNMENT)

    def __init__(self, source: VllmSource) -> None:
        """Ask the servers of `source`."""
        self._source = source

    def collect(self, deadline: Deadline, /) -> Iterator[Sample]:
        """Give each server's series; of one that is down, what its container tells."""
        readings = self._source.survey(deadline)
        for reading in readings:
            name = reading.server.name
            yield metrics.UP(int(reading.up), name)
            if reading.samples is not None:
                yield from _facts(reading, reading.metered)
                yield from reading.samples
            elif reading.server.container:
                yield from _identities(reading, reading.metered)
        # Last, so that the many adapters that one server may have crowd out no other server.
        for reading in readings:
            if reading.samples is not None:
                served = dict.fromkeys(one.name for one in reading.models)
                yield from _facts(reading, [one for one in served if one not in reading.metered])
        for (name, reason), count in self._source.errors().items():
            yield metrics.UPSTREAM_ERRORS(count, name, reason)


class GpuCollector:
    """Gives which models use which GPUs."""

    name = "gpus"
    families = (metrics.GPU_ASSIGNMENT,)

    def __init__(self, source: VllmSource, gpus: GpuUseSource) -> None:
        """Give it for the servers of `source`, as `gpus` knows it."""
        self._source = source
        self._gpus = gpus

    def collect(self, deadline: Deadline, /) -> Iterator[Sample]:
        """Give each model's share of each GPU."""
        readings = self._source.survey(deadline)
        containers = [one.server.container for one in readings if one.server.container]
        for share in shares(readings, self._gpus.of(containers, deadline)):
            if share.gpu.uuid:
                labels = share.container, share.model, share.gpu.uuid
                yield metrics.GPU_ASSIGNMENT(share.ratio, *labels)


def _facts(reading: Reading, models: Iterable[str]) -> Iterator[Sample]:
    """Give what a server is, which its metrics do not tell, for each of `models`."""
    name = reading.server.name
    lengths = {one.name: one.max_length for one in reading.models}
    for model in models:
        yield from _identities(reading, [model])
        if reading.started is not None:
            yield metrics.START_TIME(reading.started, name, model)
        if (length := lengths.get(model)) is not None:
            yield metrics.MAX_MODEL_LENGTH(length, name, model)


def _identities(reading: Reading, models: Iterable[str]) -> Iterator[Sample]:
    """Give what serves each of `models`."""
    command, container = reading.server.command, reading.server.container
    image = container.image if container else ""
    about = (reading.version, image, command.tensor_parallel, command.dtype, command.quantization)
    paths = {one.name: one.path for one in reading.models}
    for model in models:
        yield metrics.INFO(1, reading.server.name, model, *about, paths.get(model, ""))
