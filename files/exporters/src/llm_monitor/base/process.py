"""One process with one or several exporters, from settings to the end of the last server."""

import asyncio
from collections.abc import Sequence

from pydantic import SecretStr

from llm_monitor.base import logs, registry
from llm_monitor.base.collection.engine import Engine, Limits
from llm_monitor.base.config.load import load
from llm_monitor.base.config.model import AuthSettings, ExporterSettings, Settings
from llm_monitor.base.config.names import spoken
from llm_monitor.base.config.reading import Reading
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
        Service(
            Engine(registry.load(name).build(own[name]), _limits(settings, own[name])),
            listen(settings.listen_address, own[name].port, spoken((name, "port"))),
        )
        for name in names
    ]
    asyncio.run(serve(services, _credentials(settings.auth)))


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
