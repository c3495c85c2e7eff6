"""The real exporters, over simulated sources."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar

import yaml

from llm_monitor.base import registry
from llm_monitor.base.collection.isolation import Crew
from llm_monitor.base.config.model import ExporterSettings
from llm_monitor.base.exporter import Exporter
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.container import exporter as container
from llm_monitor.gpu import exporter as gpu
from llm_monitor.langfuse import exporter as langfuse
from llm_monitor.litellm import exporter as litellm
from llm_monitor.llmops import exporter as llmops
from llm_monitor.mock.sources.container import SimulatedContainers
from llm_monitor.mock.sources.docker import SimulatedEngine, SimulatedGpuUse
from llm_monitor.mock.sources.gpu import SimulatedGpus, SimulatedXids
from llm_monitor.mock.sources.gpu_processes import SimulatedOwners
from llm_monitor.mock.sources.langfuse import SimulatedRepository
from llm_monitor.mock.sources.litellm import SimulatedLitellm
from llm_monitor.mock.sources.llmops import SimulatedEvents
from llm_monitor.mock.sources.node import SimulatedHost
from llm_monitor.mock.sources.vllm import SimulatedServers
from llm_monitor.mock.view import View
from llm_monitor.node import exporter as node
from llm_monitor.vllm import exporter as vllm

S = TypeVar("S", bound=ExporterSettings)
# What everybody is told who opens an exporter's page.
NOTE = "A simulation: the server, GPUs, models and users that are told of here do not exist."

# What exporters want to know before they ask anybody; here they ask nobody.
_NOBODY: Mapping[str, Mapping[str, Any]] = {
    "langfuse": {"url": "https://langfuse.invalid", "public_key": "none", "secret_key": "none"}
}


class _Cast:
    """The exporters of one server."""

    def __init__(self, view: View, crew: Crew | None) -> None:
        """Play the server in `view`."""
        self._view = view
        self._crew = crew
        self._engine = SimulatedEngine(view)

    def node(self) -> Exporter:
        """Return the node exporter."""
        settings = _settings("node", node.Settings)
        return node.build(settings, SimulatedHost(self._view), self._crew)

    def gpu(self) -> Exporter:
        """Return the GPU exporter."""
        gpus = SimulatedGpus(self._view)
        owners = SimulatedOwners(self._view.plan, self._view.server)
        settings = _settings("gpu", gpu.Settings)
        return gpu.build(settings, gpus, owners, SimulatedXids(gpus), self._crew)

    def container(self) -> Exporter:
        """Return the container exporter."""
        view = self._view
        settings = _settings("container", container.Settings)
        source = SimulatedContainers(view, self._engine, SimulatedGpuUse(view))
        return container.build(settings, source, view.time, view.time)

    def vllm(self) -> Exporter:
        """Return the vLLM exporter."""
        view = self._view
        source = SimulatedServers(view, self._engine)
        return vllm.build(
            _settings("vllm", vllm.Settings), source, SimulatedGpuUse(view), view.time
        )

    def litellm(self) -> Exporter:
        """Return the LiteLLM exporter."""
        view = self._view
        settings = _settings("litellm", litellm.Settings)
        return litellm.build(settings, SimulatedLitellm(view), view.time, view.time)

    def langfuse(self) -> Exporter:
        """Return the Langfuse exporter."""
        settings = _settings("langfuse", langfuse.Settings)
        complaints = Complaints(langfuse.__name__)
        return langfuse.build(settings, SimulatedRepository(self._view, complaints), complaints)

    def llmops(self) -> Exporter:
        """Return the exporter of the event store."""
        options = _settings("llmops", llmops.Options)
        complaints = Complaints(llmops.__name__)
        return llmops.build_over(options, SimulatedEvents(self._view, complaints), complaints)


_PLAYS: Mapping[str, Callable[[_Cast], Exporter]] = {
    "node": _Cast.node,
    "gpu": _Cast.gpu,
    "container": _Cast.container,
    "vllm": _Cast.vllm,
    "litellm": _Cast.litellm,
    "langfuse": _Cast.langfuse,
    "llmops": _Cast.llmops,
}
PLAYED = tuple(_PLAYS)


def play(view: View, names: Iterable[str], crew: Crew | None = None) -> list[Exporter]:
    """Return the exporters `names` of the server in `view`.

    Their threads are those of `crew` if it is given, else each has its own.
    """
    cast = _Cast(view, crew)
    return [replace(_PLAYS[name](cast), answers=_answers(view, name), note=NOTE) for name in names]


def _settings(name: str, model: type[S]) -> S:
    """Return an exporter's settings as it comes."""
    return model.model_validate({**_shipped(name), **_NOBODY.get(name, {})})


@cache
def _shipped(name: str) -> Mapping[str, Any]:
    text = (registry.package_folder(name) / "settings.yaml").read_text("utf-8")
    shipped: Mapping[str, Any] = yaml.safe_load(text)[name]
    return shipped


def _answers(view: View, name: str) -> Callable[[], bool]:
    def answers() -> bool:
        return not view.state().forces.befall("exporter_down", name)

    return answers
