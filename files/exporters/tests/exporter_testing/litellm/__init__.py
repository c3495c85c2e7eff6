"""A stand-in for LiteLLM over HTTP, and the settings of an exporter that asks it."""
