"""What applications report with llmops_monitoring: requests, errors, tokens, cost and latency."""
