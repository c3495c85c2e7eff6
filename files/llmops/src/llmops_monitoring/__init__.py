"""llmops_monitoring: one decorator tells what every call of an LLM application did."""
