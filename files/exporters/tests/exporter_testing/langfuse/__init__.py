"""A stand-in for Langfuse over HTTP, and its databases."""
