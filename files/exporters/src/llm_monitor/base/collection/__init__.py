"""Running collectors: each alone, within a deadline, off the event loop."""
