"""The temperature sensors under `/sys/class/hwmon`."""

import os
import re
import time
from collections import Counter
from typing import NamedTuple

from llm_monitor.base.errors import SourceError, SourceMissingError
from llm_monitor.base.files import list_folder, read_text
from llm_monitor.node.facts import Temperature

_LIST_SECONDS = 60.0
_INPUT = re.compile(r"(temp\d+)_input")


class _Sensor(NamedTuple):
    chip: str
    sensor: str
    path: str


class Sensors:
    """Reads the sensors; which there are, and their names, is looked up once a minute."""

    def __init__(self, folder: str) -> None:
        """Read the chips in `folder`."""
        self._folder = folder
        self._sensors: list[_Sensor] = []
        self._listed = float("-inf")

    def read(self) -> list[Temperature]:
        """Return every sensor that answers.

        Raises:
            SourceMissingError: When the host has no such folder.
        """
        if time.monotonic() - self._listed > _LIST_SECONDS:
            self._sensors = self._list()
            self._listed = time.monotonic()
        found = []
        for chip, sensor, path in self._sensors:
            try:
                found.append(Temperature(chip, sensor, int(read_text(path)) / 1000))
            except (SourceError, ValueError):
                continue
        return found

    def _list(self) -> list[_Sensor]:
        return [
            sensor
            for name in sorted(list_folder(self._folder))
            for sensor in _sensors(f"{self._folder}/{name}")
        ]


def _sensors(folder: str) -> list[_Sensor]:
    """Return the sensors of one chip, by their labels where these are unique."""
    chip = _chip(folder)
    matches = (_INPUT.fullmatch(name) for name in sorted(list_folder(folder)))
    inputs = [match[1] for match in matches if match]
    labels = {name: _line(f"{folder}/{name}_label") or name for name in inputs}
    uses = Counter(labels.values())
    return [
        _Sensor(chip, label if uses[label] == 1 else f"{label} {name}", f"{folder}/{name}_input")
        for name, label in labels.items()
    ]


def _chip(folder: str) -> str:
    """Return a chip's name with that of its device, since chips of one kind share a name."""
    name = _line(f"{folder}/name") or os.path.basename(folder)
    try:
        device = os.path.basename(os.readlink(f"{folder}/device"))
    except OSError:
        return name
    return f"{name} {device}"


def _line(path: str) -> str:
    try:
        return read_text(path).strip()
    except SourceMissingError:
        return ""
