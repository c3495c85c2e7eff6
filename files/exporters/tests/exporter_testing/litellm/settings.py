"""Settings of an exporter that asks a stand-in."""

from exporter_testing.litellm.server import KEY
from llm_monitor.litellm.exporter import Settings


def settings(url: str, **changes: object) -> Settings:
    """Return the settings of an exporter that asks at `url`, with `changes`."""
    values: dict[str, object] = {
        "port": 9901,
        "url": url,
        "api_key": KEY,
        "ca_file": "",
        "timeout": "1s",
        "show_hosts": False,
        "active_probes": False,
        "probe_interval": "15m",
    }
    return Settings.model_validate({**values, **changes})
