"""What panels about LiteLLM share."""

from __future__ import annotations

EMPTY = "No LiteLLM exporter reports."
NOTHING = "No requests in this time."
HOST = 'instance=~"$instance"'
BOTH = f'{HOST}, model=~"$model"'
ONE = '{model=~"$model"}'
CONFIGURED = f"llm_monitor_litellm_model_configured{{{BOTH}}}"
