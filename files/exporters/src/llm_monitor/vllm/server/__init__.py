"""One vLLM server: finding it, asking it, and understanding what it says in whatever version."""
