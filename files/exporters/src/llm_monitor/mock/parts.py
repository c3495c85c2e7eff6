"""The real exporters, over simulated sources."""

from collections.abc import Callable, Iterable
from typing import Any

import yaml

from llm_monitor.base import registry
from llm_monitor.base.config.model import ExporterSettings
from llm_monitor.base.exporter import Exporter
from llm_monitor.mock.view import View

# What these exporters want to know before they ask anybody, who is not asked here.
_NOBODY: dict[str, dict[str, Any]] = {
    "langfuse": {"url": "https://langfuse.invalid", "public_key": "none", "secret_key": "none"},
}
