"""Settings: what the program says, then the environment (`LLMOPS_…`), then the defaults."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

PREFIX = "LLMOPS_"

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# What PostgreSQL takes as a name without quotes.
Identifier = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]
DollarsPerMillion = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class StorageConfig(BaseModel):
    """Where events are kept, and how many are written at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    backend: str = "parquet"
    """The name of the backend: `parquet`, `postgres`, or one that another package brings."""
    connection_string: SecretStr | None = None
    """Where PostgreSQL is: `postgresql://user:password@host/database?sslmode=verify-full`."""
    output_dir: Path = Path("llmops_events")
    """The folder of Parquet's files."""
    partition_by: Literal["date", "session_id"] = "date"
    """What the folders in `output_dir` stand for."""
    compression: Literal["snappy", "zstd"] = "snappy"
    """How Parquet's files are compressed."""
    schema_name: Identifier = "public"
    """PostgreSQL's schema."""
    table_name: Identifier = "metric_events"
    """PostgreSQL's table."""
    pool_size: Annotated[int, Field(ge=1, le=100)] = 2
    """The most connections to PostgreSQL at a time."""
    batch_size: Annotated[int, Field(ge=1)] = 100
    """A batch is written when it has so many events."""
    flush_interval_seconds: Seconds = 5.0
    """A batch is written when its oldest event waits for so long."""
    options: dict[str, Any] = Field(default_factory=dict)
    """For a backend that another package brings; those shipped here take none."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.backend == "postgres" and self.connection_string is None:
            message = (
                f"backend postgres needs connection_string ({PREFIX}STORAGE__CONNECTION_STRING)"
            )
            raise ValueError(message)
        if self.options and self.backend in {"parquet", "postgres"}:
            message = f"backend {self.backend} takes no options: {', '.join(self.options)}"
            raise ValueError(message)
        return self


class Price(BaseModel):
    """What a model costs, in US dollars a million tokens. A price left out is that of `input`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    input: DollarsPerMillion
    output: DollarsPerMillion = 0.0
    cached_input: DollarsPerMillion | None = None
    cache_write: DollarsPerMillion | None = None
    up_to_input_tokens: Annotated[int, Field(ge=1)] | None = None
    """The longest prompt at these prices; what a longer one costs is not known."""


class _Environment(EnvSettingsSource):
    """Gives what the environment says, unknown names too, so that they are errors."""

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = super().__call__()
        prefix = PREFIX.lower()
        delimiter = self.env_nested_delimiter or "__"
        for name in self.env_vars:
            if name.lower().startswith(prefix):
                head = name.lower().removeprefix(prefix).split(delimiter)[0]
                if head not in self.settings_cls.model_fields:
                    found[name.upper()] = self.env_vars[name]
        return found


class MonitorConfig(BaseSettings):
    """Everything that can be set. An unknown or wrong setting is an error that names it."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        # What is wrong may be a password.
        hide_input_in_errors=True,
        validate_default=True,
    )

    storage: StorageConfig = Field(default_factory=StorageConfig)
    """Where events are kept."""
    enabled: bool = True
    """Whether anything is measured at all."""
    sample_rate: Annotated[float, Field(ge=0, le=1)] = 1.0
    """The share of traces that is kept; a call that failed is always kept."""
    fail_silently: bool = True
    """Whether errors of this library stay in its log. False is for tests."""

    measure_text: bool = False
    """Whether text is measured where the decorator doesn't say."""
    measure_images: bool = False
    """Whether images are measured where the decorator doesn't say."""
    measure_tokens: bool = True
    """Whether tokens and cost are read from answers of models."""
    prices: dict[str, Price] = Field(default_factory=dict)
    """Prices by a model's name; they go before those shipped here."""
    collector_timeout_seconds: Seconds = 1.0
    """How long an event waits for a collector of the application."""

    capture_content: bool = False
    """Whether arguments and text become attributes of events."""
    mask: Callable[[str], str] | None = Field(default=None, exclude=True)
    """What each captured string goes through first; where it raises, the content is left out."""
    record_error_messages: bool = False
    """Whether the message of an exception is kept beside its type."""

    expose_metrics: bool = False
    """Whether prometheus-client's registry has `llmops_…` metrics."""

    transport: Literal["in_process", "redis"] = "in_process"
    """How calls get to the backend."""
    redis_url: SecretStr | None = None
    """Where Redis is, for the transport of that name."""
    max_queue_size: Annotated[int, Field(ge=1)] = 10_000
    """The most calls that wait in memory."""
    overflow: Literal["drop_newest", "drop_oldest", "spill"] = "drop_newest"
    """What happens to calls when the queue is full."""
    spill_path: Path | None = None
    """The SQLite file for what the backend can't take; beside `output_dir` when not given."""
    spill_max_events: Annotated[int, Field(ge=1)] = 1_000_000
    """The most events in that file."""
    max_retries: Annotated[int, Field(ge=0)] = 3
    """How often a batch is tried again before it is spilled or dropped."""
    retry_backoff_seconds: Seconds = 0.5
    """The first wait between two tries; each next one is twice as long."""
    shutdown_timeout_seconds: Seconds = 5.0
    """How long the end of the process may wait for the last events."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.transport == "redis" and self.redis_url is None:
            message = f"transport redis needs redis_url ({PREFIX}REDIS_URL)"
            raise ValueError(message)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where settings are from, the strongest first."""
        del env_settings, dotenv_settings, file_secret_settings
        return init_settings, _Environment(settings_cls)

    @classmethod
    def from_env(cls) -> Self:
        """Return the settings of the environment.

        Raises:
            pydantic.ValidationError: When one is unknown or can't be used.
        """
        return cls()

    @classmethod
    def for_local_dev(cls, **settings: Any) -> Self:
        """Return settings for a laptop: Parquet in ./llmops_events, written every second.

        The environment and `settings` go before.
        """
        return cls._preset({"storage": {"flush_interval_seconds": 1.0}}, settings)

    @classmethod
    def for_production(cls, **settings: Any) -> Self:
        """Return settings for a service: PostgreSQL, large batches, and a spill to disk.

        The environment and `settings` go before; one of them has to tell the connection string.
        """
        storage = {"backend": "postgres", "batch_size": 1000}
        return cls._preset({"storage": storage, "overflow": "spill"}, settings)

    @classmethod
    def _preset(cls, preset: Mapping[str, Any], settings: dict[str, Any]) -> Self:
        return cls(**_merged(preset, _merged(_Environment(cls)(), _plain(settings))))


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value
        for name, value in settings.items()
    }


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = {**under, **over}
    for name in under.keys() & over.keys():
        if isinstance(under[name], Mapping) and isinstance(over[name], Mapping):
            both[name] = _merged(under[name], over[name])
    return both
