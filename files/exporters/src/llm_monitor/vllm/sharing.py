"""Which model uses which GPU, and what share of it counts for the model."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from llm_monitor.base.docker.gpus import Assignment
from llm_monitor.vllm.facts import Reading


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, as far as it is known.

    Attributes:
        uuid: Its UUID, empty when not known.
        index: Its index, None when not known.
    """

    uuid: str
    index: int | None


class Share(NamedTuple):
    """A model's share of a GPU.

    Attributes:
        gpu: The GPU.
        container: The name of the server that runs the model.
        container_id: Its container's id.
        model: The model's name, empty when not known.
        ratio: 1 / models on that GPU.
    """

    gpu: Gpu
    container: str
    container_id: str
    model: str
    ratio: float


def shares(readings: Iterable[Reading], uses: Mapping[str, Assignment]) -> Iterator[Share]:
    """Give the share of each model of a running server, by the GPUs of its container.

    An equal split is an approximation: nothing tells how much of a GPU each of several models uses.
    """
    there: dict[Gpu, list[tuple[str, str, str]]] = {}
    for reading in readings:
        container = reading.server.container
        if container is None or not reading.server.running or container.id not in uses:
            continue
        for gpu in _gpus(uses[container.id]):
            there.setdefault(gpu, []).extend(
                (reading.server.name, container.id, model) for model in reading.metered or ("",)
            )
    for gpu, models in there.items():
        for name, identifier, model in models:
            yield Share(gpu, name, identifier, model, 1 / len(models))


def _gpus(use: Assignment) -> list[Gpu]:
    """Return the GPUs of `use`, by what all of them are known by."""
    if len(use.uuids) < len(use.indexes):
        return [Gpu("", index) for index in use.indexes]
    return [Gpu(uuid, None) for uuid in use.uuids]
