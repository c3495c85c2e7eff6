"""Ansible callback: one line of JSON a run of a playbook, with its time and every host's counts, for the tests."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from ansible import context
from ansible.executor.stats import AggregateStats
from ansible.playbook import Playbook
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: recap
type: aggregate
short_description: Keep each run's recap for the scenarios' tests
description:
  - Appends a line of JSON to the file that the environment variable E(LLM_MONITOR_MOLECULE_RECAPS) names.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "recap"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.started = time.monotonic()
        self.playbook = ""

    def v2_playbook_on_start(self, playbook: Playbook) -> None:
        self.playbook = Path(playbook._file_name).name

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        recap = {
            "playbook": self.playbook,
            "check": context.CLIARGS["check"],
            "seconds": round(time.monotonic() - self.started, 1),
            "hosts": {host: stats.summarize(host) for host in sorted(stats.processed)},
        }
        with Path(os.environ["LLM_MONITOR_MOLECULE_RECAPS"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(recap) + "\n")
