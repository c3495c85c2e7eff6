"""Langfuse over the database that it keeps its data in."""
