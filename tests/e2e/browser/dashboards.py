# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""The dashboards as they lie in the repository: what a page must show."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
MAY_BE_EMPTY = Path(__file__).with_name("may_be_empty.yml")
# Grafana's own words where a panel has none of its own.
NO_DATA = "No data"


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel that is no row; `no_data` is what it says instead of data."""

    id: int
    title: str
    type: str
    no_data: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    uid: str
    folder: str
    panels: tuple[Panel, ...]
    # The titles of panels that may say their own words for "no data".
    may_be_empty: frozenset[str] = frozenset()

    def stats(self) -> frozenset[int]:
        """Return the ids of the panels that show one number, and its state by a colour."""
        return frozenset(panel.id for panel in self.panels if panel.type == "stat")


def _panels(found: list[dict[str, Any]]) -> Iterator[Panel]:
    for one in found:
        if one["type"] == "row":
            # A row that is closed holds its panels; those of an open one follow it.
            yield from _panels(one.get("panels") or [])
        else:
            words = one.get("fieldConfig", {}).get("defaults", {}).get("noValue") or NO_DATA
            yield Panel(one["id"], one.get("title", ""), one["type"], words)


def read(path: Path, may_be_empty: frozenset[str] = frozenset()) -> Dashboard:
    """Return the dashboard in a file `<folder>/<uid>.json`."""
    content = json.loads(path.read_text())
    return Dashboard(content["uid"], path.parent.name, tuple(_panels(content["panels"])), may_be_empty)


def folder() -> Path:
    """Return the folder of the dashboards: ours, or the one that DASHBOARDS names."""
    return Path(os.environ.get("DASHBOARDS") or ROOT / "dashboards").resolve()


def everyone() -> list[Dashboard]:
    """Return all dashboards, in the order of their files.

    Raises:
        ValueError: When there is none.
    """
    excused: dict[str, dict[str, str]] = yaml.safe_load(MAY_BE_EMPTY.read_text()) or {}
    files = sorted(folder().glob("*/*.json"))
    if not files:
        raise ValueError(f"there is no dashboard in {folder()}: none fits */*.json")
    return [read(path, frozenset(excused.get(path.stem, {}))) for path in files]
