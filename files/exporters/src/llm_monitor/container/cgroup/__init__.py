"""The kernel's control groups, of both versions."""
