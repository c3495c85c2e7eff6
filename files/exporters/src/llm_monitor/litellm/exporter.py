"""Puts the LiteLLM exporter together."""

import time
from collections.abc import Callable

from pydantic import Field

from llm_monitor.base.config.model import Duration, ExporterSettings, Secret, WebAddress
from llm_monitor.base.exporter import Exporter
from llm_monitor.litellm.api import create_router
from llm_monitor.litellm.collectors import background, collectors
from llm_monitor.litellm.desk import Desk
from llm_monitor.litellm.metrics import FAMILIES
from llm_monitor.litellm.source import HttpSource, LitellmSource

_YES_NO = "true or false"


class Settings(ExporterSettings):
    """The LiteLLM exporter's own settings; see settings.yaml for what they mean."""

    url: WebAddress = Field(
        description="http://host:port or https://host, without user, password and query"
    )
    api_key: Secret | None = None
    ca_file: str = Field(description="a file of CAs in PEM format, or nothing")
    timeout: Duration = Field(gt=0, le=7, description="a duration such as 4s, 7s at most")
    show_hosts: bool = Field(description=_YES_NO)
    active_probes: bool = Field(description=_YES_NO)
    probe_interval: Duration = Field(
        ge=60, le=86_400, description="a duration such as 15m, 1m at least and 1d at most"
    )


def build(
    settings: Settings,
    source: LitellmSource | None = None,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], float] = time.time,
) -> Exporter:
    """Return the LiteLLM exporter over the proxy that `settings` name, or over `source`.

    `clock` and `now` tell the time that has passed and the Unix time.
    """
    key = settings.api_key.get_secret_value() if settings.api_key else None
    asked = source or HttpSource(settings.url, key, settings.ca_file)
    desk = Desk(asked, settings.timeout, clock, now)
    probe_interval = settings.probe_interval if settings.active_probes else None
    return Exporter(
        name="litellm",
        families=FAMILIES,
        collectors=collectors(desk),
        background=background(desk, probe_interval),
        router=create_router(desk, settings.show_hosts),
        # The others have something to give while LiteLLM can't be reached.
        vital=frozenset({"traffic"}),
    )
