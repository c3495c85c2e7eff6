"""What the simulated server consists of: GPUs, models and containers, as a YAML file says."""
