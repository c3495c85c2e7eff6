"""vLLM servers in containers and elsewhere: load, latency, tokens, cache, models and their GPUs."""
