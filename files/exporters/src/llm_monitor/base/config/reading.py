"""Reads the settings in a child process while this one loads its libraries."""

import json
import subprocess
import sys
from typing import Any

from llm_monitor.base.errors import SettingsError


class Reading:
    """The settings' sources while a child process reads them."""

    def __init__(self) -> None:
        """Start to read with this process' environment."""
        command = [sys.executable, "-m", "llm_monitor.base.config.reader"]
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE)

    def result(self) -> dict[str, Any]:
        """Wait for the child and return the merged settings, unchecked.

        Raises:
            SettingsError: When a source can't be read.
        """
        output, _ = self._child.communicate()
        if self._child.returncode != 0:
            raise SettingsError(["the process that reads the settings failed; see its error above"])
        answer: dict[str, Any] = json.loads(output)
        if "problems" in answer:
            raise SettingsError(answer["problems"])
        settings: dict[str, Any] = answer["settings"]
        return settings
