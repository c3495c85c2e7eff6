"""The catalogue of all metric families, from their declarations.

`python -m llm_monitor.base.catalogue FILE` writes it as Markdown, `--check FILE` exits with 1 when
the file is not what would be written, `--names` prints every family's name, one a line.
"""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from llm_monitor.base import registry
from llm_monitor.base.metrics.family import Family
from llm_monitor.base.metrics.own import OwnFamilies

_USAGE = "usage: python -m llm_monitor.base.catalogue [--check] FILE | --names"
_INTRODUCTION = """\
# Metrics

Every metric that the exporters give. This page is generated from the declarations in
`files/exporters/src/llm_monitor/*/metrics.py` by `make docs`; change them there.

Units are base units: seconds, bytes, joules, ratios from 0 to 1. Counters end with `_total`. What
the hardware or a service does not have is left out, never zero. Prometheus adds `instance`, the
host's name in the inventory, and `job`, the exporter's name.
"""
_TABLE = "| metric | type | labels | unit | meaning |\n| --- | --- | --- | --- | --- |\n"


def families(exporter: str) -> tuple[Family, ...]:
    """Return the families of an exporter, those about itself not among them."""
    module = importlib.import_module(f"llm_monitor.{exporter}.metrics")
    declared: tuple[Family, ...] = module.FAMILIES
    return declared


def names() -> list[str]:
    """Return the name of every family of every exporter, sorted, each once."""
    return sorted(
        {
            family.name
            for exporter in registry.names()
            for family in (*families(exporter), *OwnFamilies.of(exporter))
        }
    )


def markdown() -> str:
    """Return the catalogue as a Markdown page."""
    return _INTRODUCTION + "".join(_chapter(exporter) for exporter in registry.names())


def main(arguments: Sequence[str]) -> int:
    """Write, check or list, as `arguments` ask, and return the exit status."""
    match arguments:
        case ["--names"]:
            sys.stdout.write("".join(f"{name}\n" for name in names()))
            return 0
        case ["--check", file]:
            path = Path(file)
            if path.is_file() and path.read_text(encoding="utf-8") == markdown():
                return 0
            sys.stderr.write(f"{file} is not what the declarations say; run `make docs`\n")
            return 1
        case [file] if not file.startswith("-"):
            Path(file).write_text(markdown(), encoding="utf-8")
            return 0
        case _:
            sys.stderr.write(f"{_USAGE}\n")
            return 2


def _chapter(exporter: str) -> str:
    purpose = (importlib.import_module(f"llm_monitor.{exporter}").__doc__ or "").strip()
    return (
        f"\n## {exporter}\n\n{purpose}\n\n{_TABLE}"
        + "".join(map(_row, families(exporter)))
        + f"\nAbout the exporter itself:\n\n{_TABLE}"
        + "".join(map(_row, OwnFamilies.of(exporter)))
    )


def _row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    meaning = family.help.replace("|", r"\|").replace("*", r"\*")
    cells = (f"`{family.name}`", family.kind, labels, family.unit, meaning)
    return "| " + " | ".join(cells) + " |\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
