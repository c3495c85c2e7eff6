"""Puts the node exporter together."""

from pathlib import Path

from pydantic import Field

from llm_monitor.base.collection.isolation import Crew
from llm_monitor.base.config.model import Duration, ExporterSettings, Pattern
from llm_monitor.base.exporter import Exporter
from llm_monitor.node.collectors import Choices, collectors
from llm_monitor.node.metrics import FAMILIES
from llm_monitor.node.source import HostSource, NodeSource

_PATTERN = "a regular expression"


class Settings(ExporterSettings):
    """The node exporter's own settings; see settings.yaml for what they mean."""

    host_root: Path = Field(description="a folder such as / or /host")
    per_cpu: bool = Field(description="true or false")
    mount_timeout: Duration = Field(gt=0, le=8, description="a duration such as 1s, 8s at most")
    filesystem_types_exclude: Pattern = Field(description=_PATTERN)
    mountpoints_exclude: Pattern = Field(description=_PATTERN)
    disks_exclude: Pattern = Field(description=_PATTERN)
    network_exclude: Pattern = Field(description=_PATTERN)


def build(
    settings: Settings, source: NodeSource | None = None, crew: Crew | None = None
) -> Exporter:
    """Return the node exporter over the real host, or over `source` in its place.

    What may hang is asked in threads of `crew`, which several exporters can share.
    """
    choices = Choices(
        per_cpu=settings.per_cpu,
        mount_timeout=settings.mount_timeout,
        types=settings.filesystem_types_exclude,
        mountpoints=settings.mountpoints_exclude,
        disks=settings.disks_exclude,
        networks=settings.network_exclude,
    )
    return Exporter(
        name="node",
        families=FAMILIES,
        collectors=collectors(source or HostSource(str(settings.host_root)), choices, crew),
    )
