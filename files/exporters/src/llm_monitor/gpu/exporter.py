"""Puts the GPU exporter together."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from llm_monitor.base.collection.isolation import Crew
from llm_monitor.base.config.model import Duration, ExporterSettings
from llm_monitor.base.docker.client import docker_address
from llm_monitor.base.exporter import Exporter
from llm_monitor.gpu.api import create_router
from llm_monitor.gpu.collectors import collectors
from llm_monitor.gpu.containers import Containers, Owners
from llm_monitor.gpu.fleet import Fleet
from llm_monitor.gpu.metrics import FAMILIES
from llm_monitor.gpu.source import GpuSource, NvmlSource
from llm_monitor.gpu.xids import Xids

_YES_NO = "true or false"


class Settings(ExporterSettings):
    """The GPU exporter's own settings; see settings.yaml for what they mean."""

    expected: int = Field(ge=0, le=1024, description="a number of GPUs, 0 to 1024")
    patience: Duration = Field(gt=0, le=7, description="a duration such as 2s, 7s at most")
    serial: bool = Field(description=_YES_NO)
    per_link: bool = Field(description=_YES_NO)
    proc: Path = Field(description="a folder such as /proc")
    docker: Annotated[str, BeforeValidator(docker_address)] = Field(
        description="a socket such as /var/run/docker.sock, http://host:port, or nothing"
    )


def build(
    settings: Settings,
    source: GpuSource | None = None,
    owners: Owners | None = None,
    xids: Xids | None = None,
    crew: Crew | None = None,
) -> Exporter:
    """Return the GPU exporter over this host, or over what stands in for parts of it.

    Args:
        settings: Its settings.
        source: The GPUs.
        owners: What tells whose a process on them is.
        xids: What counts their errors.
        crew: Threads to ask in, which several exporters can share.
    """
    fleet = Fleet(source or NvmlSource(settings.per_link), settings.patience, crew)
    containers = owners or Containers(str(settings.proc), settings.docker)
    xids = xids or Xids(fleet.source)
    return Exporter(
        name="gpu",
        families=FAMILIES,
        collectors=collectors(fleet, containers, xids, settings.expected, settings.serial),
        watchers=[xids],
        router=create_router(fleet, containers),
    )
