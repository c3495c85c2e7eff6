"""What is known of a vLLM server at one moment."""

from dataclasses import dataclass

from llm_monitor.base.metrics.family import Sample
from llm_monitor.vllm.server.discovery import Server


@dataclass(frozen=True, slots=True)
class Model:
    """A model that a server serves (GET /v1/models).

    Attributes:
        name: The name under which it is served.
        parent: The model that it adapts, empty when it is none of LoRA's adapters.
        max_length: Most tokens of prompt and answer together, None when not told.
        path: Where its weights come from, a name on Hugging Face or a folder; empty when not told.
    """

    name: str
    parent: str = ""
    max_length: int | None = None
    path: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a server said when it was asked.

    Attributes:
        server: The server.
        status: up, unhealthy, unreachable, or the state of a container that does not run.
        samples: Our samples of its metrics; None when it did not give them.
        version: Its version, empty when not known.
        models: What it serves, adapters included; empty when not known.
        metered: The models under whose names it counts, as last known: the ones that use its GPUs.
        started: When its process started, Unix time in seconds; None when not known.
    """

    server: Server
    status: str
    samples: tuple[Sample, ...] | None = None
    version: str = ""
    models: tuple[Model, ...] = ()
    metered: tuple[str, ...] = ()
    started: float | None = None

    @property
    def up(self) -> bool:
        """Whether it gave its metrics and does not call itself unhealthy."""
        return self.status == UP


UP = "up"
UNHEALTHY = "unhealthy"
UNREACHABLE = "unreachable"
