"""Good days and bad ones: what happens to the simulated server, and when."""
