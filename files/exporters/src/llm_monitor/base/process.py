"""One process with one or several exporters, from settings to the end of the last server."""

import asyncio
from collections.abc import Iterator, Sequence

from pydantic import SecretStr

from llm_monitor.base import logs, registry
from llm_monitor.base.collection.engine import Engine, Limits
from llm_monitor.base.collection.together import Together
from llm_monitor.base.config.load import load
from llm_monitor.base.config.model import AuthSettings, ExporterSettings, Settings
from llm_monitor.base.config.names import spoken
from llm_monitor.base.config.reading import Reading
from llm_monitor.base.exporter import Exporter
from llm_monitor.base.memory import keep_one_arena
from llm_monitor.base.web.auth import Credentials
from llm_monitor.base.web.server import Service, listen, serve


def run_exporters(names: Sequence[str], reading: Reading) -> None:
    """Run the exporters `names` with the settings of `reading` until SIGTERM or SIGINT.

    Raises:
        SettingsError: When a setting or a port can't be used; nothing has been started then.
    """
    keep_one_arena()
    settings, own = load(names, reading)
    logs.configure(settings.log_level, settings.log_format)
    services = [
        service
        for name in names
        for service in _services(registry.load(name).build(own[name]), settings, own[name])
    ]
    asyncio.run(serve(services, _credentials(settings.auth)))


def _services(exporter: Exporter, settings: Settings, own: ExporterSettings) -> Iterator[Service]:
    """Give what listens for an exporter and for those of its parts that have ports of their own."""
    engine = Engine(exporter, _limits(settings, own))
    joined = [
        Engine(one.exporter, _limits(settings, own)) for one in exporter.parts if not one.port
    ]
    listener = listen(settings.listen_address, own.port, spoken((exporter.name, "port")))
    yield Service(Together(engine, joined) if joined else engine, listener)
    for part in exporter.parts:
        if part.port:
            where = f"{exporter.name}, for {part.exporter.name}"
            listener = listen(settings.listen_address, part.port, where)
            yield Service(Engine(part.exporter, _limits(settings, own)), listener)


def _limits(settings: Settings, own: ExporterSettings) -> Limits:
    return Limits(
        min_interval=settings.min_interval,
        per_family=own.max_series_per_family or settings.max_series_per_family,
        total=own.max_series or settings.max_series,
    )


def _credentials(auth: AuthSettings) -> Credentials:
    return Credentials(_plain(auth.token), auth.username or "", _plain(auth.password))


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
