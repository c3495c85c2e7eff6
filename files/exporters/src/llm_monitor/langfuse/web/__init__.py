"""Langfuse over its HTTP API."""
