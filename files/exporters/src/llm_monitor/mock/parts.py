"""The real exporters, over simulated sources."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import yaml

from llm_monitor.base import registry
from llm_monitor.base.config.model import ExporterSettings
from llm_monitor.base.exporter import Exporter
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.container import exporter as container
from llm_monitor.gpu import exporter as gpu
from llm_monitor.langfuse import exporter as langfuse
from llm_monitor.litellm import exporter as litellm
from llm_monitor.mock.sources.container import SimulatedContainers
from llm_monitor.mock.sources.docker import SimulatedEngine, SimulatedGpuUse
from llm_monitor.mock.sources.gpu import SimulatedGpus, SimulatedXids
from llm_monitor.mock.sources.gpu_processes import SimulatedOwners
from llm_monitor.mock.sources.langfuse import SimulatedRepository
from llm_monitor.mock.sources.litellm import SimulatedLitellm
from llm_monitor.mock.sources.node import SimulatedHost
from llm_monitor.mock.sources.vllm import SimulatedServers
from llm_monitor.mock.view import View
from llm_monitor.node import exporter as node
from llm_monitor.vllm import exporter as vllm

S = TypeVar("S", bound=ExporterSettings)
Play = Callable[[View], Exporter]

# What everybody is told who opens an exporter's page.
NOTE = "A simulation: the server, GPUs, models and users that are told of here do not exist."

# What the exporter wants to know before it asks anybody; here it asks nobody.
_NO_LANGFUSE = {"url": "https://langfuse.invalid", "public_key": "none", "secret_key": "none"}


def play(view: View, names: Iterable[str]) -> list[Exporter]:
    """Return the exporters `names` of the server in `view`."""
    return [replace(_PLAYS[name](view), answers=_answers(view, name), note=NOTE) for name in names]


def _node(view: View) -> Exporter:
    return node.build(_settings("node", node.Settings), SimulatedHost(view))


def _gpu(view: View) -> Exporter:
    gpus = SimulatedGpus(view)
    owners = SimulatedOwners(view.plan, view.server)
    return gpu.build(_settings("gpu", gpu.Settings), gpus, owners, SimulatedXids(gpus))


def _container(view: View) -> Exporter:
    source = SimulatedContainers(view, SimulatedEngine(view), SimulatedGpuUse(view))
    return container.build(_settings("container", container.Settings), source, view.time, view.time)


def _vllm(view: View) -> Exporter:
    source = SimulatedServers(view, SimulatedEngine(view))
    return vllm.build(_settings("vllm", vllm.Settings), source, SimulatedGpuUse(view), view.time)


def _litellm(view: View) -> Exporter:
    settings = _settings("litellm", litellm.Settings)
    return litellm.build(settings, SimulatedLitellm(view), view.time, view.time)


def _langfuse(view: View) -> Exporter:
    settings = _settings("langfuse", langfuse.Settings, _NO_LANGFUSE)
    complaints = Complaints(langfuse.__name__)
    return langfuse.build(settings, SimulatedRepository(view, complaints), complaints)


_PLAYS: Mapping[str, Play] = {
    "node": _node,
    "gpu": _gpu,
    "container": _container,
    "vllm": _vllm,
    "litellm": _litellm,
    "langfuse": _langfuse,
}
PLAYED = tuple(_PLAYS)


def _settings(name: str, model: type[S], instead: Mapping[str, Any] | None = None) -> S:
    """Return an exporter's settings as it comes, with some of them `instead`."""
    text = (registry.package_folder(name) / "settings.yaml").read_text("utf-8")
    return model.model_validate({**yaml.safe_load(text)[name], **(instead or {})})


def _answers(view: View, name: str) -> Callable[[], bool]:
    def answers() -> bool:
        return not view.state().forces.befall("exporter_down", name)

    return answers
