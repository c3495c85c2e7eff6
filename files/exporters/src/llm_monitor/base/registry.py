"""The exporters of this distribution: every package beside `base` that has a `settings.yaml`."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from llm_monitor.base.config.model import ExporterSettings
    from llm_monitor.base.exporter import Exporter

_ROOT = Path(__file__).resolve().parent.parent


class ExporterModule(Protocol):
    """What an exporter's module `exporter` has to have."""

    Settings: "type[ExporterSettings]"

    def build(self, settings: Any) -> "Exporter":
        """Put the exporter together; `settings` are of the type `Settings`."""
        ...


def names() -> list[str]:
    """Return the names of all exporters."""
    return sorted(path.parent.name for path in _ROOT.glob("*/settings.yaml"))


def package_folder(name: str) -> Path:
    """Return the folder of an exporter's package."""
    return _ROOT / name


def load(name: str) -> ExporterModule:
    """Import and return the module `exporter` of the exporter of that name."""
    return cast("ExporterModule", importlib.import_module(f"llm_monitor.{name}.exporter"))
