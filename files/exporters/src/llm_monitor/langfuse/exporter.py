"""Puts the Langfuse exporter together."""

import ipaddress
from typing import Annotated, Self
from urllib.parse import urlsplit

import structlog
from pydantic import BeforeValidator, Field, SecretStr, model_validator

from llm_monitor.base.collection.ledger import Ledger
from llm_monitor.base.config.model import Duration, ExporterSettings, Secret, web_address
from llm_monitor.base.exporter import Exporter
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.langfuse.api import create_router
from llm_monitor.langfuse.collectors import STATE, collectors
from llm_monitor.langfuse.database.choice import check_url, open_database
from llm_monitor.langfuse.facts import Poll
from llm_monitor.langfuse.metrics import FAMILIES
from llm_monitor.langfuse.source import Repository

_log = structlog.get_logger(__name__)


def web_address_or_nothing(text: object) -> str:
    """Return `text` if it is empty, or the URL of a web server without user, query or fragment.

    Raises:
        ValueError: When it is neither.
    """
    return web_address(text) if str(text) else ""


class Settings(ExporterSettings):
    """The Langfuse exporter's own settings; see settings.yaml for what they mean."""

    url: Annotated[str, BeforeValidator(web_address_or_nothing)] = Field(
        description="a URL such as https://langfuse.example.com, without user and password"
    )
    public_key: Secret | None = None
    secret_key: Secret | None = None
    ca_file: str = Field(description="a file of certificates, or nothing")
    database: Secret | None = None
    interval: Duration = Field(
        ge=10, le=86400, description="a duration such as 5m, 10s at least and 1d at most"
    )
    timeout: Duration = Field(gt=0, le=300, description="a duration such as 30s, 5m at most")
    models: int = Field(ge=1, le=1000, description="a number, 1 to 1000")

    @model_validator(mode="after")
    def _one_way_to_ask(self) -> Self:
        if bool(self.url) == bool(self.database):
            message = "expected either url, with public_key and secret_key, or database"
            raise ValueError(message)
        keys = [self.public_key, self.secret_key]
        if self.url and None in keys:
            message = "url needs public_key and secret_key"
            raise ValueError(message)
        if self.database and any(keys):
            message = "public_key and secret_key belong to url, not to database"
            raise ValueError(message)
        if self.database:
            check_url(self.database.get_secret_value())
        return self


def build(
    settings: Settings,
    repository: Repository | None = None,
    complaints: Complaints | None = None,
) -> Exporter:
    """Return the exporter over the Langfuse of the settings, or over `repository` instead.

    Such a repository counts its failures in `complaints`.
    """
    complaints = complaints or Complaints(__name__)
    ledger = Ledger[Poll](2 * settings.interval)
    on_scrape, background = collectors(
        repository or _repository(settings, complaints),
        complaints,
        ledger,
        settings.models,
        settings.interval,
    )
    return Exporter(
        name="langfuse",
        families=FAMILIES,
        collectors=on_scrape,
        background=background,
        router=create_router(ledger, settings.models),
        vital=frozenset({STATE}),
    )


def _repository(settings: Settings, complaints: Complaints) -> Repository:
    if settings.database:
        url = settings.database.get_secret_value()
        return open_database(url, settings.timeout, complaints, settings.ca_file)
    # A database is asked without the HTTP client, and this without SQLAlchemy: both take memory.
    from llm_monitor.langfuse.web.questions import Api
    from llm_monitor.langfuse.web.repository import ApiRepository

    if _in_clear(settings.url):
        _log.warning("the keys of langfuse travel in clear", url=settings.url)
    keys = _plain(settings.public_key), _plain(settings.secret_key)
    return ApiRepository(Api(settings.url, keys, settings.timeout, complaints, settings.ca_file))


def _in_clear(url: str) -> bool:
    """Return whether what is sent to `url` can be read on the way by others."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    return parts.scheme == "http" and not local


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
