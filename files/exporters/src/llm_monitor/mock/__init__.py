"""A whole GPU server that isn't there: the real collectors over simulated sources."""
