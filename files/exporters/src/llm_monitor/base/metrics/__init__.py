"""Metric families as data, the cardinality guard and the exposition formats."""
