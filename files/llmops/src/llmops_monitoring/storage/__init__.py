"""Where events are kept; a backend is found by its entry point."""
