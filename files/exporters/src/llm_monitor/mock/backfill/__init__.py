"""Writes down what the simulated server would have shown Prometheus in the past."""
