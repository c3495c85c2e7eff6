"""Puts the exporter of the event store together."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from llm_monitor.base.collection.ledger import Ledger
from llm_monitor.base.config.model import Duration, ExporterSettings, Secret
from llm_monitor.base.exporter import Exporter
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.llmops.api import create_router
from llm_monitor.llmops.collectors import STATE, collectors
from llm_monitor.llmops.facts import Poll
from llm_monitor.llmops.metrics import FAMILIES
from llm_monitor.llmops.source import Repository

# As the library takes them.
Identifier = Annotated[
    str,
    Field(
        pattern=r"^[a-z_][a-z0-9_]{0,62}$",
        description="lower-case letters, digits and underscores, at most 63, no digit first",
    ),
]


class Options(ExporterSettings):
    """How the event store is told of, wherever it is; see settings.yaml for what they mean."""

    schema_name: Identifier
    table_name: Identifier
    interval: Duration = Field(
        ge=10, le=3600, description="a duration such as 30s, 10s at least and 1h at most"
    )
    timeout: Duration = Field(gt=0, le=300, description="a duration such as 20s, 5m at most")
    most: int = Field(ge=1, le=200, description="a number, 1 to 200")


class Settings(Options):
    """The exporter's own settings."""

    database: Secret | None = None

    @model_validator(mode="after")
    def _somebody_to_ask(self) -> Self:
        if self.database is None:
            message = "expected database or database_file: the PostgreSQL URL of the event store"
            raise ValueError(message)
        # Only here is SQLAlchemy needed: who plays an event store does without its memory.
        from llm_monitor.llmops.database import check_url

        check_url(self.database.get_secret_value())
        return self


def build(settings: Settings) -> Exporter:
    """Return the exporter over the event store of the settings."""
    from llm_monitor.llmops.database import EventStore

    complaints = Complaints(__name__)
    url = settings.database.get_secret_value() if settings.database else ""
    names = settings.schema_name, settings.table_name
    repository = EventStore(url, names, settings.timeout, settings.most, complaints)
    return build_over(settings, repository, complaints)


def build_over(options: Options, repository: Repository, complaints: Complaints) -> Exporter:
    """Return the exporter over `repository`, which counts its failures in `complaints`."""
    ledger = Ledger[Poll](2 * options.interval)
    on_scrape, background = collectors(
        repository, complaints, ledger, options.most, options.interval
    )
    return Exporter(
        name="llmops",
        families=FAMILIES,
        collectors=on_scrape,
        background=background,
        router=create_router(ledger, repository),
        vital=frozenset({STATE}),
    )
