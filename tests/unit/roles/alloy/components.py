# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""The blocks and arguments of Alloy that we use, as the reference of its release 1.20 names them.

Facts: https://grafana.com/docs/alloy/v1.20/reference/components/, one page a component. Only what is generally
available: `wal` and `queue_config` of loki.write are experimental, and an Alloy that was not told so refuses them.
"""

from __future__ import annotations

# Component → its arguments; those that it can't do without have a !.
COMPONENTS: dict[str, set[str]] = {
    "logging": {"level", "format"},
    "discovery.docker": {"host!", "refresh_interval"},
    "discovery.relabel": {"targets!"},
    "local.file_match": {"path_targets!"},
    "loki.source.docker": {"host!", "targets!", "forward_to!", "labels", "relabel_rules"},
    "loki.source.file": {"targets!", "forward_to!"},
    "loki.source.journal": {"forward_to!", "max_age", "labels", "relabel_rules"},
    "loki.relabel": {"forward_to!"},
    "loki.process": {"forward_to!"},
    "loki.write": {"external_labels"},
}

# Block within a component → its arguments.
_RULE = {"source_labels", "regex", "target_label", "replacement", "action"}
STAGES: dict[str, set[str]] = {
    "stage.decolorize": set(),
    "stage.drop": {"older_than", "drop_counter_reason"},
    "stage.json": {"expressions!"},
    "stage.label_keep": {"values"},
    "stage.labels": {"values"},
    "stage.limit": {"rate!", "burst!", "drop"},
    "stage.match": {"selector!"},
    "stage.multiline": {"firstline!", "max_wait_time", "max_lines"},
    "stage.output": {"source!"},
    "stage.regex": {"expression!"},
    "stage.replace": {"expression!", "replace", "source"},
    "stage.structured_metadata": {"values"},
    "stage.template": {"source!", "template!"},
    "stage.timestamp": {"source!", "format!"},
    "stage.truncate": set(),
}
BLOCKS: dict[str, dict[str, set[str]]] = {
    "discovery.relabel": {"rule": _RULE},
    "loki.relabel": {"rule": _RULE},
    "loki.process": STAGES,
    "stage.match": STAGES,
    "stage.truncate": {"rule": {"limit!", "suffix"}},
    "loki.write": {"endpoint": {"url!", "max_backoff_retries", "max_backoff_period"}},
    "endpoint": {"basic_auth": {"username", "password_file"}},
}

# What other components may refer to.
EXPORTS: dict[str, set[str]] = {
    "discovery.docker": {"targets"},
    "discovery.relabel": {"output", "rules"},
    "local.file_match": {"targets"},
    "loki.relabel": {"receiver", "rules"},
    "loki.process": {"receiver"},
    "loki.write": {"receiver"},
}
