"""Puts the container exporter together."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from llm_monitor.base.config.model import ExporterSettings, Pattern, Secret
from llm_monitor.base.docker.client import DockerApi, docker_address
from llm_monitor.base.docker.gpus import GpuUse
from llm_monitor.base.docker.inventory import Inventory
from llm_monitor.base.exporter import Exporter
from llm_monitor.container.api import create_router
from llm_monitor.container.collectors import collectors
from llm_monitor.container.metrics import FAMILIES
from llm_monitor.container.roster import Roster
from llm_monitor.container.source import ContainerSource, HostSource


class Settings(ExporterSettings):
    """The container exporter's own settings; see settings.yaml for what they mean."""

    docker: Annotated[str, BeforeValidator(docker_address)] = Field(
        min_length=1, description="a socket such as /var/run/docker.sock, or http://host:port"
    )
    proc: Path = Field(description="a folder such as /proc")
    cgroup: Path = Field(description="a folder such as /sys/fs/cgroup")
    network_exclude: Pattern = Field(description="a regular expression")
    gpu_exporter: Annotated[str, BeforeValidator(docker_address)] = Field(
        description="an address such as http://gpu-exporter:9445, or nothing"
    )
    gpu_exporter_token: Secret | None = None


def build(
    settings: Settings,
    source: ContainerSource | None = None,
    now: Callable[[], float] = time.time,
    ticks: Callable[[], float] = time.monotonic,
) -> Exporter:
    """Return the container exporter over this host's containers, or over `source` instead.

    `now` tells the Unix time, `ticks` seconds that never go back.
    """
    inventory = Inventory(DockerApi(settings.docker))
    roster = Roster(source or _host(settings, inventory), now, ticks)
    return Exporter(
        name="container",
        families=FAMILIES,
        collectors=collectors(roster),
        watchers=[] if source else [inventory],
        router=create_router(roster),
    )


def _host(settings: Settings, inventory: Inventory) -> HostSource:
    token = settings.gpu_exporter_token
    gpus = GpuUse(settings.gpu_exporter, token.get_secret_value() if token else "")
    return HostSource(
        inventory, gpus, str(settings.proc), str(settings.cgroup), settings.network_exclude
    )
