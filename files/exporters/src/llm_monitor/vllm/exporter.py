"""Puts the vLLM exporter together."""

import re
import time
from collections.abc import Callable, Mapping
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr

from llm_monitor.base.config.model import Duration, ExporterSettings, Pattern, Secret
from llm_monitor.base.docker.client import DockerApi, docker_address
from llm_monitor.base.docker.gpus import GpuUse, GpuUseSource
from llm_monitor.base.docker.inventory import Inventory
from llm_monitor.base.exporter import Exporter
from llm_monitor.vllm.api import create_router
from llm_monitor.vllm.collectors import ServerCollector, collectors
from llm_monitor.vllm.metrics import FAMILIES
from llm_monitor.vllm.server.discovery import Endpoint
from llm_monitor.vllm.source import HttpSource, Options, VllmSource

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"


def named_servers(value: object) -> tuple[Endpoint, ...]:
    """Return the servers in `value`: a list of {name, url}, or text such as `a=http://b:8000`.

    Raises:
        ValueError: When it is neither, or two have the same name.
    """
    if isinstance(value, str):
        pairs = [one.strip().partition("=") for one in value.split(",") if one.strip()]
        value = [{"name": name.strip(), "url": url.strip()} for name, _, url in pairs]
    if not isinstance(value, list):
        message = "not a list"
        raise ValueError(message)  # noqa: TRY004 - pydantic takes no TypeError
    found = tuple(_endpoint(one) for one in value)
    if len({one.name for one in found}) != len(found):
        message = "a name is used twice"
        raise ValueError(message)
    return found


def _endpoint(value: object) -> Endpoint:
    if not isinstance(value, Mapping) or set(value) != {"name", "url"}:
        message = "not a name and a url"
        raise ValueError(message)
    name, url = str(value["name"]), str(value["url"])
    parts = urlsplit(url)
    usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    if not _NAME.fullmatch(name) or not usable or parts.query or parts.fragment:
        message = "not a name and a url"
        raise ValueError(message)
    return Endpoint(name, url.rstrip("/"))


class Settings(ExporterSettings):
    """The vLLM exporter's own settings; see settings.yaml for what they mean."""

    docker: Annotated[str, BeforeValidator(docker_address)] = Field(
        description="a socket such as /var/run/docker.sock, http://host:port, or nothing"
    )
    image: Pattern = Field(description="a regular expression")
    endpoints: Annotated[tuple[Endpoint, ...], BeforeValidator(named_servers)] = Field(
        description="a list of {name, url}, or name=http://host:port,…; names of letters, digits,"
        " dots, dashes and underscores"
    )
    api_key: Secret | None
    ca_file: str = Field(description="a file, or nothing")
    host_gateway: str = Field(pattern=f"^{_HOST}$", description="a host's name or IPv4 address")
    patience: Duration = Field(gt=0, le=7, description="a duration such as 3s, 7s at most")
    refresh: Duration = Field(ge=5, le=86400, description="a duration such as 5m, 5s to 1d")
    gpu_exporter: str = Field(
        pattern=rf"^(http://{_HOST}:[0-9]{{1,5}})?$", description="http://host:port, or nothing"
    )
    gpu_exporter_token: Secret | None


def build(
    settings: Settings,
    source: VllmSource | None = None,
    gpus: GpuUseSource | None = None,
    now: Callable[[], float] = time.time,
) -> Exporter:
    """Return the vLLM exporter over the servers that `settings` let it find, or over `source`.

    `gpus` stands in for the GPU exporter, and `now` tells the Unix time.
    """
    inventory = Inventory(DockerApi(settings.docker)) if settings.docker else None
    source = source or HttpSource(inventory, _options(settings))
    gpus = gpus or GpuUse(settings.gpu_exporter, _plain(settings.gpu_exporter_token))
    return Exporter(
        name="vllm",
        families=FAMILIES,
        collectors=collectors(source, gpus),
        watchers=[inventory] if inventory else [],
        router=create_router(source, gpus, now),
        vital=frozenset({ServerCollector.name}),
    )


def _options(settings: Settings) -> Options:
    return Options(
        endpoints=settings.endpoints,
        image=settings.image,
        gateway=settings.host_gateway,
        patience=settings.patience,
        refresh=settings.refresh,
        api_key=_plain(settings.api_key),
        ca_file=settings.ca_file,
    )


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
