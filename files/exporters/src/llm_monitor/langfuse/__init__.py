"""What applications report to Langfuse: traces, tokens, cost, latency and scores."""
