"""What the real collectors ask, answered by the simulation."""
