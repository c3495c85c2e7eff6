"""What panels over weeks share."""

from __future__ import annotations

from ..links import Link, label, logs, to

ONE = '{model=~"$model"}'
EMPTY = "Nothing is recorded of this time yet."
NO_PRICE = "The inventory has no price of GPUs (prometheus_gpu_cost_usd_per_hour)."


def recorded(name: str) -> str:
    """Return a recorded series of the models that are chosen, without the part of its name that all have."""
    return f"model:llm_monitor_{name}{ONE}"


def of_asked() -> list[Link]:
    """Return the ways from a series of a model by the name that clients ask for."""
    return [to("litellm-status", "In LiteLLM", model=label("model")), to("model-catalog", "What serves it")]


def of_served() -> list[Link]:
    """Return the ways from a series of a model by the name that vLLM serves."""
    return [
        to("vllm-docker-status", "Its vLLM servers", model=label("model")),
        to("model-catalog", "In the catalogue", model=label("model")),
        logs("Lines that name it", text=label("model")),
    ]
