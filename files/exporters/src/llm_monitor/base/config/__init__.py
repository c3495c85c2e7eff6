"""Settings: package defaults, then a mounted file, then the environment, checked at the start."""
