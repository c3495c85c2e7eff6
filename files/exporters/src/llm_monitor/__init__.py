"""Prometheus exporters for LLM servers: one package each, beside what they share (`base`)."""
