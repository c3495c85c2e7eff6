"""What the simulated server's containers and its kernel write to their logs."""
